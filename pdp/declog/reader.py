"""Reading segments back: line by line with proof, the sum of one segment, and one record by its id.

Files that are being written may be read at any time: an incomplete last line is not there yet.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from uuid import UUID

import msgspec

from pdp.declog.layout import OPEN
from pdp.declog.line import GENESIS, Line, lacks_block, parse
from pdp.declog.marks import Footer, Header
from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName

_CHUNK: Final = 1024 * 1024
_Mark = TypeVar("_Mark", Header, Footer)
_MARK_BYTES: Final = 4096  # a footer is under 1 kB
_NO_BOUND: Final = datetime.max.replace(tzinfo=UTC)

# A decision id is taken when the request is read, its record is written later: by the time that the
# evaluation and the deadline of the log take, and by what the clock was set in between.
LATEST_AFTER_ID: Final = timedelta(seconds=60)
EARLIEST_BEFORE_ID: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Read:
    """One line as found; `line` is None where it does not even have the shape of one."""

    number: int  # from 1
    length: int  # bytes, with the newline
    state: Literal["proven", "damaged", "torn"]
    line: Line | None


def read_lines(path: Path) -> Iterator[Read]:
    """Every line in order; at most one `torn` line, the last. After a damaged line the next may not be provable.

    In a segment that nobody ended, everything from a line on of which a block is missing is that torn line: it was
    being synced when the power failed. Raises OSError.
    """
    chain: bytes | None = GENESIS
    ended, at = path.suffix != OPEN, 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                yield Read(number, len(raw), "torn", None)
                return
            if not ended and lacks_block(raw, at):
                yield Read(number, len(raw) + sum(map(len, file)), "torn", None)
                return
            at += len(raw)
            line = parse(raw)
            proven = line is not None and line.follows(chain)
            yield Read(number, len(raw), "proven" if proven else "damaged", line)
            chain = None if line is None else line.chain


@dataclass(frozen=True, slots=True)
class Scan:
    """The sum of one segment. `last` is the last proven line; `torn_bytes` come after `whole_bytes` of lines."""

    header: Header | None
    footer: Footer | None
    records: int
    first_seq: int | None
    last: Line | None
    whole_bytes: int
    torn_bytes: int
    damaged: tuple[int, ...]  # numbers of lines


def scan_segment(path: Path) -> Scan:
    """Read a segment whole. Raises OSError; whatever the file holds, no other error."""
    header, footer, last, before, first_seq = None, None, None, None, None
    records = whole = torn = 0
    damaged: list[int] = []
    for read in read_lines(path):
        if read.state == "torn":
            torn = read.length
            continue
        whole += read.length
        line = read.line
        in_place = line is not None and read.state == "proven" and _in_place(read.number, line, before)
        before = line
        if line is None or not in_place:
            damaged.append(read.number)
            continue
        last = line
        if line.kind == "record":
            records += 1
            first_seq = line.seq if first_seq is None else first_seq
        elif line.kind == "header":
            header = decode_mark(line.body, Header)
        else:
            footer = decode_mark(line.body, Footer)
    return Scan(header, footer, records, first_seq, last, whole, torn, tuple(damaged))


def _in_place(number: int, line: Line, before: Line | None) -> bool:
    """A header first and only there, numbers without a gap, nothing after a footer."""
    if line.kind == "header" or before is None:
        return number == 1 and line.kind == "header"
    if before.kind == "footer":
        return False
    return line.seq == (before.seq if line.kind == "footer" else before.seq + 1)


def last_line(path: Path) -> Line | None:
    """The last line by its shape, unproven; None where it is longer than any footer. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MARK_BYTES))
        lines = file.read().splitlines(keepends=True)
    return parse(lines[-1]) if lines else None


def decode_mark(body: bytes, mark: type[_Mark]) -> _Mark | None:
    try:
        return msgspec.json.decode(body, type=mark)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def records_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The proven records of a segment with their numbers, in order. Raises OSError."""
    for read in read_lines(path):
        if read.state == "proven" and read.line is not None and read.line.kind == "record":
            yield read.line.seq, read.line.body


def find_record(layout: Layout, decision_id: str, *, everywhere: bool = False) -> bytes | None:
    """The record whose `id` is this uuid7, or None.

    Only segments that were being written around the time in the id are read, unless `everywhere`.
    Raises RecordDamagedError where the only line under this id does not hold, and OSError.
    """
    instant = instant_in(decision_id)
    if instant is None:
        return None
    canonical = str(UUID(decision_id))
    damaged = False
    for name in _candidates(layout.names(), instant, everywhere=everywhere):
        for before, raw in _lines_of(layout, name, b'"id":"%b"' % canonical.encode()):
            line = parse(raw)
            if line is not None and (line.kind != "record" or _id_of(line.body) != canonical):
                continue  # the id stands elsewhere in another's record, for example as its request id
            if line is not None and _holds(line, before):
                return line.body
            damaged = True
    if damaged:
        raise RecordDamagedError(f"the record of `{canonical}` does not follow from the line before it")
    return None


def segments_near(names: list[SegmentName], decision_id: str, *, everywhere: bool = False) -> list[SegmentName]:
    """Those of the names (in their order) that may hold this id, the likeliest first; none for what is no uuid7."""
    instant = instant_in(decision_id)
    return [] if instant is None else _candidates(names, instant, everywhere=everywhere)


def id_of(body: bytes) -> str | None:
    """The decision id of a record, or None where it has none."""
    return _id_of(body)


class _Identified(msgspec.Struct):
    id: str


def _id_of(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _holds(line: Line, before: bytes) -> bool:
    earlier = parse(before)
    return earlier is not None and line.follows(earlier.chain)


def instant_in(decision_id: str) -> datetime | None:
    """The time in a uuid7 (RFC 9562, section 5.7), to the millisecond; None for any other text."""
    try:
        parsed = UUID(decision_id)
    except ValueError:
        return None
    if parsed.version != 7:  # noqa: PLR2004  # the version that carries a time
        return None
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=parsed.int >> 80)
    except OverflowError:
        return None


def _candidates(names: list[SegmentName], instant: datetime, *, everywhere: bool) -> list[SegmentName]:
    """The segments that may hold a record of that time, the likeliest first."""
    bounded = _with_ends(names)
    if everywhere:
        return [name for name, _ in reversed(bounded)]
    near = [
        (name, end)
        for name, end in bounded
        if name.created_at <= instant + LATEST_AFTER_ID and end >= instant - EARLIEST_BEFORE_ID
    ]
    near.sort(key=lambda pair: (not pair[0].created_at <= instant < pair[1], abs(pair[0].created_at - instant)))
    return [name for name, _ in near]


def _with_ends(names: list[SegmentName]) -> list[tuple[SegmentName, datetime]]:
    """Each segment with the time after which nothing was added: that at which its worker began the next."""
    return [(name, _end_of(name, later)) for name, later in pairwise([*names, None]) if name is not None]


def _end_of(name: SegmentName, later: SegmentName | None) -> datetime:
    if later is None or later.owner != name.owner or later.created < name.created:  # or the clock was set back
        return _NO_BOUND
    return later.created_at


def _lines_of(layout: Layout, name: SegmentName, needle: bytes) -> Iterator[tuple[bytes, bytes]]:
    # A segment goes from its open name to its sealed one and never back: looked for in that order, it is found.
    for path in (layout.open_path(name), layout.sealed_path(name)):
        with suppress(FileNotFoundError):
            yield from _lines_with(path, needle)
            return


def _lines_with(path: Path, needle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each whole line that holds the needle, after the line before it."""
    with path.open("rb", buffering=0) as file:
        window, searched = b"", 0
        while chunk := file.read(_CHUNK):
            window += chunk
            whole = window.rfind(b"\n") + 1
            hit = window.find(needle, searched, whole)
            while hit >= 0:
                start = window.rfind(b"\n", 0, hit) + 1
                end = window.index(b"\n", hit) + 1
                yield window[window.rfind(b"\n", 0, max(start - 1, 0)) + 1 : start], window[start:end]
                hit = window.find(needle, end, whole)
            kept = window.rfind(b"\n", 0, max(whole - 1, 0)) + 1  # the last whole line proves the next
            window, searched = window[kept:], whole - kept
