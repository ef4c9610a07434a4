# ruff: noqa: S608  # the texts are put together from the tables of this package; values are bound
"""Everything that the filters mean, oldest first, in bounded memory: for exports of any length.

The time asked for is cut where stored files begin, some files at a time; each part is counted by the second and
read in slices of so many records as the memory allows. A slice is answered whole or not at all, so that a file
that is merged meanwhile costs another look at that slice, and no record comes twice or is left out.

What is written into the time that a slice has already given is not in the export; `until` in the past is safe.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pdp.archive.arrow_schema import STORED
from pdp.archive.search_filters import scope_of, where_of
from pdp.archive.session import Bounds, answer, over_snapshot, session
from pdp.archive.snapshot import take_snapshot
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.asking import Filters
    from pdp.archive.session import EngineLimits
    from pdp.archive.snapshot import Snapshot

EXPORTED: Final = tuple(name for name in STORED.names if name != "raw")
"""All columns but the bytes of records that are not ours; the default of an export."""

_FILES_AT_ONCE: Final = 8  # opened together to be counted: eight million records at most
_ROWS_PER_MB: Final = 64  # of the engine's memory: a sorted row of all columns takes some 4 KB, twice while it is given
_BATCH: Final = 4_096
_SECOND: Final = timedelta(seconds=1)


def stream(
    logs: Sequence[Path], limits: EngineLimits, filters: Filters, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Batches of one schema, at least one. Raises BadRequestError at once for a column that there is not.

    Raises NotReadyError, also in the middle: then what was given so far is not the whole.
    """
    chosen = tuple(columns) if columns is not None else EXPORTED
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(STORED.names):
        raise BadRequestError(
            "an export has columns of the store, each once", next_step="`pdp audit columns` lists them"
        )
    return _Export(logs, limits, filters, chosen).batches()


class _Export:
    def __init__(self, logs: Sequence[Path], limits: EngineLimits, filters: Filters, columns: Sequence[str]) -> None:
        self._logs = logs
        self._limits = limits
        self._filters = filters
        self._columns = ", ".join(f'"{name}"' for name in columns)
        self._rows = limits.memory_mb * _ROWS_PER_MB

    def batches(self) -> Iterator[pa.RecordBatch]:
        given = False
        for part in self._parts():
            for slice_ in self._slices(part):
                for batch in self._table(slice_).to_batches(max_chunksize=_BATCH):
                    given = True
                    yield batch
        if not given:
            yield _empty_batch(self._table(replace(self._filters, until=self._filters.since)))

    def _parts(self) -> Iterator[Filters]:
        """The whole time, cut where some files begin."""
        whole = self._filters
        starts = sorted(file.earliest for file in self._look(whole).files if file.earliest is not None)
        cuts = [start for start in starts[_FILES_AT_ONCE::_FILES_AT_ONCE] if whole.since < start < whole.until]
        bounds = [whole.since, *dict.fromkeys(cuts), whole.until]
        for since, until in pairwise(bounds):
            yield replace(whole, since=since, until=until)

    def _look(self, filters: Filters) -> Snapshot:
        return take_snapshot(self._logs, scope_of(filters))

    def _slices(self, part: Filters) -> Iterator[Filters]:
        """The part in slices of so many records, or of one second where that has more."""
        where = where_of(part)
        counted = self._ask(
            "SELECT date_trunc('second', \"time\") AS second, count(*) AS records FROM decisions"
            f" WHERE {where.rows} GROUP BY ALL ORDER BY ALL",
            part,
        )
        begun: datetime | None = None
        records = 0
        for second, found in zip(counted["second"].to_pylist(), counted["records"].to_pylist(), strict=True):
            if begun is not None and records + found > self._rows:
                yield replace(part, since=begun, until=second)
                begun, records = None, 0
            begun = begun or max(second, part.since)
            records += found
        if begun is not None:
            yield replace(part, since=begun)

    def _table(self, slice_: Filters) -> pa.Table:
        where = where_of(slice_)
        return self._ask(
            f'SELECT {self._columns} FROM decisions WHERE {where.rows} ORDER BY "time", id, segment, seq', slice_
        )

    def _ask(self, sql: str, filters: Filters) -> pa.Table:
        bounds = Bounds(filters.within)

        def ask(snapshot: Snapshot) -> pa.Table:
            with session(self._limits, ("decisions",), snapshot, snapshot.files, bounds, sql=sql) as connection:
                return answer(connection, sql, where_of(filters).values, self._limits, "the export")

        return over_snapshot(self._logs, scope_of(filters), ask)


def _empty_batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema)
