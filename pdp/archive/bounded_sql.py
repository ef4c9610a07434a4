# ruff: noqa: S608  # the texts are put together from the tables of this package; values are bound
"""What the engine holds that runs a statement of somebody who is bound to departments: their records, and nothing else.

A view over all records would rest on the engine's optimiser: a condition of the text that fails on a value
(`CASE WHEN person = 'x' THEN person::INTEGER …`) tells of a record beyond the view as soon as it is tried before the
view's own. DuckDB 2.0 does not try it before; nothing promises that. And whatever a later version lets through the
parser's wall would find all records behind it.

INVARIANT (bounded): two engines. Ours reads the files, with a text of ours, and gives the records of the bound. The
one that runs the statement is given these as tables, and may open no file at all.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Timer
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from pdp.archive.engines import engine_of_its_own
from pdp.archive.meanings import RELATIONS
from pdp.archive.session import session
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.archive.session import Bounds, EngineLimits
    from pdp.archive.snapshot import Snapshot

_IDS: Final = frozenset({"id"})  # handed over as texts
_BATCH: Final = 16_384
_MOST_MB: Final = 1_024  # of the records of a bound, beside the memory of the statement itself


@dataclass(frozen=True, slots=True)
class Held:
    """The tables of a statement, by the names of the relations, and what is left of its time."""

    tables: Mapping[str, pa.Table]
    limits: EngineLimits


def hold(limits: EngineLimits, snapshot: Snapshot, bounds: Bounds, wanted: Mapping[str, tuple[str, ...]]) -> Held:
    """Read the records of the bound: of each relation that is wanted these columns.

    Raises NotReadyError where they take too long, or more memory than a statement may have; duckdb.Error.
    """
    begun = time.monotonic()
    tables: dict[str, pa.Table] = {}
    with session(limits, tuple(wanted), snapshot, snapshot.files, bounds) as connection:
        timer = Timer(limits.deadline_s, connection.interrupt)
        timer.start()
        try:
            left = min(limits.memory_mb, _MOST_MB) * 1024 * 1024
            for relation, columns in wanted.items():
                tables[relation] = _read(connection, relation, columns, left)
                left -= tables[relation].nbytes
        except duckdb.InterruptException:
            raise NotReadyError(f"the statement took longer than {limits.deadline_s:g} s") from None
        except duckdb.OutOfMemoryException:
            raise _too_much() from None
        finally:
            timer.cancel()
    rest = max(0.1, limits.deadline_s - (time.monotonic() - begun))
    return Held(tables, replace(limits, deadline_s=rest))


@contextmanager
def engine_holding(held: Held) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an engine that has these tables, may open nothing, and ends with the statement."""
    with engine_of_its_own(held.limits, ()) as connection:
        for relation, table in held.tables.items():
            connection.register(f"held_{relation}", table)
            names = (f'"{name}"{"::UUID" if name in _IDS else ""} AS "{name}"' for name in table.column_names)
            columns = ", ".join(names)
            connection.execute(f"CREATE TEMP VIEW {relation} AS SELECT {columns} FROM held_{relation}")
        yield connection


def columns_named(tree: Any, relation: str) -> tuple[str, ...]:
    """The columns of a relation that a parsed statement may need: all where it may mean all, else those it names.

    One too many costs memory. One too few could only make a statement fail.
    """
    texts: set[str] = set()
    left, every = [tree], False
    aliases: set[str] = {relation}
    alone: set[str] = set()
    while left:
        node = left.pop()
        if isinstance(node, dict):
            every = every or node.get("class") == "STAR" or node.get("ref_type") == "NATURAL"
            if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
                alone.add(str(node["column_names"][0]).lower())  # of a table's own name: its whole row
            if "class" not in node and node.get("alias"):
                aliases.add(str(node["alias"]).lower())
            left += node.values()
        elif isinstance(node, list):
            left += node
        elif isinstance(node, str):
            texts.add(node.lower())
    known = tuple(RELATIONS[relation])
    if every or alone & aliases:
        return known
    return tuple(name for name in known if name in texts) or known[:1]


def _read(connection: duckdb.DuckDBPyConnection, relation: str, columns: tuple[str, ...], most: int) -> pa.Table:
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.sql(f"SELECT {names} FROM {relation}").to_arrow_reader(_BATCH) as reader:
        batches: list[pa.RecordBatch] = []
        size = 0
        for batch in reader:
            size += batch.nbytes
            if size > most:
                raise _too_much()
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)


def _too_much() -> NotReadyError:
    return NotReadyError(
        "the statement needs more memory than it may use", next_step="ask for a shorter time, or name fewer columns"
    )
