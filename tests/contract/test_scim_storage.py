"""The SCIM library's own suite for storages, on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from scim2_server.testing import ScimStorageContract

from pdp.model.provisioning import ScimTenant
from pdp.scim.provider import provider as our_provider
from pdp.scim.storage import Tenant, TenantStorage
from pdp.store.store import open_store
from tests.contract.stores import postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server

if TYPE_CHECKING:
    from scim2_models import ScimProvider

    from tests.contract.stores import Databases

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    else:
        with postgres_server() as server:
            yield postgres_databases(server)


class TestTenantStorage(ScimStorageContract):
    @pytest.fixture
    def provider(self) -> ScimProvider:
        return our_provider()

    @pytest.fixture
    def storage(self, databases: Databases) -> Iterator[TenantStorage]:
        store = open_store(databases.migrated())
        ids = (f"0192f000-0000-7000-8000-{number:012d}" for number in itertools.count())
        yield TenantStorage(store, Tenant("entra", ScimTenant()), NOW, lambda: next(ids), lambda _: None)
        store.close()
