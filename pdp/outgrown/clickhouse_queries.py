"""The audit queries, answered by a ClickHouse: sealed segments as far as they were published."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import duckdb
import pyarrow as pa

from pdp.archive.arrow_schema import STORED
from pdp.archive.datafile import by_hour
from pdp.archive.duck import EngineLimits
from pdp.archive.queries import asked
from pdp.archive.snapshot import SEGMENTS
from pdp.errors import BadRequestError, CopyUnavailableError
from pdp.outgrown.clickhouse_texts import SETTINGS, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.archive.queries import Query
    from pdp.outgrown.clickhouse_client import ClickHouse

# What a DateTime64 with microseconds may be, and no id or record is outside of it.
_EARLIEST: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times are UTC without an offset
_LATEST: Final = datetime(2261, 12, 31)  # noqa: DTZ001
_SECONDS_MORE: Final = 5.0  # for the answer's way, after the engine has ended by itself
_TOO_MANY: Final = frozenset({"TOO_MANY_ROWS_OR_BYTES", "TOO_MANY_ROWS"})


class ClickHouseQueries:
    """A `QueryEngine`. Used by one thread."""

    def __init__(self, clickhouse: ClickHouse, limits: EngineLimits | None = None) -> None:
        self._clickhouse: Final = clickhouse
        self._limits: Final = limits or EngineLimits()
        self._texts: Final[dict[tuple[str, bool], str]] = {}

    def run(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """See `QueryEngine.run`. Raises CopyUnavailableError, which is a NotReadyError."""
        query, values = asked(name, params)
        bounded = within is not None
        text = self._texts.get((name, bounded)) or text_of(query, self._clickhouse.server.database, bounded=bounded)
        self._texts[name, bounded] = text
        given = {key: _given(value) for key, value in values.items()}
        if within is not None:
            given["within"] = list(within)
        try:
            found = self._clickhouse.ask(text, given, self._settings(query))
        except CopyUnavailableError as fault:
            if fault.fault in _TOO_MANY:
                raise BadRequestError(
                    f"`{name}` found more than {self._limits.rows} rows", next_step="ask for a shorter time"
                ) from None
            raise
        return _shaped(found, _shape(query, values))

    def close(self) -> None:
        self._clickhouse.close()

    def _settings(self, query: Query) -> dict[str, object]:
        settings = SETTINGS | {
            "max_execution_time": self._limits.deadline_s,
            "max_memory_usage": self._limits.memory_mb * 1_000_000,
            "max_threads": self._limits.threads,
        }
        if not query.export:
            settings |= {"max_result_rows": self._limits.rows, "result_overflow_mode": "throw"}
        return settings


def _given(value: Any) -> Any:
    if isinstance(value, datetime):
        return min(max(value, _EARLIEST), _LATEST).isoformat(" ", timespec="microseconds")
    return value


def _shape(query: Query, values: Mapping[str, Any]) -> pa.Schema:
    """The columns and types of the answer: those that DuckDB gives over no rows at all."""
    nothing = STORED.empty_table()
    with closing(duckdb.connect(":memory:", config={"threads": 1})) as connection:
        connection.register("decisions", nothing)
        connection.register("hourly", by_hour(nothing))
        connection.register("segments", SEGMENTS.empty_table())
        schema: pa.Schema = connection.sql(query.sql, params=dict(values)).to_arrow_table().schema
    return schema


def _shaped(found: pa.Table, shape: pa.Schema) -> pa.Table:
    columns = [_cast(found.column(at).combine_chunks(), field.type) for at, field in enumerate(shape)]
    return pa.Table.from_arrays(columns, schema=shape)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, values.cast(kind.storage_type))
    if pa.types.is_fixed_size_binary(values.type) and pa.types.is_string(kind):  # an id, which DuckDB gives as a text
        return pa.array([None if value is None else str(UUID(bytes=value)) for value in values.to_pylist()], kind)
    return values.cast(kind)
