"""One line of a segment: its place, its link to the line before, and its body. Pure.

A line is `{"seq":N,"chain":"HEX","KIND":BODY}` and a newline, where KIND is `header`, `record` or
`footer` and BODY one JSON object, byte for byte as it was given. With `chain_before` the 32 bytes of the
line before (32 zero bytes before the first),

    chain = SHA-256(chain_before | KIND ":" N ":" BODY)

so a changed, lost, added or moved line no longer follows from the one before it. The chain shows faults
and unskilled hands; who can rewrite the file can rewrite the chain, which is why heads are to be
published elsewhere (log-store, section 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, cast

Kind = Literal["header", "record", "footer"]

GENESIS: Final = bytes(32)

# hashlib lets go of the interpreter lock for 2,048 bytes or more. Against a busy event loop the commit
# thread then waits a whole switch interval (5 ms) to get it back, once for each record.
_SLICE: Final = 2047
_WITH_IT: Final = _SLICE - 64  # of a body, beside its chain, kind and number: most records are hashed with one call

_SECTOR: Final = 512  # every file system's block is a multiple of it
_ZEROS: Final = re.compile(rb"\0+")
_SHAPE: Final = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,17}),"chain":"([0-9a-f]{64})","(header|record|footer)":(?=\{)')


@dataclass(frozen=True, slots=True)
class Line:
    seq: int
    chain: bytes  # 32 bytes
    kind: Kind
    body: bytes

    def follows(self, chain_before: bytes | None) -> bool:
        """Whether this line is the one that was written after the line with that chain; None: not known."""
        return chain_before is not None and link(chain_before, self.kind, self.seq, self.body) == self.chain


def link(chain_before: bytes, kind: Kind, seq: int, body: bytes) -> bytes:
    """The chain value of a line, 32 bytes."""
    digest = sha256(b"%b%b:%d:%b" % (chain_before, kind.encode(), seq, body[:_WITH_IT]))
    for start in range(_WITH_IT, len(body), _SLICE):
        digest.update(body[start : start + _SLICE])
    return digest.digest()


def frame(chain_before: bytes, kind: Kind, seq: int, body: bytes) -> tuple[bytes, bytes]:
    """The line with its newline, and its chain value for the next."""
    chain = link(chain_before, kind, seq, body)
    return b'{"seq":%d,"chain":"%b","%b":%b}\n' % (seq, chain.hex().encode(), kind.encode(), body), chain


def lacks_block(raw: bytes, start: int) -> bool:
    """Whether part of the line at `start` of its file never reached the disk: zeros up to the end of a sector.

    A power failure may keep a later block of one write and not an earlier one, where the length is already the new
    one. Nothing from there on was synced. One changed byte does not look so, but where it is a sector's last.
    """
    return b"\0" in raw and any((start + hole.end()) % _SECTOR == 0 for hole in _ZEROS.finditer(raw))


def parse(raw: bytes) -> Line | None:
    """A line by its shape alone, or None where it has another; `Line.follows` proves it."""
    shape = _SHAPE.match(raw)
    if shape is None or not raw.endswith(b"}}\n"):
        return None
    return Line(
        seq=int(shape[1]),
        chain=bytes.fromhex(shape[2].decode()),
        kind=cast("Kind", shape[3].decode()),
        body=raw[shape.end() : -2],
    )
