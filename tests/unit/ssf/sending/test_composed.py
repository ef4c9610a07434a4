"""The transmitter behind the whole service: only where it is configured, and only as it can work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.errors import SettingsError
from pdp.main import compose
from pdp.settings import Settings, load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
PATHS = ("/.well-known/ssf-configuration", "/ssf/jwks.json", "/ssf/stream")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings(place: Path, **changes: Any) -> Settings:
    return load_settings(environ={}, state_dir=str(place), decision_table="off", **changes)


async def statuses(chosen: Settings) -> tuple[list[int], list[str]]:
    async with compose(chosen) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp", timeout=60) as anybody:
            found = [(await anybody.get(path)).status_code for path in PATHS]
            checks = (await anybody.get("/readyz")).json()["checks"]
    return found, [one["name"] for one in checks]


async def test_it_is_there_only_where_it_is_configured(tmp_path: Path) -> None:
    found, checks = await statuses(settings(tmp_path / "without"))
    assert found == [404, 404, 404]
    assert "security_events" not in checks
    assert not (tmp_path / "without" / "ssf-keys.json").exists()
    found, checks = await statuses(settings(tmp_path / "with", ssf_transmitter={}))
    assert found == [200, 200, 401]
    assert "security_events" in checks
    assert (tmp_path / "with" / "ssf-keys.json").stat().st_mode & 0o777 == 0o600


async def test_an_issuer_without_tls_ends_the_start(tmp_path: Path) -> None:
    chosen = settings(tmp_path, ssf_transmitter={}, public_url="http://pdp.example.jp")
    with pytest.raises(SettingsError, match="https"):
        async with compose(chosen):
            pass


@pytest.mark.parametrize(
    "table",
    [
        {"issuer": "https://x/"},
        {"outbox_events": 1},
        {"subject_format": "phone_number"},
        {"push_host": []},
        {"email_domain": "@x"},
    ],
)
def test_a_table_that_cannot_work_is_refused(tmp_path: Path, table: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        settings(tmp_path, ssf_transmitter=table)
