"""DuckDB in memory, and which files it may open.

No database file, ever: a second process could not even read one. An engine may open the files that are named to it,
and no others, loads no extension, and its settings are locked before the first statement (DuckDB 2.0, "Securing
DuckDB").

Shared engines are used again, by one question at a time: they remember the footers of the files that they have read. A
day of thirty million records has thirty files of 20 groups and 100 columns, and to read their footers takes longer than
most questions. The directory of the published tail is open to them as a whole, since its files change every two
seconds; nothing there counts (it is derived, and listed with its digests).

What DuckDB may read it may also write, with `COPY` and the right options: statements are ours, or one SELECT that
`pdp.archive.search_sql` has looked at.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Of one question. `memory_mb` is the engine's own; what does not fit fails, nothing is spilt to a disk."""

    memory_mb: int = 1024
    threads: int = 2
    deadline_s: float = 30.0  # a page is there in half a second; a person has left after this
    rows: int = 100_000  # of an answer that is no export: a table that somebody reads


_LOCKED: Final = {
    "temp_directory": "",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
_IDLE: Final = 2  # with their footers at most 300 MB; whoever comes third at one time begins anew
_SHARED_FILES: Final = 128  # rows and counts of two days of thirty million; a footer of rows takes 2.3 MB in memory
_MOST_REMEMBERED: Final = 256  # during one question, which looks at each file several times


@dataclass(frozen=True, slots=True)
class _Engine:
    connection: duckdb.DuckDBPyConnection
    limits: EngineLimits
    files: frozenset[str]
    tails: frozenset[str]
    process: int  # a fork must not use what its parent has begun


_idle: list[_Engine] = []
_lock: Final = threading.Lock()


@contextmanager
def engine_of_its_own(limits: EngineLimits, files: Collection[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an engine that may open these files and ends with the question."""
    connection = _open(limits, files, (), remember=len(files) <= _MOST_REMEMBERED)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def shared_engine(
    limits: EngineLimits, files: Collection[str], tails: AbstractSet[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own to an engine that may open these files, and those of these directories.

    The engine may know other files of the store too. Only for statements that are ours.
    """
    engine = _taken(limits, frozenset(files), frozenset(tails))
    try:
        connection = engine.connection.cursor()
        try:
            yield connection
        finally:
            connection.close()
    except BaseException:
        engine.connection.close()  # whatever state it is in
        raise
    _give_back(engine)


def _taken(limits: EngineLimits, files: frozenset[str], tails: frozenset[str]) -> _Engine:
    with _lock:
        ours = [engine for engine in _idle if engine.limits == limits and engine.process == os.getpid()]
        fit = next((engine for engine in ours if files <= engine.files and tails <= engine.tails), None)
        # One that does not fit gives way to one that knows its files as well: soon there are none of those.
        chosen = fit or (ours[0] if ours else None)
        if chosen is not None:
            _idle.remove(chosen)
    if fit is not None:
        return fit
    if chosen is not None:
        chosen.connection.close()
        if len(files | chosen.files) <= _SHARED_FILES:
            files, tails = files | chosen.files, tails | chosen.tails
    remember = len(files) <= _MOST_REMEMBERED
    return _Engine(_open(limits, files, tails, remember=remember), limits, files, tails, os.getpid())


def _give_back(engine: _Engine) -> None:
    old: _Engine | None = engine
    if len(engine.files) <= _SHARED_FILES:
        with _lock:
            _idle.append(engine)
            old = _idle.pop(0) if len(_idle) > _IDLE else None
    if old is not None and old.process == os.getpid():
        old.connection.close()


def _open(
    limits: EngineLimits, files: Collection[str], directories: Collection[str], *, remember: bool
) -> duckdb.DuckDBPyConnection:
    config = {"memory_limit": f"{limits.memory_mb}MB", "threads": str(limits.threads)}
    connection = duckdb.connect(":memory:", config={**_LOCKED, **config})
    try:
        # Global: else it would hold for this connection and not for those of the questions.
        connection.execute(f"SET GLOBAL parquet_metadata_cache = {str(remember).lower()}")
        connection.execute("SET allowed_paths = $paths", {"paths": list(files)})
        places = [f"{directory}/" for directory in directories]
        connection.execute("SET allowed_directories = $places", {"places": places})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection
