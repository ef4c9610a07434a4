"""Files of tables: CSV as Excel writes and reads it, and workbooks (.xlsx); bytes in, cells out, bounded. Pure.

CSV is UTF-8 with its mark; what Excel in Japan saves as CSV by itself is code page 932, which is read too. Of a
workbook the first sheet is read, and values alone: a cell with a formula is refused, because what it says depends on
who opens it. Attack: a small file that grows when it is unpacked, or XML with entities; both end at a bound.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat  # every handler through which it could reach outside refuses

from pdp.scenario.cells import MAX_CELL, guarded, unguarded
from pdp.scenario.columns import BY_ID
from pdp.scenario.table import MAX_ROWS, TableError, TableFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

MAX_BYTES: Final = 4 * 1024 * 1024  # of a file, as of a file of stories
MAX_UNPACKED: Final = 48 * 1024 * 1024  # of each part of a workbook that is read
MAX_COLUMNS: Final = 256
_ENDINGS: Final = (".csv", ".xlsx")
_DIGITS: Final = re.compile(r"-?\d{1,15}(\.0+)?", re.ASCII)
_SHEET: Final = "シナリオ"


def is_table(name: str) -> bool:
    return name.lower().endswith(_ENDINGS)


def read_table(name: str, content: bytes) -> list[list[str]]:
    """The cells of a file, row by row. Raises TableError."""
    if len(content) > MAX_BYTES:
        raise _refused(f"{MAX_BYTES} バイトを超えている", f"larger than {MAX_BYTES} bytes")
    rows = _workbook(content) if name.lower().endswith(".xlsx") else _csv(content)
    return [[unguarded(cell) for cell in row] for row in rows]


def write_table(name: str, rows: Sequence[Sequence[str]], now: datetime | None = None) -> bytes:
    """The file of these rows: a workbook where the name ends so, else CSV."""
    return _as_workbook(rows, now) if name.lower().endswith(".xlsx") else _as_csv(rows)


def _as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _as_workbook(rows: Sequence[Sequence[str]], now: datetime | None) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    if now is not None:
        book.set_properties({"created": now})
    sheet = book.add_worksheet(_SHEET)
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#DDE7F0", "num_format": "@"})
    text = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})  # no day of a date's own making
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.write_string(at, column, guarded(cell), head if at == 0 else text)
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, max(0, len(rows[0]) - 1), 18, text)
    book.close()
    return out.getvalue()


def _csv(content: bytes) -> list[list[str]]:
    text: str | None = None
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if text is None or "\0" in text:
        raise _refused("UTF-8 でも Shift_JIS（CP932）でもない", "neither UTF-8 nor code page 932")
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            rows.append(row)
            _check(len(rows), len(row))
    except csv.Error as fault:
        row_number = len(rows) + 1
        raise TableError([TableFault(row_number, "", "CSV として読めない", f"not CSV: {fault}")]) from None
    return rows


def _check(rows: int, columns: int) -> None:
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise _refused(
            f"{MAX_ROWS} 行または {MAX_COLUMNS} 列を超えている", f"more than {MAX_ROWS} rows or {MAX_COLUMNS} columns"
        )


def _workbook(content: bytes) -> list[list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            names = frozenset(file.namelist())
            strings = _strings(_part(file, "xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in names else []
            return _Cells(strings).read(_part(file, _first_sheet(file)))
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        KeyError,
        NotImplementedError,
        EOFError,
        RuntimeError,
    ):
        raise _refused("Excel のブック（.xlsx）として読めない", "not a workbook (.xlsx)") from None


def _part(file: zipfile.ZipFile, name: str) -> bytes:
    with file.open(name) as part:
        content = part.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        raise _refused("展開後の大きさが上限を超えている", "it grows beyond the bound when it is unpacked")
    return content


def _first_sheet(file: zipfile.ZipFile) -> str:
    """Its part's name: the workbook says which sheet is first, its relations where that lies."""
    sheets: list[str] = []
    targets: dict[str, str] = {}

    def sheet(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            sheets.append(attributes.get("r:id", ""))

    def relation(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(_part(file, "xl/workbook.xml"), sheet)
    _parse(_part(file, "xl/_rels/workbook.xml.rels"), relation)
    target = targets[sheets[0]] if sheets else ""
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _strings(content: bytes) -> list[str]:
    found: list[str] = []
    within: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        within.append(name)
        if name == "si":
            found.append("")

    def text(part: str) -> None:
        if within and within[-1] == "t" and "rPh" not in within:  # rPh: how it is read aloud (ふりがな)
            found[-1] += part

    _parse(content, start, lambda _: within.pop(), text)
    return found


class _Cells:
    """The cells of one sheet. Rows and columns that are left out are blank."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = strings
        self._rows: list[list[str]] = []
        self._row = 0
        self._column = -1
        self._kind = ""
        self._within: list[str] = []
        self._text = ""

    def read(self, content: bytes) -> list[list[str]]:
        _parse(content, self._start, self._end, self._data)
        return self._rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._within.append(name)
        if name == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), -1
            _check(self._row, 0)
        elif name == "c":
            letters = re.match(r"[A-Z]{1,3}", attributes.get("r", ""))
            self._column = _number(letters[0]) if letters else self._column + 1
            _check(self._row, self._column + 1)
            self._kind, self._text = attributes.get("t", "n"), ""
        elif name == "f":
            raise self._at_fault("数式は使えない", "a formula is no value")

    def _data(self, part: str) -> None:
        if self._within[-1:] == ["v"] or (self._within[-1:] == ["t"] and "is" in self._within[-3:]):
            self._text += part
            if len(self._text) > MAX_CELL:
                raise self._at_fault(f"{MAX_CELL} 文字を超えている", f"more than {MAX_CELL} characters")

    def _end(self, name: str) -> None:
        self._within.pop()
        if name != "c" or not self._text:
            return
        while len(self._rows) < self._row:
            self._rows.append([])
        row = self._rows[self._row - 1]
        row += [""] * (self._column + 1 - len(row))
        row[self._column] = self._value()

    def _value(self) -> str:
        text = self._text
        if self._kind == "s":
            at = int(text)
            if not 0 <= at < len(self._strings):
                raise self._at_fault("文字列がない", "its text is not there")
            return self._strings[at]
        if self._kind == "b":
            return "true" if text == "1" else "false"
        if self._kind == "e":
            raise self._at_fault("エラー値がある", f"an error value: {text}")
        return text.partition(".")[0] if self._kind == "n" and _DIGITS.fullmatch(text) else text

    def _at_fault(self, ja: str, en: str) -> TableError:
        heading = self._rows[0][self._column] if self._rows and self._column < len(self._rows[0]) else ""
        return TableError([TableFault(self._row, heading if heading in _HEADINGS else "", ja, en)])


_HEADINGS: Final = frozenset(column.heading for column in BY_ID.values())


def _number(letters: str) -> int:
    """`A` is 0, `AA` 26."""
    found = 0
    for letter in letters:
        found = found * 26 + ord(letter) - ord("A") + 1
    return found - 1


def _parse(
    content: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], Any] = lambda _: None,
    data: Callable[[str], None] = lambda _: None,
) -> None:
    """Elements without their namespace prefix. A document type declaration, and so every entity, is refused."""

    def refuse(*_: object) -> None:
        raise _refused("文書型宣言がある", "it has a document type declaration")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    parser.CharacterDataHandler = data
    try:
        parser.Parse(content, True)  # expat's own signature: this is all of it
    except (expat.ExpatError, ValueError):
        raise _refused("XML として読めない", "a part of it is not XML") from None


def _refused(ja: str, en: str) -> TableError:
    return TableError([TableFault(0, "", ja, en)])
