"""The embedded engine: DuckDB in memory over stored files and the tail, one database per question.

No database file, ever: a second process could not even read one. The engine may open the files that are
named to it and no others, loads no extension, and its settings are locked before the first statement
(DuckDB 2.0, "Securing DuckDB").
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from pdp.archive.datafile import COUNT_BY_HOUR
from pdp.archive.queries import QUERIES, bind
from pdp.archive.snapshot import Scope, Snapshot, Stored, take_snapshot
from pdp.errors import BadRequestError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.queries import Query


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Of one question. `memory_mb` is the engine's own; what does not fit fails, nothing is spilt to a disk."""

    memory_mb: int = 1024
    threads: int = 2
    deadline_s: float = 30.0  # a page is there in half a second; a person has left after this
    rows: int = 100_000  # of an answer that is no export: a table that somebody reads


class DuckQueries:
    """A `QueryEngine` over one or more directories of decision logs."""

    def __init__(self, logs: Sequence[Path], limits: EngineLimits | None = None) -> None:
        self._logs: Final = tuple(logs)
        self._limits: Final = limits or EngineLimits()

    def run(self, name: str, params: Mapping[str, object]) -> pa.Table:
        """See `QueryEngine.run`."""
        query = QUERIES.get(name)
        if query is None:
            raise BadRequestError(f"`{name}` is not one of the audit queries")
        values = bind(query, params)
        for _ in range(_TRIES):
            snapshot = take_snapshot(self._logs, _scope_of(query, values))
            try:
                return self._answer(query, values, snapshot)
            except duckdb.Error:
                if snapshot.is_whole():
                    raise
                continue  # a file was merged or stored meanwhile: look again
        raise NotReadyError("the decision log changes faster than it can be read")

    def _answer(self, query: Query, values: Mapping[str, Any], snapshot: Snapshot) -> pa.Table:
        if not query.newest_first:
            return self._ask(query, values, snapshot, snapshot.files)
        count = 1
        while True:
            # Newest files first, twice as many each time, until what is left cannot hold anything as new.
            page = self._ask(query, values, snapshot, snapshot.files[:count])
            left = snapshot.files[count:]
            if not left or _is_full(page, values, left):
                return page
            count *= 2

    def _ask(self, query: Query, values: Mapping[str, Any], snapshot: Snapshot, files: Sequence[Stored]) -> pa.Table:
        with self._opened(query, snapshot, files) as connection:
            timer = threading.Timer(self._limits.deadline_s, connection.interrupt)
            timer.start()
            try:
                found: pa.Table = connection.sql(query.sql, params=dict(values)).to_arrow_table()
            except duckdb.InterruptException:
                raise NotReadyError(f"`{query.name}` took longer than {self._limits.deadline_s:g} s") from None
            except duckdb.OutOfMemoryException:
                raise NotReadyError(
                    f"`{query.name}` needs more memory than it may use", next_step="ask for a shorter time"
                ) from None
            finally:
                timer.cancel()
        if found.num_rows > self._limits.rows and not query.export:
            raise BadRequestError(
                f"`{query.name}` found more than {self._limits.rows} rows", next_step="ask for a shorter time"
            )
        return found

    @contextmanager
    def _opened(self, query: Query, snapshot: Snapshot, files: Sequence[Stored]) -> Iterator[duckdb.DuckDBPyConnection]:
        rows = [str(file.rows) for file in files] if "decisions" in query.views else []
        hours = [str(file.hourly) for file in files] if "hourly" in query.views else []
        pieces = [str(path) for path in snapshot.pieces]
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{self._limits.memory_mb}MB",
                "threads": self._limits.threads,
                "temp_directory": "",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "python_enable_replacements": "false",
            },
        )
        try:
            connection.execute("SET allowed_paths = $paths", {"paths": [*rows, *hours, *pieces]})
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.register("fresh", snapshot.fresh)
            connection.register("segments", snapshot.segments)
            connection.execute(f"CREATE VIEW tail AS {_union(pieces, 'fresh')}")
            connection.execute(f"CREATE VIEW decisions AS {_union(rows, 'tail')}")
            connection.execute(f"CREATE VIEW hourly AS {_union(hours, f'({COUNT_BY_HOUR})')}")
            yield connection
        finally:
            connection.close()


_TRIES: Final = 5


def _union(paths: Sequence[str], rest: str) -> str:
    """All rows of the files and of the rest. The paths are our own, quoted all the same."""
    if not paths:
        return f"SELECT * FROM {rest}"  # noqa: S608  # a name of ours
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"SELECT * FROM read_parquet([{listed}]) UNION ALL BY NAME SELECT * FROM {rest}"  # noqa: S608


def _scope_of(query: Query, values: Mapping[str, Any]) -> Scope:
    return Scope(
        since=values.get("since"),
        until=values.get("until"),
        person=values.get("person") if query.by_person else None,
        segments="segments" in query.views,
    )


def _is_full(page: pa.Table, values: Mapping[str, Any], left: Sequence[Stored]) -> bool:
    if page.num_rows < values["page"]:
        return False
    oldest = page["time"][-1].as_py()
    return oldest is not None and all(file.latest is None or file.latest < oldest for file in left)
