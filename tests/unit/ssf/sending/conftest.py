"""A transmitter over a store of its own, behind the real routes; callers are who they say they are."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from pdp.callers.caller import Caller, Permission
from pdp.callers.keys import add_caller
from pdp.directory.snapshot import load_snapshot
from pdp.errors import NotAuthenticatedError
from pdp.model.issuer import Issuer
from pdp.model.ssf_transmitter import SsfTransmitter
from pdp.parts import new_id
from pdp.posture.score import Thresholds
from pdp.ssf.sending.metrics import SendingMetrics
from pdp.ssf.sending.opening import Ground, open_transmitter
from pdp.ssf.sending.sender import Sender
from pdp.store.store import Store, open_store
from pdp.wire.exchange import HttpRequest

BASE = "https://pdp.example.jp"
IDP = Issuer(issuer="https://idp.example.jp", audiences=("x",))
PERMISSIONS: dict[str, frozenset[Permission]] = {
    "manager": frozenset({"ssf_manage", "ssf_read"}),
    "other": frozenset({"ssf_manage"}),
    "reader": frozenset({"ssf_read"}),
    "gateway": frozenset({"decide"}),
}


async def introduce(request: HttpRequest) -> Caller:
    name = (request.header("authorization") or "").removeprefix("Bearer ")
    if name not in PERMISSIONS:
        raise NotAuthenticatedError("no credential that is known")
    return Caller(name, PERMISSIONS[name])


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Transmitter:
    """One worker. `api` asks as the caller `manager`."""

    store: Store
    clock: Clock
    registry: CollectorRegistry
    sender: Sender
    api: httpx.AsyncClient

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"sekisho_ssf_{name}", labels) or 0.0

    async def stream(self, caller: str = "manager", **asked: Any) -> dict[str, Any]:
        made = await self.api.post("/ssf/stream", json=asked, headers={"authorization": f"Bearer {caller}"})
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found

    async def poll(self, stream_id: str, **asked: Any) -> dict[str, Any]:
        answer = await self.api.post(f"/ssf/poll/{stream_id}", json={"returnImmediately": True, **asked})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> SsfTransmitter:
    return SsfTransmitter(email_domain="example.jp", push_hosts=("gw.example.jp",))


@pytest.fixture
async def transmitter(
    store: Store, clock: Clock, settings: SsfTransmitter, tmp_path: Path
) -> AsyncIterator[Transmitter]:
    registry = CollectorRegistry()
    for name, permissions in PERMISSIONS.items():
        add_caller(store, name, permissions, now=clock())
    ground = Ground(
        store=store,
        introduce=introduce,
        registers=lambda: (load_snapshot(store), Thresholds()),
        keys_file=tmp_path / "keys.json",
        base_url=BASE,
        issuers=(IDP,),
        worker="test",
        clock=clock,
        new_id=new_id,
        metrics=SendingMetrics(registry),
    )
    async with open_transmitter(settings, ground) as (router, sender):
        app = FastAPI()
        app.include_router(router)
        transport, headers = httpx.ASGITransport(app=app), {"authorization": "Bearer manager"}
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=60) as api:
            yield Transmitter(store, clock, registry, sender, api)


async def until(holds: Any, otherwise: str, within_s: float = 60) -> Any:
    """The first true value of `holds`, which may be a coroutine function: what a task does can only be looked at."""
    import asyncio

    deadline = time.monotonic() + within_s
    while True:
        found = holds()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)
