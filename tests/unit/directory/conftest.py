from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.store.store import Store, open_store


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "sekisho.db"
    store = open_store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Iterator[Store]:
    path = shutil.copy(migrated, tmp_path / "sekisho.db")
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()
