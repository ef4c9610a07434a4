"""What a real OPA 1.9.0 answered, replayed against the facade: same status, same members, or the deviation named here.

The recorded policy asks for `input.user`; here the same people stand in a question, and the rule is the entry point.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from pdp.api.surface import Probe
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.opa_data import opa_routes
from tests.scripted_decider import ScriptedDecider
from tests.unit.wire.test_opa_data import Bundle

pytestmark = pytest.mark.anyio

RECORDED: Final = Path(__file__).parents[3] / "../shared/vectors/opa/rest-api-observed-opa-1.9.0.json"
SUBJECTS: Final = {"alice": "u-allow", "bob": "u-allow", "carol": "u-deny"}

# What the facade answers otherwise on purpose: data and policies cannot be read, changed or queried through it.
CLOSED: Final = ("/v1/policies", "/v1/query", "/v1/compile", "/v1/config", "/v1/status")
ELSEWHERE: Final = ("/", "/nonesuch", "/health/live", "/health/ready")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def exchanges() -> list[Any]:
    if not RECORDED.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="absent: ../shared"))]
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["exchanges"]
    return [pytest.param(one, id=f"{n}-{_name(one)}") for n, one in enumerate(recorded)]


def _name(exchange: dict[str, Any]) -> str:
    return f"{exchange['request']['method']} {exchange['request']['path'].partition('?')[0]}"


def question(said: Any) -> Any:
    """The recorded input as the question of the same person."""
    if not isinstance(said, dict) or "user" not in said:
        return said
    return {
        "subject": {"type": "user", "id": SUBJECTS.get(said["user"], "u-deny")},
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "mail"},
    }


def replayed(recorded: dict[str, Any]) -> HttpRequest:
    """The recorded request, with our entry point and a question."""
    parts = urlsplit(recorded["path"])
    path = parts.path.replace("example/authz", "pdp/decision")
    query = parts.query
    if "input" in (given := parse_qs(query)):
        query = "input=" + quote(json.dumps(question(json.loads(given["input"][0]))))
    body = recorded["body"]
    if isinstance(body, dict):
        body = body | {"input": question(body["input"])} if "input" in body else question(body)
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = tuple((name.lower(), value) for name, value in recorded["headers"].items())
    return HttpRequest(recorded["method"], path, query, headers, raw)


async def answered(request: HttpRequest) -> HttpAnswer | None:
    async def admit(_: HttpRequest) -> Caller:
        return Caller("opa-client", PERMISSIONS)

    exact, prefixes = opa_routes(
        ScriptedDecider(),
        admit,
        Bundle,  # type: ignore[arg-type]
        lambda: [Probe("policy", ok=True)],
    )
    handler = exact.get(request.path)
    if handler is None:
        handler = next((known for prefix, known in prefixes.items() if request.path.startswith(prefix)), None)
    return None if handler is None else await handler(request)


@pytest.mark.parametrize("exchange", exchanges())
async def test_a_recorded_exchange_has_the_same_answer_or_a_closed_door(exchange: dict[str, Any]) -> None:
    request, expected = replayed(exchange["request"]), exchange["response"]
    answer = await answered(request)
    if request.path in ELSEWHERE:
        assert answer is None
        return
    assert answer is not None
    if request.path.startswith(CLOSED):
        assert answer.status == 404
        return
    if request.method not in ("GET", "POST"):
        assert answer.status == 405
        return
    body: Any = json.loads(answer.body) if answer.body else None
    if request.path in ("/v1/data", "/v1/data/extra/x"):  # data are not shown: undefined, as where nothing stands
        assert (answer.status, body.keys()) == (200, {"decision_id"})
        return
    assert answer.status == expected["status"]
    if request.path.startswith("/v0/") or request.path == "/health" or answer.status != 200:
        assert _shape(body) == _shape(expected["body"])
        return
    assert body.pop("decision_id")
    assert body.keys() == expected["body"].keys()
    for name in ("result", "warning", "explanation"):
        assert body.get(name) == expected["body"].get(name)


def _shape(body: Any) -> Any:
    """An error by its code; anything else as it is."""
    return body["code"] if isinstance(body, dict) and "code" in body else body
