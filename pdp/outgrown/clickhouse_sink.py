"""Sealed segments into a ClickHouse, each once, whatever happens between two of these steps:

    1 the segment is entered as `begun`
    2 its rows, in one block, with its name as the deduplication token
    3 its hourly counts, likewise
    4 it is entered as `stored`

A segment that is `begun` when somebody comes again may be there in part. The same tokens are sent again: ClickHouse
drops what it has. Then the rows are counted; where they are not what they should be (the token was forgotten, or
an insert over the end of a month was cut), they are removed and sent with a token of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pdp.archive.arrow_schema import STORED
from pdp.archive.datafile import by_hour
from pdp.errors import RecordDamagedError
from pdp.outgrown.clickhouse_tables import DECISIONS, HOURLY, SEGMENT_COLUMNS, SEGMENTS, statements
from pdp.outgrown.sealed_rows import named, sealed_names, sealed_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.archive.sealed import SealedSegment
    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName
    from pdp.outgrown.clickhouse_client import ClickHouse

_ASKED_AT_ONCE: Final = 1_000  # names in one statement: 100 kB


_STEP: Final = timedelta(microseconds=1)


class _Entry(NamedTuple):
    state: str
    entered: datetime


_UNKNOWN: Final = _Entry("", datetime.min.replace(tzinfo=UTC))


class ClickHouseSink:
    """A `SegmentSink`. One process for each log: the segments of a node are published by its own."""

    name: Final = "clickhouse"
    at_once: Final = 16  # a gigabyte, of which one segment is in memory

    def __init__(self, store: LocalStore, clickhouse: ClickHouse) -> None:
        self._store: Final = store
        self._clickhouse: Final = clickhouse
        self._database: Final = clickhouse.server.database
        self._made = False

    def close(self) -> None:
        self._clickhouse.close()

    def stored(self, names: Iterable[SegmentName]) -> frozenset[str]:
        """See `SegmentSink.stored`."""
        return frozenset(name for name, entry in self._known(list(names)).items() if entry.state == "stored")

    def publish(self, names: Sequence[SegmentName], now: datetime) -> int:
        """See `SegmentSink.publish`. Where one is damaged, the others are published before it is told."""
        known = self._known(names)
        new = [name for name in names if known.get(str(name), _UNKNOWN).state != "stored"]
        damaged: RecordDamagedError | None = None
        for name in new:
            try:
                self._publish(*sealed_rows(self._store, name), now, known.get(str(name)))
            except RecordDamagedError as fault:
                damaged = damaged or fault
        if damaged is not None:
            raise damaged
        return len(new)

    def lacking(self) -> list[str]:
        """Segments that it says it has and whose rows are not all there, once each. Reads a column of all rows."""
        found = self._clickhouse.ask(
            f"SELECT segment, count() AS n, sum(seq) AS s FROM {self._database}.{DECISIONS} GROUP BY segment"  # noqa: S608
        )
        have = {row["segment"]: (row["n"], row["s"] or 0) for row in found.to_pylist()}
        names = sealed_names(self._store)
        stored = self.stored(names)
        return [str(name) for name in names if str(name) in stored and have.get(str(name), (0, 0)) != self._whole(name)]

    def mend(self, lacking: Sequence[str], now: datetime) -> None:
        """Have them published again, as what was cut off half-way: rows are counted, and sent where they differ."""
        names = [named(text) for text in lacking]
        known = self._known(names)
        for name in names:
            segment, _ = sealed_rows(self._store, name)
            self._enter(segment, "begun", _after(now, known.get(str(name))))

    def _whole(self, name: SegmentName) -> tuple[int, int]:
        segment, rows = sealed_rows(self._store, name)
        return segment.records, pc.sum(rows["seq"]).as_py() or 0

    # -- the steps -------------------------------------------------------------------------------------

    def _publish(self, segment: SealedSegment, rows: pa.Table, now: datetime, known: _Entry | None) -> None:
        token = str(segment.name)
        begun = _after(now, known)
        if known is None:
            self._enter(segment, "begun", begun)
        for table, block in ((DECISIONS, _decisions(rows)), (HOURLY, _hourly(token, rows))):
            if block.num_rows:
                self._clickhouse.insert(table, block, f"{token}/{table}")
            if known is not None:
                self._mend(table, block, token, now)
        self._enter(segment, "stored", begun + _STEP)

    def _mend(self, table: str, block: pa.Table, segment: str, now: datetime) -> None:
        """Where the rows of the segment are not all there exactly once. Raises RecordDamagedError."""
        if self._count(table, segment) == block.num_rows:
            return
        self._remove(table, segment)
        if block.num_rows:
            self._clickhouse.insert(table, block, f"{segment}/{table}/{now.isoformat()}")
        if self._count(table, segment) != block.num_rows:
            raise RecordDamagedError(f"ClickHouse does not hold the rows of `{segment}` once each")

    def _remove(self, table: str, segment: str) -> None:
        """Its rows, and wait for it on every replica. `segment` is made of words, by its form."""
        cluster = self._clickhouse.server.cluster
        everywhere = f" ON CLUSTER `{cluster}`" if cluster else ""
        self._clickhouse.command(
            f"ALTER TABLE {self._database}.{table}{everywhere} DELETE WHERE segment = '{segment}'"
            " SETTINGS mutations_sync = 2"
        )

    def _count(self, table: str, segment: str) -> int:
        statement = f"SELECT count() AS n FROM {self._database}.{table} WHERE segment = {{segment:String}}"  # noqa: S608
        return int(self._clickhouse.ask(statement, {"segment": segment})["n"][0].as_py())

    def _known(self, names: Sequence[SegmentName]) -> dict[str, _Entry]:
        """The newest entry of those that it knows. Makes the tables where there are none yet."""
        if not self._made:
            for statement in statements(self._clickhouse.server):
                self._clickhouse.command(statement)
            self._made = True
        known: dict[str, _Entry] = {}
        for at in range(0, len(names), _ASKED_AT_ONCE):
            asked = ", ".join(f"'{name}'" for name in names[at : at + _ASKED_AT_ONCE])  # words, by their form
            found = self._clickhouse.ask(
                f"SELECT segment, state, entered FROM {self._database}.{SEGMENTS} FINAL WHERE segment IN ({asked})"  # noqa: S608
            )
            known |= {row["segment"]: _Entry(row["state"], row["entered"]) for row in found.to_pylist()}
        return known

    def _enter(self, segment: SealedSegment, state: str, entered: datetime) -> None:
        name = segment.name
        row = {
            "segment": str(name),
            "node": name.node,
            "worker": name.worker,
            "epoch": name.epoch,
            "number": name.number,
            "created": name.created_at,
            "state": state,
            "records": segment.records,
            "first_seq": segment.first_seq,
            "last_seq": segment.last_seq,
            "whole": segment.whole,
            "sha256": segment.sha256,
            "records_sha256": segment.records_sha256,
            "entered": entered,
        }
        table = pa.Table.from_pylist([row], schema=_SEGMENT_ROW)
        self._clickhouse.insert(SEGMENTS, table, f"{name}/{state}/{entered.isoformat()}")


def _after(now: datetime, known: _Entry | None) -> datetime:
    """When it is entered: after its entry before, also where the clock was set back. The newest entry counts."""
    return now.astimezone(UTC) if known is None else max(now.astimezone(UTC), known.entered + _STEP)


_ROW_TYPES: Final = {
    **dict.fromkeys(("number", "records", "first_seq", "last_seq"), pa.int64()),
    **dict.fromkeys(("created", "entered"), pa.timestamp("us", "UTC")),
    "whole": pa.bool_(),
}
_SEGMENT_ROW: Final = pa.schema([(name, _ROW_TYPES.get(name, pa.string())) for name in SEGMENT_COLUMNS])


def _decisions(rows: pa.Table) -> pa.Table:
    """As ClickHouse takes them: no dictionaries, no extension types, no lists that are NULL, times with their zone."""
    return _plain(rows.cast(STORED))


def _hourly(segment: str, rows: pa.Table) -> pa.Table:
    counts = _plain(by_hour(rows))
    names = pa.array([segment] * counts.num_rows, pa.string())
    return counts.add_column(0, "segment", names)


def _plain(table: pa.Table) -> pa.Table:
    return pa.table({name: _column(table[name].combine_chunks()) for name in table.column_names})


def _column(values: pa.Array) -> pa.Array:
    if isinstance(values, pa.ExtensionArray):
        return values.storage
    if pa.types.is_list(values.type):
        return pc.coalesce(values, pa.scalar([], values.type))
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us", "UTC"))
    return values
