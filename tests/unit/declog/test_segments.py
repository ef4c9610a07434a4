from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pdp.declog.layout import SEALED, Layout
from pdp.declog.limits import Limits
from pdp.declog.reader import scan_segment
from pdp.declog.segments import SegmentLog, first_free
from pdp.declog.verify import verify_segments
from pdp.errors import RecordFailedError, SettingsError, WorkerNameInUseError
from tests.unit.declog.disks import FaultyDisk, StuckDisk
from tests.unit.declog.logs import answered, dead_segment, ids, lines, opened, sealed_segment, stuck, until
from tests.unit.declog.samples import QUICK, Clock, line_of, uuid7_at

pytestmark = pytest.mark.anyio


async def test_a_record_is_synced_before_the_append_returns(tmp_path: Path):
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk) as log:
        await log.append(lines(1)[0])
        assert [what for what, _ in disk.done][-2:] == ["write", "sync"]
        assert log.find(ids(1)[0]) == lines(1)[0]
        assert log.status().last_seq == 1


async def test_what_gathers_during_a_sync_is_written_as_one_group(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk) as log:
        disk.stick()
        first = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        others = [asyncio.ensure_future(log.append(line)) for line in lines(100, 1)]
        await until(lambda: log.status().queued == 100)
        assert not first.done()
        assert not any(other.done() for other in others)
        disk.free.set()
        await asyncio.gather(first, *others)
    assert answered(tmp_path) == lines(101)


async def test_deny_refuses_what_the_full_queue_cannot_hold(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk, back_pressure="deny", limits=replace(QUICK, queued_records=2)) as log:
        disk.stick()
        taken = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        queued = [asyncio.ensure_future(log.append(line)) for line in lines(2, 1)]
        await until(lambda: log.status().queued == 2)
        with pytest.raises(RecordFailedError, match="full"):
            await log.append(lines(1, 3)[0])
        disk.free.set()
        await asyncio.gather(taken, *queued)
    assert answered(tmp_path) == lines(3)


@pytest.mark.parametrize("limit", [{"queued_records": 2}, {"queued_bytes": 2 * len(lines(1)[0])}])
async def test_block_waits_for_room_in_the_queue(tmp_path: Path, limit: dict[str, int]):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk, back_pressure="block", limits=replace(QUICK, **limit)) as log:
        disk.stick()
        first = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        others = [asyncio.ensure_future(log.append(line)) for line in lines(20, 1)]
        await until(lambda: log.status().queued == 2)
        disk.free.set()
        await asyncio.gather(first, *others)
        assert log.unrecorded == 0
    assert sorted(answered(tmp_path)) == sorted(lines(21))


async def test_nothing_is_held_of_a_record_that_was_answered(tmp_path: Path):
    """Its deadline is seconds away, and a busy log would hold thousands until then."""
    async with opened(tmp_path) as log:
        for line in lines(50):
            await log.append(line)
        await asyncio.gather(*(log.append(line) for line in lines(50, 50)))
        assert not log._under_way
        hung_up = asyncio.ensure_future(log.append(lines(1, 100)[0]))
        await anyio.lowlevel.checkpoint()
        hung_up.cancel()
        await until(lambda: not log._under_way)
    assert answered(tmp_path) == lines(101)


async def test_block_gives_up_on_a_full_queue_at_the_deadline(tmp_path: Path):
    disk = StuckDisk()
    limits = replace(QUICK, queued_records=1, deadline_s=0.2)
    async with opened(tmp_path, disk=disk, back_pressure="block", limits=limits) as log:
        disk.stick()
        first = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        others = [asyncio.ensure_future(log.append(line)) for line in lines(5, 1)]
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(result) for result in results] == [RecordFailedError] * 6
        disk.free.set()
        assert log.unrecorded == 6


async def test_a_caller_that_hangs_up_does_not_take_its_record_out_of_the_log(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk) as log:
        disk.stick()
        first = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        gone = asyncio.ensure_future(log.append(lines(1, 1)[0]))
        await until(lambda: log.status().queued == 1)
        gone.cancel()
        disk.free.set()
        await asyncio.gather(first, log.append(lines(1, 2)[0]))
    assert answered(tmp_path) == lines(3)


@pytest.mark.parametrize(
    "record", [b"", b"[]", b'{"id":1', b'{"id":"a",\n"b":1}', b'{}\n{"id":"forged"}', b'{"a":"%b"}' % (b"x" * 300)]
)
async def test_what_is_not_one_object_on_one_line_is_not_taken(tmp_path: Path, record: bytes):
    async with opened(tmp_path, limits=replace(QUICK, record_bytes=256)) as log:
        with pytest.raises(RecordFailedError):
            await log.append(record)
        assert log.unrecorded == 1
    assert answered(tmp_path) == []


async def test_two_processes_cannot_write_under_one_name(tmp_path: Path):
    async with opened(tmp_path) as log:
        with pytest.raises(WorkerNameInUseError, match="`w0`"):
            SegmentLog(tmp_path, "w0", clock=Clock())
        async with opened(tmp_path, "w1") as other:
            await asyncio.gather(log.append(lines(1)[0]), other.append(lines(1, 1)[0]))
            assert other.find(ids(1)[0]) == lines(1)[0]
    async with opened(tmp_path) as again:
        assert again.writable()


async def test_the_first_free_name_is_taken(tmp_path: Path):
    logs = [first_free(lambda worker: SegmentLog(tmp_path, worker, clock=Clock())) for _ in range(3)]
    assert [str(log.status().segment).split(".")[1] for log in logs] == ["w0", "w1", "w2"]
    await logs[1].close()
    again = first_free(lambda worker: SegmentLog(tmp_path, worker, clock=Clock()))
    assert str(again.status().segment).split(".")[1] == "w1"
    for log in (*logs, again):
        await log.close()


def in_use(worker: str) -> SegmentLog:
    raise WorkerNameInUseError(worker)


async def test_a_search_for_a_free_name_ends(tmp_path: Path):
    with pytest.raises(SettingsError, match="all 256"):
        first_free(in_use)


async def test_a_directory_that_is_a_file_is_a_fault_of_the_settings(tmp_path: Path):
    (tmp_path / "log").touch()
    with pytest.raises(SettingsError, match=r"cannot be used: [A-Z]+$"):
        SegmentLog(tmp_path / "log", "w0", clock=Clock())
    with pytest.raises(SettingsError, match="worker"):
        SegmentLog(tmp_path, "../w0", clock=Clock())


async def test_a_name_that_could_not_be_opened_is_free_again(tmp_path: Path):
    path = sealed_segment(tmp_path)
    aside = path.rename(tmp_path / "aside")
    path.mkdir()  # the last segment of this worker cannot be read
    with pytest.raises(SettingsError, match="EISDIR"):
        SegmentLog(tmp_path, "w0", clock=Clock())
    path.rmdir()
    aside.rename(path)
    async with opened(tmp_path) as log:
        assert log.writable()


async def test_closing_writes_what_is_queued_and_takes_nothing_more(tmp_path: Path):
    disk = StuckDisk()
    async with opened(tmp_path, disk=disk) as log:
        disk.stick()
        first = asyncio.ensure_future(log.append(lines(1)[0]))
        await stuck(disk)
        queued = [asyncio.ensure_future(log.append(line)) for line in lines(5, 1)]
        await until(lambda: log.status().queued == 5)
        closing = asyncio.ensure_future(log.close())
        await until(lambda: not log.writable())
        with pytest.raises(RecordFailedError, match="closed"):
            await log.append(lines(1, 6)[0])
        disk.free.set()
        await asyncio.gather(first, *queued, closing)
        await log.close()
    (name,) = Layout(tmp_path).names()
    scan = scan_segment(Layout(tmp_path).sealed_path(name))
    assert scan.footer is not None
    assert (scan.footer.cause, scan.footer.records) == ("close", 6)


async def test_closing_does_not_wait_for_ever_for_a_disk_that_hangs(tmp_path: Path):
    disk = StuckDisk()
    log = SegmentLog(tmp_path, "w0", clock=Clock(), disk=disk, limits=replace(QUICK, close_s=0.3, deadline_s=0.2))
    disk.stick()
    with pytest.raises(RecordFailedError):
        await log.append(lines(1)[0])
    with anyio.fail_after(5):
        await log.close()
    with pytest.raises(WorkerNameInUseError):  # somebody may still be writing under it
        SegmentLog(tmp_path, "w0", clock=Clock())
    disk.free.set()
    await log.close()
    async with opened(tmp_path):
        pass


async def test_a_full_segment_is_sealed_and_the_next_begun(tmp_path: Path):
    async with opened(tmp_path, max_segment_bytes=2_000) as log:
        for line in lines(50):
            await log.append(line)
    layout = Layout(tmp_path)
    scans = [scan_segment(layout.sealed_path(name)) for name in layout.names()]
    assert len(scans) > 3
    assert sum(scan.records for scan in scans) == 50
    assert {scan.footer.cause for scan in scans[:-1] if scan.footer is not None} == {"size"}
    assert verify_segments(layout) == (50, ())


async def test_a_segment_is_sealed_by_age_also_when_nothing_comes(tmp_path: Path):
    clock = Clock()
    async with opened(tmp_path, clock=clock, limits=replace(QUICK, look_s=0.005, segment_age_s=60)) as log:
        await log.append(lines(1)[0])
        clock.forward(seconds=61)
        await until(lambda: len(Layout(tmp_path).names(SEALED)) == 1)
        clock.forward(seconds=61)  # the new one holds nothing: it is left as it is
        await log.append(line_of(uuid7_at(clock.now)))
    layout = Layout(tmp_path)
    causes = [scan_segment(layout.sealed_path(name)).footer for name in layout.names()]
    assert [footer.cause for footer in causes if footer is not None] == ["age", "close"]


async def test_the_next_life_of_a_worker_tells_what_the_last_one_left(tmp_path: Path):
    path = dead_segment(tmp_path, 3)
    path.write_bytes(path.read_bytes() + b'{"seq":4,"cha')
    clock = Clock()
    clock.forward(hours=1)
    async with opened(tmp_path, clock=clock) as log:
        (note,) = log.status().recovered
        assert (note.records, note.torn_bytes) == (3, 13)
        header = scan_segment(Layout(tmp_path).segments / f"{log.status().segment}.open").header
        assert header is not None
        assert header.previous is not None
        assert (header.previous.segment, header.previous.seq, header.previous.ended) == (path.stem, 3, "recovered")
        assert log.find(ids(3)[2]) == lines(3)[2]


async def test_a_life_begins_after_the_last_also_where_the_clock_was_set_back(tmp_path: Path):
    clock = Clock()
    epochs = []
    for _ in range(3):
        async with opened(tmp_path, clock=clock) as log:
            epochs.append(str(log.status().segment).split(".")[2])
        clock.forward(hours=-1)
    assert epochs == sorted(set(epochs))
    assert verify_segments(Layout(tmp_path)) == (0, ())


def test_limits_are_finite():
    assert all(0 < value < float("inf") for value in (getattr(Limits(), name) for name in Limits.__slots__))


async def test_who_comes_in_company_is_synced_in_company(tmp_path: Path):
    """One record each millisecond: a group for each of them would cost a sync for each of them."""
    disk = FaultyDisk()
    async with opened(tmp_path, disk=disk, limits=replace(QUICK, gather_s=0.1)) as log:
        first = [asyncio.ensure_future(log.append(line)) for line in lines(2)]
        await asyncio.gather(*first)
        before = len([what for what, _ in disk.done if what == "sync"])
        following = []
        for line in lines(200, 2):
            following.append(asyncio.ensure_future(log.append(line)))
            await asyncio.sleep(0.001)
        await asyncio.gather(*following)
        groups = len([what for what, _ in disk.done if what == "sync"]) - before
    assert 1 <= groups <= 50
    assert answered(tmp_path) == lines(202)


async def test_a_caller_by_itself_is_not_made_to_wait_for_company(tmp_path: Path):
    async with opened(tmp_path, limits=replace(QUICK, gather_s=60.0)) as log:
        with anyio.fail_after(20):
            for line in lines(50):
                await log.append(line)
    assert answered(tmp_path) == lines(50)
