"""One row as a file gives it: converted, with its place, and only the fields that the file names."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.directory.files.faults import Fault, Wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Field, Sheet

# What tells one row from another. The other `needed` fields are asked only of a row that is new.
KEYS: Final[Mapping[Sheet, tuple[str, ...]]] = {
    "users": ("id",),
    "posts": ("user", "department"),
    "devices": ("id",),
    "posture": ("device",),
    "permits": ("device", "user", "from"),
    "loans": ("device", "user", "from"),
    "work_permits": ("id",),
    "resources": ("id",),
    "emergencies": ("from",),
}


class Cell(NamedTuple):
    """A value before it is converted. `line` None: the row's."""

    field: Field
    heading: str
    value: Any
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """`fields` by target name; one that is absent was not said, and keeps what the directory holds."""

    sheet: Sheet
    file: str
    line: int
    fields: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # target: as the file writes it
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # where not the row's own

    def fault(self, name: str | None, message: str, next_step: str) -> Fault:
        """A fault of this row, at the column of the field where it has one."""
        column = None if name is None else self.columns.get(name, name)
        return Fault(self.file, self.lines.get(name or "", self.line), column, message, next_step)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


class Rows(NamedTuple):
    """What a file gave: its rows, the sheets that it brings, and whether every row of them could be read."""

    entries: list[Entry]
    sheets: frozenset[Sheet]
    whole: bool


def read_entry(sheet: Sheet, file: str, line: int, cells: Iterable[Cell], faults: Faults) -> Entry | None:
    """Convert a row; None where its key cannot be read. Every fault of the row is added, not only the first."""
    given: dict[str, Cell] = {}
    named: dict[str, Cell] = {}
    for cell in cells:
        target = cell.field.target
        named.setdefault(target, cell)
        if cell.value is None or cell.value == "":
            continue
        if target in given:
            message = f"`{given[target].heading}` is given too"
            faults.add(_fault(file, line, cell, message, "give only one of the two"))
        given[target] = cell
    fields: dict[str, Any] = {}
    for target, cell in named.items():
        try:
            fields[target] = _converted(cell, given.get(target))
        except Wrong as wrong:
            faults.add(_fault(file, line, given.get(target, cell), wrong.message, wrong.next_step))
    for key in KEYS[sheet]:
        if key not in named:
            faults.add(Fault(file, line, key, "is missing", "every row needs it"))
    if any(key not in fields for key in KEYS[sheet]):
        return None
    shown = named | given
    columns = {target: cell.heading for target, cell in shown.items()}
    lines = {target: cell.line for target, cell in shown.items() if cell.line is not None}
    return Entry(sheet, file, line, fields, columns, lines)


def _converted(named: Cell, given: Cell | None) -> Any:
    if given is not None:
        return given.field.convert(given.value)
    if named.field.needed:
        raise Wrong("is empty", "fill it in")
    return named.field.empty


def _fault(file: str, line: int, cell: Cell, message: str, next_step: str) -> Fault:
    return Fault(file, line if cell.line is None else cell.line, cell.heading, message, next_step)
