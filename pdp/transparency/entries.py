"""The lines of a ledger: the leaves of a node's tree, and its signed heads between them. Pure.

A leaf's data is its line as it stands, without the newline; a head is a leaf for the heads after it. Each
line has one form and no other: one key, compact JSON, the order of the fields below. So a changed byte is
a changed line, never another spelling.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

LEDGER_SCHEMA: Final = "sekisho.ledger/v1"

_ENCODE: Final = msgspec.json.Encoder().encode

State = Literal["open", "sealed", "recovered"]
"""`open`: still being written, or left by a process that died. The others are final: nothing is added after."""


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of each file, no leaf: where the tree stood. `number` counts the files of a node from 1."""

    schema: Literal["sekisho.ledger/v1"]
    node: str
    origin: str
    number: int
    size: int
    root: str


class KeyLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From here on this key signs (`NAME+ID+BASE64`). The first leaf of a tree names the first key."""

    key: str
    at: str


class SegmentLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stood in a segment at a moment: `root` is over its first `records` records (hex).

    `chain` is the chain value of the last line that was proven, hex; empty where none was. `note` is the
    SHA-256 of the recovery note, hex; empty where there is none.
    """

    segment: str
    state: State
    records: int
    root: str
    chain: str
    note: str
    at: str


class FileLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file that is written in place was sealed (`seal.py`): its path below the log, number and SHA-256."""

    file: str
    number: int
    sha256: str
    at: str


Leaf = KeyLeaf | SegmentLeaf | FileLeaf


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of these, and only one."""

    begin: Begin | None = None
    key: KeyLeaf | None = None
    segment: SegmentLeaf | None = None
    file: FileLeaf | None = None
    checkpoint: str | None = None

    @property
    def leaf(self) -> Leaf | None:
        return self.key or self.segment or self.file


_DECODE: Final = msgspec.json.Decoder(Line).decode


def line_of(leaf: Leaf) -> Line:
    match leaf:
        case KeyLeaf():
            return Line(key=leaf)
        case SegmentLeaf():
            return Line(segment=leaf)
    return Line(file=leaf)


def encode(line: Line) -> bytes:
    """Without a newline."""
    return _ENCODE(line)


def decode(raw: bytes) -> Line | None:
    """The line (without its newline), or None where it is not exactly what `encode` writes."""
    try:
        line = _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    parts = (line.begin, line.key, line.segment, line.file, line.checkpoint)
    return line if sum(part is not None for part in parts) == 1 and _ENCODE(line) == raw else None
