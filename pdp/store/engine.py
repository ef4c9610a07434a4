"""SQLAlchemy engines as this service needs them: real transactions, deadlines everywhere, no secrets in errors."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from pdp.errors import DirectoryError, SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_S: Final = 15  # how long a writer waits for another: longer than the longest import, shorter than patience
STATEMENT_S: Final = 30
CONNECT_S: Final = 5
_POOL: Final = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 10, "hide_parameters": True}
_WAL_ATTEMPTS: Final = 5


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql+psycopg://…`; a new SQLite file is created at once.

    Raises SettingsError for a URL that is neither (without repeating it: it may hold a password) and
    where psycopg is not installed, DirectoryError where the file cannot be made or opened.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("`database_url` is not a database URL") from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(parsed)
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise SettingsError(f"`database_url` names `{parsed.drivername}`; sqlite and postgresql+psycopg are supported")


def _postgresql(url: URL) -> Engine:
    said = url.query.get("options", ())
    options = [said] if isinstance(said, str) else list(said)
    options += [
        "-c timezone=UTC",
        f"-c statement_timeout={STATEMENT_S}s",
        f"-c lock_timeout={BUSY_S}s",
        "-c idle_in_transaction_session_timeout=60s",
    ]
    connect = {"connect_timeout": CONNECT_S, "options": " ".join(options), "application_name": "sekisho"}
    try:
        return create_engine(url, connect_args=connect, pool_pre_ping=True, **_POOL)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise SettingsError("PostgreSQL needs psycopg", next_step="install `sekisho-pdp[postgres]`") from None


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.query:
        raise SettingsError("a SQLite URL names a file, for example `sqlite:////var/lib/sekisho/sekisho.db`")
    try:
        _ensure_wal(Path(url.database))
    except (OSError, sqlite3.Error) as fault:
        raise DirectoryError(f"the database file cannot be opened: {type(fault).__name__}") from fault
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, **_POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi: Any, _record: object) -> None:
    dbapi.isolation_level = None  # the driver's own BEGIN comes too late: see _begin_sqlite
    dbapi.execute("PRAGMA foreign_keys = ON")
    dbapi.execute("PRAGMA synchronous = FULL")  # a revocation that was confirmed survives a power cut


def _begin_sqlite(connection: Connection) -> None:
    """BEGIN IMMEDIATE for writers: they queue before they read.

    A reader that turns into a writer would fail at once, whatever the timeout, where another wrote meanwhile.
    """
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _ensure_wal(path: Path) -> None:
    """The file exists and is in WAL mode, so that readers never wait for a writer.

    A new file gets its mode before it gets its name: SQLite does not wait where two processes switch one file.
    """
    if not path.exists():
        _create_wal(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        for _ in range(_WAL_ATTEMPTS):
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal" or _switched(connection):
                return
            connection.execute("BEGIN IMMEDIATE")  # waits for whoever holds the file, then looks again
            connection.execute("ROLLBACK")
    finally:
        connection.close()
    raise DirectoryError("the database file is in use and not in WAL mode", next_step="stop the other processes")


def _switched(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")
    except sqlite3.OperationalError:  # locked
        return False


def _create_wal(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".new")  # mode 0600: people's data
    os.close(handle)
    fresh = Path(name)
    try:
        connection = sqlite3.connect(fresh)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        path.hardlink_to(fresh)
    except FileExistsError:
        pass  # another process was first; its file is as good
    finally:
        fresh.unlink()
