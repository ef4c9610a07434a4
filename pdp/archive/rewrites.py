"""Which stored files hold pseudonyms in the place of their records, by which rules, and what proves the records.

Two tables of the manifest, made with the first rewriting. A rewritten file has a column more, `leaf`: the RFC 6962
leaf hash of each record as it was appended. The root over a segment's leaves is entered here too, so that the
leaves themselves are held against something, also where nobody signs for the log. Leaves of records that count in
another segment, and so have no row in the file of this one, stand in a third table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pdp.archive.entries import covers, holds_in, micros
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.merkle import root_of
from pdp.transparency.follower import Leaves

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pdp.archive.entries import StoredFile
    from pdp.archive.manifest import Manifest
    from pdp.archive.sealed import SealedSegment

LEAF: Final = "leaf"
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times of the store are UTC without an offset
_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS rewrites (file TEXT PRIMARY KEY, original TEXT NOT NULL, rules TEXT NOT NULL,
    rules_sha256 TEXT NOT NULL, key_epoch INTEGER, records INTEGER NOT NULL, blanked INTEGER NOT NULL,
    rewritten_at INTEGER NOT NULL, rewritten_by TEXT NOT NULL) STRICT""",
    "CREATE TABLE IF NOT EXISTS leaf_roots (segment TEXT PRIMARY KEY, root TEXT NOT NULL) STRICT",
)
_TWINS: Final = (
    "CREATE TABLE IF NOT EXISTS leaf_twins (segment TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT, leaf BLOB NOT NULL,"
    " PRIMARY KEY (segment, seq)) STRICT"
)


class Twin(NamedTuple):
    """The leaf of a record without a row in its segment's file, because it counts in another (`pdp.archive.twins`)."""

    seq: int
    id: str | None
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What became of one file. `rules` is JSON; `blanked` counts records of which nothing but the frame was kept."""

    file: str
    original: str
    rules: str
    rules_sha256: str
    key_epoch: int | None
    records: int
    blanked: int
    at: datetime  # UTC without an offset
    by: str


class Rewrites:
    """Each call is one transaction of the manifest. Raises NotReadyError as the manifest does."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest: Final = manifest

    def known(self) -> list[Rewrite]:
        """Of the files that count, the oldest first."""
        if not self._manifest.exists():
            return []
        with self._manifest.looking() as connection:
            if not _has_tables(connection):
                return []
            rows = connection.execute(
                "SELECT r.file, r.original, r.rules, r.rules_sha256, r.key_epoch, r.records, r.blanked, r.rewritten_at,"
                " r.rewritten_by FROM rewrites r JOIN files f ON f.name = r.file WHERE f.tier IN ('hot', 'archived')"
                " ORDER BY f.min_time, r.file"
            ).fetchall()
        return [_rewrite(row) for row in rows]

    def roots(self, segments: Sequence[str]) -> dict[str, str]:
        """Of these segments, the roots over the leaves of those that were rewritten."""
        if not self._manifest.exists():
            return {}
        with self._manifest.looking() as connection:
            if not _has_tables(connection):
                return {}
            found = {
                name: connection.execute("SELECT root FROM leaf_roots WHERE segment = ?", [name]).fetchone()
                for name in segments
            }
        return {name: row[0] for name, row in found.items() if row is not None}

    def twins(self, segments: Sequence[str]) -> dict[str, list[Twin]]:
        """Of these segments, those that were rewritten without the rows of some records: the leaves of these."""
        if not self._manifest.exists():
            return {}
        with self._manifest.looking() as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'leaf_twins'").fetchone()[0]:
                return {}
            found = {
                name: connection.execute(
                    "SELECT seq, id, leaf FROM leaf_twins WHERE segment = ? ORDER BY seq", [name]
                ).fetchall()
                for name in segments
            }
        return {name: [Twin(*row) for row in rows] for name, rows in found.items() if rows}

    def enter(  # noqa: PLR0913  # each is one fact of what is entered
        self,
        old: StoredFile,
        new: StoredFile,
        rewrite: Rewrite,
        *,
        roots: Mapping[str, str],
        twins: Mapping[str, Sequence[Twin]],
        now: datetime,
    ) -> None:
        """The new file counts in the place of the old one, and its segments lie nowhere else any more.

        Raises NotReadyError where a hold names the old file: one that was placed a moment ago is honoured.
        """
        with self._manifest.changing() as connection:
            if any(covers(hold, old) for hold in holds_in(connection, lifted=False)):
                raise NotReadyError(f"a legal hold keeps `{old.name}`")
            connection.execute("PRAGMA secure_delete = ON")
            for table in (*_TABLES, _TWINS):
                connection.execute(table)
            self._manifest.insert_file(connection, new, now)
            connection.execute("UPDATE segments SET file = ? WHERE file = ?", [new.name, old.name])
            connection.execute("UPDATE files SET tier = 'replaced' WHERE name = ?", [old.name])
            # The first and the last person of a file that is gone are names too.
            connection.execute(
                "UPDATE files SET min_subject = NULL, max_subject = NULL WHERE tier IN ('removed', 'replaced')"
            )
            # Entered before they go: a segment that is missing and not entered as removed was taken by somebody else.
            connection.execute(
                "UPDATE segments SET ndjson_removed_at = coalesce(ndjson_removed_at, ?) WHERE file = ?",
                [micros(now), new.name],
            )
            connection.execute(
                "INSERT INTO rewrites VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    rewrite.file, rewrite.original, rewrite.rules, rewrite.rules_sha256, rewrite.key_epoch,
                    rewrite.records, rewrite.blanked, micros(now), rewrite.by,
                ],
            )  # fmt: skip
            connection.executemany("INSERT OR REPLACE INTO leaf_roots VALUES (?, ?)", list(roots.items()))
            connection.executemany(
                "INSERT OR REPLACE INTO leaf_twins VALUES (?, ?, ?, ?)",
                [(name, *twin) for name, ones in twins.items() for twin in ones],
            )

    def segments(self) -> frozenset[str]:
        """Every segment whose records were rewritten."""
        if not self._manifest.exists():
            return frozenset()
        with self._manifest.looking() as connection:
            rows = connection.execute("SELECT segment FROM leaf_roots").fetchall() if _has_tables(connection) else []
        return frozenset(name for (name,) in rows)


def _rewrite(row: tuple[Any, ...]) -> Rewrite:
    file, original, rules, digest, epoch, records, blanked, at, by = row
    return Rewrite(file, original, rules, digest, epoch, records, blanked, _EPOCH + timedelta(microseconds=at), by)


def _has_tables(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('rewrites', 'leaf_roots')").fetchone()
    return bool(found[0] == len(_TABLES))


def is_rewritten(path: Path) -> bool:
    """Whether a stored file has the column of leaves. Raises OSError."""
    return LEAF in pq.read_schema(path).names


def leaves_of(path: Path, segment: str, root: str, twins: Sequence[Twin]) -> Leaves:
    """What is left of one segment, in the order of its records. Raises RecordDamagedError, OSError."""
    table = pq.read_table(path, columns=["seq", "id", LEAF], filters=[("segment", "=", segment)], partitioning=None)
    table = table.sort_by("seq")
    ids = table["id"].combine_chunks()
    ids = ids.storage if isinstance(ids, pa.ExtensionArray) else ids
    texts = [None if raw is None else str(UUID(bytes=raw)) for raw in ids.to_pylist()]
    rows = zip(table["seq"].to_pylist(), texts, map(bytes, table[LEAF].to_pylist()), strict=True)
    records = sorted([*map(Twin._make, rows), *twins])
    leaves = Leaves(
        tuple(record.leaf for record in records),
        tuple(record.id for record in records),
        records[0].seq if records else 1,
    )
    if root_of(leaves.hashes).hex() != root:
        raise RecordDamagedError(f"the rewritten file `{path.name}` does not prove segment `{segment}`")
    return leaves


def prove_rewritten(
    path: Path,
    segments: Sequence[SealedSegment],
    roots: Mapping[str, str],
    twins: Mapping[str, Sequence[Twin]],
) -> None:
    """Hold the leaves of a rewritten file against what was entered. Raises RecordDamagedError, OSError.

    This shows that the hashes of the records are those of then. What the other columns say is proven by nothing but
    the digest of the file: the records themselves are gone, and that is the purpose.
    """
    table = pq.read_table(path, columns=["segment", "seq", LEAF], partitioning=None)
    if table.num_rows != sum(segment.records for segment in segments):
        raise RecordDamagedError(f"the rewritten file `{path.name}` holds other records than it was given")
    table = table.sort_by([("segment", "ascending"), ("seq", "ascending")])
    names = table["segment"].cast(pa.string())
    for segment in segments:
        rows = table.filter(pc.equal(names, str(segment.name)))
        seqs, leaves = rows["seq"].to_pylist(), [bytes(leaf) for leaf in rows[LEAF].to_pylist()]
        ends = (seqs[0], seqs[-1]) if seqs else (None, None)
        elsewhere = [(twin.seq, twin.leaf) for twin in twins.get(str(segment.name), ())]
        all_leaves = [leaf for _, leaf in sorted([*zip(seqs, leaves, strict=True), *elsewhere])]
        if (
            len(seqs) != segment.records
            or ends != (segment.first_seq, segment.last_seq)
            or root_of(all_leaves).hex() != roots.get(str(segment.name))
        ):
            raise RecordDamagedError(f"the rewritten file `{path.name}` does not prove segment `{segment.name}`")
