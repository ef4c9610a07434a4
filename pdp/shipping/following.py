"""Reading on in the segments of every worker from where a target stands. Changes nothing.

1. A worker's segments are read in the order of writing, each to its last whole line; a segment is left for the next
   only when a later one of the same worker was listed before its end was reached, because nothing is added to it then.
2. Every line is proven against the one before it. One that does not hold is counted and not shipped.
3. What a header says went before and is not here any more is counted as missing: it was removed before it was shipped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from pdp.declog.line import GENESIS, parse
from pdp.declog.marks import Header
from pdp.declog.reader import decode_mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from pdp.declog.layout import Layout, SegmentName

_MAX_LINE: Final = 2 * 1024 * 1024  # a record has at most 1 MiB (`pdp.declog.limits`)


@dataclass(frozen=True, slots=True)
class Position:
    """After `offset` bytes of `segment`; `seq` and `chain` (hex) are of the line that ends there."""

    segment: str
    offset: int = 0
    seq: int = 0
    chain: str = GENESIS.hex()


@dataclass(frozen=True, slots=True)
class Found:
    node: str
    worker: str
    epoch: str
    seq: int
    body: bytes


@dataclass(slots=True)
class Batch:
    """`positions`: where every worker stands after this batch. `more`: a bound was reached before the end."""

    positions: dict[str, Position]
    found: list[Found] = field(default_factory=list)
    damaged: int = 0
    missing: int = 0
    more: bool = False
    size: int = 0


def read_on(layout: Layout, positions: Mapping[str, Position], *, records: int, size: int) -> Batch:
    """The next records of all workers, about `records` and `size` bytes of them, a fair part of each worker's.

    A worker that stands nowhere is read from its oldest segment. Raises OSError.
    """
    batch = Batch(dict(positions))
    owners = [(owner, list(names)) for owner, names in groupby(layout.names(), key=lambda name: name.owner)]
    share = max(1, records // max(1, len(owners)))
    part = max(1, size // max(1, len(owners)))
    for owner, names in owners:
        reader = _Reader(layout, batch, ".".join(owner), share, part)
        reader.read(names)
    return batch


def newest_positions(layout: Layout) -> dict[str, Position]:
    """Where every worker's log ends now: a target that begins here gets only what is recorded from now on."""
    found: dict[str, Position] = {}
    for owner, names in groupby(layout.names(), key=lambda name: name.owner):
        last = list(names)[-1]
        position = Position(str(last))
        for raw, offset in _lines(layout, last, 0):
            line = parse(raw)
            chain = "" if line is None else line.chain.hex()
            position = Position(str(last), offset, position.seq if line is None else line.seq, chain)
        found[".".join(owner)] = position
    return found


def bytes_behind(layout: Layout, positions: Mapping[str, Position]) -> int:
    """How much has been recorded that has not been shipped. Raises OSError."""
    behind = 0
    for owner, names in groupby(layout.names(), key=lambda name: name.owner):
        at = positions.get(".".join(owner))
        for name in names:
            if at is not None and _before(str(name), at.segment):
                continue
            shipped = at.offset if at is not None and at.segment == str(name) else 0
            behind += max(0, _size(layout, name) - shipped)
    return behind


class _Reader:
    """One worker's part of a batch."""

    def __init__(self, layout: Layout, batch: Batch, owner: str, records: int, size: int) -> None:
        self._layout = layout
        self._batch = batch
        self._owner = owner
        self._records_left = records
        self._bytes_left = size

    def read(self, names: Sequence[SegmentName]) -> None:
        at = self._batch.positions.get(self._owner)
        for name in names:
            if at is not None and _before(str(name), at.segment):
                continue
            if at is not None and at.segment == str(name):
                full = self._segment(name, at, None)
            else:
                full = self._segment(name, Position(str(name)), at)
            at = self._batch.positions[self._owner]
            if full:
                self._batch.more = True
                return

    def _segment(self, name: SegmentName, at: Position, earlier: Position | None) -> bool:
        """Read one segment from `at`; whether a bound was reached."""
        batch = self._batch
        chain: bytes | None = bytes.fromhex(at.chain) if at.chain else None
        for raw, offset in _lines(self._layout, name, at.offset):
            line = parse(raw)
            proven = line is not None and line.follows(chain)
            chain = None if line is None else line.chain
            seq = at.seq if line is None else line.seq
            if line is None or not proven:
                batch.damaged += 1
            elif line.kind == "record":
                batch.found.append(Found(name.node, name.worker, name.epoch, line.seq, line.body))
                batch.size += len(line.body)
                self._records_left -= 1
                self._bytes_left -= len(line.body)
            elif line.kind == "header":
                batch.missing += _missing(decode_mark(line.body, Header), earlier)
            at = Position(str(name), offset, seq, "" if chain is None else chain.hex())
            batch.positions[self._owner] = at
            if self._records_left <= 0 or self._bytes_left <= 0:
                return True
        batch.positions[self._owner] = at
        return False


def _missing(header: Header | None, earlier: Position | None) -> int:
    """1 where the segment before this one, or its end, has not been read although we stand in the log."""
    if header is None or header.previous is None or earlier is None:
        return 0
    read = header.previous.segment == earlier.segment and earlier.seq >= header.previous.seq
    return 0 if read else 1


def _before(segment: str, other: str) -> bool:
    """Of one worker: epochs and numbers have a fixed width, so that texts sort as the order of writing."""
    return _order(segment) < _order(other)


def _order(segment: str) -> tuple[str, int]:
    _, _, epoch, number, _ = segment.split(".")
    return epoch, int(number)


def _lines(layout: Layout, name: SegmentName, offset: int) -> Iterator[tuple[bytes, int]]:
    """Each whole line from there, with the offset after it; none where the segment has been removed meanwhile."""
    file = _open(layout, name)
    if file is None:
        return
    with file:
        file.seek(offset)
        while raw := file.readline(_MAX_LINE):
            offset += len(raw)
            if not raw.endswith(b"\n") and len(raw) < _MAX_LINE:
                return  # incomplete: not there yet, or torn for good
            yield raw, offset


def _open(layout: Layout, name: SegmentName) -> BinaryIO | None:
    # A segment goes from its open name to its sealed one and never back: looked for in that order, it is found.
    for path in (layout.open_path(name), layout.sealed_path(name)):
        with suppress(FileNotFoundError):
            return path.open("rb")
    return None


def _size(layout: Layout, name: SegmentName) -> int:
    for path in (layout.open_path(name), layout.sealed_path(name)):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return 0
