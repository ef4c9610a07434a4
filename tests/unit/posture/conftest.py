"""A push API over a real database, asked through the whole application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.posture.hip_facts import read_hip_report
from pdp.api.app import serve_app
from pdp.api.surface import Surface
from pdp.callers.keys import add_caller
from pdp.callers.stored import StoredCallers
from pdp.directory.aliases import alias_key
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import Device
from pdp.posture.desk import Desk
from pdp.posture.ledger import Ledger
from pdp.posture.routes import posture_document, posture_router
from pdp.posture.scoring import Scorer
from pdp.posture.sets import ExportedSets
from pdp.store.store import Store
from pdp.wire.caller_credentials import introducing
from tests.empty_store import empty_store

NOW = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
GOOD = {
    "certificate": True,
    "disk_encrypted": True,
    "edr_running": True,
    "edr_risk": "none",
    "av_current": True,
    "firewall": True,
    "screen_lock": True,
    "tampered": False,
    "patch_age_days": 3,
}


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class House:
    """Everything that a test turns."""

    store: Store
    clock: Clock
    client: httpx.AsyncClient
    keys: dict[str, str]
    ledger: Ledger
    told: list[int]
    desk: Desk
    scorer: Scorer
    callers: StoredCallers
    facts: dict[str, Any] = field(default_factory=dict)

    async def put(self, device: str, facts: Any = None, *, age: timedelta = timedelta(), **more: Any) -> httpx.Response:
        body = {"observed_at": (self.clock.now - age).isoformat(), "facts": GOOD if facts is None else facts}
        return await self.send("PUT", f"/posture/v1/devices/{device}", json=body, **more)

    async def send(self, method: str, path: str, *, caller: str | None = "edr", **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {})}
        if caller is not None:
            headers["authorization"] = f"Bearer {self.keys[caller]}"
        return await self.client.request(method, path, headers=headers, **more)

    def posture(self, device: str) -> Any:
        """As decisions see it."""
        return load_snapshot(self.store).devices[device].posture


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path)
    with change(opened, NOW) as inside:
        for number in range(1, 5):
            inside.put_device(Device(f"d-{number}", "managed_pc", certificate_sha256=f"{number}" * 64))
        inside.put_device(Device("d-phone", "byod_phone"))
        names = (("serial", "SN-0001", "d-1"), ("host_name", "PC-0001", "d-1"), ("serial", "SN-0002", "d-2"))
        for kind, name, device in (*names, ("vendor_id", "push:edr:abc", "d-3"), ("host_name", "a/b%20c", "d-4")):
            inside.add("aliases", {alias_key(kind, name): Alias(device)})
    yield opened
    opened.close()


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[House]:
    clock = Clock()
    keys = {
        name: add_caller(store, name, permissions, now=NOW)
        for name, permissions in (
            ("edr", {"push_posture"}),
            ("mdm", {"push_posture"}),
            ("reader", {"read_posture"}),
            ("gateway", {"decide"}),
        )
    }
    callers = StoredCallers(store, clock)
    await callers.refresh()
    told: list[int] = []
    facts: dict[str, Any] = {}
    ledger = Ledger(store, clock, told.append)
    introduce = introducing(callers)
    desk = Desk(introduce, ledger, store, clock, read_hip_report, facts)
    sets = ExportedSets([tmp_path / "sets.json"]).conditions
    scorer = Scorer(introduce, store, lambda: load_snapshot(store), dict, clock, sets=sets)
    surface = Surface(
        exact={},
        readiness=lambda: (),
        metrics=lambda: b"",
        routers=(posture_router(desk, scorer),),
        documents=(posture_document(),),
    )
    transport = httpx.ASGITransport(serve_app(surface))
    async with httpx.AsyncClient(transport=transport, base_url="http://pdp.test") as client:
        yield House(store, clock, client, keys, ledger, told, desk, scorer, callers, facts)
    await ledger.close()
