"""A store of its own for each test, and a transmitter on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.store.store import Store, open_store
from tests.signal_house import furnish
from tests.ssf_transmitter import Transmitter, transmitting


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'signals.db'}")
    opened.migrate()
    furnish(opened)
    yield opened
    opened.close()


@pytest.fixture
def transmitter() -> Iterator[Transmitter]:
    with transmitting() as made:
        yield made


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
