"""The control plane's store: short read and write transactions over one database, and its migrations."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pdp.errors import DirectoryError
from pdp.store.engine import make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_REVISIONS: Final = sorted(path.name[1:5] for path in _MIGRATIONS.glob("versions/v[0-9]*.py"))  # v0001_….py is 0001
HEAD: Final = _REVISIONS[-1]
_ADVISORY_LOCK: Final = 0x53454B49  # "SEKI": any number, but the same in every process
_MIGRATION_S: Final = 600  # a migration may rewrite a table; ten minutes is more than any of ours needs


def open_store(url: str) -> Store:
    """The store at this URL. Nothing is migrated yet. Raises as `make_engine` does."""
    return Store(make_engine(url))


class Store:
    """One database. Safe to share between threads; not across a fork (uvicorn spawns its workers).

    Every method raises DirectoryError where the database cannot be reached, is locked for too long, or
    refuses a change; the message names no host, file, statement or value (the cause, for the log, may).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view: everything read inside stands as it stood at the first query."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with _translated(), self._engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(**options)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed where the block ends well. SQLite: writers queue from its start.

        PostgreSQL: whoever changes a register first takes the row of its counter, and so queues there.
        """
        with _translated(), self._engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.execution_options(sqlite_begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def migrate(self) -> None:
        """Bring the schema to this version; nothing happens where it is there. Processes may race.

        Raises DirectoryError, and changes nothing, where a newer version of the service wrote it.
        """
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = '{_MIGRATION_S}s'"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{_MIGRATION_S}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            if _revision(connection) != HEAD:
                upgrade(connection)

    def is_current(self) -> bool:
        """Whether the schema is this version's. Raises DirectoryError where it is a newer one's."""
        with self.read() as connection:
            return _revision(connection) == HEAD

    def close(self) -> None:
        """Let go of every connection. May be called twice."""
        self._engine.dispose()


def _revision(connection: Connection) -> str | None:
    """The schema's revision; None where there is no schema. Raises DirectoryError for one that we do not know."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found not in _REVISIONS:
        raise DirectoryError(
            f"the database was written by a newer version of this service (its schema is `{found}`)",
            next_step="start the newer version, or restore the backup from before the upgrade",
        )
    return found


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Bring the tables to this revision of theirs, inside the transaction of `connection`."""
    from alembic import command  # 0.3 s that a worker saves where there is nothing to do
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as fault:
        raise DirectoryError("the change breaks a reference or a rule of the database") from fault
    except (SQLAlchemyError, sqlite3.Error) as fault:
        raise DirectoryError(f"the database does not answer: {type(fault).__name__}") from fault
