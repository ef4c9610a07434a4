# ruff: noqa: S608  # the texts are put together from the tables of this package; values are bound
"""`DecisionSearch` by the embedded engine: over stored files and the fresh tail, each record once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.asking import MAX_PAGE, Cursor, Filters, Page
from pdp.archive.duck import DuckQueries
from pdp.archive.queries import NO_ID, QUERIES, bind
from pdp.archive.search_filters import scope_of, where_of
from pdp.archive.search_groups import check_group, grouping_of
from pdp.archive.search_sql import ask_sql
from pdp.archive.session import Bounds, EngineLimits, answer, over_snapshot, session
from pdp.archive.snapshot import Scope
from pdp.archive.streaming import stream
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.asking import GroupBy
    from pdp.archive.snapshot import Snapshot, Stored

BRIEF: Final = (
    *("id", "time", "kind", "outcome", "reasons", "person", "departments", "device", "device_class", "resource"),
    *("resource_group", "action", "source_ip", "caller_id", "policy_revision"),
)
"""The columns of a page. `departments` are those of the person."""
_BRIEF: Final = ", ".join(f'subject_departments AS "{n}"' if n == "departments" else f'"{n}"' for n in BRIEF)
_ONE_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_AT_ONCE: Final = 8  # times as many files as in the round before

_ID: Final = f"coalesce(id, '{NO_ID}'::UUID)"
_KEY: Final = ('"time"', _ID, "segment", "seq")
_NEWEST_FIRST: Final = f"ORDER BY {', '.join(f'{part} DESC' for part in _KEY)}"
_AFTER: Final = (
    f'("time" < $time OR ("time" = $time AND ({_ID}, segment, seq) < ($id::UUID, $segment::VARCHAR, $seq::BIGINT)))'
)


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement over one relation, with its values."""

    sql: str
    values: Mapping[str, Any]
    within: tuple[str, ...] | None
    view: str = "decisions"


class DuckSearch:
    """A `DecisionSearch` over one or more directories of decision logs."""

    def __init__(self, logs: Sequence[Path], limits: EngineLimits | None = None) -> None:
        self._logs: Final = tuple(logs)
        self._limits: Final = limits or EngineLimits()

    # -- pages -----------------------------------------------------------------------------------------

    def page(self, filters: Filters, *, size: int, before: Cursor | None = None) -> Page:
        """See `DecisionSearch.page`."""
        if not 0 < size <= MAX_PAGE:
            raise BadRequestError(f"a page has 1 to {MAX_PAGE} rows", next_step="export where you need more")
        if before is not None and before.time < filters.until:
            filters = replace(filters, until=before.time + _ONE_MICROSECOND)
        return over_snapshot(self._logs, scope_of(filters), lambda found: self._page(found, filters, size, before))

    def _page(self, snapshot: Snapshot, filters: Filters, size: int, before: Cursor | None) -> Page:
        keys = self._newest_keys(snapshot, filters, size + 1, before)
        table = self._rows_of(snapshot, filters, keys[:size])
        more = len(keys) > size
        return Page(table, keys[size - 1] if more else None)

    def _newest_keys(self, snapshot: Snapshot, filters: Filters, wanted: int, before: Cursor | None) -> list[Cursor]:
        """Newest files first, until what is left cannot hold anything as new."""
        where = where_of(filters)
        key = {name: getattr(before, name) for name in ("time", "id", "segment", "seq")} if before else {}
        question = _Question(
            f"SELECT {', '.join(_KEY)} FROM decisions WHERE {where.rows}{f' AND {_AFTER}' if before else ''}"
            f" {_NEWEST_FIRST} LIMIT {wanted}",
            {**where.values, **key},
            filters.within,
        )
        keys: list[Cursor] = []
        # One person's rows lie together in each file, so that all files at once are a few groups of rows.
        rest, left, count = snapshot, snapshot.files, 1 if filters.person is None else len(snapshot.files)
        while True:
            keys += _cursors(self._ask(question, rest, left[:count]))
            keys = sorted(keys, key=_place, reverse=True)[:wanted]
            left, count = left[count:], _more_files(count, len(keys), wanted)
            if not left or (len(keys) == wanted and not any(_as_new(file, keys[-1].time) for file in left)):
                return keys
            rest = snapshot.stored_only()

    def _rows_of(self, snapshot: Snapshot, filters: Filters, keys: Sequence[Cursor]) -> pa.Table:
        """The other columns of these rows alone."""
        span = replace(filters, since=keys[-1].time, until=keys[0].time + _ONE_MICROSECOND) if keys else filters
        files = [file for file in snapshot.files if keys and _as_new(file, span.since)]
        where = where_of(span)
        values = {"segments": [key.segment for key in keys], "seqs": [key.seq for key in keys]}
        question = _Question(
            "WITH page AS (SELECT unnest($segments::VARCHAR[]) AS s, unnest($seqs::BIGINT[]) AS n)"
            f" SELECT {_BRIEF} FROM decisions SEMI JOIN page ON segment = s AND seq = n WHERE {where.rows}"
            f" {_NEWEST_FIRST}",
            {**where.values, **values},
            filters.within,
        )
        return self._ask(question, snapshot, files)

    # -- counts ----------------------------------------------------------------------------------------

    def count(self, filters: Filters) -> int:
        """See `DecisionSearch.count`."""
        where, within = where_of(filters), filters.within
        question = _Question(f"SELECT count(*) FROM decisions WHERE {where.rows}", where.values, within)
        if where.hourly is not None and within is None:
            summed = f"SELECT coalesce(sum(decisions), 0)::BIGINT FROM hourly WHERE {where.hourly}"
            question = _Question(summed, where.values, None, "hourly")
        return int(self._over(question, scope_of(filters)).column(0)[0].as_py())

    def group(
        self,
        filters: Filters,
        by: Sequence[GroupBy],
        *,
        utc_offset_min: int = 540,
        limit: int = 1_000,
        people: bool = True,
    ) -> pa.Table:
        """See `DecisionSearch.group`."""
        check_group(by, utc_offset_min, limit)
        where, within = where_of(filters), filters.within
        grouping = grouping_of(by, where, utc_offset_min, people=people, counted=within is None)
        values = {**where.values, **grouping.values, "limit": limit}
        return self._over(_Question(grouping.sql, values, within, grouping.view), scope_of(filters))

    # -- one, and what others know ---------------------------------------------------------------------

    def one(self, decision_id: str, *, within: Sequence[str] | None = None, everywhere: bool = False) -> pa.Table:
        """See `DecisionSearch.one`."""
        values = bind(QUERIES["by_id"], {"id": decision_id})
        scope = Scope() if everywhere else Scope(values["since"], values["until"])
        sql = "SELECT * FROM decisions WHERE id = $id::UUID"
        if everywhere:
            values = {"id": values["id"]}
        else:
            sql += ' AND "time" >= $since AND "time" < $until'
        bound = None if within is None else tuple(within)
        return self._over(_Question(f"{sql} ORDER BY segment, seq", values, bound), scope)

    def report(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """See `DecisionSearch.report`."""
        return DuckQueries(self._logs, self._limits).run(name, params, within=within)

    def sql(self, text: str, *, since: datetime, until: datetime, within: Sequence[str] | None = None) -> pa.Table:
        """See `DecisionSearch.sql`."""
        return ask_sql(self._logs, self._limits, text, since=since, until=until, within=within)

    def stream(self, filters: Filters, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """See `DecisionSearch.stream`."""
        return stream(self._logs, self._limits, filters, columns)

    def _over(self, question: _Question, scope: Scope) -> pa.Table:
        return over_snapshot(self._logs, scope, lambda found: self._ask(question, found, found.files))

    def _ask(self, question: _Question, snapshot: Snapshot, files: Sequence[Stored]) -> pa.Table:
        bounds = Bounds(question.within)
        with session(self._limits, (question.view,), snapshot, files, bounds, sql=question.sql) as connection:
            return answer(connection, question.sql, question.values, self._limits, "the search")


def _more_files(asked: int, found: int, wanted: int) -> int:
    """How many files to ask next, where `asked` of them held so many: each round has a cost of its own."""
    if found == 0:
        return asked * _MOST_AT_ONCE
    return min(max(asked * 2, -(-asked * 2 * (wanted - found) // found)), asked * _MOST_AT_ONCE)


def _as_new(file: Stored, time: datetime) -> bool:
    """Whether a file may hold a record of this time or a later one."""
    return file.latest is not None and file.latest >= time


def _cursors(table: pa.Table) -> list[Cursor]:
    columns = (column.to_pylist() for column in table.columns)
    return [Cursor(time, str(key), segment, seq) for time, key, segment, seq in zip(*columns, strict=True)]


def _place(key: Cursor) -> tuple[datetime, str, str, int]:
    return key.time, key.id, key.segment, key.seq
