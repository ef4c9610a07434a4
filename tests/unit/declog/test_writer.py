from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdp.declog.layout import OPEN, SEALED
from pdp.declog.reader import records_of, scan_segment
from tests.unit.declog.disks import FaultyDisk
from tests.unit.declog.logs import layout_at, lines, sealed_segment, writer_at
from tests.unit.declog.samples import Clock


def only_file(root: Path, ending: str) -> Path:
    (path,) = (root / "segments").glob(f"*{ending}")
    return path


def test_a_segment_begins_with_a_header_and_ends_with_a_footer(tmp_path: Path):
    path = sealed_segment(tmp_path, 3)
    scan = scan_segment(path)
    assert scan.header is not None
    assert scan.footer is not None
    assert (scan.header.node, scan.header.worker, scan.header.number) == ("local", "w0", 1)
    assert scan.header.created == "2026-04-01T00:00:00.123456Z"
    assert scan.header.previous is None
    assert (scan.footer.records, scan.footer.first_seq, scan.footer.last_seq) == (3, 1, 3)
    assert scan.footer.cause == "close"
    assert (scan.damaged, scan.torn_bytes) == ((), 0)
    assert [body for _, body in records_of(path)] == lines(3)


def test_every_line_of_a_segment_is_json(tmp_path: Path):
    kinds = [set(json.loads(line)) for line in sealed_segment(tmp_path, 2).read_text().splitlines()]
    assert kinds == [{"seq", "chain", kind} for kind in ("header", "record", "record", "footer")]


def test_a_group_is_one_write_and_one_sync(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    disk.done.clear()
    writer.commit(lines(100))
    assert [what for what, _ in disk.done] == ["write", "sync"]


def test_durability_process_answers_before_the_sync_and_catches_up_later(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk, durability="process")
    writer.open()
    disk.done.clear()
    writer.commit(lines(3))
    assert [what for what, _ in disk.done] == ["write"]
    assert writer.unsynced == 3
    writer.sync()
    writer.sync()
    assert [what for what, _ in disk.done] == ["write", "sync"]
    assert writer.unsynced == 0


def test_a_sealed_segment_is_followed_by_one_that_names_it(tmp_path: Path):
    clock = Clock()
    writer = writer_at(tmp_path, clock=clock, max_segment_bytes=1_000)
    writer.open()
    writer.commit(lines(10))
    assert writer.is_full
    first = writer.segment
    writer.seal("size")
    clock.forward(seconds=1)
    writer.open()
    writer.commit(lines(1, 10))
    sealed, opened = scan_segment(only_file(tmp_path, SEALED)), scan_segment(only_file(tmp_path, OPEN))
    assert opened.header is not None
    assert opened.header.previous is not None
    assert sealed.last is not None
    assert (opened.header.number, opened.first_seq) == (2, 11)
    assert (opened.header.previous.segment, opened.header.previous.ended) == (first, "sealed")
    assert opened.header.previous.chain == sealed.last.chain.hex()


@pytest.mark.parametrize("fault", ["write", "sync"])
def test_a_file_that_failed_is_never_touched_again(tmp_path: Path, fault: str):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    writer.commit(lines(2))
    failed = writer.segment
    disk.full, disk.write_part, disk.sync_fails = fault == "write", 50, fault == "sync"
    with pytest.raises(OSError, match="simulated"):
        writer.commit(lines(5, 2))
    assert not writer.is_open
    after = len(disk.done)
    disk.full = disk.sync_fails = False
    writer.open()
    writer.commit(lines(1, 7))
    writer.seal("close")
    assert {name for what, name in disk.done[after:] if failed and name.startswith(failed) and what != "close"} == set()


def test_the_next_header_says_how_many_records_were_refused_when_a_write_failed(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    writer.commit(lines(2))
    failed = writer.segment
    disk.full = True
    with pytest.raises(OSError, match="simulated"):
        writer.commit(lines(5, 2))
    disk.full = False
    writer.open()
    writer.commit(lines(1, 7))
    scan = scan_segment(layout_at(tmp_path).segments / f"{writer.segment}.open")
    assert scan.header is not None
    assert scan.header.previous is not None
    assert (scan.header.previous.segment, scan.header.previous.ended) == (failed, "abandoned")
    assert (scan.header.previous.seq, scan.header.last_seq, scan.first_seq) == (2, 7, 8)


def test_a_segment_that_cannot_be_begun_leaves_no_file(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    disk.sync_fails = True
    for _ in range(3):
        with pytest.raises(OSError, match="simulated"):
            writer.open()
    assert list((tmp_path / "segments").iterdir()) == []
    disk.sync_fails = False
    writer.open()
    assert writer.is_open


def test_a_record_is_not_taken_where_no_segment_is_open(tmp_path: Path):
    with pytest.raises(OSError, match="no segment"):
        writer_at(tmp_path).commit(lines(1))


def test_a_footer_that_cannot_be_written_leaves_the_segment_to_a_recovery(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    writer.commit(lines(3))
    disk.sync_fails = True
    with pytest.raises(OSError, match="simulated"):
        writer.seal("size")
    assert not writer.is_open
    assert [body for _, body in records_of(only_file(tmp_path, OPEN))] == lines(3)


def test_a_short_write_is_carried_on_to_its_end(tmp_path: Path):
    writer = writer_at(tmp_path, max_segment_bytes=1 << 30)
    writer.open()
    writer.commit(lines(200, note="x" * 100_000))
    assert scan_segment(only_file(tmp_path, OPEN)).records == 200


def test_age_is_measured_by_the_clock_that_was_given(tmp_path: Path):
    clock = Clock()
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    clock.forward(hours=1)
    assert writer.age_s() == 0  # there is nothing in it
    writer.commit(lines(1))
    clock.forward(minutes=2)
    writer.commit(lines(1, 1))
    assert writer.age_s() == 120
    writer.seal("age")
    assert writer.age_s() == 0
