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
    """Every method blocks, may be called from any thread, and raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._pruned = 0
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

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
            self._db.close()

    def _has(self, digest: bytes) -> bool:
        return self._db.execute("SELECT 1 FROM seen WHERE digest = ?", (digest,)).fetchone() is not None
