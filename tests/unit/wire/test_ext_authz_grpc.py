from __future__ import annotations

import ast
import inspect
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.model.decision import Text
from pdp.wire import ext_authz_grpc
from pdp.wire.ext_authz_grpc import CLAIMED, allowed, denied, http_request
from pdp.wire.gateway_check import ANSWERS, Denial, Permitted, not_ready, refusal
from pdp.wire.gateway_facts import FACTS, KEY, PROFILE
from pdp.wire.refusal_page import Notice
from tests.scripted_decider import ScriptedDecider

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.wire.exchange import HttpRequest

FACT = ("x-pdp-resource", "mail")


def check(
    path: str = "/a?b=c", headers: dict[str, str] | None = None, raw: list[tuple[str, bytes]] | None = None, **more: Any
) -> CheckRequest:
    message = CheckRequest()
    http = message.attributes.request.http
    http.method, http.path, http.host = "GET", path, "apps.example.jp"
    http.headers.update(headers or {})
    http.header_map.CopyFrom(HeaderMap(headers=[HeaderValue(key=name, raw_value=value) for name, value in raw or []]))
    message.attributes.source.address.socket_address.address = more.get("address", "203.0.113.7")
    message.attributes.source.certificate = more.get("certificate", "")
    message.attributes.context_extensions.update(more.get("extensions", {}))
    return message


def read(message: CheckRequest, *metadata: tuple[str, str | bytes], **options: bool) -> HttpRequest:
    return http_request(message, metadata, **{"with_source": True, "with_address": True, **options})


def values(request: HttpRequest, name: str) -> list[str]:
    return [value for known, value in request.headers if known == name]


# --- where a fact may stand


@pytest.mark.parametrize("fact", FACTS)
def test_the_gateways_own_metadata_and_its_route_may_say_every_fact(fact: str) -> None:
    assert values(read(check(), (fact, "x")), fact) == ["x"]
    assert values(read(check(address="", extensions={fact: "x"})), fact) == ["x"]


@pytest.mark.parametrize("fact", [KEY, *FACTS, "x-pdp-unknown", "X-Pdp-Device"])
@pytest.mark.parametrize("encoding", ["headers", "raw"])
def test_of_our_names_only_the_claims_may_stand_in_the_request(fact: str, encoding: str) -> None:
    message = check(headers={fact: "x"}) if encoding == "headers" else check(raw=[(fact, b"x")])
    if fact in CLAIMED:
        assert values(read(message), fact) == ["x"]
    else:
        with pytest.raises(BadRequestError, match="only the gateway itself"):
            read(message)


def test_the_claims_are_what_the_example_lets_jwt_authn_write() -> None:
    assert set(FACTS) > CLAIMED
    assert len(CLAIMED) == 6


def test_a_fact_in_two_places_stays_twice_and_is_refused_later() -> None:
    request = read(check(extensions=dict([FACT])), FACT)
    assert values(request, "x-pdp-resource") == ["mail", "mail"]


def test_the_key_is_no_fact_and_other_metadata_is_not_ours() -> None:
    request = read(check(), (KEY, "secret"), ("x-forwarded-for", "10.0.0.1"), ("authorization", "Bearer x"))
    assert "secret" not in str(request.headers)
    assert values(request, "x-forwarded-for") == values(request, "authorization") == []


def test_binary_metadata_in_our_name_is_refused() -> None:
    with pytest.raises(BadRequestError, match="not text"):
        read(check(), ("x-pdp-tunnel-bin", b"true"))


# --- what the connection says


def test_the_address_of_the_connection_is_the_source_unless_the_configuration_names_one() -> None:
    assert values(read(check()), "x-pdp-source-ip") == ["203.0.113.7"]
    assert values(read(check(), ("x-pdp-source-ip", "10.0.0.9")), "x-pdp-source-ip") == ["10.0.0.9"]
    assert values(read(check(), with_address=False), "x-pdp-source-ip") == []
    assert values(read(check(), with_source=False), "x-pdp-source-ip") == []
    assert values(read(check(address="")), "x-pdp-source-ip") == []


def test_the_certificate_of_the_connection_is_taken_from_who_may_say_it() -> None:
    assert values(read(check(certificate="PEM")), "x-pdp-certificate") == ["PEM"]
    assert values(read(check(certificate="PEM"), with_source=False), "x-pdp-certificate") == []


# --- the request itself


@pytest.mark.parametrize("encoding", ["headers", "raw"])
def test_both_encodings_are_read_without_the_pseudo_headers(encoding: str) -> None:
    said = {":method": "GET", ":path": "/a?b=c", ":authority": "x", "accept": "text/html", "host": "forged"}
    raw = [(name, value.encode()) for name, value in said.items()]
    request = read(check(headers=said) if encoding == "headers" else check(raw=raw))
    assert (request.method, request.path, request.query) == ("GET", "/a", "b=c")
    assert values(request, "accept") == ["text/html"]
    assert values(request, "host") == ["apps.example.jp"]
    assert [name for name, _ in request.headers if name.startswith(":")] == []


def test_a_raw_header_that_stands_twice_stays_twice() -> None:
    assert values(read(check(raw=[("dpop", b"a"), ("dpop", b"b")])), "dpop") == ["a", "b"]


@pytest.mark.parametrize(
    "message",
    [
        CheckRequest(),
        check(path=""),
        check(headers={"a": "b"}, raw=[("a", b"b")]),
        check(headers={":path": "/other"}),
        check(raw=[(":path", b"/a?b=c"), (":path", b"/other")]),
        check(headers={":method": "POST"}),
        check(headers={f"h{number}": "x" for number in range(257)}),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(message: CheckRequest) -> None:
    with pytest.raises(BadRequestError):
        read(message)


def test_a_header_with_two_values_is_refused() -> None:
    message = check()
    message.attributes.request.http.header_map.headers.add(key="accept", value="a", raw_value=b"b")
    with pytest.raises(BadRequestError, match="two values"):
        read(message)


@given(st.binary(max_size=400))
def test_no_bytes_are_anything_but_a_request_or_a_refusal(raw: bytes) -> None:
    message = CheckRequest()
    try:
        message.ParseFromString(raw)
    except Exception:  # noqa: BLE001  # protobuf's own error, before us
        return
    with suppress(BadRequestError):
        read(message)


def test_the_recorded_calls_of_envoy_are_read(shared: Path) -> None:
    file = shared / "vectors" / "envoy" / "ext_authz-observed-envoy-1.40.0.json"
    calls = [
        (exchange, entry)
        for exchange in json.loads(file.read_text(encoding="utf-8"))
        for entry in exchange["log"]
        if entry["who"] == "grpc"
    ]
    assert len(calls) >= 8
    for exchange, call in calls:
        message = ParseDict(call["req"], CheckRequest())
        request = read(message, *((name, value) for name, value in call["md"]), FACT)
        method, target = exchange["request"]
        assert request.method == method
        assert (request.path, request.query) == (target.partition("?")[0], target.partition("?")[2])
        assert values(request, "x-pdp-source-ip") == ["127.0.0.1"]
        assert values(request, "authorization") == ["Bearer tok"]
        assert values(request, "x-forwarded-for") == ["6.6.6.6"], "the client's, and not the call's own 192.0.2.2"
        assert [name for name, _ in request.headers if name.startswith("x-pdp-") and name not in PROFILE] == []


# --- the answer


@pytest.fixture
def decider() -> ScriptedDecider:
    return ScriptedDecider()


@pytest.mark.anyio
async def test_only_a_permit_has_the_status_that_lets_through(decider: ScriptedDecider) -> None:
    """An empty message has it too: the default of the protocol is an allow."""
    assert CheckResponse().status.code == 0
    decision = await decider.decide(_Asked("u-allow"), None)  # type: ignore[arg-type]
    answer = allowed(Permitted(decision))
    assert answer.status.code == 0
    assert answer.WhichOneof("http_response") == "ok_response"
    said = {option.header.key: option.header.value for option in answer.ok_response.headers}
    assert list(said) == list(ANSWERS)
    assert all(option.append_action == 2 for option in answer.ok_response.headers), "each replaces"
    assert set(answer.ok_response.headers_to_remove) == {KEY, *FACTS}
    assert not set(answer.ok_response.headers_to_remove) & set(ANSWERS)
    assert answer.dynamic_metadata["decision_id"] == "decision-1"
    assert list(answer.dynamic_metadata["reasons"]) == ["OK"]


class _Asked:
    def __init__(self, subject_id: str) -> None:
        self.subject_id = subject_id


@pytest.mark.parametrize(
    ("denial", "status"),
    [
        (not_ready(), 503),
        (refusal(400, heard={}, decision_id="d-1"), 400),
        (refusal(403, heard={}, decision_id=None), 403),
        (Denial(401, Notice("step_up", Text("a", "b"), Text("a", "b"), "none", "d"), {}, challenge="Bearer"), 401),
        (
            Denial(401, Notice("step_up", Text("a", "b"), Text("a", "b"), "none", "d"), {}, redirect="https://idp/"),
            302,
        ),
    ],
)
def test_every_denial_is_whole(denial: Denial, status: int) -> None:
    answer = denied(denial)
    assert answer.status.code == 7
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code == status
    assert answer.denied_response.body
    assert all(option.append_action == 2 for option in answer.denied_response.headers)
    assert answer.dynamic_metadata["outcome"] == denial.notice.outcome
    # Envoy 1.40 takes it as it is: the message survives the wire.
    assert CheckResponse.FromString(answer.SerializeToString()) == answer


def test_the_status_that_lets_through_stands_in_one_place() -> None:
    tree = ast.parse(inspect.getsource(ext_authz_grpc))
    places = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == "OK"
    ]
    assert places == ["allowed"]
    makers = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CheckResponse"
    ]
    assert sorted(makers) == ["allowed", "denied"]
