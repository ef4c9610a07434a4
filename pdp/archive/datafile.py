"""Data files: written aside, synced, renamed; read back and proven before anything relies on them.

Parquet with zstd at level 3, groups of 50,000 rows, sorted by person and time: measured in log-store,
sections 2b and 2c (a person's day is a few row groups, and neighbours compress each other).
"""

from __future__ import annotations

import io
import sys
from contextlib import closing
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pdp.archive.arrow_schema import IN_MEMORY
from pdp.archive.arrow_tables import complete
from pdp.archive.schema import STORE_SCHEMA
from pdp.archive.sealed import prove
from pdp.errors import RecordDamagedError
from pdp.privacy.pseudonym import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.archive.sealed import SealedSegment
    from pdp.declog.disk import Disk

_GROUP_ROWS: Final = 50_000
_LEVEL: Final = 3
_BLOCK: Final = 1 << 20  # pyarrow writes each column of each group by itself
_REPEATING: Final = [field.name for field in IN_MEMORY if pa.types.is_dictionary(field.type)]

COUNT_BY_HOUR: Final = """
    SELECT date_trunc('hour', "time") AS hour, kind, outcome, reasons, resource, resource_group,
           subject_departments[1] AS department, caller_id, wire, policy_revision, count(*) AS decisions
    FROM tail GROUP BY ALL"""
"""One row per hour and combination; `reasons` are all reasons of a decision, in their order."""


class _Writer(io.RawIOBase):
    """What pyarrow writes to: the log's own seam to the disk, so that faults can be put there."""

    def __init__(self, disk: Disk, descriptor: int) -> None:
        super().__init__()
        self._disk = disk
        self._descriptor = descriptor
        self._digest = sha256()
        self._gathered = bytearray()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        block = memoryview(data)  # type: ignore[arg-type]  # any buffer
        self._gathered += block
        self.size += block.nbytes
        if len(self._gathered) >= _BLOCK:
            self.settle()
        return block.nbytes

    def settle(self) -> None:
        """Hand on what was gathered. Raises OSError."""
        self._digest.update(self._gathered)
        self._disk.write(self._descriptor, bytes(self._gathered))
        self._gathered.clear()

    def tell(self) -> int:
        return self.size

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def write_table(
    disk: Disk, path: Path, table: pa.Table, *, durable: bool = True, notes: dict[str, str] | None = None
) -> tuple[int, str]:
    """The table as a Parquet file of this name, or no file of it. Gives its length and digest. Raises OSError.

    Not `durable`: the name itself may be lost with the power, for what is derived.
    `notes` are kept in the file's own metadata.
    """
    aside = path.with_name(path.name + ".tmp")
    if aside.exists():
        disk.remove(aside)
    descriptor = disk.create(aside)
    try:
        sink = _Writer(disk, descriptor)
        with pq.ParquetWriter(
            sink, table.schema, compression="zstd", compression_level=_LEVEL, store_schema=False
        ) as writer:
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            writer.add_key_value_metadata({"sekisho.schema": STORE_SCHEMA} | (notes or {}))
        sink.settle()
        disk.sync(descriptor)  # before it has its name: else a power failure could leave the name on other bytes
    finally:
        disk.close(descriptor)
    disk.rename(aside, path)
    if durable:
        disk.sync_directory(path.parent)
    return sink.size, sink.sha256


def in_order(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows, by person and time; then as they were written."""
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    order = pc.sort_indices(
        pa.table({"person": table["person"].cast(pa.string()), "time": table["time"], "seq": table["seq"]}),
        sort_keys=[("person", "ascending"), ("time", "ascending"), ("seq", "ascending")],
    )
    return table.take(order)


def by_hour(table: pa.Table) -> pa.Table:
    """How many records of each kind in each hour (UTC): what counts over days are answered from."""
    with closing(duckdb.connect(":memory:", config={"threads": 1})) as connection:
        connection.register("tail", table)
        return connection.sql(f"{COUNT_BY_HOUR} ORDER BY ALL").to_arrow_table()


def prove_file(path: Path, segments: Sequence[SealedSegment]) -> None:
    """Derive every segment again from what stands in the file. Raises RecordDamagedError, OSError.

    INVARIANT (read back): nothing is entered in the manifest, and no segment removed, before this returned.
    """
    table = complete(pq.read_table(path, partitioning=None, read_dictionary=_REPEATING))
    if table.num_rows != sum(segment.records for segment in segments):
        raise RecordDamagedError(f"`{path.name}` has other rows than its segments have records")
    names = table["segment"].cast(pa.string())
    order = pc.sort_indices(
        pa.table({"segment": names, "seq": table["seq"]}), [("segment", "ascending"), ("seq", "ascending")]
    )
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(names.take(order)).to_pylist()}
    starts = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
    for segment in segments:
        name = str(segment.name)
        prove(segment, table.take(order.slice(starts.get(name, 0), counts.get(name, 0))))


def bounds_of(table: pa.Table) -> tuple[object, object, object, object]:
    """Earliest and latest time, first and last person; None where there is none.

    INVARIANT (holds): among names a pseudonym may stand for anybody, also for one after the last of them. A file that
    has one reaches from the first text to the last, so that no legal hold passes it by.
    """
    times = pc.min_max(table["time"]).as_py()
    names = table["person"].cast(pa.string())
    if pc.any(pc.starts_with(names, pattern=MARK)).as_py():
        return times["min"], times["max"], "", chr(sys.maxunicode)
    people = pc.min_max(names).as_py()
    return times["min"], times["max"], people["min"], people["max"]
