"""What regorus says when it refuses something, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PLACE: Final = re.compile(r"^--> (?P<file>.*):(?P<line>\d+):(?P<column>\d+)$", re.MULTILINE)
_ERROR: Final = re.compile(r"^error: (?P<message>.*)", re.MULTILINE | re.DOTALL)
_MAX_MESSAGE: Final = 300


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


def read_fault(text: str) -> RegorusFault:
    """From `--> file:line:column`, an excerpt of the source and `error: message`; or from any other text."""
    error = _ERROR.search(text)
    message = " ".join((error["message"] if error else text).split())[:_MAX_MESSAGE] or "no reason was given"
    place = _PLACE.search(text)
    if place is None:
        return RegorusFault(message)
    return RegorusFault(message, place["file"], int(place["line"]), int(place["column"]))
