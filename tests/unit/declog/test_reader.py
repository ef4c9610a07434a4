from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.reader import LATEST_AFTER_ID, find_record, last_line, read_lines, records_of, scan_segment
from pdp.errors import RecordDamagedError
from tests.unit.declog.logs import dead_segment, ids, layout_at, lines, sealed_segment, writer_at
from tests.unit.declog.samples import START, Clock, line_of, uuid7_at


def break_byte(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_in_any_byte_of_a_segment_is_noticed(tmp_path: Path):
    path = sealed_segment(tmp_path, 2)
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        scan = scan_segment(path)
        assert scan.damaged or scan.torn_bytes, at


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:2] + rows[3:],
        lambda rows: [rows[0], rows[2], rows[1], *rows[3:]],
        lambda rows: [*rows[:3], rows[2], *rows[3:]],
        lambda rows: rows[1:],
        lambda rows: [*rows, rows[-1]],
        lambda rows: [*rows[:2], b"\n", *rows[2:]],
    ],
    ids=["lost", "moved", "doubled", "headless", "after the footer", "empty line"],
)
def test_a_line_out_of_its_place_is_noticed(tmp_path: Path, change):
    path = sealed_segment(tmp_path, 4)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert scan_segment(path).damaged


def test_damage_in_one_line_does_not_hide_the_lines_after_it(tmp_path: Path):
    path = sealed_segment(tmp_path, 5)
    rows = path.read_bytes().splitlines(keepends=True)
    at = sum(map(len, rows[:2])) + len(rows[2]) - 10  # within the record of the third line
    break_byte(path, at)
    scan = scan_segment(path)
    assert scan.damaged == (3,)
    assert scan.footer is not None
    assert [seq for seq, _ in records_of(path)] == [1, 3, 4, 5]


def test_an_incomplete_last_line_is_not_there_yet(tmp_path: Path):
    path = dead_segment(tmp_path, 3)
    with path.open("ab") as file:
        file.write(b'{"seq":4,"chain":"')
    assert [read.state for read in read_lines(path)] == ["proven"] * 4 + ["torn"]
    assert len(list(records_of(path))) == 3
    assert find_record(Layout(tmp_path), ids(3)[2]) == lines(3)[2]


def test_an_empty_file_is_a_segment_without_anything(tmp_path: Path):
    path = tmp_path / "empty"
    path.touch()
    scan = scan_segment(path)
    assert (scan.header, scan.last, scan.records, scan.whole_bytes) == (None, None, 0, 0)
    assert last_line(path) is None


def test_a_record_is_found_by_its_id_wherever_it_lies(tmp_path: Path):
    sealed_segment(tmp_path, 50)
    writer = writer_at(tmp_path, worker="w1")
    writer.open()
    writer.commit(lines(50, 50, note="x" * 50_000))  # over several of the pieces that a file is read in
    for decision_id, line in zip(ids(100), lines(50) + lines(50, 50, note="x" * 50_000), strict=True):
        assert find_record(Layout(tmp_path), decision_id) == line


def test_an_id_may_be_asked_for_in_capitals(tmp_path: Path):
    sealed_segment(tmp_path)
    assert find_record(Layout(tmp_path), ids(1)[0].upper()) == lines(1)[0]


@pytest.mark.parametrize(
    "text",
    ["", "x", "../../etc/passwd", "60b68059-b13c-4533-b68f-0aea08d275d7", "ffffffff-ffff-7fff-bfff-ffffffffffff"],
)
def test_an_id_that_cannot_be_ours_is_not_found(tmp_path: Path, text: str):
    sealed_segment(tmp_path)
    assert find_record(Layout(tmp_path), text) is None


def test_an_id_within_the_text_of_another_record_is_not_taken_for_the_record(tmp_path: Path):
    wanted, other = ids(2)
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit([b'{"id":"%b","input":{"id":"%b"}}' % (other.encode(), wanted.encode())])
    assert find_record(Layout(tmp_path), wanted) is None
    writer.commit([line_of(wanted)])
    assert find_record(Layout(tmp_path), wanted) == line_of(wanted)


def test_a_damaged_record_is_an_error_and_not_an_answer(tmp_path: Path):
    path = sealed_segment(tmp_path)
    at = path.read_bytes().index(ids(3)[1].encode()) + 40
    break_byte(path, at)
    with pytest.raises(RecordDamagedError):
        find_record(Layout(tmp_path), ids(3)[1])
    assert find_record(Layout(tmp_path), ids(3)[0]) == lines(3)[0]


def test_only_segments_of_that_time_are_read(tmp_path: Path):
    clock = Clock()
    writer = writer_at(tmp_path, clock=clock)
    paths = []
    for number in range(5):  # one an hour
        writer.open()
        clock.forward(minutes=1)
        writer.commit([line_of(uuid7_at(clock.now, number))])
        paths.append(tmp_path / "segments" / f"{writer.segment}.ndjson")
        writer.seal("age")
        clock.forward(minutes=59)
    wanted = uuid7_at(START + timedelta(hours=2, minutes=1), 2)
    for path in (paths[0], paths[1], paths[3], paths[4]):
        path.unlink()
        path.mkdir()  # reading it would raise
    assert find_record(Layout(tmp_path), wanted) == line_of(wanted)
    with pytest.raises(IsADirectoryError):
        find_record(Layout(tmp_path), uuid7_at(START), everywhere=True)


def test_a_record_written_later_than_its_id_says_is_found_up_to_the_bound(tmp_path: Path):
    clock = Clock()
    early = uuid7_at(START - LATEST_AFTER_ID + timedelta(seconds=1))
    too_early = uuid7_at(START - LATEST_AFTER_ID - timedelta(seconds=1))
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    writer.commit([line_of(early), line_of(too_early)])
    layout = Layout(tmp_path)
    assert find_record(layout, early) == line_of(early)
    assert find_record(layout, too_early) is None
    assert find_record(layout, too_early, everywhere=True) == line_of(too_early)


def test_a_record_is_found_although_the_clock_was_set_back_between_segments(tmp_path: Path):
    clock = Clock()
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    writer.commit(lines(1))
    writer.seal("age")
    clock.forward(seconds=-30)
    writer.open()
    assert find_record(Layout(tmp_path), ids(1)[0]) == lines(1)[0]


def test_looking_in_a_log_without_segments_finds_nothing(tmp_path: Path):
    assert find_record(layout_at(tmp_path), ids(1)[0]) is None
