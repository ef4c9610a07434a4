"""What is composed: readiness with real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.directory.demo import write_demonstration
from pdp.errors import BundleError
from pdp.main import compose
from pdp.parts import open_directory, utc_now
from pdp.settings import Settings, load_settings

pytestmark = pytest.mark.anyio

PLAIN = Path(__file__).parents[1] / "conformance" / "authzen" / "bundle"


def settings(place: Path, **changes: object) -> Settings:
    return load_settings(environ={}, state_dir=str(place), unsafe_no_caller_auth=True, **changes)


WELL = dict.fromkeys(("policy", "directory", "decision_log", "shared_cache", "news"), True)


async def readiness(chosen: Settings) -> tuple[int, dict[str, Any]]:
    async with compose(chosen) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
            answer = await client.get("/readyz")
    return answer.status_code, {check["name"]: check["ok"] for check in answer.json()["checks"]}


async def test_an_empty_directory_is_not_ready_and_a_filled_one_is(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert await readiness(chosen) == (503, {**WELL, "directory": False})
    store = open_directory(chosen)
    write_demonstration(store, utc_now())
    store.close()
    assert await readiness(chosen) == (200, WELL)


async def test_a_plain_policy_needs_no_directory(tmp_path: Path) -> None:
    assert (await readiness(settings(tmp_path, bundle=str(PLAIN))))[0] == 200


async def test_a_bundle_of_another_profile_than_the_one_asked_for_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="profile"):
        async with compose(settings(tmp_path, bundle=str(PLAIN), profile="zta")):
            pass
