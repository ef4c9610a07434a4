from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pdp.store.store import Store, open_store
from tests.unit.audit.world import World, some_log, world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A log and a migrated database, made once; every test has a copy."""
    place = tmp_path_factory.mktemp("audit")
    store = open_store(f"sqlite:///{place / 'sekisho.db'}")
    store.migrate()
    store.close()
    return place, some_log(place)


@pytest.fixture
def ids(tmp_path: Path, template: tuple[Path, list[str]]) -> list[str]:
    """The decisions of the log, in the order of `PEOPLE`, three each; then the same again, in an open segment."""
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)
    return template[1]


@pytest.fixture
def store(tmp_path: Path, ids: list[str]) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    yield opened
    opened.close()


@pytest.fixture
async def audit(tmp_path: Path, store: Store, ids: list[str]) -> AsyncIterator[World]:
    async with world(tmp_path, store) as built:
        yield built
