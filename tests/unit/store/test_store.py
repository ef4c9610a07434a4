from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from pdp.errors import DirectoryError, SettingsError
from pdp.store.columns import Instant
from pdp.store.store import HEAD, Store, open_store

NOWHERE = "postgresql+psycopg://admin:hunter2@127.0.0.1:1/sekisho"


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "mysql://root:hunter2@localhost/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite+aiosqlite:///x.db",
        "postgresql+asyncpg://root:hunter2@localhost/x",
    ],
)
def test_a_url_that_is_no_database_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_psycopg(scheme: str) -> None:
    store = open_store(f"{scheme}://x@127.0.0.1:1/x?options=-c%20search_path%3Dother")
    assert store.dialect == "postgresql"
    store.close()


def test_a_server_that_is_not_there_is_an_error_that_names_no_secret_and_no_host() -> None:
    store = open_store(NOWHERE)
    with pytest.raises(DirectoryError) as failed:
        store.migrate()
    store.close()
    assert not {"hunter2", "127.0.0.1", "admin"} & set(failed.value.message.split())
    assert "hunter2" not in failed.value.message


def test_a_new_file_is_readable_by_its_owner_alone_and_lets_readers_pass_writers(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sekisho.db"
    store = open_store(sqlite_url(path))
    store.migrate()
    with store.write() as writing:
        writing.execute(text("INSERT INTO callers VALUES ('x', '[]', '2023-08-01T00:00:00.000000Z')"))
        with store.read() as reading:
            assert reading.execute(text("SELECT count(*) FROM callers")).scalar() == 0
    store.close()
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert not list(path.parent.glob("*.new"))


def test_a_restored_copy_in_another_journal_mode_is_switched(tmp_path: Path) -> None:
    path = tmp_path / "restored.db"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE other (x)")
    plain.close()
    store = open_store(sqlite_url(path))
    with store.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 15_000
    store.close()


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are my notes, not a database\n" * 40)
    with pytest.raises(DirectoryError) as refused:
        open_store(sqlite_url(path))
    assert str(tmp_path) not in refused.value.message
    assert path.read_text().startswith("these are my notes")


def test_a_foreign_database_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE users (name TEXT)")
    plain.close()
    store = open_store(sqlite_url(path))
    with pytest.raises(DirectoryError):
        store.migrate()
    with store.read() as connection:
        names = {row[0] for row in connection.execute(text("SELECT name FROM sqlite_master"))}
    store.close()
    assert names == {"users"}


def test_a_block_that_fails_is_rolled_back(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path / "x.db"))
    store.migrate()

    def half(store: Store) -> None:
        with store.write() as connection:
            connection.execute(text("UPDATE directory_meta SET epoch = 7"))
            raise KeyError("half")

    with pytest.raises(KeyError):
        half(store)
    with store.read() as connection:
        assert connection.execute(text("SELECT epoch FROM directory_meta")).scalar() == 0
    store.close()
    store.close()


def test_the_head_is_the_one_that_the_migrations_name() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import pdp.store

    config = Config()
    config.set_main_option("script_location", str(Path(pdp.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_time_without_its_offset_is_not_stored() -> None:
    from sqlalchemy.dialects import sqlite

    dialect = sqlite.dialect()
    assert Instant().process_bind_param(datetime(2023, 8, 1, tzinfo=UTC), dialect) == "2023-08-01T00:00:00.000000Z"
    with pytest.raises(ValueError, match="offset"):
        Instant().process_bind_param(datetime(2023, 8, 1), dialect)  # that is what is refused
