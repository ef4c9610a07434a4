"""The fresh tail: records of segments that the store does not have yet.

The compactor publishes what each segment has gained as small Parquet files; a reader takes those, and reads
on in the segment from where they end (`pdp.archive.fresh`). So an answer never lacks a record that is on the
disk, whether anybody publishes or not: publishing only saves the readers work.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pdp.archive.datafile import write_table
from pdp.archive.intake import Intake
from pdp.archive.pieces import Changes, settle
from pdp.declog.layout import OPEN, segment_name
from pdp.declog.line import GENESIS, lacks_block, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pdp.archive.intake import Parts
    from pdp.archive.place import Place
    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName

_PIECES: Final = 8  # of one segment, before they are made one; more would cost every reader an open each
_MARK: Final = b"sekisho.tail"


class Mark(msgspec.Struct, frozen=True):
    """Where in a segment a reader is: after this many bytes, with this chain value (hex) of the line before."""

    at: int = 0
    chain: str | None = GENESIS.hex()


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of a segment from one byte to another, published."""

    segment: SegmentName
    first: int
    end: int
    path: Path
    mark: Mark  # after its last line


def segment_path(layout: Layout, name: SegmentName) -> Path:
    """Where it is now: it goes from its open name to its sealed one and never back."""
    path = layout.open_path(name)
    return path if path.exists() else layout.sealed_path(name)


@dataclass(frozen=True, slots=True)
class Reading:
    """Proven records: their rows in the in-memory schema, and the mark after them.

    `starts`: where the line of each row begins; None where their numbers do not rise, as no writer of ours has it.
    `last`: the last complete line, whatever it holds, and where it begins; None: there was none.
    """

    rows: pa.Table
    starts: list[int] | None
    mark: Mark
    last: tuple[int, bytes] | None


def read_on(
    file: BinaryIO, name: SegmentName, mark: Mark, parts: Parts | None = None, *, until: int | None = None
) -> Reading:
    """The proven records after a mark. An incomplete last line is not there yet. Raises OSError.

    `until`: nothing that ends after so many bytes, nor behind a block that a power failure took.
    """
    intake = Intake(str(name), parts)
    chain = None if mark.chain is None else bytes.fromhex(mark.chain)
    at, starts, last, seqs = mark.at, [], None, [-1]
    file.seek(at)
    for raw in file:
        if not raw.endswith(b"\n") or (until is not None and (at + len(raw) > until or lacks_block(raw, at))):
            break
        line = parse(raw)
        if line is not None and line.kind == "record" and line.follows(chain):
            intake.add(line.seq, line.body)
            starts.append(at)
            seqs.append(line.seq)
        chain = None if line is None else line.chain
        last = at, raw
        at += len(raw)
    rising = all(before < after for before, after in pairwise(seqs))
    return Reading(intake.table(), starts if rising else None, Mark(at, None if chain is None else chain.hex()), last)


def pieces_of(place: Place, name: SegmentName) -> list[Piece]:
    """What is published of a segment from its beginning, without a gap and without anything twice."""
    found = [piece for path in place.tail.glob(f"{name}.*.parquet") if (piece := piece_of(path)) is not None]
    chosen: list[Piece] = []
    at = 0
    while following := [piece for piece in found if piece.first == at]:
        longest = max(following, key=lambda piece: piece.end)
        chosen.append(longest)
        at = longest.end
    return chosen


def piece_of(path: Path) -> Piece | None:
    """What a published file says it is; None where it says nothing that could be."""
    parts = path.name.split(".")
    name = segment_name(".".join(parts[:5]))
    if name is None or len(parts) != 8 or not (parts[5].isdigit() and parts[6].isdigit()):  # noqa: PLR2004  # its parts
        return None
    first, end = int(parts[5]), int(parts[6])
    mark = _mark_in(path)
    return None if mark is None or mark.at != end or first >= end else Piece(name, first, end, path, mark)


def _mark_in(path: Path) -> Mark | None:
    """Of what a failing disk has spoilt there is none, and the segment itself is read in its place."""
    try:
        notes = pq.read_metadata(path).metadata or {}
        return msgspec.json.decode(notes.get(_MARK, b""), type=Mark)
    except (pa.ArrowException, OSError, msgspec.DecodeError):
        return None


def mark_after(pieces: Sequence[Piece]) -> Mark:
    """Where reading goes on after these."""
    return pieces[-1].mark if pieces else Mark()


def publish_tails(layout: Layout, place: Place, names: Iterable[SegmentName], disk: Disk) -> int:
    """Publish what these segments have gained, which are not stored. Gives the number of records. Raises OSError.

    The caller holds the compactor's lock.
    """
    changes = Changes()
    published = sum(_publish(layout, place, name, disk, changes) for name in names)
    settle(disk, place, changes)
    return published


def _publish(layout: Layout, place: Place, name: SegmentName, disk: Disk, changes: Changes) -> int:
    pieces = pieces_of(place, name)
    before = mark_after(pieces)
    segment = segment_path(layout, name)
    with segment.open("rb") as file:
        reading = read_on(file, name, before, until=_synced(file, disk) if segment.suffix == OPEN else None)
    rows, after = reading.rows, reading.mark
    if rows.num_rows:
        path = _path(place, name, before.at, after.at)
        changes.added[path.name] = _write(disk, path, rows, after)
        pieces.append(Piece(name, before.at, after.at, path, after))
    if len(pieces) > _PIECES:
        _make_one(place, name, pieces, disk, changes)
    added: int = rows.num_rows
    return added


def _synced(file: BinaryIO, disk: Disk) -> int:
    """So many bytes that are surely on the disk: else a power failure could leave a piece of what is not there."""
    size = file.seek(0, os.SEEK_END)
    disk.sync(file.fileno())
    return size


def _make_one(place: Place, name: SegmentName, pieces: Sequence[Piece], disk: Disk, changes: Changes) -> None:
    table = read_pieces(pieces)
    path = _path(place, name, 0, pieces[-1].end)
    changes.added[path.name] = _write(disk, path, table, mark_after(pieces))
    changes.gone.extend(piece.path for piece in pieces)


def read_pieces(pieces: Iterable[Piece]) -> pa.Table:
    return pa.concat_tables([pq.read_table(piece.path, partitioning=None) for piece in pieces])


def _path(place: Place, name: SegmentName, first: int, end: int) -> Path:
    return place.tail / f"{name}.{first}.{end}.parquet"


def _write(disk: Disk, path: Path, table: pa.Table, mark: Mark) -> str:
    """Its digest."""
    notes = {_MARK.decode(): msgspec.json.encode(mark).decode()}
    return write_table(disk, path, table, durable=False, notes=notes)[1]
