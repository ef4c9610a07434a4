"""A time of warning over a whole worker: asked for, approved, activated, told to the user, counted, replayed, ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.archive.session import EngineLimits
from pdp.bundle_archive import BundleArchive
from pdp.directory.changes import change
from pdp.engine.regorus import RegorusEngine
from pdp.model.directory import Device, Period, Post, PostureReport, User
from pdp.parts import utc_now
from pdp.replaying.answer import held_in
from pdp.replaying.court import Court
from pdp.replaying.single import find, replay_one
from pdp.revisions.person import People, Person
from pdp.revisions.register import Revisions
from tests.revision_files import FINE, WHY
from tests.unit.gates.small import small_files
from tests.unit.governance.test_api import PEOPLE, Api, api

pytestmark = pytest.mark.anyio

QUESTION = {
    "subject": {"type": "user", "id": "u-1", "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}}},
    "action": {"name": "access"},
    "resource": {"type": "application", "id": "mail"},
    "context": {"device": {"id": "d-1"}, "network": {"source_ip": "10.1.2.3"}},
}
NEWER, FORMER = 'input.resource.group == "business"', 'input.resource.group == "communication"'


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEOPLE, "gateway", ["decide", "assert_identity", "assert_network"])


def people(service: Api) -> None:
    posture = PostureReport(tampered=False, edr_running="true", edr_risk="none", observed_at=utc_now(), source="asset")
    with change(service.service.store, utc_now()) as inside:
        inside.put_user(User("u-1", "staff", posts=(Post("soumu", Period()),)))
        for name in ("d-1", "d-2"):
            inside.put_device(Device(name, "managed_pc", owner="u-1", takeout="permitted", posture=posture,
                                     state="in_service" if name == "d-1" else "lost"))  # fmt: skip


async def active(service: Api, name: str, condition: str, days: int = 0) -> int:
    """As people do it, but for the gates, which would prove this small policy wrong."""
    files, sato = small_files(name, condition), Person("caller:sato", frozenset({"author"}))
    held = Revisions(service.service.store, People())
    made = await asyncio.to_thread(held.create, sato, files, WHY, utc_now())
    await asyncio.to_thread(held.keep_gates, sato, made.number, made.source_digest, FINE, utc_now())
    asked = await service.good("sato", "POST", f"/revisions/{made.number}/submit", {"reason": WHY, "warn_days": days})
    assert asked["warn_days"] == days
    await service.good("suzuki", "POST", f"/revisions/{made.number}/approve", {"reason": WHY})
    await service.good("tanaka", "POST", f"/revisions/{made.number}/activate", {"reason": WHY})
    return made.number


async def asked(service: Api, device: str = "d-1") -> Any:
    headers = {"authorization": f"Bearer {service.keys['gateway']}"}
    question = {**QUESTION, "context": {**QUESTION["context"], "device": {"id": device}}}  # type: ignore[dict-item]
    return (await service.client.post("/access/v1/evaluation", json=question, headers=headers)).json()


async def until(service: Api, holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(60):
        while not holds(answer := await asked(service)):  # noqa: ASYNC110  # the worker looks by itself
            await asyncio.sleep(0.02)
    return answer


@pytest.mark.usefixtures("gateway")
async def test_a_time_of_warning_from_its_approval_to_its_end(tmp_path: Path) -> None:
    async with api(tmp_path) as service:
        people(service)
        await active(service, "before", FORMER)
        await until(service, lambda said: said.get("decision") is True)
        number = await active(service, "newer", NEWER, days=14)
        held = await until(service, lambda said: "warned" in said.get("context", {}))
        context = held["context"]
        assert (held["decision"], context["outcome"], context["policy_revision"]) == (True, "allow", "newer")
        assert context["obligations"] == {"warn": "NO"}
        assert (context["warned"]["outcome"], context["warned"]["former"]["revision"]) == ("deny", "before")
        assert "から利用できなくなります" in context["reason_user"]["ja"]
        lost = await asked(service, "d-2")
        assert (lost["decision"], "warned" in lost["context"]) == (False, False)
        await _told(service, number)
        await _replayed(tmp_path / "state", context["id"])
        refused = await service.ask("suzuki", "POST", "/policy/renew", {"reason": WHY, "enforce": True})
        assert refused[0] == 403
        ended = await service.good("tanaka", "POST", "/policy/renew", {"reason": WHY, "enforce": True})
        assert ended["warn"] is None
        over = await until(service, lambda said: said["decision"] is False)
        assert over["context"]["reasons"] == ["NO"]


async def _told(service: Api, number: int) -> None:
    standing = (await service.good("kansa", "GET", "/policy"))["active"]
    end = standing["warn"]["until"]
    assert end[:10] == (utc_now() + timedelta(days=14)).date().isoformat()
    detail = await service.good("kansa", "GET", f"/revisions/{number}")
    assert (detail["warn_days"], detail["approvals"][0]["sealed"]) == (14, False)
    ready = (await service.client.get("/readyz")).json()
    (probe,) = [check["detail"] for check in ready["checks"] if check["name"] == "policy"]
    assert "warns: what" in probe
    metrics = (await service.client.get("/metrics")).text
    assert 'sekisho_policy_held_over_total{code="NO",outcome="deny"}' in metrics


async def _replayed(state: Path, decision_id: str) -> None:
    limits = EngineLimits(memory_mb=256)
    record = await asyncio.to_thread(find, [state / "decisions"], decision_id, limits)
    assert json.loads(bytes(record.policy_context))["warned"]["former"]["revision"] == "before"
    async with Court(
        {"regorus": lambda: RegorusEngine(timedelta(seconds=20), children=1)}, BundleArchive(state / "bundles").load
    ) as court:
        assert record.bundle_digest is not None
        found = await replay_one(record, await court.bench(record.bundle_digest, held_in(record)), court.names)
    assert (found.differences, found.exact) == ([], True)
