"""The embedded engine for the closed list of questions: one DuckDB per question, over stored files and the tail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.queries import asked
from pdp.archive.session import Bounds, EngineLimits, answer, over_snapshot, session
from pdp.archive.snapshot import Scope
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.queries import Query
    from pdp.archive.snapshot import Snapshot, Stored

__all__ = ["DuckQueries", "EngineLimits"]


class DuckQueries:
    """A `QueryEngine` over one or more directories of decision logs."""

    def __init__(self, logs: Sequence[Path], limits: EngineLimits | None = None) -> None:
        self._logs: Final = tuple(logs)
        self._limits: Final = limits or EngineLimits()

    def run(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """See `QueryEngine.run`. `within`: about people of these departments only."""
        query, values = asked(name, params)
        return over_snapshot(
            self._logs, _scope_of(query, values), lambda snapshot: self._answer(query, values, snapshot, within)
        )

    def _answer(
        self, query: Query, values: Mapping[str, Any], snapshot: Snapshot, within: Sequence[str] | None
    ) -> pa.Table:
        if not query.newest_first:
            return self._ask(query, values, snapshot, snapshot.files, within)
        # One person's rows lie together in each file, so that all files at once are a few groups of rows.
        count = len(snapshot.files) if query.by_person else 1
        while True:
            # Newest files first, more of them each time, until what is left cannot hold anything as new.
            page = self._ask(query, values, snapshot, snapshot.files[:count], within)
            left = snapshot.files[count:]
            if not left or _is_full(page, values, left):
                return page
            count *= _MORE

    def _ask(
        self,
        query: Query,
        values: Mapping[str, Any],
        snapshot: Snapshot,
        files: Sequence[Stored],
        within: Sequence[str] | None = None,
    ) -> pa.Table:
        with session(self._limits, query.views, snapshot, files, Bounds(within), sql=query.sql) as connection:
            found = answer(connection, query.sql, values, self._limits, query.name)
        if found.num_rows > self._limits.rows and not query.export:
            raise BadRequestError(
                f"`{query.name}` found more than {self._limits.rows} rows", next_step="ask for a shorter time"
            )
        return found


_MORE: Final = 8


def _scope_of(query: Query, values: Mapping[str, Any]) -> Scope:
    until, before = values.get("until"), values.get("before_time")
    if until is not None and before is not None and before < until:
        until = before + timedelta(microseconds=1)  # what is newer stood on the pages before
    return Scope(
        since=values.get("since"),
        until=until,
        person=values.get("person") if query.by_person else None,
        segments="segments" in query.views,
    )


def _is_full(page: pa.Table, values: Mapping[str, Any], left: Sequence[Stored]) -> bool:
    if page.num_rows < values["page"]:
        return False
    oldest = page["time"][-1].as_py()
    return oldest is not None and all(file.latest is None or file.latest < oldest for file in left)
