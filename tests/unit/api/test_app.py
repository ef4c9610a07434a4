from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException

from pdp.api.app import METRICS_TYPE, serve_app
from pdp.api.surface import Probe, Surface
from pdp.errors import BadRequestError, EngineError, NotAuthenticatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

router = APIRouter()


@router.get("/numbers/{number}")
async def numbers(number: int, most: Annotated[int, Query(le=10)] = 10) -> dict[str, int]:
    return {"number": number, "most": most}


@router.get("/refused")
async def refused() -> None:
    raise BadRequestError("the row is wrong", pointer="/rows/3")


@router.get("/unknown")
async def unknown() -> None:
    raise NotAuthenticatedError("no such key")


@router.get("/engine")
async def engine() -> None:
    raise EngineError("the secret policy text at /srv/policies")


@router.get("/bug")
async def bug() -> None:
    raise RuntimeError("a secret detail")


@router.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, "short and stout", headers={"x-tea": "yes"})


class Service:
    def __init__(self, probes: Sequence[Probe] = (Probe("policy", ok=True),)) -> None:
        self.bugs: list[BaseException] = []
        surface = Surface(
            exact={},
            readiness=lambda: probes,
            metrics=lambda: b"sekisho_ready 1.0\n",
            routers=[router],
            on_bug=self.bugs.append,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(serve_app(surface)), base_url="http://pdp")

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        async with self.client as client:
            return await client.get(path, **kwargs)


def error_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    found: dict[str, str] = answer.json()["error"]
    assert set(found) >= {"code", "message", "next_step"}
    return found


async def test_a_running_process_is_healthy() -> None:
    assert (await Service().get("/healthz")).json() == {"status": "ok"}


async def test_ready_says_what_was_looked_at() -> None:
    answer = await Service([Probe("policy", ok=True), Probe("log", ok=True, detail="writable")]).get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": [
            {"name": "policy", "ok": True, "detail": ""},
            {"name": "log", "ok": True, "detail": "writable"},
        ],
    }


@pytest.mark.parametrize("probes", [[], [Probe("policy", ok=True), Probe("log", ok=False, detail="not writable")]])
async def test_one_missing_thing_or_nothing_looked_at_is_not_ready(probes: list[Probe]) -> None:
    answer = await Service(probes).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False


async def test_metrics_are_text_for_prometheus() -> None:
    answer = await Service().get("/metrics")
    assert answer.headers["content-type"] == METRICS_TYPE
    assert answer.content == b"sekisho_ready 1.0\n"


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz/", "/numbers", "/docs", "/redoc"])
async def test_a_path_that_is_not_there_is_404_in_our_form_and_not_redirected(path: str) -> None:
    answer = await Service().get(path)
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "not_found"


async def test_a_method_that_is_not_taken_is_405_with_those_that_are() -> None:
    service = Service()
    async with service.client as client:
        answer = await client.post("/healthz")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert error_of(answer)["code"] == "method_not_allowed"


async def test_a_malformed_parameter_is_400_and_its_value_is_not_repeated() -> None:
    answer = await Service().get("/numbers/s3cret")
    assert answer.status_code == 400
    assert "`path/number`" in error_of(answer)["message"]
    assert "s3cret" not in answer.text
    assert (await Service().get("/numbers/1?most=11")).status_code == 400


async def test_an_error_of_ours_keeps_its_status_and_place() -> None:
    answer = await Service().get("/refused")
    assert answer.status_code == 400
    assert error_of(answer)["message"] == "the row is wrong, at `/rows/3`"
    answer = await Service().get("/unknown")
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


async def test_what_is_not_the_callers_fault_is_answered_without_its_detail() -> None:
    answer = await Service().get("/engine")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "engine_error"
    assert "secret" not in answer.text


async def test_a_bug_is_500_without_its_detail_and_is_reported() -> None:
    service = Service()
    answer = await service.get("/bug", headers={"x-request-id": "r-1"})
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert "a secret" not in answer.text
    assert answer.headers["x-request-id"] == "r-1"
    assert [type(fault) for fault in service.bugs] == [RuntimeError]


async def test_another_http_error_keeps_its_status_and_headers() -> None:
    answer = await Service().get("/teapot")
    assert (answer.status_code, answer.headers["x-tea"]) == (418, "yes")
    assert error_of(answer)["message"] == "short and stout"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/nothing", "/bug"])
async def test_the_security_headers_are_on_everything(path: str) -> None:
    answer = await Service().get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
