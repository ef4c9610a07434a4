"""The same scenario files through the wires: HTTP AuthZEN, and a real Envoy over HTTP and over gRPC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pdp.bundle.bundle import read_bundle
from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.facts.reference import read_reference
from pdp.model.directory import Snapshot, snapshot_of
from pdp.model.request import AccessRequest, AssertedClaims
from pdp.scenario.files import read_scenarios
from pdp.scenario.format import Scenario
from pdp.scenario.runner import Answer, run_scenario
from pdp.settings import load_settings
from tests.envoy_server import DEPLOYED, DEPLOYED_GRPC, Gateway, bench_headers, gateway
from tests.http_server import serving
from tests.servers import free_port
from tests.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.system]

BUNDLE = read_bundle(load_settings(environ={}).bundle_path)
REFERENCE = read_reference(BUNDLE.data)


@pytest.fixture(params=["off", "on"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """With the decision cache off, and on."""
    cache = VerdictCache(LocalLevel(1_000)) if request.param == "on" else None
    return Stage(BUNDLE, now=datetime(2023, 8, 1, tzinfo=UTC), snapshot=snapshot_of(epoch=1), cache=cache)


@pytest.fixture
def stories(shared: Path) -> list[Scenario]:
    return read_scenarios([shared / "scenarios"])


def authzen_body(request: AccessRequest) -> dict[str, Any]:
    """An `AccessRequest` as the AuthZEN request that means it (access-rules, section 6)."""
    assert isinstance(request.identity, AssertedClaims)
    assert request.identity.auth_time is not None
    claims: dict[str, Any] = {"auth_time": int(request.identity.auth_time.timestamp())}
    if request.identity.acr is not None:
        claims["acr"] = request.identity.acr
    network = request.network
    properties = {"tenant": request.tenant, "organisation": request.organisation}
    return {
        "subject": {"type": "user", "id": request.subject_id, "properties": {"claims": claims}},
        "action": {"name": request.action},
        "resource": {
            "type": "application",
            "id": request.resource_id,
            "properties": {name: value for name, value in properties.items() if value is not None},
        },
        "context": {
            "device": {"id": request.device_id} if request.device_id is not None else {},
            "network": {
                name: value
                for name, value in (
                    ("source_ip", network.source_ip),
                    ("tunnel", network.tunnel),
                    ("underlay", network.underlay),
                    ("country", network.country),
                    ("path_encrypted", network.path_encrypted),
                )
                if value is not None
            },
            "risk": list(request.risk),
            "pep": list(request.pep),
        },
    }


class AuthzenWay:
    """Over HTTP, as a gateway asks."""

    def __init__(self, stage: Stage, client: httpx.AsyncClient) -> None:
        self._stage = stage
        self._client = client

    async def ask(self, snapshot: Snapshot, request: AccessRequest, now: datetime) -> Answer:
        self._stage.snapshot, self._stage.now = snapshot, now.astimezone(UTC)
        answer = await self._client.post("/access/v1/evaluation", json=authzen_body(request))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        said = body["context"]
        assert body["decision"] is (said["outcome"] in ("allow", "limit"))
        return Answer(said["outcome"], tuple(said["reasons"]), said["obligations"], said.get("required_auth_level"))


async def test_every_scenario_holds_over_http(stage: Stage, stories: list[Scenario]) -> None:
    """Twice, so that with a cache the second time is told from memory."""
    failed = []
    with serving(stage, lifespan="on") as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            way = AuthzenWay(stage, client)
            for story in (*stories, *stories):
                for result in await run_scenario(story, way, REFERENCE):
                    failed += [f"{story.id}, step {result.step}: {fault}" for fault in result.faults]
    assert failed == []
    records = [json.loads(record) for record in stage.log.records]
    steps = sum(len(story.steps) for story in stories)
    assert len(records) == 2 * steps, "one record for each answer"
    assert all(record["kind"] == "decision" for record in records)
    again = {record["cache"] for record in records[steps:]}
    assert again == ({"bypass"} if stage.cache is None else {"hit"})


@pytest.fixture(params=["http", "grpc"])
def envoy(stage: Stage, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    if request.param == "http":
        with gateway(stage, tmp_path, lifespan="on", file=DEPLOYED) as running:
            yield running
        return
    stage.grpc_port = free_port()
    with (
        serving(stage, lifespan="on"),
        gateway(None, tmp_path, pdp_port=stage.grpc_port, file=DEPLOYED_GRPC) as running,
    ):
        yield running


async def test_every_scenario_holds_through_envoy(envoy: Gateway, stage: Stage, stories: list[Scenario]) -> None:
    failed = []
    for story in stories:
        for number, step in enumerate(story.steps, start=1):
            asked = msgspec.to_builtins(step.request)
            way = EnvoyWay(envoy, stage, asked)
            for result in await run_scenario(_until(story, number), way, REFERENCE):
                if result.step == number:
                    failed += [f"{story.id}, step {number}: {fault}" for fault in result.faults]
    assert failed == []
    wire = "ext_authz_http" if stage.grpc_port is None else "ext_authz_grpc"
    assert {json.loads(record)["wire"] for record in stage.log.records} == {wire}


def _until(story: Scenario, number: int) -> Scenario:
    return msgspec.structs.replace(story, steps=story.steps[:number])


class EnvoyWay:
    """Through a real Envoy: a status for the client, and `x-pdp-*` headers for the upstream."""

    def __init__(self, envoy: Gateway, stage: Stage, asked: dict[str, Any]) -> None:
        self._envoy = envoy
        self._stage = stage
        self._asked = asked

    async def ask(self, snapshot: Snapshot, request: AccessRequest, now: datetime) -> Answer:
        self._stage.snapshot, self._stage.now = snapshot, now.astimezone(UTC)
        headers = bench_headers(self._envoy.issuer, self._asked, now)
        before = len(self._stage.log.records)
        answer = self._envoy.ask("/x", *headers, listener="bench")
        (record,) = [json.loads(record) for record in self._stage.log.records[before:]]
        outcome = record["outcome"]
        # What the client was given must be what was decided: exactly 200 reaches the upstream.
        assert {200: ("allow", "limit"), 401: ("step_up",), 403: ("deny",)}[answer.status].count(outcome) == 1
        if answer.status == 200:
            told = answer.upstream["headers"]
            assert told["x-pdp-outcome"] == [outcome]
            (said,) = told["x-pdp-obligations"]
            obligations = {} if said == "none" else dict(part.split("=", 1) for part in said.split(";"))
            assert obligations.keys() == record["obligations"].keys()
        return Answer(outcome, tuple(record["reasons"]), record["obligations"], record["required_auth_level"])
