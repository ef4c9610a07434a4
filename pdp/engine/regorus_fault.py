"""What regorus says when it refuses something, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE: Final = re.compile(r"^--> (?P<file>.*):(?P<line>\d+):(?P<column>\d+)$", re.MULTILINE)
# The parser says some things in one line: `house/a.rego:4:16 error: …`.
_IN_LINE: Final = re.compile(r"^(?P<file>.*?):(?P<line>\d+):(?P<column>\d+) error: (?P<message>.*)", re.DOTALL)
_ERROR: Final = re.compile(r"^error: (?P<message>.*)", re.MULTILINE | re.DOTALL)
_MAX_MESSAGE: Final = 300
_TAB_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class RegorusFault:
    """`message` is one line; `file`, `line` and `column` (from 1) are known for faults in a module."""

    message: str
    file: str | None = None
    line: int = 0
    column: int = 0

    @property
    def where(self) -> str | None:
        return None if self.file is None else f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        return self.message if self.file is None else f"{self.where}: {self.message}"


def read_fault(text: str, modules: Mapping[str, str]) -> RegorusFault:
    """From `--> file:line:column`, an excerpt and `error: message`; from one line of it; or from any other text.

    `modules` are the texts by file name, by which the column is made one of characters.
    """
    in_line = _IN_LINE.match(text)
    error = in_line or _ERROR.search(text)
    message = " ".join((error["message"] if error else text).split())[:_MAX_MESSAGE] or "no reason was given"
    place = in_line or _PLACE.search(text)
    if place is None:
        return RegorusFault(message)
    file, line, column = place["file"], int(place["line"]), int(place["column"])
    return RegorusFault(message, file, line, _column_of_characters(modules.get(file, ""), line, column))


def _column_of_characters(text: str, line: int, column: int) -> int:
    """For regorus a tab is four columns, and any other character as many as it has bytes in UTF-8."""
    lines = text.split("\n")
    if not 0 < line <= len(lines):
        return column
    at = 1
    for number, character in enumerate(lines[line - 1], start=1):
        if at >= column:
            return number
        at += _TAB_COLUMNS if character == "\t" else len(character.encode())
    return len(lines[line - 1]) + 1
