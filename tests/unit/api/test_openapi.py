from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.openapi.models import OpenAPI

from pdp.api.app import create_app, serve_app
from pdp.api.openapi import authzen_fragment
from pdp.api.surface import Probe, Surface
from pdp.callers.caller import UnsafeAnyone
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_metadata import WELL_KNOWN
from tests.unit.wire.authzen_world import KNOWN, World

pytestmark = pytest.mark.anyio


def document(**surface: Any) -> dict[str, Any]:
    parts = {"exact": {}, "readiness": list, "metrics": bytes, **surface}
    return create_app(Surface(**parts)).openapi()


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_the_document_is_well_formed_and_every_reference_leads_somewhere() -> None:
    found = document()
    OpenAPI.model_validate(found)
    schemas = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert references(found) <= schemas


def test_every_path_of_the_lane_is_in_the_document_and_nothing_else() -> None:
    routes = World().routes
    assert set(authzen_fragment()["paths"]) == set(routes)
    assert {"/healthz", "/readyz", "/metrics"} <= set(document()["paths"])


def test_422_is_nowhere() -> None:
    router = APIRouter()

    @router.get("/numbers/{number}")
    async def numbers(number: int) -> int:
        return number

    found = document(routers=[router])
    assert "422" not in json.dumps(found)
    assert "400" in found["paths"]["/numbers/{number}"]["get"]["responses"]


def test_the_document_is_the_same_when_it_is_asked_for_again() -> None:
    app = create_app(Surface(exact={}, readiness=list, metrics=bytes))
    assert json.dumps(app.openapi()) == json.dumps(app.openapi())


def test_fragments_of_other_handlers_are_taken_in() -> None:
    fragment = {"paths": {"/envoy/{path}": {"get": {"responses": {}}}}, "components": {"schemas": {"X": {}}}}
    found = document(documents=[fragment])
    assert "/envoy/{path}" in found["paths"]
    assert {"X", "Decision"} <= set(found["components"]["schemas"])


EXAMPLES = [
    (path, operations["post"]["requestBody"]["content"]["application/json"]["example"])
    for path, operations in authzen_fragment()["paths"].items()
    if "post" in operations
]


@pytest.mark.parametrize(("path", "example"), EXAMPLES)
async def test_every_example_is_answered(path: str, example: dict[str, Any]) -> None:
    answer = await World().send(path, example, KNOWN)
    assert answer.status == 200, answer.body
    said = json.loads(answer.body)
    one_of = authzen_fragment()["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    names = [entry["$ref"].rpartition("/")[2] for entry in one_of.get("oneOf", [one_of])]
    schemas = authzen_fragment()["components"]["schemas"]
    assert any(set(schemas[name]["required"]) <= set(said) <= set(schemas[name]["properties"]) for name in names)


async def test_the_document_is_served() -> None:
    exact = authzen_routes(
        World().decider, UnsafeAnyone(), profile=lambda: "zta", public_url="http://pdp", searching=None
    )
    lane = serve_app(Surface(exact=exact, readiness=lambda: [Probe("a", ok=True)], metrics=bytes))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lane), base_url="http://pdp") as client:
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.")
        assert (await client.get(WELL_KNOWN)).status_code == 200
