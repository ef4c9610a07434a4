"""Garbage is found, whatever its age; and everything is looked at only where there is a reason, and then rarely."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from pdp.ending import end
from pdp.garbage import GROWN, GROWN_MUCH, IDLE, REST_S, YOUNG, Garbage, _resident

if TYPE_CHECKING:
    from collections.abc import Iterator


class Link:
    """Of a cycle, which only a search finds."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    """What a worker would measure of itself."""

    def __init__(self) -> None:
        self.bytes = 100 << 20
        self.used_s = 0.0
        self.now_s = 1_000.0
        self.garbage = Garbage(held=lambda: self.bytes, busy=lambda: self.used_s, clock=lambda: self.now_s)

    def second(self, *, busy: float, after_s: float = 1.0) -> None:
        self.now_s += after_s
        self.used_s += busy * after_s
        self.garbage.look()


@pytest.fixture
def process() -> Iterator[Process]:
    before = gc.get_threshold()
    found = Process()
    found.garbage.settle()
    yield found
    gc.set_threshold(*before)
    gc.unfreeze()


def grown_old(process: Process) -> weakref.ref[Link]:
    """A cycle that was put aside while somebody had it, and is garbage now."""
    link = Link()
    process.second(busy=0)
    return weakref.ref(link)


def test_what_is_settled_is_not_looked_at_again(process: Process) -> None:
    assert gc.isenabled() and gc.get_threshold()[0] == YOUNG
    link = Link()
    assert any(one is link for one in gc.get_objects())
    process.second(busy=1)
    assert not any(one is link for one in gc.get_objects()), "what is frozen is in no generation"


def test_young_garbage_is_found_each_second(process: Process) -> None:
    seen = weakref.ref(Link())
    process.second(busy=1)
    assert seen() is None


def test_what_goes_without_a_cycle_goes_at_once_though_it_has_settled(process: Process) -> None:
    class Plain: ...

    held = Plain()
    process.second(busy=1)
    seen = weakref.ref(held)
    del held
    assert seen() is None


def test_old_garbage_waits_for_growth_and_a_quiet_moment(process: Process) -> None:
    seen = grown_old(process)
    process.second(busy=0, after_s=REST_S)
    assert seen() is not None, "it has not grown"
    process.bytes += GROWN
    process.second(busy=2 * IDLE)
    assert seen() is not None, "it is busy"
    process.second(busy=IDLE / 2)
    assert seen() is None


def test_a_leak_is_ended_by_a_worker_that_is_never_quiet(process: Process) -> None:
    seen = grown_old(process)
    process.bytes += GROWN_MUCH
    process.second(busy=1)
    assert seen() is not None, "it has only begun"
    process.second(busy=1, after_s=REST_S)
    assert seen() is None


def test_what_growth_was_not_garbage_is_no_reason_any_more(process: Process) -> None:
    process.bytes += GROWN
    process.second(busy=0, after_s=REST_S)
    seen = grown_old(process)
    process.second(busy=0, after_s=REST_S)
    assert seen() is not None


@pytest.mark.anyio
async def test_it_looks_until_it_is_ended(process: Process) -> None:
    keeping = asyncio.create_task(process.garbage.keep())
    seen = weakref.ref(Link())
    async with asyncio.timeout(20):
        while seen() is not None:  # noqa: ASYNC110  # what looks is a task of its own
            await asyncio.sleep(0.05)
    await end(keeping)
    assert keeping.cancelled()


def test_the_size_of_a_process_is_that_of_its_memory() -> None:
    before = _resident()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * (len(held) // 4096)
    assert _resident() - before > 32 << 20
