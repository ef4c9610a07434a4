"""A unified diff as rows: the number of a line before and after, and whether it was added or removed. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_HEAD: Final = 2  # lines that name the two files


class DiffLine(NamedTuple):
    """`gap`: lines that are the same in both were left out here; `note`: a remark of the diff itself."""

    kind: Literal["added", "removed", "same", "gap", "note"]
    before: int | None
    after: int | None
    text: str


def lines_of(diff: str) -> Iterator[DiffLine]:
    """The rows of one file. Lines are told by their place in the hunk, so contents may look like anything."""
    before = after = old = new = 0
    for line in diff.split("\n")[_HEAD:]:
        sign, text = line[:1], line[1:]
        if old > 0 and sign == "-":
            yield DiffLine("removed", before, None, text)
            before, old = before + 1, old - 1
        elif new > 0 and sign == "+":
            yield DiffLine("added", None, after, text)
            after, new = after + 1, new - 1
        elif old > 0 and new > 0 and sign == " ":
            yield DiffLine("same", before, after, text)
            before, after, old, new = before + 1, after + 1, old - 1, new - 1
        elif (hunk := _HUNK.fullmatch(line)) is not None:
            before, after = int(hunk[1]), int(hunk[3])
            old, new = int(hunk[2] or 1), int(hunk[4] or 1)
            yield DiffLine("gap", None, None, line)
        elif line:
            yield DiffLine("note", None, None, text.strip() if sign == "\\" else line)
