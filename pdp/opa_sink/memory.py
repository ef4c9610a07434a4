"""What this host remembers of other OPAs: which of their decisions it has, and their last status. One SQLite file.

An OPA sends a chunk again until it hears a 2xx, so decisions come more than once. An id is remembered after its record
is durable, never before: what dies in between is recorded twice, and not lost. Records of one event have one
`request_id` and one caller, so that a reader can tell. Workers of one host share the file.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

KEPT_S: Final = 7 * 86_400  # an OPA whose buffer overflows drops the oldest long before
MOST_INSTANCES: Final = 1_000
_BUSY_S: Final = 5.0
_PRUNE_EVERY_S: Final = 600
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen (digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_at ON seen (at);
CREATE TABLE IF NOT EXISTS instances (
    caller TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (caller, id)
) WITHOUT ROWID;
"""


class Memory:
    """Every method blocks, may be called from any thread, and raises sqlite3.Error.

    The file is opened at the first use: a disk that is full keeps no service from deciding.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pruned = 0
        self._opened: sqlite3.Connection | None = None
        self._closed = False

    @property
    def _db(self) -> sqlite3.Connection:
        """Under the lock. One that could not be opened is tried again with the next use."""
        if self._closed:
            raise sqlite3.ProgrammingError("the memory is closed")
        if self._opened is None:
            self._opened = _open(self._path)
        return self._opened

    def known(self, digests: Collection[bytes]) -> set[bytes]:
        with self._lock:
            return {digest for digest in digests if self._has(digest)}

    def keep(self, digests: Iterable[bytes], at: int) -> None:
        """`at`: Unix seconds."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", [(digest, at) for digest in digests])
            if at - self._pruned >= _PRUNE_EVERY_S:
                self._pruned = at
                self._db.execute("DELETE FROM seen WHERE at < ?", (at - KEPT_S,))

    def report(self, caller: str, instance: str, at: int, document: str) -> None:
        """The last status of one OPA; the oldest are forgotten where there are too many."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?)", (caller, instance, at, document))
            self._db.execute(
                "DELETE FROM instances WHERE (caller, id) IN"
                " (SELECT caller, id FROM instances ORDER BY at DESC LIMIT -1 OFFSET ?)",
                (MOST_INSTANCES,),
            )

    def instances(self) -> list[tuple[str, str, int, str]]:
        """Caller, id, Unix seconds and document of each OPA, the latest first."""
        with self._lock, closing(self._db.execute("SELECT * FROM instances ORDER BY at DESC")) as rows:
            return rows.fetchall()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._opened is not None:
                self._opened.close()

    def _has(self, digest: bytes) -> bool:
        return self._db.execute("SELECT 1 FROM seen WHERE digest = ?", (digest,)).fetchone() is not None


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    except OSError as fault:
        raise sqlite3.OperationalError(f"its folder cannot be made: {fault.strerror}") from None
    try:
        path.chmod(0o600)
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = FULL")
        made.executescript(_SCHEMA)
    except OSError as fault:
        made.close()
        raise sqlite3.OperationalError(f"its file cannot be kept to its owner: {fault.strerror}") from None
    except sqlite3.Error:
        made.close()
        raise
    return made
