from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path

import pytest

from pdp.declog.disk import PosixDisk, write_durably
from pdp.declog.layout import OPEN, SEALED, Layout, torn_of
from pdp.declog.lock import try_lock
from pdp.declog.marks import Recovery
from pdp.declog.reader import find_record, records_of, scan_segment
from pdp.declog.recovery import previous_of, read_recovery, recover_dead
from pdp.declog.verify import BREAKS, Finding, verify_segments
from pdp.transparency.beside import beside
from tests.unit.declog.disks import FaultyDisk, HastyDisk
from tests.unit.declog.logs import dead_segment, ids, lines, sealed_segment
from tests.unit.declog.samples import Clock


def recover(root: Path, **others: object) -> tuple[Recovery, ...]:
    return recover_dead(
        Layout(root), **({"node": "local", "own_worker": "w0", "clock": Clock(), "disk": PosixDisk()} | others)
    )


def only(root: Path, ending: str) -> Path:
    (path,) = (root / "segments").glob(f"*{ending}")
    return path


def test_a_whole_segment_of_a_dead_process_is_sealed_by_a_note_and_left_as_it_was(tmp_path: Path):
    written = dead_segment(tmp_path, 3).read_bytes()
    (note,) = recover(tmp_path)
    assert only(tmp_path, SEALED).read_bytes() == written
    assert (note.records, note.first_seq, note.last_seq, note.torn_bytes) == (3, 1, 3, 0)
    assert note.by == "local.w0"
    (name,) = Layout(tmp_path).names(SEALED)
    assert read_recovery(Layout(tmp_path), name) == note


def test_a_tail_torn_at_any_byte_is_set_aside_and_no_whole_record_is_lost(tmp_path: Path):
    original = dead_segment(tmp_path / "original", 4)
    data, name = original.read_bytes(), original.name
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data) - 200, len(data)):
        root = tmp_path / str(cut)
        dead_segment(root, 0)
        only(root, OPEN).unlink()
        (root / "segments" / name).write_bytes(data[:cut])
        (note,) = recover(root, disk=HastyDisk())
        whole = max(end for end in ends if end <= cut)
        assert only(root, SEALED).read_bytes() == data[:whole]
        assert note.torn_bytes == cut - whole
        if cut > whole:
            (torn,) = (root / "torn").iterdir()
            assert torn.read_bytes() == data[whole:cut]
            assert note.torn_sha256 == sha256(data[whole:cut]).hexdigest()
        kept = sum(end <= cut for end in ends) - 1
        assert [body for _, body in records_of(only(root, SEALED))] == lines(4)[:kept]
        assert not any(finding.kind in BREAKS for finding in verify_segments(Layout(root))[1])


def test_a_file_that_has_not_even_a_header_is_sealed_too(tmp_path: Path):
    path = dead_segment(tmp_path, 0)
    path.write_bytes(b'{"seq":0,')
    (note,) = recover(tmp_path)
    assert (note.records, note.bytes, note.torn_bytes, note.chain) == (0, 0, 9, None)
    assert only(tmp_path, SEALED).read_bytes() == b""
    previous = previous_of(Layout(tmp_path), "local", "w0")
    assert previous is not None
    assert (previous.seq, previous.ended) == (0, "recovered")


def test_a_whole_line_that_does_not_hold_stays_where_it_is_and_is_named(tmp_path: Path):
    path = dead_segment(tmp_path, 4)
    data = bytearray(path.read_bytes())
    data[data.index(ids(4)[1].encode())] ^= 1
    path.write_bytes(data)
    (note,) = recover(tmp_path)
    assert (note.damaged_lines, note.first_damaged_line, note.records) == (1, 3, 3)
    assert only(tmp_path, SEALED).read_bytes() == data
    assert find_record(Layout(tmp_path), ids(4)[3]) == lines(4)[3]


def test_a_segment_that_only_lacks_its_name_gets_it_and_no_note(tmp_path: Path):
    path = sealed_segment(tmp_path)
    path.rename(path.with_suffix(".open"))
    assert recover(tmp_path) == ()
    assert only(tmp_path, SEALED) == path
    assert list((tmp_path / "segments").glob("*.json")) == []


@pytest.mark.parametrize("steps", range(13))
def test_a_recovery_that_is_cut_short_is_taken_up_again_and_ends_the_same(tmp_path: Path, steps: int):
    path = dead_segment(tmp_path, 3)
    torn = b'{"seq":4,"chai'
    path.write_bytes(path.read_bytes() + torn)
    whole = path.read_bytes()[: -len(torn)]

    class DyingDisk(PosixDisk):
        left = steps

        def __getattribute__(self, name: str) -> object:
            if name in ("create", "write", "sync", "truncate", "rename", "sync_directory"):
                if self.left == 0:
                    raise OSError(errno.EIO, "died")
                self.left -= 1
            return object.__getattribute__(self, name)

    with pytest.raises(OSError, match="died"):
        recover(tmp_path, disk=DyingDisk())
    notes = recover(tmp_path)
    assert only(tmp_path, SEALED).read_bytes() == whole
    assert [file.read_bytes() for file in (tmp_path / "torn").glob("*.torn")] == [torn]
    (name,) = Layout(tmp_path).names()
    note = read_recovery(Layout(tmp_path), name)
    assert note is not None
    assert notes in ((note,), ())
    assert (note.torn_bytes, note.records, note.last_seq) == (len(torn), 3, 3)


def test_the_segments_of_living_workers_and_of_other_nodes_are_left_alone(tmp_path: Path):
    alive = dead_segment(tmp_path, worker="w1")
    dead = dead_segment(tmp_path, worker="w2")
    lock = try_lock(Layout(tmp_path).lock_path("local", "w1"))
    assert lock is not None
    (note,) = recover(tmp_path)
    assert dead.name.startswith(note.segment)
    assert alive.exists()
    lock.release()
    assert recover(tmp_path, node="other") == ()
    assert alive.exists()
    assert len(recover(tmp_path)) == 1


def test_a_full_disk_stops_a_recovery_before_anything_is_cut(tmp_path: Path):
    path = dead_segment(tmp_path)
    path.write_bytes(path.read_bytes() + b"torn")
    disk = FaultyDisk()
    disk.full = True
    before = path.read_bytes()
    with pytest.raises(OSError, match="simulated"):
        recover(tmp_path, disk=disk)
    assert path.read_bytes() == before


def test_the_previous_segment_is_named_with_its_end(tmp_path: Path):
    layout = Layout(tmp_path)
    path = sealed_segment(tmp_path)
    footer = scan_segment(path).last
    sealed = previous_of(layout, "local", "w0")
    assert sealed is not None
    assert footer is not None
    assert (sealed.segment, sealed.seq, sealed.chain, sealed.ended) == (path.stem, 3, footer.chain.hex(), "sealed")
    assert previous_of(layout, "local", "w9") is None
    clock = Clock()
    clock.forward(hours=1)
    dead = dead_segment(tmp_path, 2, clock=clock)
    open_ = previous_of(layout, "local", "w0")
    assert open_ is not None
    assert (open_.segment, open_.seq, open_.ended) == (dead.stem, 2, "recovered")


def test_a_second_torn_line_is_set_aside_beside_the_first_and_the_note_is_over_both(tmp_path: Path):
    """A power failure took the cut back, and gave other bytes for the tail."""
    path = dead_segment(tmp_path)
    whole = path.read_bytes()
    layout = Layout(tmp_path)
    (name,) = layout.names()

    class Dying(PosixDisk):
        def rename(self, old: Path, new: Path) -> None:
            if new.name.endswith(".recovery.json"):
                raise OSError(errno.EIO, "died")
            super().rename(old, new)

    path.write_bytes(whole + b'{"seq":4,"ch')
    with pytest.raises(OSError, match="died"):
        recover_dead(layout, node="local", own_worker="w0", clock=Clock(), disk=Dying())
    path.write_bytes(whole + b"\0\0\0")
    (note,) = recover_dead(layout, node="local", own_worker="w0", clock=Clock(), disk=PosixDisk())
    first, second = layout.torn_paths(name)
    assert (first.read_bytes(), second.read_bytes()) == (b'{"seq":4,"ch', b"\0\0\0")
    assert (first.name, second.name) == (f"{name}.torn", f"{name}.2.torn")
    assert note.torn_bytes == 15
    assert note.torn_sha256 == sha256(b'{"seq":4,"ch\0\0\0').hexdigest()
    assert torn_of(second.name) == name
    assert [f for f in beside(layout) if f.kind in BREAKS] == []
    second.write_bytes(b"\0\0\1")
    assert Finding(second.name, "damaged_torn") in list(beside(layout))
    second.unlink()
    assert Finding(first.name, "damaged_torn") in list(beside(layout))


def test_the_same_torn_line_is_set_aside_once(tmp_path: Path):
    path = dead_segment(tmp_path)
    whole = path.read_bytes()
    layout = Layout(tmp_path)
    path.write_bytes(whole + b"{")
    write_durably(PosixDisk(), layout.torn_path(layout.names()[0]), b"{")
    recover_dead(layout, node="local", own_worker="w0", clock=Clock(), disk=PosixDisk())
    assert len(list(layout.torn.iterdir())) == 1
