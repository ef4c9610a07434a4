"""The manifest as a SQLite file: made, locked, changed in place under its seal.

A rollback journal and `synchronous = EXTRA`: a commit that returned survives a power failure, and between two
changes the file is whole by itself, so that its digest can be sealed (`pdp.transparency.seal`) and signed for.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from pdp.declog.disk import Disk, PosixDisk
from pdp.declog.lock import held_lock
from pdp.errors import NotReadyError, SekishoError
from pdp.transparency.seal import changed_in_place, foreign_journal, is_unsettled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION: Final = 1
_BUSY_S: Final = 10.0  # a reader's transaction takes milliseconds
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
    whole INTEGER NOT NULL, -- 0: damaged; 1; 2: whole, and some of its records count in another segment
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


class ManifestFile:
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
        late = NotReadyError("the store's manifest is being changed by another process")
        with held_lock(self._path.with_name(LOCK_NAME), wait_s=wait_s, late=late):
            yield

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if foreign_journal(self._path) is not None:  # who opens the file would write it in, and readers do it too
            raise NotReadyError("beside the store's manifest lies a journal that is not its own: `pdp audit verify`")
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as fault:
            raise NotReadyError(f"the store's manifest cannot be used: {fault}") from None
