"""`log_full = "spill"`: two real directories, disks that fail at the seam."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import OPEN, Layout
from pdp.declog.patience import PatientDisk
from pdp.declog.reader import records_of
from pdp.declog.segments import SegmentLog
from pdp.declog.verify import BREAKS, verify_segments
from pdp.errors import RecordFailedError, SettingsError
from tests.unit.declog.disks import FaultyDisk, StuckDisk
from tests.unit.declog.logs import answered, ids, lines, until
from tests.unit.declog.samples import QUICK, Clock, wall_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

SWIFT = replace(QUICK, patience_s=0.5, look_s=0.01)


class SharedFaultyDisk(FaultyDisk):
    """Also under two threads: it fails, and remembers nothing that could be mixed up."""

    def create(self, path: Path) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "simulated")
        return PosixDisk.create(self, path)

    def write(self, descriptor: int, data: bytes) -> None:
        if self.full:
            PosixDisk.write(self, descriptor, data[: self.write_part])
            raise OSError(errno.ENOSPC, "simulated")
        PosixDisk.write(self, descriptor, data)

    def sync(self, descriptor: int) -> None:  # a descriptor of whoever
        if self.sync_fails:
            raise OSError(errno.EIO, "simulated")

    def close(self, descriptor: int) -> None:
        PosixDisk.close(self, descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)


@asynccontextmanager
async def spilling(root: Path, worker: str = "w0", **others: object) -> AsyncIterator[SegmentLog]:
    facts = {"clock": wall_clock, "limits": SWIFT, "back_pressure": "spill", "spill_directory": root / "away"}
    log = SegmentLog(root / "home", worker, **(facts | others))
    try:
        yield log
    finally:
        await log.close()


def home_records(root: Path) -> list[bytes]:
    return answered(root / "home")


def spilled(root: Path) -> list[str]:
    place = root / "away" / "segments"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def breaks(root: Path) -> list[object]:
    return [finding for finding in verify_segments(Layout(root / "home"))[1] if finding.kind in BREAKS]


@pytest.mark.parametrize("fault", ["full", "sync_fails"])
@pytest.mark.parametrize("durability", ["power", "process"])
async def test_what_home_does_not_take_is_kept_in_the_refuge_and_comes_home_once(
    tmp_path: Path, fault: str, durability: str
):
    disk = SharedFaultyDisk()
    limits = replace(SWIFT, sync_every_s=0.005)
    async with spilling(tmp_path, disk=disk, durability=durability, limits=limits) as log:
        for line in lines(3):
            await log.append(line)
        setattr(disk, fault, True)
        disk.write_part = len(lines(1)[0]) * 2 + 300  # of a group, a line or two may be whole
        await asyncio.gather(*(log.append(line) for line in lines(20, 3)))
        await until(lambda: log.spilling_since is not None)
        assert log.writable()
        assert log.status().fault == ("ENOSPC" if fault == "full" else "EIO")
        await asyncio.gather(*(log.append(line) for line in lines(20, 23)))
        assert [log.find(decision_id, everywhere=True) for decision_id in ids(43)] == lines(43)
        setattr(disk, fault, False)
        await until(lambda: log.spilling_since is None and log.writable())
        await until(lambda: spilled(tmp_path) == [])
        await log.append(lines(1, 43)[0])
        assert log.unrecorded == 0
    assert breaks(tmp_path) == []
    kept = home_records(tmp_path)
    assert set(kept) == set(lines(44))
    if fault == "full":  # after a failed sync the lines of one group may stand in the failed file too
        assert len(kept) == 44
    found = verify_segments(Layout(tmp_path / "home"))[1]
    assert {finding.kind for finding in found} <= {"unsealed", "written_anew"}
    assert sum(finding.at for finding in found if finding.kind == "written_anew") == len(kept) - 44


async def test_a_disk_that_hangs_sends_its_group_to_the_refuge_within_the_deadline(tmp_path: Path):
    disk = StuckDisk()
    async with spilling(tmp_path, disk=disk) as log:
        await log.append(lines(1)[0])
        disk.stick()
        try:
            await asyncio.gather(*(log.append(line) for line in lines(5, 1)))
            assert log.spilling_since is not None
            assert log.status().fault == "ETIMEDOUT"
            await asyncio.gather(*(log.append(line) for line in lines(5, 6)))
        finally:
            disk.free.set()
        await until(lambda: log.spilling_since is None and log.writable())
        await log.append(lines(1, 11)[0])
        assert log.unrecorded == 0
    assert breaks(tmp_path) == []
    assert set(home_records(tmp_path)) == set(lines(12))


async def test_neither_place_denies_at_once_and_either_takes_records_again(tmp_path: Path):
    home, away = SharedFaultyDisk(), SharedFaultyDisk()
    async with spilling(tmp_path, disk=home, spill_disk=away) as log:
        home.full = away.full = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1)[0])
        await until(lambda: not log.writable())
        with pytest.raises(RecordFailedError, match="cannot be written"):
            await log.append(lines(1, 1)[0])
        assert log.unrecorded == 2
        away.full = False
        await until(log.writable)
        await log.append(lines(1, 2)[0])
        assert log.spilling_since is not None
        home.full = False
        await until(lambda: log.spilling_since is None and log.writable())
        await log.append(lines(1, 3)[0])
        assert log.unrecorded == 2
    assert breaks(tmp_path) == []
    assert home_records(tmp_path) == lines(2, 2)


async def test_a_refuge_that_fails_sends_the_log_home_with_all_that_was_answered_there(tmp_path: Path):
    home, away = SharedFaultyDisk(), SharedFaultyDisk()
    async with spilling(tmp_path, disk=home, spill_disk=away, limits=replace(SWIFT, probe_s=0.05)) as log:
        home.full = True
        await log.append(lines(1)[0])
        home.full, away.sync_fails = False, True
        await log.append(lines(1, 1)[0])
        assert log.unrecorded == 0
        await until(lambda: log.spilling_since is None and log.writable())
        await log.append(lines(1, 2)[0])
    assert breaks(tmp_path) == []
    assert set(home_records(tmp_path)) == set(lines(3))


async def test_where_neither_place_syncs_nothing_is_answered_and_what_was_comes_home(tmp_path: Path):
    home, away = SharedFaultyDisk(), SharedFaultyDisk()
    async with spilling(tmp_path, disk=home, spill_disk=away) as log:
        home.full = True
        await log.append(lines(1)[0])
        away.sync_fails = True
        with pytest.raises(RecordFailedError):
            await log.append(lines(1, 1)[0])
        assert log.unrecorded == 1
        home.full = away.sync_fails = False
        await until(lambda: log.spilling_since is None and log.writable())
        await log.append(lines(1, 2)[0])
    assert breaks(tmp_path) == []
    assert {*lines(1), *lines(1, 2)} <= set(home_records(tmp_path))


@pytest.mark.parametrize("torn", [b"", b'{"seq":9,"ch'])
async def test_what_a_dead_process_left_in_the_refuge_comes_home_at_the_next_start(tmp_path: Path, torn: bytes):
    disk = SharedFaultyDisk()
    disk.full = True
    async with spilling(tmp_path, disk=disk) as log:
        for line in lines(5):
            await log.append(line)
        (path,) = (tmp_path / "away" / "segments").glob("*.open")
        as_killed = path.read_bytes() + torn
    (sealed,) = (tmp_path / "away" / "segments").glob("*.ndjson")
    sealed.unlink()
    path.write_bytes(as_killed)
    async with spilling(tmp_path) as log:
        await until(lambda: log.spilling_since is None and log.writable())
        await log.append(lines(1, 5)[0])
        assert [log.find(decision_id, everywhere=True) for decision_id in ids(6)] == lines(6)
    assert spilled(tmp_path) == []
    assert breaks(tmp_path) == []
    assert home_records(tmp_path) == lines(6)


async def test_a_dead_neighbours_spilled_segments_come_home_too(tmp_path: Path):
    disk = SharedFaultyDisk()
    disk.full = True
    async with spilling(tmp_path, "w7", disk=disk) as log:
        await log.append(lines(1)[0])
    async with spilling(tmp_path, "w0") as log:
        await until(lambda: spilled(tmp_path) == [])
        assert log.spilling_since is None
    assert home_records(tmp_path) == lines(1)
    assert breaks(tmp_path) == []


@pytest.mark.parametrize("steps", range(26))
async def test_a_homecoming_that_is_cut_short_is_taken_up_again_and_nothing_stands_twice(tmp_path: Path, steps: int):
    disk = SharedFaultyDisk()
    disk.full = True
    async with spilling(tmp_path, disk=disk, max_segment_bytes=400) as log:
        for line in lines(4):
            await log.append(line)
    assert len(spilled(tmp_path)) > 2

    class DyingDisk(PosixDisk):
        left = steps
        dead = threading.Event()

        def __getattribute__(self, name: str) -> object:
            if name in ("create", "write", "sync", "rename", "remove", "sync_directory"):
                if self.left <= 0:
                    self.dead.set()
                    raise OSError(errno.EIO, "died")
                type(self).left -= 1
            return object.__getattribute__(self, name)

    try:
        async with spilling(tmp_path, disk=DyingDisk()) as log:
            await until(lambda: DyingDisk.dead.is_set() or spilled(tmp_path) == [])
    except SettingsError:
        pass  # it died while it opened
    async with spilling(tmp_path) as log:
        await until(lambda: log.spilling_since is None and log.writable() and spilled(tmp_path) == [])
    assert breaks(tmp_path) == []
    assert home_records(tmp_path) == lines(4)


async def test_a_refuge_that_cannot_be_used_does_not_stop_a_log_that_is_well(tmp_path: Path):
    (tmp_path / "away").write_bytes(b"")
    async with spilling(tmp_path) as log:
        await log.append(lines(1)[0])
        assert log.writable()
        assert log.spilling_since is None


async def test_the_refuge_is_named_and_lies_outside(tmp_path: Path):
    with pytest.raises(SettingsError, match="log_spill_dir"):
        SegmentLog(tmp_path, "w0", clock=Clock(), back_pressure="spill")
    with pytest.raises(SettingsError, match="outside"):
        SegmentLog(tmp_path, "w0", clock=Clock(), back_pressure="spill", spill_directory=tmp_path / "away")


async def test_a_call_that_returns_late_leaves_no_file_and_no_descriptor(tmp_path: Path):
    class LateDisk(PosixDisk):
        def __init__(self) -> None:
            self.free = threading.Event()
            self.closed: list[int] = []

        def create(self, path: Path) -> int:
            self.free.wait()
            return super().create(path)

        def close(self, descriptor: int) -> None:
            super().close(descriptor)
            self.closed.append(descriptor)

    late = LateDisk()
    disk = PatientDisk(late, 0.01)
    path = tmp_path / "late"
    with pytest.raises(TimeoutError):
        disk.create(path)
    with pytest.raises(TimeoutError, match="still"):
        disk.remove(path)
    late.free.set()
    await until(lambda: len(late.closed) == 1 and not path.exists())
    descriptor = disk.create(path)
    disk.close(descriptor)
    assert path.exists()
    disk.stop()


async def test_records_keep_their_chain_across_there_and_back_many_times(tmp_path: Path):
    disk = SharedFaultyDisk()
    async with spilling(tmp_path, disk=disk, max_segment_bytes=1_500) as log:
        for turn in range(6):
            disk.full = turn % 2 == 1
            await asyncio.gather(*(log.append(line) for line in lines(10, 10 * turn)))
            if not disk.full:
                await until(lambda: log.spilling_since is None and log.writable())
        assert log.unrecorded == 0
        disk.full = False
        await until(lambda: log.spilling_since is None and log.writable())
    assert breaks(tmp_path) == []
    assert home_records(tmp_path) == lines(60) or set(home_records(tmp_path)) == set(lines(60))
    assert len(home_records(tmp_path)) == 60
    layout = Layout(tmp_path / "home")
    seqs = [
        seq
        for name in layout.names()
        for path in (layout.open_path(name), layout.sealed_path(name))
        if path.exists()
        for seq, _ in records_of(path)
    ]
    assert len(seqs) == len(set(seqs))
    assert all(name in layout.names() for name in layout.names(OPEN))
