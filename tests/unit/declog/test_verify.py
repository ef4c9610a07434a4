from __future__ import annotations

from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.line import GENESIS, frame, parse
from pdp.declog.recovery import previous_of, recover_dead
from pdp.declog.verify import BREAKS, Finding, verify_segments
from tests.unit.declog.disks import FaultyDisk
from tests.unit.declog.logs import dead_segment, lines, sealed_segment, writer_at
from tests.unit.declog.samples import Clock


def three_segments(root: Path, disk: FaultyDisk | None = None) -> list[Path]:
    """Three sealed segments of one worker, two records each, the last of a second epoch."""
    clock = Clock()
    writer = writer_at(root, clock=clock, disk=disk)
    paths = []
    for number in range(3):
        if number == 2:
            writer = writer_at(root, clock=clock, previous=previous_of(Layout(root), "local", "w0"))
        writer.open()
        writer.commit(lines(2, 2 * number))
        paths.append(root / "segments" / f"{writer.segment}.ndjson")
        writer.seal("close")
        clock.forward(minutes=10)
    return paths


def kinds(root: Path) -> list[str]:
    return [finding.kind for finding in verify_segments(Layout(root))[1]]


def test_a_whole_log_has_no_findings(tmp_path: Path):
    three_segments(tmp_path)
    sealed_segment(tmp_path, worker="w1")
    assert verify_segments(Layout(tmp_path)) == (9, ())


def test_a_segment_taken_away_is_missed(tmp_path: Path):
    paths = three_segments(tmp_path)
    paths[1].unlink()
    assert verify_segments(Layout(tmp_path))[1] == (Finding(paths[1].stem, "missing_segment"),)


@pytest.mark.parametrize("cut", [1, 2])
def test_lines_cut_from_the_end_of_a_sealed_segment_are_missed(tmp_path: Path, cut: int):
    path = three_segments(tmp_path)[1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-cut]))
    found = kinds(tmp_path)
    assert "shortened" in found
    assert set(found) <= BREAKS


def test_a_segment_written_anew_does_not_fit_the_next(tmp_path: Path):
    path = three_segments(tmp_path)[1]
    chain, rows = GENESIS, []
    for raw in path.read_bytes().splitlines(keepends=True):
        line = parse(raw)
        assert line is not None
        body = line.body.replace(b'"note":""', b'"note":"forged"')
        row, chain = frame(chain, line.kind, line.seq, body)
        rows.append(row)
    path.write_bytes(b"".join(rows))
    assert kinds(tmp_path) == ["rewritten"]


def test_a_changed_line_is_named(tmp_path: Path):
    path = three_segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'"note":""', b'"note":"x"', 1))
    assert verify_segments(Layout(tmp_path))[1] == (Finding(path.stem, "damaged_line", 2),)


def test_a_segment_under_anothers_name_is_not_taken(tmp_path: Path):
    paths = three_segments(tmp_path)
    paths[2].write_bytes(paths[0].read_bytes())
    assert kinds(tmp_path) == ["missing_header"]


def test_a_header_that_is_gone_is_missed(tmp_path: Path):
    path = sealed_segment(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert "missing_header" in kinds(tmp_path)


def test_records_refused_when_a_write_failed_are_counted_and_break_nothing(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    writer.commit(lines(2))
    disk.sync_fails = True  # the lines of the group stand in the file, and were never answered
    with pytest.raises(OSError, match="simulated"):
        writer.commit(lines(5, 2))
    disk.sync_fails = False
    failed = str(Layout(tmp_path).names()[0])
    writer.open()
    writer.seal("close")
    records, findings = verify_segments(Layout(tmp_path))
    assert records == 7
    assert findings == (Finding(failed, "unsealed"), Finding(failed, "unrecorded", 5))
    recover_dead(Layout(tmp_path), node="local", own_worker="w0", clock=Clock(), disk=disk)
    assert verify_segments(Layout(tmp_path))[1] == (Finding(failed, "unrecorded", 5),)


def test_an_answered_record_changed_in_an_abandoned_segment_is_noticed(tmp_path: Path):
    disk = FaultyDisk()
    writer = writer_at(tmp_path, disk=disk)
    writer.open()
    writer.commit(lines(2))
    disk.sync_fails = True
    with pytest.raises(OSError, match="simulated"):
        writer.commit(lines(5, 2))
    disk.sync_fails = False
    writer.open()
    path = Layout(tmp_path).open_path(Layout(tmp_path).names()[0])
    chain, rows = GENESIS, []
    for raw in path.read_bytes().splitlines(keepends=True):
        line = parse(raw)
        assert line is not None
        row, chain = frame(chain, line.kind, line.seq, line.body.replace(b'"note":""', b'"note":"forged"'))
        rows.append(row)
    path.write_bytes(b"".join(rows))
    assert "rewritten" in kinds(tmp_path)


def test_a_torn_tail_is_told_and_breaks_nothing(tmp_path: Path):
    path = dead_segment(tmp_path)
    path.write_bytes(path.read_bytes() + b"torn")
    assert kinds(tmp_path) == ["torn_tail", "unsealed"]
    recover_dead(Layout(tmp_path), node="local", own_worker="w0", clock=Clock(), disk=FaultyDisk())
    assert kinds(tmp_path) == ["torn_tail"]
    assert not BREAKS & set(kinds(tmp_path))


def test_lines_cut_from_a_recovered_segment_are_missed(tmp_path: Path):
    dead_segment(tmp_path)
    recover_dead(Layout(tmp_path), node="local", own_worker="w0", clock=Clock(), disk=FaultyDisk())
    (path,) = (tmp_path / "segments").glob("*.ndjson")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert kinds(tmp_path) == ["shortened"]


def test_a_recovery_note_that_cannot_be_read_counts_as_none(tmp_path: Path):
    dead_segment(tmp_path)
    recover_dead(Layout(tmp_path), node="local", own_worker="w0", clock=Clock(), disk=FaultyDisk())
    (note,) = (tmp_path / "segments").glob("*.json")
    note.write_bytes(b"{")
    assert kinds(tmp_path) == ["shortened"]
