from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pdp.declog.layout import OPEN, SEALED, Layout
from pdp.declog.reader import records_of
from pdp.declog.segments import SegmentLog
from pdp.declog.verify import BREAKS, verify_segments
from pdp.errors import RecordFailedError
from tests.unit.declog.disks import FaultyDisk, PowerCutDisk, StuckDisk
from tests.unit.declog.logs import answered, dead_segment, ids, lines, opened, until
from tests.unit.declog.samples import QUICK, START, Clock, line_of, new_id, uuid7_at

pytestmark = pytest.mark.anyio


async def test_a_failed_sync_fails_its_group_and_the_next_goes_to_a_new_segment(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk) as log:
        await log.append(lines(1)[0])
        failed = log.status().segment
        disk.sync_fails = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1, 1)[0])
        await until(lambda: log.status().fault == "EIO")
        disk.sync_fails = False
        # The thread may still be busy with a sync that failed: a segment of its own says that it has moved on.
        await until(lambda: log.writable() and log.status().segment not in (None, failed))
        await log.append(lines(1, 2)[0])
        assert log.unrecorded == 1
    assert set(lines(1) + lines(1, 2)) <= set(answered(tmp_path))


async def test_deny_fails_at_once_while_the_disk_is_full_and_takes_records_when_it_has_room(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, back_pressure="deny") as log:
        disk.full = True
        for line in lines(3):
            with pytest.raises(RecordFailedError):
                await log.append(line)
        await until(lambda: not log.writable())
        for line in lines(3):
            with pytest.raises(RecordFailedError, match="cannot be written"):
                await log.append(line)
        assert log.unrecorded == 6
        assert log.status().fault == "ENOSPC"
        disk.full = False
        await until(log.writable)
        await log.append(lines(1, 9)[0])
    assert answered(tmp_path) == lines(1, 9)
    assert log.unrecorded == 6


async def test_block_waits_while_the_log_is_down_and_goes_on_when_it_can(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, back_pressure="block") as log:
        disk.full = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        await until(lambda: not log.writable())
        waiting = [asyncio.ensure_future(log.append(line)) for line in lines(20, 1)]
        await until(lambda: log.status().queued == 20)
        disk.full = False
        await asyncio.gather(*waiting)
        assert log.writable()
    assert answered(tmp_path) == lines(20, 1)


async def test_block_gives_up_at_the_deadline_and_the_record_is_never_written(tmp_path: Path):
    disk = FaultyDisk()
    limits = replace(QUICK, deadline_s=0.2)
    async with opened(tmp_path, disk=disk, back_pressure="block", limits=limits) as log:
        disk.full = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        await until(lambda: not log.writable())
        with pytest.raises(RecordFailedError, match="in time"):
            await log.append(lines(1, 1)[0])
        assert log.status().queued == 0
        disk.full = False
        await until(log.writable)
        await log.append(lines(1, 2)[0])
        assert log.unrecorded == 2
    assert answered(tmp_path) == lines(1, 2)


async def test_a_disk_that_hangs_gives_no_answer_after_the_deadline(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk, limits=replace(QUICK, deadline_s=0.2)) as log:
        disk.stick()
        with anyio.fail_after(5), pytest.raises(RecordFailedError, match="in time"):
            await log.append(lines(1)[0])
        disk.free.set()
        await log.append(lines(1, 1)[0])
        assert log.unrecorded == 1


async def test_what_was_begun_fails_as_what_was_appended_does_and_is_counted_once(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk, limits=replace(QUICK, deadline_s=0.2)) as log:
        disk.stick()
        kept = log.begin(lines(1)[0])
        assert kept is not None
        with anyio.fail_after(5), pytest.raises(RecordFailedError, match="in time"):
            await kept
        disk.free.set()
        await log.append(lines(1, 1)[0])
        assert log.unrecorded == 1
    faulty = FaultyDisk()
    async with opened(tmp_path / "other", disk=faulty) as log:
        faulty.full = True
        kept = log.begin(lines(1)[0])
        assert kept is not None
        with pytest.raises(RecordFailedError):
            await kept
        assert log.unrecorded == 1


async def test_each_record_has_its_own_deadline_and_what_came_later_expires_later(tmp_path: Path):
    disk = StuckDisk()
    loop = asyncio.get_running_loop()
    async with opened(tmp_path, disk=disk, limits=replace(QUICK, deadline_s=0.3)) as log:
        disk.stick()
        began, ended = {}, {}

        async def append(number: int) -> None:
            began[number] = loop.time()
            with pytest.raises(RecordFailedError, match="in time"):
                await log.append(lines(1, number)[0])
            ended[number] = loop.time()

        with anyio.fail_after(5):
            async with asyncio.TaskGroup() as waiting:
                for number in range(4):
                    waiting.create_task(append(number))
                    await anyio.sleep(0.05)  # the deadline is what this is about
        assert all(ended[number] - began[number] >= 0.29 for number in range(4))
        assert list(ended) == [0, 1, 2, 3]
        assert ended[3] - ended[0] > 0.1
        assert log.unrecorded == 4
        disk.free.set()
        await log.append(lines(1, 9)[0])


@pytest.mark.parametrize("back_pressure", ["deny", "block"])
async def test_closing_a_log_that_is_down_fails_whoever_waits(tmp_path: Path, back_pressure: str):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, back_pressure=back_pressure, limits=replace(QUICK, queued_records=1)) as log:
        disk.full = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        await until(lambda: not log.writable())
        waiting = [asyncio.ensure_future(log.append(line)) for line in lines(3, 1)]
        await asyncio.sleep(0)
        await log.close()
        with anyio.fail_after(5):
            results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [RecordFailedError] * 3


async def test_a_disk_that_is_nearly_full_is_told_before_it_is_full(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, limits=replace(QUICK, look_s=0.005, min_free_bytes=1_000)) as log:
        assert log.writable()
        disk.free = 999
        await until(lambda: not log.writable())
        await log.append(lines(1)[0])
        disk.free = 1_000
        await until(log.writable)
        assert log.unrecorded == 0


async def test_durability_process_keeps_what_a_failed_sync_took_after_the_answer_and_writes_it_anew(tmp_path: Path):
    disk = FaultyDisk()
    limits = replace(QUICK, sync_every_s=0.01)
    async with opened(tmp_path, disk=disk, durability="process", limits=limits) as log:
        await log.append(lines(1)[0])
        await until(lambda: disk.done[-1][0] == "sync")
        abandoned = log.status().segment
        disk.sync_fails = True
        await log.append(lines(1, 1)[0])
        await until(lambda: log.unrecorded == 1)
        disk.sync_fails = False
        # The thread may still be busy with a sync that failed: a segment of its own says that it has moved on.
        await until(lambda: log.writable() and log.status().segment not in (None, abandoned))
        await log.append(lines(1, 2)[0])
        assert log.unrecorded == 0
    layout = Layout(tmp_path)
    after = [body for name in layout.names(SEALED) for _, body in records_of(layout.sealed_path(name))]
    assert after == [*lines(1, 1), *lines(1, 2)]
    assert [finding.kind for finding in verify_segments(Layout(tmp_path))[1]] == ["unsealed", "written_anew"]


async def test_a_log_that_starts_on_a_full_disk_is_not_writable_until_there_is_room(tmp_path: Path):
    path = dead_segment(tmp_path, 3)
    path.write_bytes(path.read_bytes() + b"torn")
    disk = FaultyDisk()
    disk.full = True
    clock = Clock()
    clock.forward(hours=1)
    async with opened(tmp_path, disk=disk, clock=clock) as log:
        assert not log.writable()
        assert log.status().fault == "ENOSPC"
        with pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        assert log.find(ids(3)[0]) == lines(3)[0]
        disk.full = False
        await until(log.writable)
        await log.append(lines(1, 9)[0])
    assert path.exists()
    async with opened(tmp_path, clock=clock) as log:
        assert [note.torn_bytes for note in log.status().recovered] == [4]
    assert not any(finding.kind in BREAKS for finding in verify_segments(Layout(tmp_path))[1])


async def test_a_segment_that_cannot_be_renamed_is_still_whole_and_sealed_at_the_next_start(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, max_segment_bytes=1_000) as log:
        disk.rename_fails = True
        for line in lines(30):
            await log.append(line)
        assert log.unrecorded == 0
    assert len(Layout(tmp_path).names(OPEN)) > 1
    clock = Clock()
    clock.forward(hours=1)
    async with opened(tmp_path, clock=clock):
        assert len(Layout(tmp_path).names(OPEN)) == 1
    assert verify_segments(Layout(tmp_path)) == (30, ())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_of_our_own_in_the_commit_thread_fails_closed(tmp_path: Path):
    class BrokenDisk(FaultyDisk):
        def write(self, descriptor: int, data: bytes) -> None:
            if b'"record":' in data:
                raise ZeroDivisionError
            super().write(descriptor, data)

    async with opened(tmp_path, disk=BrokenDisk()) as log:
        with anyio.fail_after(2), pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        await until(lambda: not log.writable())
        with anyio.fail_after(2), pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])


@pytest.mark.parametrize("seed", range(25))
async def test_nothing_answered_is_lost_when_the_power_fails(tmp_path: Path, seed: int):
    """`power`: whatever the disk makes of what was not synced, every answered record is found again."""
    dice = random.Random(seed)
    disk = PowerCutDisk(operations=dice.randint(8, 120))
    kept: list[tuple[str, bytes]] = []
    numbers = iter(range(10_000))

    async def keep_appending(log: SegmentLog) -> None:
        for number in numbers:
            decision_id = uuid7_at(START, number)
            line = line_of(decision_id, "x" * dice.randint(0, 300))
            try:
                await log.append(line)
            except RecordFailedError:
                return
            kept.append((decision_id, line))

    async with opened(tmp_path, disk=disk, max_segment_bytes=3_000) as log:
        await asyncio.gather(*(keep_appending(log) for _ in range(8)))
    disk.crash(dice)
    clock = Clock()
    clock.forward(seconds=5)
    async with opened(tmp_path, clock=clock) as log:
        for decision_id, line in kept:
            assert log.find(decision_id) == line
        await log.append(line_of(new_id()))
    findings = verify_segments(Layout(tmp_path))[1]
    assert [finding for finding in findings if finding.kind in BREAKS] == []


async def test_durability_process_would_lose_answers_to_a_power_cut(tmp_path: Path):
    """Shows that the test above can fail: without the sync before the answer, it does."""
    disk = PowerCutDisk(operations=40)
    kept: list[str] = []
    limits = replace(QUICK, sync_every_s=3_600)
    async with opened(tmp_path, disk=disk, durability="process", limits=limits) as log:
        for number in range(1_000):
            try:
                await log.append(line_of(uuid7_at(START, number)))
            except RecordFailedError:
                break
            kept.append(uuid7_at(START, number))
    disk.crash(random.Random(1))
    clock = Clock()
    clock.forward(seconds=5)
    async with opened(tmp_path, clock=clock) as log:
        assert any(log.find(decision_id) is None for decision_id in kept)


async def test_no_message_of_the_log_names_a_path(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk) as log:
        disk.full = True
        with pytest.raises(RecordFailedError) as refused:
            await log.append(lines(1)[0])
    assert str(tmp_path) not in str(refused.value) + json.dumps(log.status().fault)
