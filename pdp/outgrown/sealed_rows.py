"""The records of a sealed segment, from the segment itself, else from the store that gave its file up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pdp.archive.arrow_schema import STORED
from pdp.archive.rewrites import Rewrites, leaves_of
from pdp.archive.sealed import prove, read_sealed
from pdp.archive.twins import passed_over
from pdp.declog.layout import SEALED, segment_name
from pdp.errors import NotReadyError, RecordDamagedError

if TYPE_CHECKING:
    from pdp.archive.sealed import SealedSegment
    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName


def sealed_names(store: LocalStore) -> list[SegmentName]:
    """Every sealed segment whose records can be had here, the oldest first. Raises NotReadyError, OSError."""
    names = set(store.layout.names(SEALED))
    for file in store.manifest.files():
        names.update(segment.name for segment in store.manifest.segments_of(file.name))
    return sorted(names, key=lambda name: (name.created, name))


def sealed_rows(store: LocalStore, name: SegmentName) -> tuple[SealedSegment, pa.Table]:
    """The segment and its proven records, in the order of their numbers and in the in-memory schema.

    Raises NotReadyError where nobody has it, RecordDamagedError where the store does not give it back, OSError.
    """
    path = store.layout.sealed_path(name)
    try:
        return read_sealed(name, path, None, passed_over(store, [name]).get(name, ()))
    except FileNotFoundError:
        return _from_store(store, name)


def _from_store(store: LocalStore, name: SegmentName) -> tuple[SealedSegment, pa.Table]:
    within = store.manifest.file_of(str(name))
    file = next((file for file in store.manifest.files() if file.name == within), None)
    if file is None:
        raise NotReadyError(f"the segment `{name}` is neither in the log nor in the store")
    segment = next(s for s in store.manifest.segments_of(file.name) if s.name == name)
    try:
        table = pq.read_table(store.rows_path(file), filters=[("segment", "=", str(name))], partitioning=None)
    except FileNotFoundError:  # it was merged a moment ago
        raise
    except (pa.ArrowException, OSError):  # pyarrow's word for damage is either
        raise RecordDamagedError(f"the stored file `{file.name}` cannot be read") from None
    table = table.sort_by("seq")
    rewrites = Rewrites(store.manifest)
    root = rewrites.roots([str(name)]).get(str(name))
    if root is not None:  # pseudonymised: its leaves are proven, its rows stand for what they were
        leaves_of(store.rows_path(file), str(name), root, rewrites.twins([str(name)]).get(str(name), ()))
        return segment, table.select(STORED.names)
    prove(segment, table)
    return segment, table


def named(text: str) -> SegmentName:
    """Raises RecordDamagedError where a copy names a segment as no log does."""
    name = segment_name(text)
    if name is None:
        raise RecordDamagedError("a copy of the log names a segment as no log does")
    return name
