"""What `disk_shim.c` wrote down: every change below a directory and every answer, in the order in which they happened."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD: Final = struct.Struct("<BBHIQQQ")
_ID: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_SAID: Final = re.compile(rb"\+(%b)\n" % _ID)
_ANSWERED: Final = re.compile(rb"^x-decision-id: ([0-9a-f,-]+)\r$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """`op`: C created, D directory made, W written, T cut, R renamed, L linked, U removed, F and f sync begun and
    done (`token` joins them), S an answer is about to leave. `data` of R and L is the new name.
    """

    op: str
    path: str
    data: bytes
    inode: int
    offset: int
    token: int

    def answers(self) -> list[str]:
        """The ids of the decisions in an answer; none in any other entry."""
        if self.op != "S":
            return []
        if self.data.startswith(b"+"):
            return [found.decode() for found in _SAID.findall(self.data)]
        listed = b",".join(_ANSWERED.findall(self.data))
        return [found.decode() for found in re.findall(_ID, listed)]

    @property
    def head(self) -> str | None:
        """The line of an anchored head."""
        return self.data[1:].decode() if self.op == "S" and self.data.startswith(b'+{"checkpoint":') else None


def read_journal(path: Path) -> Iterator[Entry]:
    """Whole entries only: a process that was killed may have left half of one. Raises OSError."""
    raw = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(raw):
        op, _, path_len, data_len, inode, offset, token = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        if at + path_len + data_len > len(raw):
            return
        name = raw[at : at + path_len].decode()
        at += path_len
        yield Entry(chr(op), name, raw[at : at + data_len], inode, offset, token)
        at += data_len
