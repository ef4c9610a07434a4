"""One database per test, on SQLite and on a real PostgreSQL; each a copy of one that was migrated once."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from pdp.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres_server import PostgresServer


@dataclass(frozen=True)
class Databases:
    """`empty()` and `migrated()` give the URL of a fresh database; `being_changed` looks from outside, without waiting."""

    empty: Callable[[], str]
    migrated: Callable[[], str]
    being_changed: Callable[[str], bool]


def sqlite_databases(folder: Path) -> Databases:
    made = 0
    template = folder / "template.db"
    store = open_store(f"sqlite:///{template}")
    store.migrate()
    store.close()

    def empty() -> str:
        nonlocal made
        made += 1
        return f"sqlite:///{folder / f'test-{made}.db'}"

    def migrated() -> str:
        url = empty()
        shutil.copy(template, url.removeprefix("sqlite:///"))
        return url

    return Databases(empty, migrated, _sqlite_busy)


def _sqlite_busy(url: str) -> bool:
    probe = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    try:
        probe.execute("BEGIN IMMEDIATE")
        probe.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        probe.close()
    return False


def postgres_databases(server: PostgresServer) -> Databases:
    template = server.new_database()
    store = open_store(server.url(template))
    store.migrate()
    store.close()

    def busy(url: str) -> bool:
        with server.connect(url.rpartition("/")[2]) as probe:
            try:
                probe.execute("SELECT epoch FROM directory_meta FOR UPDATE NOWAIT")
            except psycopg.errors.LockNotAvailable:
                return True
        return False

    return Databases(
        empty=lambda: server.url(server.new_database()),
        migrated=lambda: server.url(server.new_database(template)),
        being_changed=busy,
    )


CHILD_PRELUDE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pdp.store.store import open_store
store = open_store(sys.argv[1])
NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
"""


def child(code: str, *arguments: str) -> list[str]:
    """The command of another process of the service over the same database."""
    import sys

    return [sys.executable, "-c", CHILD_PRELUDE + code, *arguments]


def quiet() -> dict[str, Any]:
    import subprocess

    return {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
