"""What stands at the two ends of a segment, and in the note beside one that nobody ended.

A reader ignores keys that it does not know, and older segments lack those that have a default.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

SEGMENT_SCHEMA: Final = "sekisho.segment/v1"
RECOVERY_SCHEMA: Final = "sekisho.recovery/v1"

_ENCODE: Final = msgspec.json.Encoder().encode

Ended = Literal["sealed", "abandoned", "recovered"]
SealCause = Literal["size", "age", "close"]
LeftBehind = Literal["", "new", "unread", "waits"]


class Previous(msgspec.Struct, frozen=True):
    """The segment that this worker wrote before, in this epoch or an earlier one.

    `sealed`: it ends with a footer. `abandoned`: a write or a sync failed, the file was left, and what
    stands in it after `seq` was never answered. `recovered`: its process died; `seq` is the last whole
    record found. `chain` is the hex chain value of the footer, or else of that record.
    """

    segment: str
    seq: int
    chain: str
    ended: Ended


class Header(msgspec.Struct, frozen=True):
    """`last_seq` is the last number given away before: it lies above `previous.seq` by the number of
    records that failed with the previous segment. `again` of them are written anew in this one, under new
    numbers; the others were refused. The failed file may still hold them.

    `refuge`: segments of this worker may lie in its refuge that belong before this one. `new`: there was none, and
    it was made; `unread`: it could not be read; `waits`: what is there comes home later. `previous` is then the last
    that was known of.
    """

    schema: Literal["sekisho.segment/v1"]
    segment: str
    node: str
    worker: str
    epoch: str
    number: int
    created: str
    durability: Literal["power", "process"]
    last_seq: int
    previous: Previous | None
    again: int = 0
    refuge: LeftBehind = ""


class Footer(msgspec.Struct, frozen=True):
    """`root` is the Merkle root over the records (RFC 6962; a leaf is a record's bytes), hex; older ones lack it."""

    schema: Literal["sekisho.segment/v1"]
    segment: str
    records: int
    first_seq: int | None
    last_seq: int
    created: str
    sealed: str
    cause: SealCause
    root: str | None = None


class Recovery(msgspec.Struct, frozen=True):
    """The end of a segment that its process could not seal. `chain` is hex, None for an empty file.

    `bytes` is the length of the whole lines; `torn_bytes` were cut off and lie in `torn/`.
    `damaged_lines` counts whole lines that do not follow from the one before; they stay where they are.
    """

    schema: Literal["sekisho.recovery/v1"]
    segment: str
    recovered: str
    by: str
    records: int
    first_seq: int | None
    last_seq: int
    chain: str | None
    bytes: int
    torn_bytes: int
    torn_sha256: str | None
    damaged_lines: int
    first_damaged_line: int | None


def rfc3339(instant: datetime) -> str:
    """UTC with six decimals and `Z`: one width, so that texts sort as times. The instant must be aware."""
    return rfc3339_json(instant)[1:-1].decode()


def rfc3339_json(instant: datetime) -> bytes:
    """The same as a JSON string."""
    if instant.tzinfo is None:
        raise ValueError("a time needs its offset")
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    text = _ENCODE(utc)  # a quarter of the time of `isoformat`, but no decimals where they are all 0
    return text if utc.microsecond else text[:-2] + b'.000000Z"'
