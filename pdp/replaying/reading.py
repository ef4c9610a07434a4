"""The records of a time, in batches, each of them once, whatever the compactor does meanwhile.

A unit is one stored file, or all of the fresh tail. What a unit gave counts when `Mark.DONE` comes after it. Where its
files were merged or stored while it was read, `Mark.LOST` comes: what it gave is void, and its records come again from
where they are now. Segments that were read are remembered, so that none of them is read from two places.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pdp.archive.schema import INPUT
from pdp.archive.search_filters import where_of
from pdp.archive.session import EngineLimits, answer, over_snapshot, session
from pdp.archive.snapshot import Scope, take_snapshot
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from pdp.archive.asking import Filters
    from pdp.archive.snapshot import Snapshot

BATCH_ROWS: Final = 122_880  # sixty DuckDB vectors: some 100 MB with every column of the input
_TRIES: Final = 5  # in a row, without one unit that could be read
_SHARES: Final = 1_000_000
_COLUMNS: Final = (
    *("id", "segment", "kind", "wire", "profile", "fault", "outcome", "reasons", "obligations", "required_auth_level"),
    *("policy_revision", "bundle_digest", "policy_context", "redacted", "erased", "masked", "resource"),
    *("input_form", "input_text"),
)
_SELECT: Final = ", ".join((*_COLUMNS, "raw IS NOT NULL AS odd", *(column.name for column in INPUT)))


class Mark(Enum):
    DONE = "done"
    LOST = "lost"


@dataclass
class LogReader:
    """Records that fulfil the filters. `sample`: about so many of them, the same ones each time."""

    logs: Sequence[Path]
    filters: Filters
    limits: EngineLimits
    sample: int | None = None
    _finished: set[str] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)

    def count(self) -> int:
        """How many records there are to read, sampling aside. Raises NotReadyError."""
        where = where_of(self.filters)
        sql = f"SELECT count(*) AS n FROM decisions WHERE {where.rows}"  # noqa: S608  # a text of ours, values bound

        def ask(snapshot: Snapshot) -> pa.Table:
            with session(self.limits, ("decisions",), snapshot, snapshot.files, sql=sql) as connection:
                return answer(connection, sql, where.values, self.limits, "replay")

        return int(over_snapshot(self.logs, self._scope(), ask)["n"][0].as_py())

    def batches(self, total: int) -> Generator[pa.Table | Mark]:
        """Tables with the columns of `_SELECT`, and a mark after each unit. `total` is what `count` gave.

        Raises NotReadyError where the log cannot be read.
        """
        tries = 0
        while tries < _TRIES:
            snapshot = take_snapshot(self.logs, self._scope())
            finished = len(self._finished)
            try:
                yield from self._units(snapshot, total)
            except (duckdb.Error, pa.ArrowException, OSError) as fault:
                if snapshot.is_whole():
                    raise NotReadyError(
                        f"the decision log cannot be read: {type(fault).__name__}", next_step="run `pdp audit verify`"
                    ) from fault
                yield Mark.LOST
                tries = 0 if len(self._finished) > finished else tries + 1
            else:
                return
        raise NotReadyError("the decision log changes faster than it can be read")

    def _units(self, snapshot: Snapshot, total: int) -> Generator[pa.Table | Mark]:
        if _TAIL not in self._finished:  # the tail first: its pieces are what goes away soonest
            yield from self._unit(replace(snapshot, files=()), _TAIL, total)
        for file in reversed(snapshot.files):
            if str(file.rows) not in self._finished:
                alone = replace(snapshot, files=(file,), pieces=(), fresh=snapshot.fresh.slice(0, 0))
                yield from self._unit(alone, str(file.rows), total)

    def _unit(self, snapshot: Snapshot, name: str, total: int) -> Generator[pa.Table | Mark]:
        seen: set[str] = set()
        sql, values = self._statement(total)
        with session(self.limits, ("decisions",), snapshot, snapshot.files, sql=sql) as connection:
            for batch in connection.sql(sql, params=values).to_arrow_reader(BATCH_ROWS):
                table = pa.Table.from_batches([batch])
                seen.update(pc.unique(table["segment"]).to_pylist())
                yield table
        self._read |= seen
        self._finished.add(name)
        yield Mark.DONE

    def _statement(self, total: int) -> tuple[str, dict[str, Any]]:
        where = where_of(self.filters)
        conditions, values = [where.rows], dict(where.values)
        if self._read:
            conditions.append("segment NOT IN (SELECT unnest($read::VARCHAR[]))")
            values["read"] = sorted(self._read)
        if self.sample is not None and self.sample < total:
            conditions.append("hash(id) % $shares::UBIGINT < $share::UBIGINT")
            values |= {"shares": _SHARES, "share": max(1, _SHARES * self.sample // total)}
        return f"SELECT {_SELECT} FROM decisions WHERE {' AND '.join(conditions)}", values  # noqa: S608  # as above

    def _scope(self) -> Scope:
        filters = self.filters
        return Scope(since=filters.since, until=filters.until, person=filters.person)


_TAIL: Final = "tail"
