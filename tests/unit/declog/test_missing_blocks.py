"""After a power failure a file may have its later blocks and not its earlier ones, with zeros where they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import SEALED, Layout
from pdp.declog.line import lacks_block
from pdp.declog.reader import find_record
from pdp.declog.recovery import recover_dead
from pdp.declog.verify import BREAKS, verify_segments
from pdp.transparency.inspection import inspect
from pdp.transparency.place import ProofPlace
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.logs import dead_segment, ids
from tests.unit.declog.samples import Clock
from tests.unit.transparency.notaries import notary_at

if TYPE_CHECKING:
    from pdp.declog.marks import Recovery

SECTOR = 512
RECORDS = 40


def with_hole(root: Path) -> tuple[Path, int]:
    """A segment of a dead process that lacks a sector of its last group; and how many records stand before it."""
    path = dead_segment(root, RECORDS)
    data = bytearray(path.read_bytes())
    start = len(data) // 2 // SECTOR * SECTOR
    data[start : start + SECTOR] = bytes(SECTOR)
    path.write_bytes(data)
    return path, data[:start].count(b"\n") - 1


def recover(root: Path) -> tuple[Recovery, ...]:
    return recover_dead(Layout(root), node="local", own_worker="w0", clock=Clock(), disk=HastyDisk())


def found_breaks(root: Path) -> list[str]:
    return [finding.kind for finding in verify_segments(Layout(root))[1] if finding.kind in BREAKS]


def test_from_a_missing_block_on_all_is_set_aside_and_the_log_is_whole(tmp_path: Path):
    path, before = with_hole(tmp_path)
    data = path.read_bytes()
    assert found_breaks(tmp_path) == []  # also before anybody has started again
    (note,) = recover(tmp_path)
    (sealed,) = (tmp_path / "segments").glob(f"*{SEALED}")
    (torn,) = (tmp_path / "torn").iterdir()
    assert (note.records, note.damaged_lines) == (before, 0)
    assert sealed.read_bytes() + torn.read_bytes() == data
    assert found_breaks(tmp_path) == []
    assert [find_record(Layout(tmp_path), one) is not None for one in ids(RECORDS)] == [
        number < before for number in range(RECORDS)
    ]


def test_a_byte_that_was_made_zero_is_no_missing_block(tmp_path: Path):
    path = dead_segment(tmp_path, RECORDS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 // SECTOR * SECTOR + 9] = 0
    path.write_bytes(data)
    assert found_breaks(tmp_path) == ["damaged_line"]
    (note,) = recover(tmp_path)
    assert (note.damaged_lines, note.torn_bytes) == (1, 0)


def test_a_sealed_segment_that_lacks_a_block_was_damaged_later(tmp_path: Path):
    path, _ = with_hole(tmp_path)
    path.rename(path.with_suffix(SEALED))
    assert "damaged_line" in found_breaks(tmp_path)


@pytest.mark.parametrize(
    ("raw", "start", "lacking"),
    [
        (b"abc\n", 0, False),
        (b"ab\0\n", 0, False),
        (b"ab\0\n", SECTOR - 3, True),
        (bytes(SECTOR) + b"\n", 0, True),
        (b"a\0b" + bytes(10) + b"\n", SECTOR - 13, True),
    ],
)
def test_zeros_up_to_the_end_of_a_sector_are_a_missing_block(raw: bytes, start: int, lacking: bool):
    assert lacks_block(raw, start) is lacking


def test_nothing_behind_a_missing_block_is_signed_for(tmp_path: Path):
    _, before = with_hole(tmp_path)
    notary = notary_at(tmp_path)
    notary.turn()
    notary.close()
    assert inspect(Layout(tmp_path)).logs[0].covered == before
    recover(tmp_path)
    notary = notary_at(tmp_path)
    notary.turn()
    notary.close()
    report = inspect(Layout(tmp_path))
    assert report.breaks == 0
    assert report.logs[0].covered == report.records == before


def test_a_ledger_that_lacks_a_block_of_its_last_turn_is_gone_on_with(tmp_path: Path):
    dead_segment(tmp_path, 3)
    notary = notary_at(tmp_path)
    notary.turn()
    notary.close()
    ledger = ProofPlace(tmp_path, "local").ledger(1)
    signed = ledger.read_bytes()
    # A turn under way: its first sector is missing, and what comes after it is there.
    missing = -len(signed) % SECTOR or SECTOR
    ledger.write_bytes(signed + bytes(missing) + signed[-200:])
    assert inspect(Layout(tmp_path)).breaks == 0
    recover(tmp_path)
    notary = notary_at(tmp_path)
    assert notary.turn().note is not None
    notary.close()
    report = inspect(Layout(tmp_path))
    assert report.breaks == 0
    assert report.logs[0].covered == 3


class _Syncing(PosixDisk):
    def __init__(self) -> None:
        self.synced: list[Path] = []

    def sync_directory(self, path: Path) -> None:
        self.synced.append(path)
        super().sync_directory(path)


def test_directories_that_another_process_has_just_made_are_synced_too(tmp_path: Path):
    """The notary makes its lock's directory and does not wait for it; a power failure would take the whole log."""
    (tmp_path / "state" / "decisions" / "locks").mkdir(parents=True)
    disk = _Syncing()
    Layout(tmp_path / "state" / "decisions").make(disk)
    assert disk.synced[:3] == [tmp_path / "state" / "decisions", tmp_path / "state", tmp_path]
