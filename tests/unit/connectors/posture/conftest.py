"""What the suites of posture connectors share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.worlds import STAGE


@pytest.fixture(scope="session", autouse=True)
def open_stage() -> Iterator[None]:
    """One server for all simulators of the session."""
    with STAGE.open():
        yield
