from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdp.declog.pending import Group, PendingQueue, Receipt
from pdp.errors import RecordFailedError
from tests.unit.declog.disks import FaultyDisk
from tests.unit.declog.logs import answered, lines, opened
from tests.unit.declog.samples import QUICK

pytestmark = pytest.mark.anyio


def group(count: int = 1) -> Group:
    made = Group(asyncio.get_running_loop(), 0.0)
    for line in lines(count):
        made.add(line)
    return made


async def test_whoever_waits_hears_of_it_once_and_in_the_context_that_he_named() -> None:
    word: ContextVar[str] = ContextVar("word", default="")
    theirs = Context()
    theirs.run(word.set, "theirs")
    heard: list[tuple[str, bool]] = []
    receipt = Receipt()
    receipt.add_done_callback(lambda settled: heard.append((word.get(), settled.settled)), context=theirs)
    assert not heard
    receipt.settle(None)
    assert heard == [("theirs", True)]
    receipt.add_done_callback(lambda _: heard.append((word.get(), True)))  # late
    assert len(heard) == 1
    await asyncio.sleep(0)
    assert heard[1:] == [("", True)]
    receipt.result()
    await receipt


async def test_a_receipt_that_failed_raises_for_whoever_awaits_it_before_and_after() -> None:
    receipt = Receipt()
    waiting = asyncio.ensure_future(awaited(receipt))
    await asyncio.sleep(0)
    receipt.settle(RecordFailedError("no room"))
    for late in (waiting, asyncio.ensure_future(awaited(receipt))):
        with pytest.raises(RecordFailedError, match="no room"):
            await late


async def awaited(receipt: Receipt) -> None:
    await receipt


async def test_whoever_hung_up_is_not_told() -> None:
    receipt = Receipt()
    waiting = asyncio.ensure_future(awaited(receipt))
    await asyncio.sleep(0)
    waiting.cancel()
    receipt.settle(None)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_one_that_fails_to_hear_hinders_no_other_of_the_group(tmp_path: Path) -> None:
    faults: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    async with opened(tmp_path) as log:
        first, second, third = (log.begin(line) for line in lines(3))
        assert first is not None and second is not None and third is not None
        second.add_done_callback(fail)
        await asyncio.gather(first, third)
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
    assert answered(tmp_path) == lines(3)


async def test_what_one_turn_of_the_event_loop_begins_is_one_group_in_its_order(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk) as log:
        before = len(disk.done)
        kept = [log.begin(line) for line in lines(50)]
        assert log.status().queued == 50
        await asyncio.gather(*(one for one in kept if one is not None))
        assert [what for what, _ in disk.done[before:]] == ["write", "sync"]
    assert answered(tmp_path) == lines(50)


@pytest.mark.parametrize("limit", [{"queued_records": 3}, {"queued_bytes": 3 * len(lines(1)[0])}])
async def test_what_one_turn_begins_is_bounded_as_what_waits_is(tmp_path: Path, limit: dict[str, int]) -> None:
    async with opened(tmp_path, limits=replace(QUICK, **limit)) as log:
        kept = [log.begin(line) for line in lines(5)]
        assert [one is None for one in kept] == [False, False, False, True, True]
        await asyncio.gather(*(one for one in kept if one is not None))
    assert answered(tmp_path) == lines(3)


async def test_what_was_begun_is_written_by_a_close_in_the_same_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        kept = log.begin(lines(1)[0])
        assert kept is not None
        await log.close()
        await kept
    assert answered(tmp_path) == lines(1)


async def test_what_was_begun_when_the_thread_ended_is_refused_and_never_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        kept = log.begin(lines(1)[0])
        assert kept is not None
        log._queue.stop()  # as the commit thread does at its end, whatever ended it
        with pytest.raises(RecordFailedError, match="closed"):
            await kept
        assert log.begin(lines(1)[0]) is None
        assert (log.unrecorded, log.status().queued) == (1, 0)
    assert answered(tmp_path) == []


async def test_what_expires_in_the_turn_that_began_it_is_never_written(tmp_path: Path) -> None:
    """Where the event loop itself hung, and looks at its timers first."""
    async with opened(tmp_path) as log:
        kept = log.begin(lines(1)[0])
        assert kept is not None and log._gathering is not None
        log._expire(log._gathering)
        with pytest.raises(RecordFailedError, match="in time"):
            await kept
        await log.append(lines(1, 1)[0])
        assert log.unrecorded == 1
    assert answered(tmp_path) == lines(1, 1)


async def test_a_queue_counts_records_and_bytes_over_all_groups() -> None:
    size = len(lines(1)[0])
    queue = PendingQueue(max_records=4, max_bytes=3 * size)
    first, second = group(2), group(1)
    assert queue.has_room(9 * size)  # one fits where nothing is, whatever its size
    assert queue.put(first)
    assert [queue.has_room(size), queue.has_room(size + 1), queue.has_room(size, second)] == [True, False, False]
    assert queue.put(second)
    assert (len(queue), queue.has_room(0), queue.has_room(1)) == (3, True, False)
    assert queue.withdraw(first)
    assert not queue.withdraw(first)
    assert (len(queue), queue.take(0)) == (1, [second])
    assert (len(queue), queue.take(0)) == (0, [])
    assert not queue.withdraw(second)
    queue.stop()
    assert not queue.put(first)
    assert len(queue) == 0
