"""Faults of the files to import: all of them, with their place, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_FAULTS: Final = 1_000  # beyond it the file is of another kind; the rest is counted
_SHOWN: Final = 60
ALL_FILES: Final = "(all files)"
THE_DIRECTORY: Final = "(the directory)"  # the place of a row that the files do not bring


@dataclass(frozen=True, slots=True)
class Fault:
    """`line` counts from 1 and is where the row begins; `column` is the heading or key as the file writes it."""

    file: str
    line: int | None
    column: str | None
    message: str
    next_step: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        column = "" if self.column is None else f" {self.column}:"
        return f"{place}:{column} {self.message}; {self.next_step}"


class Wrong(ValueError):  # noqa: N818  # it says what it says: this value is wrong
    """A value that cannot be used. Never leaves `pdp.directory.files`: it becomes a Fault with its place."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class Faults:
    """Collects faults in the order in which they are found."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []
        self.count = 0

    def add(self, fault: Fault) -> None:
        self.count += 1
        if len(self._kept) < MAX_FAULTS:
            self._kept.append(fault)

    @property
    def kept(self) -> tuple[Fault, ...]:
        """The first 1,000, by file and line."""
        return tuple(sorted(self._kept, key=lambda fault: (fault.file, fault.line or 0)))

    def __bool__(self) -> bool:
        return self.count > 0


def shown(value: object) -> str:
    """A value in backticks as a message may repeat it: short, and on one line."""
    text = str(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "`" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + "`"
