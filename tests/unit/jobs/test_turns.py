"""Places for short work: whoever has none goes before whoever has one, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import ConflictError
from pdp.jobs.turns import Turns, next_turns

pytestmark = pytest.mark.anyio
AUTHORS = st.sampled_from(["sato", "suzuki", "tanaka"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Bench:
    """People who take a place, and give it back when they are told to."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.sat = turns, []
        self.tasks: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def asks(self, name: str) -> None:
        """`sato-2` is SATO's second request."""
        over = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._sits(name, over)), over
        await asyncio.sleep(0)

    async def _sits(self, name: str, over: asyncio.Event) -> None:
        async with self.turns.turn(name.partition("-")[0]):
            self.sat.append(name)
            await over.wait()

    async def leaves(self, name: str) -> None:
        task, over = self.tasks.pop(name)
        over.set()
        await task
        for _ in range(3):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task, _ in self.tasks.values():
            task.cancel()
        await asyncio.gather(*(task for task, _ in self.tasks.values()), return_exceptions=True)


async def test_one_author_does_not_hold_both_places_while_another_waits() -> None:
    bench = Bench(Turns(2, wait_s=60, most=8))
    try:
        for name in ("sato-1", "sato-2", "sato-3", "suzuki-1", "sato-4"):
            await bench.asks(name)
        assert bench.sat == ["sato-1", "sato-2"], "nobody else waited then"
        await bench.leaves("sato-1")
        assert bench.sat[2:] == ["suzuki-1"], "though the third of the first author asked before"
        await bench.leaves("suzuki-1")
        await bench.leaves("sato-2")
        assert bench.sat[3:] == ["sato-3", "sato-4"]
    finally:
        await bench.end()


async def test_whoever_goes_away_while_waiting_leaves_no_place_taken() -> None:
    bench = Bench(Turns(1, wait_s=60, most=8))
    try:
        for name in ("sato-1", "suzuki-1", "tanaka-1"):
            await bench.asks(name)
        gone, _ = bench.tasks.pop("suzuki-1")
        gone.cancel()
        await bench.leaves("sato-1")
        assert gone.cancelled()
        assert bench.sat == ["sato-1", "tanaka-1"]
    finally:
        await bench.end()


async def test_whoever_gets_no_turn_in_time_and_whoever_is_one_too_many_is_refused() -> None:
    turns = Turns(1, wait_s=0.01, most=1)
    async with turns.turn("sato"):
        with pytest.raises(ConflictError, match="other drafts are being tried"):
            async with turns.turn("suzuki"):
                raise AssertionError("there was no place")
    full = Bench(Turns(1, wait_s=60, most=1))
    try:
        await full.asks("sato-1")
        await full.asks("suzuki-1")
        with pytest.raises(ConflictError, match="too many drafts wait"):
            async with full.turns.turn("tanaka"):
                raise AssertionError("there was no place")
    finally:
        await full.end()
    async with turns.turn("suzuki"):
        pass


@given(st.lists(AUTHORS, max_size=2), st.lists(AUTHORS, max_size=6), st.integers(0, 3))
def test_nobody_has_a_second_place_while_somebody_without_one_waits(
    busy: list[str], asking: list[str], places: int
) -> None:
    waiting = [(str(at), author) for at, author in enumerate(asking)]
    found = next_turns(busy, waiting, places)
    assert len(found) == min(places, len(waiting)) == len(set(found))
    having, left = list(busy), dict(waiting)
    for ticket in found:
        author = left.pop(ticket)
        assert author not in having or all(other in having for other in left.values())
        having.append(author)
