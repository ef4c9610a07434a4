"""The looking goes on: whatever one look or the measuring does, the others are looked at, again and again."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable

import pytest

from pdp.errors import DirectoryError
from pdp.refresh import keep_fresh
from pdp.signals.listener import Nudge

pytestmark = pytest.mark.anyio

DEADLINE_S = 5.0
SOON_S = 0.001
NEVER_S = 3_600.0


class Rounds:
    """A look that fails in the rounds that `fault` names, and can be awaited up to a round."""

    def __init__(self, fault: Callable[[int], Exception | None] = lambda _: None) -> None:
        self.seen = 0
        self._fault = fault
        self._changed = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._changed:
            self.seen += 1
            self._changed.notify_all()
        fault = self._fault(self.seen)
        if fault is not None:
            raise fault

    async def reached(self, rounds: int) -> None:
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: self.seen >= rounds)


async def rounds(count: int, *looks: Callable[[], Awaitable[object]], after: Callable[[], None] = lambda: None) -> None:
    """Keep these fresh until that many whole rounds have ended."""
    last = Rounds()
    async with keep_fresh([*looks, last], every_s=SOON_S, after=after):
        await last.reached(count + 1)


def told(log: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("fault", [DirectoryError("gone"), RuntimeError("a bug of ours")])
async def test_one_look_that_fails_stops_no_other(operators_log: io.StringIO, fault: Exception) -> None:
    failing, other = Rounds(lambda _: fault), Rounds()
    await rounds(3, failing, other)
    assert failing.seen >= 3 and other.seen >= 3


async def test_measuring_that_fails_does_not_end_the_looking(operators_log: io.StringIO) -> None:
    def broken() -> None:
        raise RuntimeError("no gauge")

    looked = Rounds()
    await rounds(3, looked, after=broken)
    assert looked.seen >= 3
    assert "the gauges could not be set" in told(operators_log)


@pytest.mark.parametrize("fault", [DirectoryError("gone"), RuntimeError("a bug of ours")])
async def test_an_outage_is_told_once_and_so_is_its_end(operators_log: io.StringIO, fault: Exception) -> None:
    await rounds(8, Rounds(lambda seen: fault if seen in (2, 3, 4) else None))
    first, second = told(operators_log)
    assert first.startswith("refresh failed") and second == "refresh works again"


async def test_a_second_outage_is_told_again(operators_log: io.StringIO) -> None:
    await rounds(8, Rounds(lambda seen: DirectoryError("gone") if seen in (2, 5) else None))
    assert [event == "refresh works again" for event in told(operators_log)] == [False, True, False, True]


async def test_each_look_has_its_own_outage(operators_log: io.StringIO) -> None:
    await rounds(
        6, Rounds(lambda _: DirectoryError("gone")), Rounds(lambda seen: RuntimeError("x") if seen == 2 else None)
    )
    assert sorted(told(operators_log)) == [
        "refresh failed unexpectedly; the last good state stays",
        "refresh failed; the last good state stays",
        "refresh works again",
    ]


async def test_measuring_follows_every_round_and_the_end_of_the_block_ends_the_looking(
    operators_log: io.StringIO,
) -> None:
    measured: list[int] = []
    looked = Rounds()
    await rounds(3, looked, after=lambda: measured.append(looked.seen))
    assert measured[:3] == [1, 2, 3]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "refresh"]


# --- news


async def test_news_are_looked_at_at_once_and_only_by_their_own_look() -> None:
    directory, callers = Rounds(), Rounds()
    nudge = Nudge({"directory": directory, "callers": callers}, spacing_s=0)
    async with keep_fresh([directory, callers], every_s=NEVER_S, after=lambda: None, nudge=nudge):
        await callers.reached(1)
        nudge.hear(("directory",))
        await directory.reached(2)
        nudge.hear(("directory",))
        await directory.reached(3)
    assert callers.seen == 1


async def test_measuring_follows_a_look_that_news_asked_for() -> None:
    directory = Rounds()
    measured, seen = asyncio.Event(), []

    def measure() -> None:
        seen.append(directory.seen)
        if directory.seen == 2:
            measured.set()

    nudge = Nudge({"directory": directory}, spacing_s=0)
    async with keep_fresh([directory], every_s=NEVER_S, after=measure, nudge=nudge), asyncio.timeout(DEADLINE_S):
        await directory.reached(1)
        nudge.hear(("directory",))
        await measured.wait()
    assert seen == [1, 2]


async def test_whole_rounds_go_on_where_no_news_come() -> None:
    looked = Rounds()
    nudge = Nudge({"directory": looked})
    async with keep_fresh([looked], every_s=SOON_S, after=lambda: None, nudge=nudge):
        await looked.reached(4)


async def test_news_without_end_do_not_keep_a_whole_round_away() -> None:
    nudge: Nudge

    async def flooded() -> None:
        nudge.hear(("directory",))

    callers = Rounds()
    nudge = Nudge({"directory": flooded}, spacing_s=0)
    async with keep_fresh([flooded, callers], every_s=SOON_S, after=lambda: None, nudge=nudge):
        await callers.reached(4)


async def test_a_look_that_fails_for_news_is_tried_again_by_the_next_round(operators_log: io.StringIO) -> None:
    directory = Rounds(lambda seen: DirectoryError("gone") if seen == 2 else None)
    nudge = Nudge({"directory": directory}, spacing_s=0)
    async with keep_fresh([directory], every_s=0.05, after=lambda: None, nudge=nudge):
        await directory.reached(1)
        nudge.hear(("directory",))
        await directory.reached(4)
    first, second = told(operators_log)
    assert first.startswith("refresh failed") and second == "refresh works again"
