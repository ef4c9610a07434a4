"""Which record a finding is about: the first altered, missing, reordered or doubled one, by number and id."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pdp.declog.layout import segment_name
from pdp.declog.line import parse
from pdp.declog.reader import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pdp.declog.layout import Layout
    from pdp.declog.line import Line
    from pdp.declog.verify import Finding

What = Literal["altered", "missing", "reordered", "doubled", "added"]
_BY_RECORDS: Final = frozenset({"altered", "lengthened", "shortened"})  # `at` counts records, not lines


class Named(NamedTuple):
    """`id` is empty where it cannot be read any more: the record is gone, or is no record."""

    what: What
    seq: int
    id: str


def named(layout: Layout, findings: Iterable[Finding]) -> Iterator[tuple[Finding, Named | None]]:
    """Each finding, with the record that it is about; for one segment only the first. Raises OSError."""
    told: set[str] = set()
    for finding in findings:
        record = None
        if finding.segment not in told and finding.kind in ("damaged_line", *_BY_RECORDS):
            record = _first(layout, finding)
        if record is not None:
            told.add(finding.segment)
            yield replace(finding, seq=record.seq, id=record.id), record
        else:
            yield finding, None


def _first(layout: Layout, finding: Finding) -> Named | None:
    name = segment_name(finding.segment)
    if name is None:
        return None
    for path in (layout.open_path(name), layout.sealed_path(name)):
        if path.exists():
            return _at_line(path, finding.at) if finding.kind == "damaged_line" else _at_record(path, finding)
    return None


def _at_record(path: Path, finding: Finding) -> Named | None:
    """`altered`: the first record that the signed range holds. Else the first beyond, or before, what was signed."""
    last: Line | None = None
    for at, line in enumerate(_records(path), 1):
        if finding.kind == "altered" and at == finding.at:
            return Named("altered", line.seq, id_of(line.body) or "")
        if finding.kind == "lengthened" and at > finding.at:
            return Named("added", line.seq, id_of(line.body) or "")
        last = line
    if finding.kind == "shortened":
        return Named("missing", 1 if last is None else last.seq + 1, "")
    return None


def _records(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        for raw in file:
            line = parse(raw)
            if line is not None and line.kind == "record":
                yield line


def _at_line(path: Path, number: int) -> Named | None:
    """What happened at the first line that does not follow from the one before it."""
    seen: set[int] = set()
    with path.open("rb") as file:
        lines = (parse(raw) for raw in file)
        for at, (before, line) in enumerate(pairwise(_after_nothing(lines)), 1):
            if at == number:
                return _what(before, line, seen)
            if line is not None and line.kind == "record":
                seen.add(line.seq)
    return None


def _after_nothing(lines: Iterable[Line | None]) -> Iterator[Line | None]:
    yield None
    yield from lines


def _what(before: Line | None, line: Line | None, seen: set[int]) -> Named:
    due = 0 if before is None else before.seq + 1
    if line is None:
        return Named("altered", due, "")
    found = id_of(line.body) or ""
    if line.kind != "record":
        return Named("altered", line.seq, "")
    if line.seq in seen:
        return Named("doubled", line.seq, found)
    if due and line.seq > due:
        return Named("missing", due, "")
    if due and line.seq < due:
        return Named("reordered", line.seq, found)
    return Named("altered", line.seq, found)
