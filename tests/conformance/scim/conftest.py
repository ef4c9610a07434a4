"""A service whose tenant takes whatever the samples hold; the vectors beside the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.model.provisioning import ScimTenant
from tests.scim_service import ScimService, new_store


@pytest.fixture
def scim(tmp_path: Path) -> Iterator[ScimService]:
    store = new_store(tmp_path)
    yield ScimService(store, {"entra": ScimTenant()})
    store.close()


@pytest.fixture
def vectors(shared: Path) -> Path:
    return shared / "vectors" / "scim"
