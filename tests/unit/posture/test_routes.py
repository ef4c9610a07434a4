"""What a client can do wrong on the way in: slow, too much, gone, or with another spelling of the path."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.types import Message

from pdp.api.app import serve_app
from pdp.api.surface import Surface
from pdp.posture.metrics import PostureMetrics
from pdp.posture.routes import posture_router
from tests.unit.api.asgi import GONE, Exchange, part
from tests.unit.posture.conftest import House

pytestmark = pytest.mark.anyio

PATH = "/posture/v1/devices/d-1"


async def exchange(house: House, parts: list[Message], path: str = PATH, method: str = "PUT") -> Exchange:
    headers = [("authorization", f"Bearer {house.keys['edr']}"), ("content-type", "application/json")]
    app: Any = house.client._transport.app  # type: ignore[attr-defined]
    return await Exchange(path, method=method, headers=headers, parts=parts).run(app)


async def test_a_body_that_never_ends_is_413_and_is_not_kept(house: House) -> None:
    chunk = b"x" * 65_536
    found = await exchange(house, [part(chunk, more=True)] * 40)
    assert found.sent[0]["status"] == 413
    assert found.received < 40


async def test_a_client_that_has_gone_leaves_no_half_report(house: House) -> None:
    await exchange(house, [part(b'{"observed_at":"2026-07-01T00:00:00Z",', more=True), GONE])
    assert house.told == []


async def test_a_body_that_does_not_come_is_408(house: House) -> None:
    surface = Surface(
        exact={},
        readiness=lambda: (),
        metrics=lambda: b"",
        routers=(posture_router(house.desk, house.scorer, body_s=0.05),),
    )
    headers = [("authorization", f"Bearer {house.keys['edr']}"), ("content-type", "application/json")]
    slow = Exchange(PATH, method="PUT", headers=headers, parts=[part(b"{", more=True)])
    found = await slow.run(serve_app(surface))
    assert found.sent[0]["status"] == 408
    assert house.told == []


async def test_a_body_in_many_small_pieces_is_one_body(house: House) -> None:
    body = b'{"observed_at":"2026-07-01T00:00:00Z","facts":{"edr_risk":"high"}}'
    parts = [part(body[at : at + 1], more=True) for at in range(len(body))]
    found = await exchange(house, [*parts, part(b"", more=False)])
    assert found.sent[0]["status"] == 200
    assert house.posture("d-1").edr_risk == "high"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", PATH, 405),
        ("DELETE", PATH, 405),
        ("PUT", "/posture/v1/devices", 405),
        ("GET", "/posture/v1/devices", 405),
        ("GET", "/posture/v1/hip", 405),
        ("PUT", "/posture/v1/devices/", 400),
        ("PUT", "/posture/v1/devices/d-1/", 404),
        ("PUT", "/posture/v1//devices/d-1", 404),
        ("PUT", "/posture/v2/devices/d-1", 404),
    ],
)
async def test_another_method_or_path_is_not_this_one(house: House, method: str, path: str, status: int) -> None:
    body = {"observed_at": "2026-07-01T00:00:00Z", "facts": {}} if method == "PUT" else None
    answer = await house.send(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert house.told == []


async def test_every_answer_forbids_to_keep_or_to_frame_it(house: House) -> None:
    answer = await house.put("d-1")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_reports_are_counted_by_what_became_of_them(house: House) -> None:
    registry = CollectorRegistry()
    house.ledger._count = PostureMetrics(registry).count
    await house.put("d-1")
    await house.put("d-1")
    await house.put("d-9")
    text = generate_latest(registry).decode()
    for fate in ("stored", "same", "unknown_device"):
        assert f'sekisho_posture_reports_total{{fate="{fate}"}} 1.0' in text
