"""The facade of OPA's data API, over a scripted decider."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.api.surface import Probe
from pdp.callers.budget import CallerLimits
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError, NotAuthenticatedError, NotReadyError, TooManyRequestsError
from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.opa_data import CLOSED, OpaData, OpaHealth, closed
from tests.scripted_decider import ScriptedDecider

pytestmark = pytest.mark.anyio

PATH = "/v1/data/pdp/decision"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Bundle:
    entrypoint: str = "pdp/decision"
    profile: str = "zta"
    revision: str = "r1"


@dataclass
class World:
    """The facade, and whoever calls it."""

    decider: ScriptedDecider = field(default_factory=ScriptedDecider)
    caller: Caller | Exception = field(default_factory=lambda: Caller("opa-client", PERMISSIONS))
    bundle: Bundle = field(default_factory=Bundle)

    async def admit(self, _: HttpRequest) -> Caller:
        if isinstance(self.caller, Exception):
            raise self.caller
        return self.caller

    async def send(
        self,
        body: Any = None,
        *,
        path: str = PATH,
        method: str = "POST",
        query: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> HttpAnswer:
        handler = OpaData(self.decider, self.admit, lambda: self.bundle)  # type: ignore[arg-type, return-value]
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await handler(HttpRequest(method, path, query, headers, raw))

    def without(self, *permissions: str) -> None:
        self.caller = Caller("opa-client", PERMISSIONS - set(permissions))


@pytest.fixture
def world() -> World:
    return World()


def asked(subject: str = "u-allow", **more: Any) -> dict[str, Any]:
    question = {
        "subject": {"type": "user", "id": subject},
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "mail"},
    }
    return {"input": question | more}


def read(answer: HttpAnswer) -> Any:
    return json.loads(answer.body)


async def test_the_document_has_the_verdict_and_its_permission(world: World) -> None:
    answer = await world.send(asked())
    assert answer.status == 200
    assert read(answer) == {
        "decision_id": "decision-1",
        "result": {"allow": True, "outcome": "allow", "reasons": ["OK"], "obligations": {}},
    }
    assert ("x-decision-id", "decision-1") in answer.headers
    assert world.decider.asked[0][0].wire == "opa"


@pytest.mark.parametrize(
    ("subject", "allow"), [("u-allow", True), ("u-limit", True), ("u-step", False), ("u-deny", False)]
)
async def test_allow_is_true_only_for_what_is_permitted(world: World, subject: str, allow: bool) -> None:
    assert read(await world.send(asked(subject), path=f"{PATH}/allow"))["result"] is allow
    assert read(await world.send(asked(subject)["input"], path="/v0/data/pdp/decision/allow")) is allow


async def test_members_have_their_own_paths_and_absent_ones_are_undefined(world: World) -> None:
    assert read(await world.send(asked("u-step"), path=f"{PATH}/required_auth_level"))["result"] == 3
    assert read(await world.send(asked("u-deny"), path=f"{PATH}/reasons"))["result"] == ["DEVICE_LOST"]
    assert "result" not in read(await world.send(asked(), path=f"{PATH}/required_auth_level"))
    assert "result" not in read(await world.send(asked(), path=f"{PATH}/nothing"))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/data",
        "/v1/data/",
        "/v1/data/pdp",
        "/v1/data/zta/matrix",
        "/v1/data/pdp/decision/allow/x",
        "/v1/data/pdp/decisio%6e",
        "/v1/data/pdp//decision",
        "/v1/data/../v1/data/pdp/decision",
        "/v1/data/pdp/decision;x",
        "/v1/data/pdp/DECISION",
    ],
)
async def test_what_is_not_the_decision_is_undefined_recorded_and_never_true(world: World, path: str) -> None:
    answer = await world.send(asked(), path=path)
    assert (answer.status, read(answer)) == (200, {"decision_id": "refusal-1"})
    assert world.decider.asked == []
    assert world.decider.refused[0][0].wire == "opa"


async def test_version_0_says_404_for_what_is_undefined(world: World) -> None:
    answer = await world.send(asked()["input"], path="/v0/data/no/such")
    assert answer.status == 404
    assert read(answer) == {"code": "undefined_document", "message": "document undefined: data.no.such"}


@pytest.mark.parametrize(
    "body",
    [
        {"input": {}},
        {"input": None},
        {"input": []},
        {"input": "text"},
        {"input": {"subject": {"type": "user", "id": 7}}},
        {"input": {"schema": "pdp.input/v1", "subject": {"id": "u-allow"}}},
    ],
)
async def test_an_input_that_is_no_question_is_a_recorded_deny(world: World, body: Any) -> None:
    answer = await world.send(body)
    assert answer.status == 200
    assert read(answer)["result"] == {"allow": False, "outcome": "deny", "reasons": ["BAD_INPUT"], "obligations": {}}
    assert len(world.decider.refused) == 1
    assert world.decider.asked == []


@pytest.mark.parametrize("body", [None, {}, b"  "])
async def test_a_missing_input_is_a_deny_with_the_warning_of_opa(world: World, body: Any) -> None:
    said = read(await world.send(body, path=f"{PATH}/allow"))
    assert said["result"] is False
    assert said["warning"] == {"code": "api_usage_warning", "message": "'input' key missing from the request"}


@pytest.mark.parametrize(
    "body", [b"{bad", b"[]", b"7", b'{"input":{},"input":{}}', b'{"input":1e999}', b"\xff", b"[" * 4000]
)
async def test_a_body_that_is_no_strict_json_object_is_an_error_in_the_form_of_opa(world: World, body: bytes) -> None:
    answer = await world.send(body)
    assert answer.status == 400
    assert read(answer)["code"] == "invalid_parameter"
    assert world.decider.asked == []


async def test_a_get_carries_the_input_in_its_query(world: World) -> None:
    query = f"input={quote(json.dumps(asked()['input']))}"
    assert read(await world.send(method="GET", path=f"{PATH}/allow", query=query))["result"] is True
    assert read(await world.send(method="GET", path=f"{PATH}/allow"))["result"] is False


async def test_a_post_takes_no_input_from_its_query(world: World) -> None:
    query = f"input={quote(json.dumps(asked()['input']))}"
    assert (await world.send(asked("u-deny"), query=query)).status == 400


async def test_metrics_provenance_pretty_and_notes_are_answered(world: World) -> None:
    query = "pretty=true&metrics=true&provenance=true&explain=notes&strict-builtin-errors=true&instrument=false"
    answer = await world.send(asked(), query=query)
    said = read(answer)
    assert said["metrics"]["timer_server_handler_ns"] > 0
    assert said["provenance"]["bundles"] == {"sekisho": {"revision": "r1"}}
    assert said["explanation"] == []
    assert answer.body.endswith(b"}\n")
    assert b"\n  " in answer.body


@pytest.mark.parametrize(
    "query", ["explain=full", "partial=true", "pretty=true&pretty=true", "input=%zz%ff&x", "a=" * 99]
)
async def test_query_parameters_that_cannot_be_honoured_are_refused(world: World, query: str) -> None:
    answer = await world.send(asked(), query=query)
    assert answer.status == 400
    assert read(answer)["code"] == "invalid_parameter"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_nothing_can_be_changed_through_the_facade(world: World, method: str) -> None:
    answer = await world.send(asked(), method=method)
    assert (answer.status, answer.body) == (405, b"")
    assert ("allow", "GET, POST") in answer.headers


@pytest.mark.parametrize("path", CLOSED)
async def test_the_rest_of_an_opa_server_is_not_there(path: str) -> None:
    assert (await closed(HttpRequest("GET", path, "", ()))).status == 404


async def test_a_caller_needs_the_permission_and_a_credential(world: World) -> None:
    world.without("opa_api")
    refused = await world.send(asked())
    assert (refused.status, read(refused)["code"]) == (403, "unauthorized")
    world.caller = NotAuthenticatedError("a valid API key is needed")
    unknown = await world.send(asked())
    assert unknown.status == 401
    assert any(name == "www-authenticate" for name, _ in unknown.headers)
    assert world.decider.asked == []


async def test_a_callers_own_bound_of_size_holds_for_both_ways_to_ask(world: World) -> None:
    world.caller = Caller("small", PERMISSIONS, limits=CallerLimits(body_bytes=10))
    query = f"input={quote(json.dumps(asked()['input']))}"
    for answer in (await world.send(asked()), await world.send(method="GET", query=query)):
        assert (answer.status, read(answer)["code"]) == (413, "invalid_parameter")
    assert world.decider.asked == []


async def test_a_caller_that_asks_too_often_is_told_when_to_come_back(world: World) -> None:
    world.caller = TooManyRequestsError("too many requests", retry_after_s=3)
    answer = await world.send(asked())
    assert answer.status == 429
    assert ("retry-after", "3") in answer.headers


async def test_two_credentials_in_one_request_are_an_error_in_the_form_of_opa(world: World) -> None:
    world.caller = BadRequestError("the header `authorization` stands more than once")
    answer = await world.send(asked())
    assert (answer.status, read(answer)["code"]) == (400, "invalid_parameter")


async def test_a_caller_that_may_not_assert_identity_is_refused_and_recorded(world: World) -> None:
    world.without("assert_identity")
    body = asked()
    body["input"]["subject"]["properties"] = {"claims": {"acr": "urn:sekisho:auth-level:3"}}
    assert (await world.send(body)).status == 403
    assert len(world.decider.refused) == 1


async def test_no_answer_where_nothing_can_be_recorded(world: World) -> None:
    answer = await world.send(asked("u-not-ready"))
    assert (answer.status, read(answer)["code"]) == (503, "internal_error")
    world.decider.record_fails = True
    assert (await world.send({"input": {}})).status == 503


async def test_a_coded_body_is_refused_and_not_guessed(world: World) -> None:
    assert (await world.send(asked(), headers=(("content-encoding", "gzip"),))).status == 415


async def test_a_policy_that_is_not_ready_is_said_so(world: World) -> None:
    def no_bundle() -> Any:
        raise NotReadyError("no policy is active")

    answer = await OpaData(world.decider, world.admit, no_bundle)(HttpRequest("POST", PATH, "", (), b"{}"))
    assert answer.status == 503


async def test_the_request_id_is_echoed_on_answers_and_errors(world: World) -> None:
    mine = (("x-request-id", "r-1"),)
    assert mine[0] in (await world.send(asked(), headers=mine)).headers
    assert mine[0] in (await world.send(b"{", headers=mine)).headers
    assert all(name != "x-request-id" for name, _ in (await world.send(asked(), headers=mine * 2)).headers)


@pytest.mark.parametrize(("ok", "status"), [(True, 200), (False, 500)])
async def test_health_follows_readiness(ok: bool, status: int) -> None:
    health = OpaHealth(lambda: [Probe("policy", ok)])
    answer = await health(HttpRequest("GET", "/health", "bundles&plugins", ()))
    assert answer.status == status
    assert read(answer) == ({} if ok else {"error": "not ready: policy"})


@given(path=st.text(max_size=60), body=st.binary(max_size=200), query=st.text(max_size=60))
def test_whatever_is_sent_nothing_but_a_question_is_answered_with_true(path: str, body: bytes, query: str) -> None:
    import anyio

    world = World()

    async def ask() -> HttpAnswer:
        return await world.send(body, path=f"/v1/data{path}", query=query)

    answer = anyio.run(ask)
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert read(answer).get("result") in (None, False) or read(answer)["result"]["allow"] is False
