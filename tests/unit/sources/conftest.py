from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.model.directory import Device
from pdp.store.store import Store, open_store
from tests.unit.sources.simulated import NOW, Stage

DEVICES = 60


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty managed PCs, `d-0` to `d-59`, with the serials `sn-0` … and the host names `pc-0` …"""
    path = tmp_path_factory.mktemp("template") / "sekisho.db"
    store = open_store(f"sqlite:///{path}")
    store.migrate()
    with change(store, NOW) as inside:
        inside.add("devices", {f"d-{n}": Device(f"d-{n}", "managed_pc") for n in range(DEVICES)})
        inside.add("aliases", {f"serial sn-{n}": Alias(f"d-{n}") for n in range(DEVICES)})
        inside.add("aliases", {f"host_name pc-{n}": Alias(f"d-{n}") for n in range(DEVICES)})
    store.close()
    return path


@pytest.fixture
def store(registered: Path, tmp_path: Path) -> Iterator[Store]:
    path = shutil.copy(registered, tmp_path / "sekisho.db")
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage(store)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
