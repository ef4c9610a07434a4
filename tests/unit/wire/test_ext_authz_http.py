from __future__ import annotations

import ast
import inspect
import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError, NotPermittedError
from pdp.model.decision import Outcome
from pdp.wire import ext_authz_http
from pdp.wire.exchange import HttpRequest
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.gateway_check import ANSWERS, AmbiguousPathError, CheckSettings
from pdp.wire.gateway_facts import FACTS, KEY, PROFILE
from pdp.wire.step_up import StepUp
from tests.scripted_decider import VERDICTS, OneKey, ScriptedDecider

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Permission
    from pdp.wire.exchange import HttpAnswer

pytestmark = pytest.mark.anyio

BROWSER = ("accept", "text/html,*/*;q=0.8")
REDIRECTING = CheckSettings(
    step_up=StepUp(
        url="https://idp.example.jp/up?acr={acr_values}&to={return_to}",
        return_origins=frozenset({"https://apps.example.jp"}),
    )
)
ALL: tuple[Permission, ...] = ("decide", "assert_identity", "assert_network")


def ask(
    subject: str = "u-allow", *headers: tuple[str, str], method: str = "GET", path: str = "/envoy/x", query: str = ""
) -> HttpRequest:
    told = (("x-pdp-key", "key"), ("x-pdp-subject", subject), ("x-pdp-resource", "mail"), *headers)
    return HttpRequest(method, path, query, told)


def handler(
    decider: ScriptedDecider,
    settings: CheckSettings | None = None,
    permissions: tuple[Permission, ...] = ALL,
    profile: Profile = "zta",
) -> ExtAuthzHttp:
    return ExtAuthzHttp(decider, OneKey("key", permissions), settings or CheckSettings(), lambda: profile)


def header(answer: HttpAnswer, name: str) -> str | None:
    values = [value for known, value in answer.headers if known == name]
    assert len(values) <= 1
    return values[0] if values else None


@pytest.fixture
def decider() -> ScriptedDecider:
    return ScriptedDecider()


# --- the gateway


@pytest.mark.parametrize("keys", [(), ("wrong",), ("",), ("key", "key"), ("wrong", "key"), ("key,key",)])
async def test_nobody_is_heard_before_the_gateway_has_proved_itself(
    decider: ScriptedDecider, keys: tuple[str, ...]
) -> None:
    broken = (("x-pdp-unknown", ""), ("x-pdp-subject", ""), ("x-pdp-subject", ""))
    request = HttpRequest("GET", "/envoy/..;", "", (*((KEY, key) for key in keys), *broken))
    answer = await handler(decider)(request)
    assert answer.status == 403
    assert decider.asked == []
    assert decider.refused == []
    assert json.loads(answer.body)["id"] is None


@pytest.mark.parametrize(
    ("permissions", "headers"),
    [
        ((), ()),
        (("assert_identity", "assert_network"), ()),
        (("decide", "assert_network"), ()),
        (("decide", "assert_identity"), (("x-pdp-source-ip", "10.0.0.1"),)),
        (("decide", "assert_identity"), (("x-pdp-tunnel", "true"),)),
        (("decide", "assert_identity"), (("x-pdp-country", "JP"),)),
    ],
)
async def test_a_gateway_says_no_more_than_it_may(
    decider: ScriptedDecider, permissions: tuple[Permission, ...], headers: tuple[tuple[str, str], ...]
) -> None:
    answer = await handler(decider, permissions=permissions)(ask("u-allow", *headers))
    assert answer.status == 403
    assert decider.asked == []
    assert [type(refusal.fault) for refusal, _ in decider.refused] == [NotPermittedError]


@pytest.mark.parametrize(
    ("permissions", "headers", "fresh"),
    [
        ((*ALL, "bypass_cache"), (("x-pdp-cache-control", "no-cache"),), True),
        ((*ALL, "bypass_cache"), (("x-pdp-cache-control", "No-Cache"),), True),
        ((*ALL, "bypass_cache"), (), False),
        (ALL, (("x-pdp-cache-control", "no-cache"),), False),
        ((*ALL, "bypass_cache"), (("cache-control", "no-cache"), ("pragma", "no-cache")), False),
    ],
)
async def test_the_gateway_asks_for_a_fresh_evaluation_and_its_client_cannot(
    decider: ScriptedDecider, permissions: tuple[Permission, ...], headers: tuple[tuple[str, str], ...], fresh: bool
) -> None:
    answer = await handler(decider, permissions=permissions)(ask("u-allow", *headers))
    assert answer.status == 200
    assert [request.fresh for request, _ in decider.asked] == [fresh]


async def test_a_gateway_without_assertions_passes_the_clients_token_on(decider: ScriptedDecider) -> None:
    token = "eyJ9.eyJzdWIiOiJ1LWFsbG93In0.c2ln"  # {"sub":"u-allow"}
    headers = ((KEY, "key"), ("x-pdp-resource", "mail"), ("authorization", f"Bearer {token}"))
    answer = await handler(decider, permissions=("decide",))(HttpRequest("GET", "/envoy/x", "", headers))
    assert answer.status == 200
    assert decider.asked[0][0].subject_id == "u-allow"


async def test_where_no_token_is_verified_the_clients_token_is_no_subject(decider: ScriptedDecider) -> None:
    """The attack: a policy of profile `plain` would read the `sub` that the client wrote itself."""
    headers = ((KEY, "key"), ("x-pdp-resource", "mail"), ("authorization", "Bearer eyJ9.eyJzdWIiOiJ1LWFsbG93In0.c2ln"))
    answer = await handler(decider, profile="plain")(HttpRequest("GET", "/envoy/x", "", headers))
    assert answer.status == 400
    assert decider.asked == []


async def test_a_plain_policy_sees_an_authzen_document(decider: ScriptedDecider) -> None:
    await handler(decider, profile="plain")(ask("u-allow", ("x-pdp-device", "d-1"), method="PUT"))
    await handler(decider)(ask("u-allow"))
    plain, zta = (request.document for request, _ in decider.asked)
    assert plain["subject"] == {"type": "user", "id": "u-allow"}
    assert plain["action"] == {"name": "access", "properties": {"method": "PUT"}}
    assert zta == {}


# --- allow


async def test_an_allow_is_exactly_200_and_carries_every_answer_header(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-allow"))
    assert (answer.status, answer.body) == (200, b"")
    assert [header(answer, name) for name in ANSWERS] == [
        "decision-1",
        "u-allow",
        "allow",
        "OK",
        "none",
        "2023-08-01T01:05:00Z",
    ]


async def test_obligations_travel_as_one_header_that_nothing_can_break_out_of(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-limit"))
    assert answer.status == 200
    assert header(answer, "x-pdp-outcome") == "limit"
    assert header(answer, "x-pdp-obligations") == (
        "clipboard=off;session_max_minutes=60;end_at=2023-08-01T18:00:00+09:00;warn=A%3Bb%3Dc%2C%0D%0Ad"
    )


async def test_a_warning_is_told_with_an_allow(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-warn"))
    assert header(answer, "x-pdp-obligations") == "warn=PATCH_OVERDUE_WARN"
    assert header(answer, "x-pdp-reasons") == "OK_REMOTE PATCH_OVERDUE_WARN"


async def test_the_gateways_facts_are_taken_off_and_the_answer_is_not(decider: ScriptedDecider) -> None:
    removed = header(await handler(decider)(ask("u-allow")), "x-envoy-auth-headers-to-remove")
    assert removed is not None
    assert set(removed.split(",")) == {KEY, *FACTS}
    assert not set(removed.split(",")) & set(ANSWERS)


def test_an_answer_is_never_named_like_a_fact() -> None:
    assert not set(ANSWERS) & PROFILE
    assert set(FACTS) < PROFILE


# --- deny


@pytest.mark.parametrize("subject", ["u-deny", "u-whoever"])
async def test_a_deny_is_403_with_the_users_reason_and_nothing_of_the_inside(
    decider: ScriptedDecider, subject: str
) -> None:
    answer = await handler(decider)(ask(subject))
    assert answer.status == 403
    assert header(answer, "x-pdp-decision-id") == "decision-1"
    said = json.loads(answer.body)
    assert (said["decision"], said["outcome"], said["id"]) == (False, "deny", "decision-1")
    assert said["reason_user"]["ja"] == "紛失届のある端末です<&>"
    assert said["fix"]["by"] == "security_office"
    assert "administrators" not in answer.body.decode()
    assert "DEVICE_LOST" not in answer.body.decode()
    assert header(answer, "x-pdp-reasons") is None


async def test_a_person_gets_a_page(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-deny", BROWSER, ("accept-language", "en")))
    assert header(answer, "content-type") == "text/html; charset=utf-8"
    assert b'<html lang="en">' in answer.body
    assert "紛失届のある端末です&lt;&amp;&gt;" in answer.body.decode()
    assert b"decision-1" in answer.body


# --- step-up


async def test_a_step_up_is_a_challenge(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-step"))
    assert answer.status == 401
    assert header(answer, "www-authenticate") == StepUp().challenge(3)
    assert json.loads(answer.body)["outcome"] == "step_up"
    assert header(answer, "x-pdp-decision-id") == "decision-1"


async def test_a_browser_is_sent_to_authenticate_and_back(decider: ScriptedDecider) -> None:
    request = ask("u-step", BROWSER, ("host", "apps.example.jp"), path="/envoy/a/b", query="c=d")
    answer = await handler(decider, REDIRECTING)(request)
    assert answer.status == 302
    assert header(answer, "location") == (
        "https://idp.example.jp/up?acr=urn%3Asekisho%3Aauth-level%3A3&to=https%3A%2F%2Fapps.example.jp%2Fa%2Fb%3Fc%3Dd"
    )
    assert header(answer, "cache-control") == "no-store"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (ask("u-step", ("host", "apps.example.jp")), "no browser"),
        (ask("u-step", BROWSER, ("host", "apps.example.jp"), method="POST"), "a body would be lost"),
        (ask("u-step", BROWSER, ("host", "apps.example.jp"), ("sec-fetch-mode", "cors")), "a script cannot sign in"),
        (ask("u-step", BROWSER, ("host", "evil.example")), "not our host"),
        (ask("u-step", BROWSER), "no host"),
    ],
)
async def test_who_cannot_come_back_gets_the_challenge(
    decider: ScriptedDecider, request_: HttpRequest, why: str
) -> None:
    answer = await handler(decider, REDIRECTING)(request_)
    assert answer.status == 401, why
    assert header(answer, "location") is None


async def test_an_ambiguous_path_is_not_returned_to(decider: ScriptedDecider) -> None:
    request = ask("u-step", BROWSER, ("host", "apps.example.jp"), ("x-pdp-strict-path", "false"), path="/envoy//evil")
    assert (await handler(decider, REDIRECTING)(request)).status == 401


# --- refusals


@pytest.mark.parametrize(
    "headers",
    [
        (("x-pdp-subject", "u-allow"),),
        (("x-pdp-resource", "web"),),
        (("x-pdp-action", "read"), ("x-pdp-action", "write")),
        (("x-pdp-risks", "malware_alert"),),
        (("x-pdp-decision-id", "mine"),),
        (("x-pdp-device", ""),),
        (("x-pdp-risk", "bulk_download,bulk_download"),),
        (("x-forwarded-client-cert", "Hash=x"),),
        (("x-request-id", "a,b"),),
    ],
)
async def test_what_breaks_the_profile_is_refused_recorded_and_never_a_server_error(
    decider: ScriptedDecider, headers: tuple[tuple[str, str], ...]
) -> None:
    answer = await handler(decider)(ask("u-allow", *headers))
    assert answer.status == 400
    assert decider.asked == []
    assert json.loads(answer.body)["id"] == header(answer, "x-pdp-decision-id") == "refusal-1"
    ((refusal, caller),) = decider.refused
    assert isinstance(refusal.fault, BadRequestError)
    assert (refusal.wire, caller.id) == ("ext_authz_http", "gateway-1")
    assert refusal.fault.message not in answer.body.decode()


async def test_a_refusal_keeps_the_request_id(decider: ScriptedDecider) -> None:
    await handler(decider)(ask("u-allow", ("x-request-id", "r-1"), ("x-pdp-device", "")))
    assert decider.refused[0][0].request_id == "r-1"


@pytest.mark.parametrize(
    "path", ["/envoy/a/../b", "/envoy/a;b", "/envoy/%2e%2e/b", "/envoy/a%2fb", "/envoy//", "/envoy/\\"]
)
async def test_a_path_with_two_readings_is_refused_and_the_person_is_told(decider: ScriptedDecider, path: str) -> None:
    answer = await handler(decider)(ask("u-allow", path=path))
    assert answer.status == 400
    assert "アドレス" in json.loads(answer.body)["reason_user"]["ja"]
    assert [type(refusal.fault) for refusal, _ in decider.refused] == [AmbiguousPathError]


async def test_a_route_may_do_without_strict_paths_and_the_raw_path_is_kept(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("u-allow", ("x-pdp-strict-path", "false"), path="/envoy/a/..;/%2e"))
    assert answer.status == 200
    assert decider.asked[0][0].path == "/a/..;/%2e"


async def test_strict_paths_can_be_off_and_a_route_can_ask_for_them(decider: ScriptedDecider) -> None:
    lax = CheckSettings(strict_path=False)
    assert (await handler(decider, lax)(ask("u-allow", path="/envoy/a;b"))).status == 200
    assert (await handler(decider, lax)(ask("u-allow", ("x-pdp-strict-path", "true"), path="/envoy/a;b"))).status == 400


@pytest.mark.parametrize("path", ["/envoy", "/envoyx", "/other/x", "", "/envoy*"])
async def test_a_path_outside_of_the_prefix_is_refused(decider: ScriptedDecider, path: str) -> None:
    assert (await handler(decider)(ask("u-allow", path=path))).status == 400


# --- no answer


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_no_decision_is_503_and_says_try_again(decider: ScriptedDecider, accept: str) -> None:
    answer = await handler(decider)(ask("u-not-ready", ("accept", accept)))
    assert answer.status == 503
    assert header(answer, "retry-after") == "5"
    assert "no policy" not in answer.body.decode()


async def test_a_refusal_that_cannot_be_recorded_is_no_answer(decider: ScriptedDecider) -> None:
    decider.record_fails = True
    assert (await handler(decider)(ask("u-allow", ("x-pdp-device", "")))).status == 503


# --- all of it


NAMES = st.sampled_from([*sorted(PROFILE), "x-pdp-decision-id", "cookie"])
VALUES = st.one_of(
    st.sampled_from(["u-allow", "u-step", "mail", "true", "10.0.0.1", "JP", "key", "text/html", "pwd"]),
    st.text(st.characters(max_codepoint=255), max_size=20),
)


@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    path=st.text(st.characters(max_codepoint=255), max_size=20),
    method=st.sampled_from(["GET", "HEAD", "POST", "BREW"]),
)
async def test_200_means_that_the_decider_permitted_and_nothing_else_does(
    headers: list[tuple[str, str]], path: str, method: str
) -> None:
    decider = ScriptedDecider()
    request = ask("u-limit", *headers, path="/envoy/" + path, method=method)
    answer = await handler(decider, REDIRECTING)(request)
    permitted = [asked.subject_id for asked, _ in decider.asked if asked.subject_id in ("u-allow", "u-warn", "u-limit")]
    assert (answer.status == 200) == bool(permitted)
    assert answer.status in (200, 302, 400, 401, 403)
    for name, value in answer.headers:
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value), value


@pytest.mark.parametrize("subject", VERDICTS)
async def test_the_status_follows_the_verdict(decider: ScriptedDecider, subject: str) -> None:
    expected = {Outcome.ALLOW: 200, Outcome.LIMIT: 200, Outcome.STEP_UP: 401, Outcome.DENY: 403}
    assert (await handler(decider)(ask(subject))).status == expected[VERDICTS[subject].outcome]


def test_only_one_place_can_answer_200() -> None:
    """INVARIANT (one 200), read from the source: the number stands once, in `_allowed`."""
    tree = ast.parse(inspect.getsource(ext_authz_http))
    at = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and node.value == 200
    ]
    assert at == ["_allowed"]
    assert sum(isinstance(node, ast.Constant) and node.value == 200 for node in ast.walk(tree)) == 1


# --- what Envoy was seen to send


async def test_the_recorded_requests_of_envoy_are_read(decider: ScriptedDecider, shared: Path) -> None:
    """The recordings were made without our headers: with them a request is read, without them refused."""
    file = shared / "vectors" / "envoy" / "ext_authz-observed-envoy-1.40.0.json"
    exchanges = json.loads(file.read_text(encoding="utf-8"))
    seen = [entry for exchange in exchanges for entry in exchange["log"] if entry["who"] == "authz"]
    assert len(seen) >= 15
    settings = CheckSettings(trusted_hops=1)
    for entry in seen:
        path, _, query = entry["path"].replace("/authz", "/envoy", 1).partition("?")
        sent = tuple((name, value) for name, value in entry["headers"])
        body = (entry["body"] or "").encode()
        bare = HttpRequest(entry["method"], path, query, (*sent, (KEY, "key")), body)
        assert (await handler(decider, settings)(bare)).status == 400
        facts = ((KEY, "key"), ("x-pdp-subject", "u-allow"), ("x-pdp-resource", "mail"))
        told = HttpRequest(entry["method"], path, query, (*sent, *facts), body)
        assert (await handler(decider, settings)(told)).status == 200
        asked = decider.asked[-1][0]
        assert asked.path == path.removeprefix("/envoy")
        named = dict(sent)
        assert asked.request_id == named.get("x-request-id")
        assert asked.trace_id == (named["traceparent"].split("-")[1] if "traceparent" in named else None)
        assert asked.network.source_ip == named.get("x-forwarded-for")


def test_envoy_was_seen_to_let_pass_exactly_the_200s(shared: Path) -> None:
    """What this wire is built on: only a 200 of the PDP reached the upstream where failures do not allow."""
    file = shared / "vectors" / "envoy" / "ext_authz-observed-envoy-1.40.0.json"
    passed = {
        exchange["request"][1].partition("?")[0]
        for exchange in json.loads(file.read_text(encoding="utf-8"))
        if exchange["port"] in (19001, 19002) and any(entry["who"] == "upstream" for entry in exchange["log"])
    }
    assert passed == {"/api/x", "/api/post", "/rm"}
