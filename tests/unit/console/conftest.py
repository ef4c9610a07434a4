from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pdp.console.accounts import account_line
from pdp.model.console import ConsoleSettings
from pdp.store.store import Store, open_store
from tests.unit.audit.world import some_log
from tests.unit.console.world import Console, a_console

PASSWORD = "correct horse battery"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A log, a migrated database and a file of accounts, made once; every test has a copy."""
    place = tmp_path_factory.mktemp("console")
    store = open_store(f"sqlite:///{place / 'sekisho.db'}")
    store.migrate()
    store.close()
    lines = (account_line("duty", ["operator"], PASSWORD), account_line("boss", ["administrator"], PASSWORD))
    (place / "accounts.txt").write_text("# accounts\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return place, some_log(place)


@pytest.fixture
def ids(tmp_path: Path, template: tuple[Path, list[str]]) -> list[str]:
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)
    return template[1]


@pytest.fixture
def store(tmp_path: Path, ids: list[str]) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    yield opened
    opened.close()


@pytest.fixture
async def console(tmp_path: Path, store: Store) -> AsyncIterator[Console]:
    async with a_console(tmp_path, store, ConsoleSettings(accounts_file=str(tmp_path / "accounts.txt"))) as built:
        yield built
