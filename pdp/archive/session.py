"""One question's connection: the relations that it may ask of, over the files of a snapshot and the fresh rows.

Views and fresh rows are the connection's own: nothing of one question is there for the next, whoever asks it.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from pdp.archive.arrow_schema import STORED
from pdp.archive.datafile import COUNT_BY_HOUR
from pdp.archive.engines import EngineLimits, engine_of_its_own, shared_engine
from pdp.archive.snapshot import take_snapshot
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.snapshot import Scope, Snapshot, Stored

__all__ = ["Bounds", "EngineLimits", "answer", "over_snapshot", "session"]

_Answer = TypeVar("_Answer")
_TRIES: Final = 5  # a file that is merged between the look and the reading is gone; the next look finds the new one
_ALL: Final[Sequence[str]] = STORED.names
_WORD: Final = re.compile(r"\w+", re.ASCII)
_COUNT_DECISIONS: Final = COUNT_BY_HOUR.replace("FROM tail", "FROM decisions")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a session's relations hold, whatever is asked of them; for who asks with a text that is not ours.

    `within`: of people of these departments alone. `span`: of this time alone, by whole hours where they count.
    """

    within: Sequence[str] | None = None
    span: tuple[datetime, datetime] | None = None


@contextmanager
def session(  # noqa: PLR0913  # what is asked, of what, and its bounds
    limits: EngineLimits,
    views: Sequence[str],
    snapshot: Snapshot,
    files: Sequence[Stored],
    bounds: Bounds | None = None,
    *,
    sql: str | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the relations `decisions`, `hourly` and `segments`, over these files of the snapshot.

    Files of a relation that is not among `views` are not opened, and `hourly` is there only where it is among them.
    `sql`: a text of ours that will be asked, and no other; `decisions` has only the columns that it names.
    Raises duckdb.Error where a file has gone.
    """
    bounds = bounds or Bounds()
    counted = bounds.within is not None  # the stored counts are not those of the bound
    rows = [str(file.rows) for file in files] if "decisions" in views or (counted and "hourly" in views) else []
    hours = [str(file.hourly) for file in files] if "hourly" in views and not counted else []
    pieces = [str(path) for path in snapshot.pieces]
    columns = _columns_in(sql, bounds, counted=counted and "hourly" in views)
    counts = _COUNT_DECISIONS if counted else _union(hours, f"({COUNT_BY_HOUR})")
    if bounds.span is not None:  # a text that is not ours may name no file but those of the question
        engine = engine_of_its_own(limits, [*rows, *hours, *pieces])
    else:
        stored = [str(path) for file in snapshot.files for path in (file.rows, file.hourly)]
        engine = shared_engine(limits, stored, {str(path.parent) for path in snapshot.pieces})
    with engine as connection:
        connection.register("fresh", snapshot.fresh)
        connection.register("segments", snapshot.segments)
        connection.execute(f"CREATE TEMP VIEW tail AS {_union(pieces, 'fresh')}")
        connection.execute(f"CREATE TEMP VIEW decisions AS {_bounded(_union(rows, 'tail', columns), bounds, columns)}")
        if "hourly" in views:
            connection.execute(f"CREATE TEMP VIEW hourly AS {_counted(counts, bounds)}")
        yield connection


def answer(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any], limits: EngineLimits, name: str
) -> pa.Table:
    """The statement's rows, within the deadline and the memory. `name` is what a message calls the question.

    Raises NotReadyError, duckdb.Error.
    """
    timer = threading.Timer(limits.deadline_s, connection.interrupt)
    timer.start()
    try:
        found: pa.Table = connection.sql(sql, params=dict(values)).to_arrow_table()
    except duckdb.InterruptException:
        raise NotReadyError(f"`{name}` took longer than {limits.deadline_s:g} s") from None
    except duckdb.OutOfMemoryException:
        raise NotReadyError(f"`{name}` needs more memory than it may use", next_step="ask for a shorter time") from None
    finally:
        timer.cancel()
    return found


def over_snapshot(logs: Sequence[Path], scope: Scope, ask: Callable[[Snapshot], _Answer]) -> _Answer:
    """Ask of a snapshot, and of a new one where files were merged or stored meanwhile. Raises NotReadyError."""
    for _ in range(_TRIES):
        snapshot = take_snapshot(logs, scope)
        try:
            return ask(snapshot)
        except duckdb.Error:
            if snapshot.is_whole():
                raise
    raise NotReadyError("the decision log changes faster than it can be read")


def _columns_in(sql: str | None, bounds: Bounds, *, counted: bool) -> Sequence[str]:
    """To plan with all columns of thirty files takes longer than most questions (30 ms), and more for each file."""
    if sql is None or "*" in sql.replace("count(*)", ""):
        return _ALL
    words = {"time", *_WORD.findall(sql)}
    if bounds.within is not None:
        words.add("subject_departments")
    if counted:
        words.update(_WORD.findall(_COUNT_DECISIONS))
    return [name for name in _ALL if name in words]


def _union(paths: Sequence[str], rest: str, columns: Sequence[str] | None = None) -> str:
    """All rows of the files and of the rest, with these columns of them. The paths are our own, quoted all the same."""
    # A choice, not a list: a file from before a column was added does not have it.
    chosen = "*" if columns is None else f"COLUMNS(lambda name: name IN {_listed(columns)})"
    if not paths:
        return f"SELECT {chosen} FROM {rest}"  # noqa: S608  # a name of ours
    # By name: what a file does not have is NULL for it.
    files = f"read_parquet({_listed(paths)}, union_by_name = true)"
    return f"SELECT {chosen} FROM {files} UNION ALL BY NAME SELECT {chosen} FROM {rest}"  # noqa: S608


def _bounded(rows: str, bounds: Bounds, columns: Sequence[str]) -> str:
    # A view takes no parameters: the names of departments are quoted.
    conditions = []
    if bounds.within is not None:
        conditions.append(f"list_has_any(subject_departments, {_listed(bounds.within)}::VARCHAR[])")
    if bounds.span is not None:
        since, until = (f"'{instant}'::TIMESTAMP" for instant in bounds.span)
        conditions.append(f'"time" >= {since} AND "time" < {until}')
    shown = ", ".join(f'"{name}"' for name in columns)
    return f"SELECT {shown} FROM ({rows}){' WHERE ' if conditions else ''}{' AND '.join(conditions)}"  # noqa: S608


def _counted(counts: str, bounds: Bounds) -> str:
    if bounds.span is None:
        return counts
    since, until = (f"'{instant}'::TIMESTAMP" for instant in bounds.span)
    return f"SELECT * FROM ({counts}) WHERE hour >= date_trunc('hour', {since}) AND hour < {until}"  # noqa: S608


def _listed(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
