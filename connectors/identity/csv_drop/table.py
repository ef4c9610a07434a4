"""The rows of one file: from bytes to records with typed dates, and every trouble of it. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.identity.csv_drop.troubles import Trouble, Troubles
from pdp.directory.files import words
from pdp.directory.files.csv_file import csv_rows
from pdp.directory.files.dates import moment
from pdp.directory.files.encoding import decode
from pdp.directory.files.faults import Faults, Wrong
from pdp.model.directory import JST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.identity.csv_drop.settings import Column, FeedMapping, Order, Sheet
    from pdp.model.input import Employment, SubjectKind

MAX_ROWS: Final = 200_000
_MAX_CONCURRENT: Final = 50  # posts beside the main one
_ARCHIVES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"7z\xbc\xaf")
_DATES: Final = ("effective", "hired", "retires", "term_until", "until", "leave_from", "leave_until")
_NEEDED: Final[Mapping[Sheet, tuple[Column, ...]]] = {
    "roster": ("id", "kind", "department"),
    "orders": ("id", "order", "effective"),
}
# Of an order: what its row must say beside person, kind and day.
_NEEDED_BY_ORDER: Final[Mapping[Order, tuple[Column, ...]]] = {
    "hire": ("kind", "department"),
    "rehire": ("department",),
    "transfer": ("department",),
    "concurrent": ("department",),
    "concurrent_end": ("department",),
}
_SEPARATORS: Final = str.maketrans("；、，,／/", ";;;;;;")


@dataclass(frozen=True, slots=True)
class Record:
    """One row. Dates are whole days in Japan; an end is the last day. An empty cell is None or ().

    `unknown`: what the mapping's tables do not know, as (code, value): it gives nothing, and is counted.
    """

    line: int
    id: str
    order: Order | None = None
    name: str | None = None
    kind: SubjectKind | None = None
    organisation: str | None = None
    department: str | None = None
    next_department: str | None = None
    concurrent: tuple[str, ...] | None = None  # None: the file has no such column
    roles: tuple[str, ...] | None = None
    status: Employment | None = None
    effective: date | None = None
    hired: date | None = None
    retires: date | None = None
    term_until: date | None = None
    until: date | None = None
    leave_from: date | None = None
    leave_until: date | None = None
    unknown: tuple[tuple[str, str], ...] = field(default=())


class Table(NamedTuple):
    """A file's rows, the columns that it has, and every trouble. With one trouble nothing of it may be used."""

    records: tuple[Record, ...]
    columns: frozenset[Column]
    troubles: Troubles


def read_table(sheet: Sheet, content: bytes, mapping: FeedMapping) -> Table:
    troubles = Troubles()
    text = _text(content, troubles)
    if text is None:
        return Table((), frozenset(), troubles)
    rows = _rows(text, troubles)
    heading = next(rows, (1, []))[1]
    columns = _columns(sheet, heading, mapping, troubles) if any(heading) else None
    records: list[Record] = []
    if columns is not None:
        reader = _Row(sheet, mapping, columns, len(heading), troubles)
        records = [found for line, cells in rows if any(cells) and (found := reader.record(line, cells)) is not None]
    if not records and not troubles:
        troubles.add(Trouble("empty"))
    _doubles(sheet, records, troubles)
    return Table(tuple(records), frozenset(columns or ()), troubles)


def _text(content: bytes, troubles: Troubles) -> str | None:
    if content.startswith(_ARCHIVES):
        troubles.add(Trouble("zip"))
        return None
    faults = Faults()
    text = decode(content, "", faults)
    for fault in faults.kept:
        troubles.add(Trouble("encoding", fault.line or 0, detail=fault.message))
    return text


def _rows(text: str, troubles: Troubles) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells)."""
    for number, (line, cells) in enumerate(csv_rows("", text, Faults())):
        if number > MAX_ROWS:
            troubles.add(Trouble("too_many_rows"))
            return
        if cells is None:
            troubles.add(Trouble("not_csv", line))
        else:
            yield line, [cell.strip(" \u3000") for cell in cells]


def _columns(
    sheet: Sheet, heading: list[str], mapping: FeedMapping, troubles: Troubles
) -> dict[Column, tuple[int, str]] | None:
    """Where each column stands and what the file calls it.

    A heading that is not known is a trouble: misspelt, it would drop the dates of retirement in silence.
    """
    known = {_plain(name): column for name, column in mapping.all_columns.items()}
    found: dict[Column, tuple[int, str]] = {}
    before = troubles.count
    for at, name in enumerate(heading):
        column = known.get(_plain(name))
        if column is None:
            troubles.add(Trouble("unknown_column", 1, value=name))
        elif column in found:
            troubles.add(Trouble("column_twice", 1, value=name))
        elif column != "ignore":
            found[column] = (at, name)
    for column in _NEEDED[sheet]:
        if column not in found:
            names = "・".join(name for name, meaning in mapping.all_columns.items() if meaning == column)
            troubles.add(Trouble("column_missing", 1, detail=names or column))
    return found if troubles.count == before else None


def _plain(heading: str) -> str:
    return unicodedata.normalize("NFKC", heading).strip()


def _doubles(sheet: Sheet, records: list[Record], troubles: Troubles) -> None:
    """A roster has one row a person and day of effect; what two of them would mean, nobody can say."""
    if sheet == "orders":
        return
    seen = set()
    for record in records:
        key = (record.id, record.effective)
        if key in seen:
            troubles.add(Trouble("person_twice", record.line, value=record.id))
        seen.add(key)


class _Row:
    """Reads one row after the other."""

    def __init__(
        self,
        sheet: Sheet,
        mapping: FeedMapping,
        columns: Mapping[Column, tuple[int, str]],
        width: int,
        troubles: Troubles,
    ) -> None:
        self._sheet = sheet
        self._mapping = mapping
        self._columns = columns
        self._width = width
        self._troubles = troubles
        self._line = 0
        self._cells: list[str] = []
        self._unknown: list[tuple[str, str]] = []

    def record(self, line: int, cells: list[str]) -> Record | None:
        """None where a trouble was found in it."""
        self._line, self._cells, self._unknown = line, cells, []
        before = self._troubles.count
        if len(cells) != self._width:
            self._add("cells", None, detail=str(len(cells)))
            return None
        dates = {column: self._date(column) for column in _DATES}
        found = Record(
            line, self._id("id") or "", self._order(), self._name(), self._kind(), self._organisation(),
            self._department("department"), self._department("next_department"), self._concurrent(), self._roles(),
            self._status(), **dates, unknown=tuple(self._unknown),
        )  # fmt: skip
        self._check(found)
        return found if self._troubles.count == before else None

    def _check(self, found: Record) -> None:
        needed: tuple[Column, ...] = ("id",)
        if self._sheet == "orders":
            needed = ("id", "order", "effective", *(_NEEDED_BY_ORDER.get(found.order, ()) if found.order else ()))
        elif self._cell("next_department"):
            needed = ("id", "effective")
        for column in needed:
            if not self._cell(column):
                self._add("missing", column)
        spans = ((found.hired, found.retires), (found.hired, found.term_until), (found.leave_from, found.leave_until))
        if any(start and end and end < start for start, end in spans):
            self._add("dates_reversed", None)

    def _cell(self, column: Column) -> str:
        place = self._columns.get(column)
        return "" if place is None else self._cells[place[0]]

    def _add(self, code: str, column: Column | None, value: str = "", detail: str = "") -> None:
        name = self._columns[column][1] if column is not None and column in self._columns else column or ""
        self._troubles.add(Trouble(code, self._line, name, value, detail))

    def _id(self, column: Column) -> str | None:
        cell = self._cell(column)
        return self._identifier(column, cell) if cell else None

    def _identifier(self, column: Column, cell: str) -> str | None:
        try:
            return words.identifier(cell)
        except Wrong as wrong:
            self._add("bad_id", column, cell, wrong.message)
            return None

    def _name(self) -> str | None:
        cell = self._cell("name")
        try:
            return words.text(cell) if cell else None
        except Wrong:
            self._add("bad_text", "name", cell)
            return None

    def _kind(self) -> SubjectKind | None:
        """A word that the table does not know: `unknown`, which the policies deny."""
        cell = self._cell("kind")
        if not cell:
            return None
        found = self._mapping.all_kinds.get(cell)
        if found is None:
            self._unknown.append(("unknown_kind", cell))
        return found or "unknown"

    def _organisation(self) -> str | None:
        return self._id("organisation")

    def _department(self, column: Column) -> str | None:
        cell = self._cell(column)
        return self._known_department(column, cell) if cell else None

    def _known_department(self, column: Column, cell: str) -> str | None:
        if not self._mapping.departments:
            return self._identifier(column, cell)
        found = self._mapping.departments.get(cell)
        if found is None:
            self._unknown.append(("unknown_department", cell))
        return found

    def _concurrent(self) -> tuple[str, ...] | None:
        if "concurrent" not in self._columns:
            return None
        cells = self._parts("concurrent")
        found = (self._known_department("concurrent", cell) for cell in cells[:_MAX_CONCURRENT])
        return tuple(dict.fromkeys(department for department in found if department))

    def _roles(self) -> tuple[str, ...] | None:
        """With a table, a position that it does not name gives no role; without one the cells are the roles."""
        if "roles" not in self._columns:
            return None
        table = self._mapping.roles
        cells = self._parts("roles")
        found = (table.get(cell) if table else self._identifier("roles", cell) for cell in cells)
        return tuple(sorted({role for role in found if role}))

    def _parts(self, column: Column) -> list[str]:
        return [
            part for cell in self._cell(column).translate(_SEPARATORS).split(";") if (part := cell.strip(" \u3000"))
        ]

    def _status(self) -> Employment | None:
        cell = self._cell("status")
        try:
            return words.employment(cell) if cell else None
        except Wrong:
            self._add("unknown_status", "status", cell)
            return None

    def _order(self) -> Order | None:
        cell = self._cell("order")
        if not cell or self._sheet == "roster":
            return None
        found = self._mapping.all_orders.get(cell)
        if found is None:
            self._add("unknown_order", "order", cell)
        return found

    def _date(self, column: Column) -> date | None:
        cell = self._cell(column)
        if not cell:
            return None
        try:
            found = moment(cell, naive_is_jst=True)
        except Wrong as wrong:
            self._add("bad_date", column, cell, wrong.message)
            return None
        return found.astimezone(JST).date() if isinstance(found, datetime) else found
