"""One service with a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scim_service import PREFECTURE, ScimService, new_store


@pytest.fixture
def scim(tmp_path: Path) -> Iterator[ScimService]:
    store = new_store(tmp_path)
    yield ScimService(store, {"entra": PREFECTURE, "okta": PREFECTURE})
    store.close()
