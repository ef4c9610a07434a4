"""The journal of imports: who brought which files, when, and what they changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select

from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.store.store import Store


class FileDigest(msgspec.Struct, frozen=True):
    """One file as it was read. `sha256` in hex, over its bytes."""

    name: str
    sha256: str
    bytes: int


class Counts(msgspec.Struct, frozen=True):
    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class ImportRun:
    """`mode` is merge, replace or demonstration; `epoch` the directory's after it; `counts` by register."""

    at: datetime
    actor: str
    mode: str
    epoch: int
    files: tuple[FileDigest, ...]
    counts: Mapping[str, Counts]


def record_run(connection: Connection, run: ImportRun) -> None:
    """Keep the run, in the transaction of the import itself: neither stands without the other."""
    row: dict[str, Any] = {
        "at": run.at,
        "actor": run.actor,
        "mode": run.mode,
        "epoch": run.epoch,
        "files": msgspec.json.encode(run.files).decode(),
        "counts": msgspec.json.encode(run.counts).decode(),
    }
    connection.execute(insert(tables.import_runs), row)


def latest_runs(store: Store, limit: int = 10) -> tuple[ImportRun, ...]:
    """The newest first. Raises DirectoryError."""
    with store.read() as connection:
        return read_runs(connection, limit)


def read_runs(connection: Connection, limit: int) -> tuple[ImportRun, ...]:
    t = tables.import_runs.c
    query = select(t.at, t.actor, t.mode, t.epoch, t.files, t.counts).order_by(t.id.desc()).limit(limit)
    return tuple(
        ImportRun(
            at=at,
            actor=actor,
            mode=mode,
            epoch=epoch,
            files=msgspec.json.decode(files, type=tuple[FileDigest, ...]),
            counts=msgspec.json.decode(counts, type=dict[str, Counts]),
        )
        for at, actor, mode, epoch, files, counts in connection.execute(query)
    )
