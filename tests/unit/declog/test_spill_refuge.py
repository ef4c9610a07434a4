"""A refuge that is missing, hangs or holds much: the log at home goes on, and the verification names what is what."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pdp.declog.disk import PosixDisk
from pdp.declog.homecoming import HomecomingThread
from pdp.declog.layout import Layout
from pdp.declog.reader import scan_segment
from pdp.declog.verify import BREAKS, Finding, verify_segments
from tests.unit.declog.logs import lines, until
from tests.unit.declog.test_spill import SWIFT, SharedFaultyDisk, breaks, home_records, spilled, spilling

pytestmark = pytest.mark.anyio


def verified(root: Path, refuge: str | None = "away") -> set[tuple[str, str]]:
    found = verify_segments(Layout(root / "home"), None if refuge is None else Layout(root / refuge))[1]
    return {(finding.segment.split(".")[2][-7:] + finding.segment.split(".")[3], finding.kind) for finding in found}


def kinds(root: Path, refuge: str | None = "away") -> set[str]:
    return {kind for _, kind in verified(root, refuge)}


async def with_records_in_the_refuge(root: Path) -> None:
    """One record at home, and two in a refuge that its worker could not empty any more."""
    disk = SharedFaultyDisk()
    async with spilling(root, disk=disk) as log:
        await log.append(lines(1)[0])
        disk.full = True
        for line in lines(2, 1):
            await log.append(line)
    assert len(spilled(root)) == 1


async def test_what_waits_in_the_refuge_is_told_as_that(tmp_path: Path):
    await with_records_in_the_refuge(tmp_path)
    assert kinds(tmp_path) == {"unsealed", "in_refuge"}
    assert not kinds(tmp_path) & BREAKS


async def test_a_refuge_that_is_missing_at_a_start_and_back_at_the_next_is_no_tampering(tmp_path: Path):
    await with_records_in_the_refuge(tmp_path)
    (tmp_path / "away").rename(tmp_path / "unmounted")
    async with spilling(tmp_path) as log:
        await log.append(lines(1, 3)[0])
    assert breaks(tmp_path) == []
    shutil.rmtree(tmp_path / "away")
    (tmp_path / "unmounted").rename(tmp_path / "away")
    async with spilling(tmp_path) as log:
        await until(lambda: spilled(tmp_path) == [])
        await log.append(lines(1, 4)[0])
    assert breaks(tmp_path) == []
    assert "refuge_missed" in kinds(tmp_path)
    assert sorted(home_records(tmp_path)) == lines(5)


async def test_a_refuge_that_is_broken_at_a_start_is_emptied_as_soon_as_it_is_back(tmp_path: Path):
    await with_records_in_the_refuge(tmp_path)
    (tmp_path / "away").rename(tmp_path / "unmounted")
    (tmp_path / "away").write_bytes(b"")
    async with spilling(tmp_path) as log:
        await log.append(lines(1, 3)[0])
        assert log.spilling_since is None
        (tmp_path / "away").unlink()
        (tmp_path / "unmounted").rename(tmp_path / "away")
        await until(lambda: spilled(tmp_path) == [])
        await log.append(lines(1, 4)[0])
    assert breaks(tmp_path) == []
    assert sorted(home_records(tmp_path)) == lines(5)


async def test_a_refuge_that_is_lost_while_the_log_is_away_is_named_as_lost_and_the_log_goes_on_at_home(tmp_path: Path):
    home, away = SharedFaultyDisk(), SharedFaultyDisk()
    async with spilling(tmp_path, disk=home, spill_disk=away) as log:
        await log.append(lines(1)[0])
        home.full = True
        await log.append(lines(1, 1)[0])
        lost = next((tmp_path / "away" / "segments").iterdir()).stem
        home.full, away.full, away.sync_fails = False, True, True
        (tmp_path / "away").rename(tmp_path / "gone")
        await log.append(lines(1, 2)[0])
        assert log.spilling_since is None
        assert log.writable()
    assert Finding(lost, "refuge_lost") in verify_segments(Layout(tmp_path / "home"), Layout(tmp_path / "away"))[1]
    assert kinds(tmp_path, "gone") & BREAKS == set()
    assert "in_refuge" in kinds(tmp_path, "gone")


async def test_a_segment_that_was_taken_from_home_is_missed_whatever_the_refuge_is_like(tmp_path: Path):
    async with spilling(tmp_path, max_segment_bytes=400) as log:  # the refuge is new, and every header says so
        for line in lines(4):
            await log.append(line)
    names = Layout(tmp_path / "home").names()
    Layout(tmp_path / "home").sealed_path(names[1]).unlink()
    assert Finding(str(names[1]), "missing_segment") in verify_segments(Layout(tmp_path / "home"))[1]


class HangingDisk(PosixDisk):
    """Hangs in every call, also in those that only look, while `free` is not set."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_") and name != "free":
            self.free.wait()
        return object.__getattribute__(self, name)


async def test_a_refuge_that_hangs_does_not_delay_a_log_that_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    looked: list[Path] = []
    real = Path.iterdir

    def noted(path: Path):
        if path.is_relative_to(tmp_path / "away") and threading.current_thread().name == "declog-w0":
            looked.append(path)
        return real(path)

    async with spilling(tmp_path, max_segment_bytes=400, limits=replace(SWIFT, patience_s=5.0)) as log:
        await log.append(lines(1)[0])
        monkeypatch.setattr(Path, "iterdir", noted)
        for line in lines(6, 1):  # each fills a segment, so that each begins one
            await log.append(line)
        assert len(Layout(tmp_path / "home").names()) > 5
        assert looked == []  # a look at a disk that hangs never comes back


async def test_a_start_does_not_wait_for_a_refuge_that_hangs(tmp_path: Path):
    away = HangingDisk()
    (tmp_path / "away").mkdir()
    away.free.clear()
    try:
        async with spilling(tmp_path, spill_disk=away) as log:
            await log.append(lines(1)[0])
            assert log.spilling_since is None
            away.free.set()
    finally:
        away.free.set()
    assert home_records(tmp_path) == lines(1)
    assert breaks(tmp_path) == []


async def test_the_place_that_has_just_failed_is_tried_last(tmp_path: Path):
    begun: list[str] = []

    class Noting(SharedFaultyDisk):
        def create(self, path: Path) -> int:
            if path.suffix == ".open":
                begun.append(path.parent.parent.name)
            return super().create(path)

    home, away = Noting(), Noting()
    async with spilling(tmp_path, disk=home, spill_disk=away, limits=replace(SWIFT, probe_s=60.0)) as log:
        await log.append(lines(1)[0])
        home.full = True
        await log.append(lines(1, 1)[0])
        home.full, away.sync_fails = False, True
        del begun[:]
        await log.append(lines(1, 2)[0])
        assert begun == ["home"]


async def test_neighbours_segments_are_not_moved_by_the_commit_thread(tmp_path: Path):
    full = SharedFaultyDisk()
    full.full = True
    async with spilling(tmp_path, "w7", disk=full) as log:
        for line in lines(3):
            await log.append(line)
    made: list[tuple[str, str]] = []

    class Noting(SharedFaultyDisk):
        def create(self, path: Path) -> int:
            made.append((path.name.split(".")[1], threading.current_thread().name))
            return super().create(path)

    disk = Noting()
    async with spilling(tmp_path, "w0", disk=disk) as log:
        disk.full = True
        await log.append(lines(1, 3)[0])
        disk.full = False
        await until(lambda: log.spilling_since is None and spilled(tmp_path) == [])
    assert sorted(home_records(tmp_path)) == lines(4)
    assert breaks(tmp_path) == []


async def test_more_than_can_be_moved_at_once_comes_home_later_and_the_log_does_not_wait_for_it(tmp_path: Path):
    home, away = SharedFaultyDisk(), SharedFaultyDisk()
    limits = replace(SWIFT, last_move_bytes=100, probe_s=0.05)
    async with spilling(tmp_path, disk=home, spill_disk=away, limits=limits) as log:
        home.full = True
        await asyncio.gather(*(log.append(line) for line in lines(20)))
        home.full, away.sync_fails = False, True
        await log.append(lines(1, 20)[0])
        assert log.spilling_since is None
        await until(lambda: spilled(tmp_path) == [])
        await log.append(lines(1, 21)[0])
    assert breaks(tmp_path) == []
    assert set(home_records(tmp_path)) == set(lines(22))
    layout = Layout(tmp_path / "home")
    headers = [scan_segment(path).header for path in sorted(layout.segments.glob("*.ndjson"))]
    assert "waits" in {header.refuge for header in headers if header is not None}


class Looks:
    """A `Homecoming` that finds everything home, and lets a test come in between."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def prepare(self) -> None:
        self.begun.release()
        self.go_on.acquire()
        raise_if_none = OSError("home takes nothing")
        if self.fails:
            raise raise_if_none

    fails = False

    def turn(self, wait_s: float = 0.0):
        from contextlib import nullcontext

        return nullcontext(True)

    def probe(self) -> None: ...

    def bring_next(self) -> bool:
        return False

    def bring_left_open(self, is_away) -> None: ...


async def test_a_wish_during_a_look_is_answered_by_the_next_look(tmp_path: Path):
    looks = Looks()
    thread = HomecomingThread(looks, every_s=0.001, is_away=lambda: True)
    thread.start()
    try:
        thread.rest()
        assert looks.begun.acquire(timeout=10)
        thread.want()  # the log goes away while the thread is about to lie down
        looks.go_on.release()
        assert looks.begun.acquire(timeout=10)
        assert not thread.caught_up
        looks.go_on.release()
        await until(lambda: thread.caught_up)
    finally:
        for _ in range(100):
            looks.go_on.release()
        assert thread.stop(10)
