"""At start: what dead processes left behind is measured, set aside where it is torn, and sealed.

A dead process is one whose worker lock can be had; the caller holds `locks/start.lock` meanwhile. For each
of its open segments:

1. the segment is read whole, every line against the one before;
2. the bytes after the last newline, which no reader could use, are copied to `torn/` and synced, and
   only then cut off; after a power failure, those from the first line on of which a block is missing: what was
   being synced, so that no answer stood on it;
3. a recovery note is written beside, unless all that was missing is the rename after the footer;
4. the segment gets its sealed name.

Whole lines are never touched, also where they do not hold: they are counted and named in the note. A
recovery that is cut short starts again from what it finds, and ends the same.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.disk import write_durably
from pdp.declog.layout import OPEN
from pdp.declog.lock import try_lock
from pdp.declog.marks import RECOVERY_SCHEMA, Previous, Recovery, rfc3339
from pdp.declog.reader import last_line, scan_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.reader import Scan

_ENCODE: Final = msgspec.json.Encoder().encode


def recover_dead(
    layout: Layout, *, node: str, own_worker: str, clock: Callable[[], datetime], disk: Disk
) -> tuple[Recovery, ...]:
    """Seal what this node's dead workers left; the lock of `own_worker` is held already.

    Gives a note for each segment that had no footer. Raises OSError where the disk refuses; what was not
    done is done at the next start. Other nodes' segments are theirs: a lock says little across hosts.
    """
    notes: list[Recovery] = []
    left = [name for name in layout.names(OPEN) if name.node == node]
    for owner, names in groupby(left, key=lambda name: name.owner):
        lock = None if owner[1] == own_worker else try_lock(layout.lock_path(*owner))
        if lock is None and owner[1] != own_worker:
            continue  # alive
        try:
            found = [_recover(layout, name, by=f"{node}.{own_worker}", clock=clock, disk=disk) for name in names]
        finally:
            if lock is not None:
                lock.release()
        notes.extend(note for note in found if note is not None)
    return tuple(notes)


def _recover(
    layout: Layout, name: SegmentName, *, by: str, clock: Callable[[], datetime], disk: Disk
) -> Recovery | None:
    path = layout.open_path(name)
    scan = scan_segment(path)
    if scan.torn_bytes:
        _set_aside(layout, name, _tail(layout, name, scan), disk)
        disk.truncate(path, scan.whole_bytes)
    note = None
    if scan.footer is None or scan.damaged or layout.torn_paths(name):
        note = _note(layout, name, scan, by=by, now=clock())
        write_durably(disk, layout.recovery_path(name), _ENCODE(note))
    disk.rename(path, layout.sealed_path(name))
    disk.sync_directory(layout.segments)
    return note


def _set_aside(layout: Layout, name: SegmentName, tail: bytes, disk: Disk) -> None:
    """Beside what an earlier recovery has set aside, and never over it."""
    known = layout.torn_paths(name)
    if all(path.read_bytes() != tail for path in known):
        write_durably(disk, layout.torn_path(name, len(known) + 1), tail)


def torn_bytes(layout: Layout, name: SegmentName) -> bytes:
    """All that was set aside of a segment, in its order: what the digest in the note is over. Raises OSError."""
    return b"".join(path.read_bytes() for path in layout.torn_paths(name))


def _tail(layout: Layout, name: SegmentName, scan: Scan) -> bytes:
    with layout.open_path(name).open("rb") as file:
        file.seek(scan.whole_bytes)
        return file.read(scan.torn_bytes)


def _note(layout: Layout, name: SegmentName, scan: Scan, *, by: str, now: datetime) -> Recovery:
    # Read back, not taken from the scan: an earlier recovery may have cut the tail and died before its note.
    tail = torn_bytes(layout, name)
    return Recovery(
        schema=RECOVERY_SCHEMA,
        segment=str(name),
        recovered=rfc3339(now),
        by=by,
        records=scan.records,
        first_seq=scan.first_seq,
        last_seq=0 if scan.last is None else scan.last.seq,
        chain=None if scan.last is None else scan.last.chain.hex(),
        bytes=scan.whole_bytes,
        torn_bytes=len(tail),
        torn_sha256=sha256(tail).hexdigest() if tail else None,
        damaged_lines=len(scan.damaged),
        first_damaged_line=scan.damaged[0] if scan.damaged else None,
    )


def read_recovery(layout: Layout, name: SegmentName) -> Recovery | None:
    """The note beside a segment, or None where there is none. Raises OSError and msgspec.DecodeError."""
    path = layout.recovery_path(name)
    return msgspec.json.decode(path.read_bytes(), type=Recovery) if path.exists() else None


def previous_of(layout: Layout, node: str, worker: str, refuge: Layout | None = None) -> Previous | None:
    """The last segment of this worker, at home or in the refuge, as the next header names it. Raises OSError."""
    places = {name: layout for name in layout.names() if name.owner == (node, worker)}
    if refuge is not None and refuge.segments.is_dir():
        places |= {name: refuge for name in refuge.names() if name.owner == (node, worker) and name not in places}
    if not places:
        return None
    name = max(places)
    layout = places[name]
    path = layout.sealed_path(name)
    last = last_line(path) if path.exists() else None
    if last is not None and last.kind == "footer":
        return Previous(str(name), last.seq, last.chain.hex(), "sealed")
    last = scan_segment(path if path.exists() else layout.open_path(name)).last
    if last is None:
        return Previous(str(name), 0, "", "recovered")
    return Previous(str(name), last.seq, last.chain.hex(), "recovered")
