"""What counts in the store: a SQLite file that names the data files and the segments in them.

INVARIANT (exactly once): a segment's records are in the files of at most one row of `files`, and a segment is
in `segments` if and only if its records are. Both are written in one transaction, after the files are on the
disk; readers take both from one transaction.

A rollback journal and `synchronous = EXTRA`: a commit that returned survives a power failure, and between two
changes the file is whole by itself, so that its digest can be sealed (`pdp.transparency.seal`) and signed for.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.archive.sealed import SealedSegment
from pdp.declog.disk import Disk, PosixDisk
from pdp.declog.layout import segment_name
from pdp.declog.lock import try_lock
from pdp.errors import NotReadyError, SekishoError
from pdp.transparency.seal import changed_in_place, is_unsettled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pdp.declog.layout import SegmentName

_VERSION: Final = 1
_BUSY_S: Final = 10.0  # a reader's transaction takes milliseconds
_POLL_S: Final = 0.01
LOCK_NAME: Final = "manifest.lock"  # beside the file
_SCHEMA: Final = """
CREATE TABLE files (
    name TEXT PRIMARY KEY,
    tier TEXT NOT NULL CHECK (tier IN ('hot', 'archived', 'removed', 'replaced')),
    folder TEXT NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    hourly_sha256 TEXT NOT NULL,
    min_time INTEGER, max_time INTEGER,
    min_subject TEXT, max_subject TEXT,
    stored_at INTEGER NOT NULL
) STRICT;
CREATE TABLE segments (
    name TEXT PRIMARY KEY,
    file TEXT NOT NULL REFERENCES files (name),
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    records INTEGER NOT NULL,
    records_sha256 TEXT NOT NULL,
    first_seq INTEGER, last_seq INTEGER,
    whole INTEGER NOT NULL,
    header BLOB, footer BLOB,
    ndjson_removed_at INTEGER
) STRICT;
CREATE INDEX segments_by_file ON segments (file);
CREATE TABLE holds (
    id INTEGER PRIMARY KEY,
    case_number TEXT NOT NULL,
    subject_id TEXT,
    since INTEGER, until INTEGER,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL, placed_at INTEGER NOT NULL,
    lifted_by TEXT, lifted_at INTEGER, lift_reason TEXT
) STRICT;
CREATE TABLE removals (
    file TEXT NOT NULL,
    records INTEGER NOT NULL,
    min_time INTEGER, max_time INTEGER,
    removed_at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
"""

Tier = Literal["hot", "archived"]
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times of the store are UTC without an offset


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of records and, under the same name, its hourly counts. Times are UTC without an offset."""

    name: str
    tier: Tier
    folder: str  # where `rows` and `hourly` are; empty: in the store itself
    records: int
    bytes: int
    sha256: str
    hourly_sha256: str
    min_time: datetime | None
    max_time: datetime | None
    min_subject: str | None
    max_subject: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing that it names is removed until it is lifted. No person: everybody; no bound: always."""

    case_number: str
    subject_id: str | None
    since: datetime | None
    until: datetime | None
    reason: str
    placed_by: str
    placed_at: datetime
    id: int = 0
    lifted_at: datetime | None = None


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of a time in UTC, with or without its offset."""
    naive = instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
    span = naive - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def instant(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


class Manifest:
    """Each call is one transaction of its own connection: processes and threads may share it.

    Raises NotReadyError where the file cannot be used. `path` is created with the first write only where
    `create` was called.
    """

    def __init__(self, path: Path, *, disk: Disk | None = None) -> None:
        self._path = path
        self._disk: Final = disk or PosixDisk()

    def exists(self) -> bool:
        """Whether anything was ever entered here; not while another process is making the file."""
        if not self._path.exists():
            return False
        with self._connected() as connection:
            return bool(connection.execute("PRAGMA user_version").fetchone()[0])

    def create(self) -> None:
        """Make the file where there is none, and seal it where nobody did. The caller holds the compactor's lock."""
        if self.exists() and not is_unsettled(self._path):
            return
        with self._writing() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            self._path.chmod(0o600)

    # -- reading ---------------------------------------------------------------------------------------

    def look(self, names: Iterable[str] = ()) -> tuple[list[StoredFile], frozenset[str]]:
        """The files that count, the newest first, and which of these segments were ever stored: in one transaction."""
        if not self.exists():
            return [], frozenset()
        with self._reading() as connection:
            files = connection.execute(
                "SELECT name, tier, folder, records, bytes, sha256, hourly_sha256, min_time, max_time, min_subject,"
                " max_subject FROM files WHERE tier IN ('hot', 'archived') ORDER BY max_time DESC, name"
            ).fetchall()
            stored = connection.execute(
                "SELECT s.name FROM json_each(?) AS asked CROSS JOIN segments AS s ON s.name = asked.value",
                [json.dumps(list(names))],
            ).fetchall()
        return [_file(row) for row in files], frozenset(name for (name,) in stored)

    def files(self) -> list[StoredFile]:
        """The files that count, the newest first."""
        return self.look()[0]

    def file_of(self, segment: str) -> str | None:
        """The file that the segment's records are in, or were; None where it was never stored."""
        if not self.exists():
            return None
        with self._reading() as connection:
            row = connection.execute("SELECT file FROM segments WHERE name = ?", [segment]).fetchone()
        return None if row is None else str(row[0])

    def gone(self) -> list[tuple[str, str]]:
        """(folder, name) of files that count no more."""
        if not self.exists():
            return []
        with self._reading() as connection:
            return connection.execute("SELECT folder, name FROM files WHERE tier IN ('removed', 'replaced')").fetchall()

    def segments_of(self, file: str) -> list[SealedSegment]:
        """What was stored in one file, in the order of writing."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, sha256, bytes, records, records_sha256, first_seq, last_seq, whole, header, footer"
                " FROM segments WHERE file = ? ORDER BY name",
                [file],
            ).fetchall()
        return [_segment(row) for row in rows]

    def overview(self) -> list[tuple[object, ...]]:
        """Of every segment: name, records, first and last number, whole, file, its tier, when removed."""
        if not self.exists():
            return []
        with self._reading() as connection:
            return connection.execute(
                "SELECT s.name, s.records, s.first_seq, s.last_seq, s.whole, s.file, f.tier, s.ndjson_removed_at"
                " FROM segments s JOIN files f ON f.name = s.file ORDER BY s.name"
            ).fetchall()

    def holds(self, *, lifted: bool = False) -> list[Hold]:
        """The holds that stand; with `lifted` also those that were."""
        if not self.exists():
            return []
        with self._reading() as connection:
            return holds_in(connection, lifted=lifted)

    # -- writing ---------------------------------------------------------------------------------------

    def add(self, file: StoredFile, segments: Sequence[SealedSegment], now: datetime) -> None:
        """A file and the segments in it, once both its parts are on the disk."""
        with self._writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            self.insert_file(connection, file, now)
            connection.executemany(
                "INSERT INTO segments (name, file, sha256, bytes, records, records_sha256, first_seq, last_seq, whole,"
                " header, footer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        str(s.name),
                        file.name,
                        s.sha256,
                        s.size,
                        s.records,
                        s.records_sha256,
                        s.first_seq,
                        s.last_seq,
                        int(s.whole),
                        s.header,
                        s.footer,
                    )
                    for s in segments
                ],
            )

    def replace(self, old: Sequence[StoredFile], new: StoredFile, now: datetime) -> None:
        """One file in the place of several: the same segments, proven again."""
        with self._writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            self.insert_file(connection, new, now)
            for file in old:
                connection.execute("UPDATE segments SET file = ? WHERE file = ?", [new.name, file.name])
                connection.execute("UPDATE files SET tier = 'replaced' WHERE name = ?", [file.name])

    @staticmethod
    def insert_file(connection: sqlite3.Connection, file: StoredFile, now: datetime) -> None:
        connection.execute(
            "INSERT INTO files (name, tier, folder, records, bytes, sha256, hourly_sha256, min_time, max_time,"
            " min_subject, max_subject, stored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                file.name,
                file.tier,
                file.folder,
                file.records,
                file.bytes,
                file.sha256,
                file.hourly_sha256,
                None if file.min_time is None else micros(file.min_time),
                None if file.max_time is None else micros(file.max_time),
                file.min_subject,
                file.max_subject,
                micros(now),
            ],
        )

    def moved(self, file: StoredFile, folder: str) -> None:
        """The file is archived, in this folder."""
        with self._writing() as connection, connection:
            connection.execute("UPDATE files SET tier = 'archived', folder = ? WHERE name = ?", [folder, file.name])

    def removed(self, file: StoredFile, now: datetime, reason: str) -> None:
        """The file counts no more; it may go from the disk after this. Raises NotReadyError where a hold names it.

        The holds are looked at in the same transaction: one that was placed a moment ago is honoured.
        """
        with self._writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            if any(covers(hold, file) for hold in holds_in(connection, lifted=False)):
                raise NotReadyError(f"a legal hold keeps `{file.name}`")
            connection.execute("UPDATE files SET tier = 'removed' WHERE name = ?", [file.name])
            times = [None if t is None else micros(t) for t in (file.min_time, file.max_time)]
            connection.execute(
                "INSERT INTO removals (file, records, min_time, max_time, removed_at, reason)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [file.name, file.records, *times, micros(now), reason],
            )

    def ndjson_removed(self, names: Iterable[str], now: datetime) -> None:
        with self._writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE segments SET ndjson_removed_at = ? WHERE name = ?", [(micros(now), name) for name in names]
            )

    def place_hold(self, hold: Hold) -> int:
        """Its number."""
        with self._writing() as connection, connection:
            bounds = [None if bound is None else micros(bound) for bound in (hold.since, hold.until)]
            cursor = connection.execute(
                "INSERT INTO holds (case_number, subject_id, since, until, reason, placed_by, placed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [hold.case_number, hold.subject_id, *bounds, hold.reason, hold.placed_by, micros(hold.placed_at)],
            )
        return int(cursor.lastrowid or 0)

    def lift_hold(self, number: int, *, by: str, now: datetime, reason: str) -> bool:
        """False where no such hold stands. The row stays."""
        with self._writing() as connection, connection:
            cursor = connection.execute(
                "UPDATE holds SET lifted_by = ?, lifted_at = ?, lift_reason = ? WHERE id = ? AND lifted_at IS NULL",
                [by, micros(now), reason, number],
            )
        return cursor.rowcount == 1

    # -- connections -----------------------------------------------------------------------------------

    @contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """One transaction that reads, for what keeps tables of its own in the manifest."""
        with self._reading() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that writes, likewise; whatever is raised in it takes all of it back."""
        with self._writing() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                raise NotReadyError(f"the store's manifest has version {version}; this program reads {_VERSION}")
            yield connection
            connection.rollback()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self.held(), changed_in_place(self._disk, self._path):
            fault: SekishoError | None = None
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("PRAGMA foreign_keys = ON")
                try:
                    yield connection
                except SekishoError as refused:  # rolled back: the file is whole, and is sealed as it is
                    fault = refused
        if fault is not None:
            raise fault

    @contextmanager
    def held(self, wait_s: float = _BUSY_S) -> Iterator[None]:
        """Nobody changes the file or its seal meanwhile. Raises NotReadyError where that is not had in time."""
        deadline = time.monotonic() + wait_s
        while (lock := try_lock(self._path.with_name(LOCK_NAME))) is None:
            if time.monotonic() > deadline:
                raise NotReadyError("the store's manifest is being changed by another process")
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as fault:
            raise NotReadyError(f"the store's manifest cannot be used: {fault}") from None


def _file(row: tuple[Any, ...]) -> StoredFile:
    name, tier, folder, records, size, digest, hourly_digest, earliest, latest, first, last = row
    return StoredFile(
        name, tier, folder, records, size, digest, hourly_digest, instant(earliest), instant(latest), first, last
    )


def _segment(row: tuple[Any, ...]) -> SealedSegment:
    name, digest, size, records, records_digest, first_seq, last_seq, whole, header, footer = row
    return SealedSegment(
        _name(name), digest, size, records, records_digest, first_seq, last_seq, bool(whole), header, footer
    )


def holds_in(connection: sqlite3.Connection, *, lifted: bool) -> list[Hold]:
    rows = connection.execute(
        "SELECT case_number, subject_id, since, until, reason, placed_by, placed_at, id, lifted_at FROM holds"
        " WHERE ? OR lifted_at IS NULL ORDER BY id",
        [lifted],
    ).fetchall()
    return [
        Hold(r[0], r[1], instant(r[2]), instant(r[3]), r[4], r[5], instant(r[6]) or _EPOCH, r[7], instant(r[8]))
        for r in rows
    ]


def _name(text: str) -> SegmentName:
    name = segment_name(text)
    if name is None:
        raise NotReadyError(f"the store's manifest names `{text}`, which is no segment")
    return name


def covers(hold: Hold, file: StoredFile) -> bool:
    """Whether a hold may name a record of the file, by the file's bounds alone: in doubt it does."""
    if hold.since is not None and file.max_time is not None and file.max_time < hold.since:
        return False
    if hold.until is not None and file.min_time is not None and file.min_time >= hold.until:
        return False
    if hold.subject_id is None:
        return True
    # A pseudonym or nothing in the place of a name may stand for anybody, and so may what lies beside it in the file.
    bounds = (file.min_subject, file.max_subject)
    if any(bound is None or bound.startswith("p:") for bound in bounds):
        return True
    return str(bounds[0]) <= hold.subject_id <= str(bounds[1])
