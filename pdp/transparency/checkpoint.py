"""C2SP checkpoints: the head of a tree as the text of a signed note. Source: c2sp.org/tlog-checkpoint.

ORIGIN
SIZE
BASE64(root)
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_ROOT_BYTES: Final = 32
_LINES: Final = 3  # extension lines are not recommended, ours have none, and none is taken


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin` says which log; `size` counts its leaves; `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint | None:
    """What the text of a note says, or None where it is no checkpoint of three lines."""
    lines = text.split("\n")
    if len(lines) != _LINES + 1 or lines[-1] or not lines[0] or _SIZE.fullmatch(lines[1]) is None:
        return None
    try:
        root = b64decode(lines[2], validate=True)
    except (Base64Error, ValueError):
        return None
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    return checkpoint if len(root) == _ROOT_BYTES and checkpoint.text == text else None
