"""What counts in the store: a SQLite file that names the data files and the segments in them.

INVARIANT (exactly once): a segment's records are in the files of at most one row of `files`, and a segment is
in `segments` if and only if its records are. Both are written in one transaction, after the files are on the
disk; readers take both from one transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pdp.archive.entries import WHOLE, WITH_TWINS, covers, file_in, holds_in, micros, segment_in
from pdp.archive.manifest_file import ManifestFile
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pdp.archive.entries import Hold, StoredFile
    from pdp.archive.sealed import SealedSegment


class Manifest(ManifestFile):
    """What is asked of it and entered in it: each call is one transaction. Raises NotReadyError as its file does."""

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
        return [file_in(row) for row in files], frozenset(name for (name,) in stored)

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
        return [segment_in(row) for row in rows]

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
                        (WITH_TWINS if s.has_twins else WHOLE) if s.whole else 0,
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
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("UPDATE files SET tier = 'removed' WHERE name = ?", [file.name])
            # The first and the last person of files that are gone are names too.
            connection.execute(
                "UPDATE files SET min_subject = NULL, max_subject = NULL WHERE tier IN ('removed', 'replaced')"
            )
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
