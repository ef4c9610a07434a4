"""How the store is, in a small file beside the log: for the metrics and the doctor of a service that does not look.

    STATE/compactor.json     written by `pdp audit compact` after each round

It is news, and nothing rests on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.declog.disk import PosixDisk, write_durably
from pdp.declog.marks import rfc3339

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pdp.archive.keeper import Kept
    from pdp.archive.store import LocalStore

SCHEMA: Final = "sekisho.compactor/v1"
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class StoreStanding(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: the end of the last round, RFC 3339. `oldest`: when the oldest segment that is not stored was begun.

    `unshipped` segments were due to be removed and wait for a log target.
    """

    schema: Literal["sekisho.compactor/v1"] = SCHEMA
    at: str
    files: int
    records: int
    bytes: int
    waiting: int
    oldest: str
    unshipped: int


def standing_path(state: Path) -> Path:
    return state / "compactor.json"


def read_standing(state: Path) -> StoreStanding | None:
    """None where there was no round yet, or the file is not whole: the next round writes it anew. Raises OSError."""
    try:
        return msgspec.json.decode(standing_path(state).read_bytes(), type=StoreStanding)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_standing(state: Path, store: LocalStore, kept: Kept, now: datetime) -> None:
    """Raises OSError, NotReadyError."""
    files, waiting = store.manifest.files(), store.waiting()
    standing = StoreStanding(
        at=rfc3339(now),
        files=len(files),
        records=sum(file.records for file in files),
        bytes=sum(file.bytes for file in files),
        waiting=len(waiting),
        oldest=rfc3339(waiting[0].created_at) if waiting else "",
        unshipped=kept.waiting,
    )
    write_durably(PosixDisk(), standing_path(state), _encode(standing))
