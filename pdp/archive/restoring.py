"""A segment from the store as it was, byte for byte: for proofs, and for whoever rebuilds another store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from pdp.archive.columns import body_of, rows_of
from pdp.archive.datafile import prove_file
from pdp.archive.schema import INDEX
from pdp.archive.sealed import lines_again, prove
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from pdp.archive.store import LocalStore


def segment_again(store: LocalStore, name: str) -> bytes | None:
    """The file of a stored segment; None where the store never had it.

    Raises RecordDamagedError where the store does not give it back as it was, NotReadyError where it was
    removed, or was damaged already when it was stored.
    """
    within = store.manifest.file_of(name)
    if within is None:
        return None
    file = next((file for file in store.manifest.files() if file.name == within), None)
    if file is None:
        raise NotReadyError(f"the records of `{name}` were removed when their time had passed")
    segment = next(s for s in store.manifest.segments_of(file.name) if str(s.name) == name)
    if not segment.whole or segment.header is None:
        raise NotReadyError(f"`{name}` was damaged when it was stored; only the segment itself shows how")
    table = pq.read_table(store.rows_path(file), filters=[("segment", "=", name)], partitioning=None)
    rows = list(rows_of(table.sort_by("seq")))
    prove(segment, rows)
    pairs = [(row[INDEX["seq"]], body_of(row)) for row in rows]
    return b"".join(lines_again(segment.header, pairs, segment.footer))


def prove_store(store: LocalStore) -> tuple[int, list[str]]:
    """Derive every stored segment again. Gives the number of records proven, and the files that do not hold."""
    proven, broken = 0, []
    for file in store.manifest.files():
        try:
            prove_file(store.rows_path(file), store.manifest.segments_of(file.name))
            proven += file.records
        except Exception:  # noqa: BLE001  # what was altered can be read as anything, and every reader fails its own way
            broken.append(file.name)
    return proven, broken


def stored_names(store: LocalStore) -> frozenset[str]:
    """Segments that are missing among the log's files on purpose: stored whole, and removed since."""
    return frozenset(str(row[0]) for row in store.manifest.overview() if row[7] is not None)
