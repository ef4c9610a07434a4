"""Where the store lies below a decision log's directory.

    store/manifest.db                     what counts: files, the segments in them, holds, removals (SQLite)
    store/rows/FROM-DIGEST.parquet        records, sorted by person and time
    store/hourly/FROM-DIGEST.parquet      the same records counted by hour
    store/tail/SEGMENT.FROM.TO.parquet    records of a segment that is not stored yet, by its bytes; derived
    store/tail.pieces                     names and digests of what lies in `tail`; derived
    store/manifest.db.seal                the manifest's digest (pdp.transparency.seal)
    store/compactor.lock                  held by the one process that writes here
    store/manifest.lock                   held by a process that changes the manifest

A file of `rows` or `hourly` that the manifest does not name is not there: left by a process that died.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.declog.disk import Disk


@dataclass(frozen=True, slots=True)
class Place:
    """`log` is the directory of the decision log."""

    log: Path

    @property
    def root(self) -> Path:
        return self.log / "store"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.db"

    @property
    def rows(self) -> Path:
        return self.root / "rows"

    @property
    def hourly(self) -> Path:
        return self.root / "hourly"

    @property
    def tail(self) -> Path:
        return self.root / "tail"

    @property
    def pieces(self) -> Path:
        return self.root / "tail.pieces"

    @property
    def lock(self) -> Path:
        return self.root / "compactor.lock"

    def make(self, disk: Disk) -> None:
        """Create the directories, durably and for the owner alone. Raises OSError."""
        for directory in (self.root, self.rows, self.hourly, self.tail):
            if not directory.exists():
                directory.mkdir(mode=0o700, exist_ok=True)
                disk.sync_directory(directory.parent)
