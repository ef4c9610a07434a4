"""CSV as spreadsheets and personnel systems write it (RFC 4180), strictly, with the line of every row."""

from __future__ import annotations

import csv
import io
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from pdp.directory.files.entry import KEYS, Cell, Rows, read_entry
from pdp.directory.files.faults import Fault, shown
from pdp.directory.files.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.directory.files.entry import Entry
    from pdp.directory.files.faults import Faults
    from pdp.directory.files.fields import Field, Sheet

MAX_ROWS: Final = 200_000  # ten times the prefecture's largest register


def read_csv(sheet: Sheet, file: str, text: str, faults: Faults) -> Rows:
    """The rows of one register. Cells are kept as they are; rows of empty cells only are passed over."""
    rows = csv_rows(file, text, faults)
    line, heading = next(rows, (1, None))
    nothing = Rows([], frozenset((sheet,)), whole=False)
    if not heading or not any(heading):
        faults.add(Fault(file, line, None, "the file has no heading", "write the column headings into the first line"))
        return nothing
    columns = _columns(sheet, file, line, heading, faults)
    if columns is None:
        return nothing
    entries: list[Entry] = []
    seen = 0
    for number, (line, cells) in enumerate(rows, start=1):
        if number > MAX_ROWS:
            faults.add(Fault(file, line, None, f"more than {MAX_ROWS} rows", "split the file"))
            break
        if cells is not None and not any(cells):
            continue
        seen += 1
        if cells is None:
            continue
        if len(cells) != len(heading):
            message = f"the row has {len(cells)} cells, and the heading {len(heading)}"
            faults.add(Fault(file, line, None, message, "put texts that hold a comma in quotation marks"))
            continue
        named = (Cell(field, heading[at], cells[at]) for at, field in columns)
        entry = read_entry(sheet, file, line, named, faults)
        if entry is not None:
            entries.append(entry)
    return Rows(entries, frozenset((sheet,)), whole=len(entries) == seen)


def csv_rows(file: str, text: str, faults: Faults, *, delimiter: str = ",") -> Iterator[tuple[int, list[str] | None]]:
    """(the line on which it begins, the cells) of every row; None, and a fault, for one that is not CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as fault:
            faults.add(Fault(file, line, None, f"the row is not CSV: {fault}", "check the quotation marks"))
            yield line, None
            continue
        if cells is None:
            return
        yield line, cells


def _columns(sheet: Sheet, file: str, line: int, heading: list[str], faults: Faults) -> list[tuple[int, Field]] | None:
    """(position, field) of every column; None where a column is not known, stands twice, or a key is missing.

    An unknown column is refused: a misspelt heading would drop the register's most important dates in silence.
    """
    known = {_plain(name): field for field in FIELDS[sheet] for name in (field.name, *field.headings)}
    found: dict[str, tuple[int, Field]] = {}
    before = faults.count
    for at, name in enumerate(heading):
        field = known.get(_plain(name))
        if field is None:
            faults.add(Fault(file, line, name or None, f"column {at + 1} is not known", _meant(name, list(known))))
        elif field.name in found:
            faults.add(Fault(file, line, name, "the column stands twice", "leave one of them out"))
        else:
            found[field.name] = (at, field)
    targets = {field.target for _, field in found.values()}
    for key in KEYS[sheet]:
        if key not in targets:
            names = " or ".join(shown(n) for f in FIELDS[sheet] if f.target == key for n in (f.name, *f.headings))
            faults.add(Fault(file, line, None, f"the column {names} is missing", "add it: it tells the rows apart"))
    return None if faults.count > before else list(found.values())


def _plain(heading: str) -> str:
    """Full-width letters and brackets count as plain ones in a heading, which is no data."""
    return unicodedata.normalize("NFKC", heading)


def _meant(name: str, known: list[str]) -> str:
    close = get_close_matches(name[:100], known, n=1)
    return f"write {shown(close[0])}, or leave the column out" if close else "leave the column out"
