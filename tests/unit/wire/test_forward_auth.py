from __future__ import annotations

import ast
import asyncio
import inspect
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from pdp.errors import BadRequestError, TooManyRequestsError
from pdp.wire import forward_auth
from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.forward_auth import PREFIX, PROFILES, REASON_EN, REASON_JA, STEP_UP_LOCATION, ForwardAuth
from pdp.wire.gateway_check import ANSWERS, AmbiguousPathError, CheckSettings
from pdp.wire.gateway_facts import KEY
from pdp.wire.step_up import StepUp
from tests.scripted_decider import OneKey, ScriptedDecider

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.callers.caller import Caller, Permission

pytestmark = pytest.mark.anyio

ALL: tuple[Permission, ...] = ("decide", "assert_identity", "assert_network")
REDIRECTING = CheckSettings(
    step_up=StepUp(
        url="https://idp.example.jp/up?acr={acr_values}&to={return_to}",
        return_origins=frozenset({"https://apps.example.jp"}),
    )
)
BROWSER = ("accept", "text/html,*/*;q=0.8")


def original(
    profile: str, uri: str = "/a?b=c", method: str = "GET", host: str = "apps.example.jp"
) -> tuple[tuple[str, str], ...]:
    form = PROFILES[profile]
    return ((form.method, method), (form.uri, uri), (form.host, host))


def ask(profile: str, subject: str = "u-allow", *headers: tuple[str, str], **said: str) -> HttpRequest:
    facts = ((KEY, "key"), ("x-pdp-subject", subject), ("x-pdp-resource", "mail"), ("host", "pdp.internal"))
    return HttpRequest("GET", f"{PREFIX}{profile}", "", (*facts, *original(profile, **said), *headers))


def handler(
    decider: ScriptedDecider, settings: CheckSettings | None = None, permissions: tuple[Permission, ...] = ALL
) -> ForwardAuth:
    return ForwardAuth(decider, OneKey("key", permissions), settings or CheckSettings(), lambda: "zta")


def header(answer: HttpAnswer, name: str) -> str | None:
    values = [value for known, value in answer.headers if known == name]
    assert len(values) <= 1
    return values[0] if values else None


@pytest.fixture
def decider() -> ScriptedDecider:
    return ScriptedDecider()


every_profile = pytest.mark.parametrize("profile", list(PROFILES))


# --- the gateway


@every_profile
@pytest.mark.parametrize("keys", [(), ("wrong",), ("",), ("key", "key"), ("wrong", "key"), ("key,key",)])
async def test_nobody_is_heard_before_the_gateway_has_proved_itself(
    decider: ScriptedDecider, profile: str, keys: tuple[str, ...]
) -> None:
    broken = (("x-pdp-unknown", ""), *original(profile), *original(profile))
    request = HttpRequest("GET", f"{PREFIX}{profile}", "", (*((KEY, key) for key in keys), *broken))
    answer = await handler(decider)(request)
    assert answer.status == 403
    assert (decider.asked, decider.refused) == ([], [])


@pytest.mark.parametrize("profile", ["", "nginx/", "NGINX", "nginx%20", "nginx?x", "../envoy/x", "caddy"])
async def test_a_misspelt_profile_lets_nobody_through(decider: ScriptedDecider, profile: str) -> None:
    request = HttpRequest("GET", f"{PREFIX}{profile}", "", ask("nginx").headers)
    assert (await handler(decider)(request)).status == 404
    assert decider.asked == []


@every_profile
async def test_a_gateway_that_asks_too_often_is_a_deny(decider: ScriptedDecider, profile: str) -> None:
    class Busy(OneKey):
        def authenticate(self, presented: Any) -> Caller:
            raise TooManyRequestsError("too many", retry_after_s=7)

    answer = await ForwardAuth(decider, Busy("key"), CheckSettings(), lambda: "zta")(ask(profile))
    assert answer.status == (429 if PROFILES[profile].passes_on else 503)
    assert header(answer, "retry-after") == "7"


@every_profile
@pytest.mark.parametrize("permissions", [(), ("assert_identity",), ("decide",)])
async def test_a_gateway_says_no_more_than_it_may(
    decider: ScriptedDecider, profile: str, permissions: tuple[Permission, ...]
) -> None:
    answer = await handler(decider, permissions=permissions)(ask(profile))
    assert answer.status == 403
    assert decider.asked == []


# --- what is read


@every_profile
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"])
async def test_the_request_of_the_client_is_what_is_decided(
    decider: ScriptedDecider, profile: str, method: str
) -> None:
    request = HttpRequest(method, f"{PREFIX}{profile}", "x=y", ask(profile, uri="/a/b?c=d").headers)
    assert (await handler(decider)(request)).status == 200
    ((asked, caller),) = decider.asked
    assert (asked.path, asked.resource_id, asked.wire, caller.id) == ("/a/b", "mail", "forward_auth", "gateway-1")


@every_profile
@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_header_of_the_profile_stands_exactly_once(decider: ScriptedDecider, profile: str, which: int) -> None:
    """The attack: a gateway that appends its own behind the client's, or forgets it so that the client's is read."""
    form, said = PROFILES[profile], original(profile)
    base = tuple(pair for pair in ask(profile).headers if pair not in said)
    missing = tuple(pair for number, pair in enumerate(said) if number != which)
    name = (form.method, form.uri, form.host)[which]
    for headers in (missing, (*missing, (name, "")), (*said, said[which]), (*said, (name, "/forged"))):
        request = HttpRequest("GET", f"{PREFIX}{profile}", "", (*base, *headers))
        answer = await handler(decider)(request)
        assert answer.status == (400 if form.passes_on else 403)
    assert decider.asked == []
    assert [type(refusal.fault) for refusal, _ in decider.refused] == [BadRequestError] * 4


async def test_one_profile_does_not_read_the_headers_of_another(decider: ScriptedDecider) -> None:
    """The attack: nginx copies its client's headers, and the client sends those that Traefik would write."""
    forged = original("traefik", uri="/forged", method="DELETE", host="evil.example")
    assert (await handler(decider)(ask("nginx", "u-allow", *forged))).status == 200
    assert decider.asked[0][0].path == "/a"


async def test_the_address_is_traefiks_own_word_and_nobody_elses(decider: ScriptedDecider) -> None:
    for profile, address in (("traefik", "203.0.113.7"), ("nginx", None), ("haproxy", None), ("generic", None)):
        await handler(decider)(ask(profile, "u-allow", ("x-forwarded-for", "10.0.0.1, 203.0.113.7")))
        assert decider.asked[-1][0].network.source_ip == address
    await handler(decider)(ask("traefik", "u-allow", ("x-forwarded-for", "1.2.3.4"), ("x-pdp-source-ip", "10.0.0.9")))
    assert decider.asked[-1][0].network.source_ip == "10.0.0.9"
    await handler(decider, permissions=("decide", "assert_identity"))(
        ask("traefik", "u-allow", ("x-forwarded-for", "1.2.3.4"))
    )
    assert decider.asked[-1][0].network.source_ip is None


async def test_with_proxies_of_our_own_the_hops_are_counted_in_every_profile(decider: ScriptedDecider) -> None:
    chain = ("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.0.0.1")
    for profile in PROFILES:
        await handler(decider, CheckSettings(trusted_hops=2))(ask(profile, "u-allow", chain))
        assert decider.asked[-1][0].network.source_ip == "203.0.113.7"


@pytest.mark.parametrize(
    ("raw", "normal", "status"),
    [
        ("/a/b", "/a/b", 200),
        ("/a/%E6%97%A5", "/a/\xe6\x97\xa5", 200),
        ("/a%20b", "/a b", 200),
        ("/a/b", None, 200),
        ("/a/b", "/rewritten", 403),
        ("/a/b", "/_sekisho", 403),
        ("/a/../b", "/b", 403),
        ("/a//b", "/a/b", 403),
        ("/a/b", "/a/b ", 403),
    ],
)
async def test_nginx_reads_the_path_as_we_do_or_it_is_refused(
    decider: ScriptedDecider, raw: str, normal: str | None, status: int
) -> None:
    told = () if normal is None else (("x-original-path", normal),)
    for settings in (CheckSettings(), CheckSettings(strict_path=False)):
        assert (await handler(decider, settings)(ask("nginx", "u-allow", *told, uri=raw))).status == status
    assert all(type(refusal.fault) is AmbiguousPathError for refusal, _ in decider.refused)


@every_profile
@pytest.mark.parametrize(
    "uri", ["*", "a", "", "http://x/a", "//a", "/a/..;/b", "/%2e%2e/b", "/a%2fb", "/a b", "/a\\b", "/a,/b;"]
)
async def test_an_ambiguous_target_is_refused(decider: ScriptedDecider, profile: str, uri: str) -> None:
    answer = await handler(decider)(ask(profile, uri=uri))
    assert answer.status == (400 if PROFILES[profile].passes_on else 403)
    assert decider.asked == []


# --- what is answered


@every_profile
async def test_an_allow_is_exactly_200_and_carries_every_answer_header(decider: ScriptedDecider, profile: str) -> None:
    answer = await handler(decider)(ask(profile))
    assert (answer.status, answer.body) == (200, b"")
    assert [header(answer, name) for name in ANSWERS] == [
        "decision-1",
        "u-allow",
        "allow",
        "OK",
        "none",
        "2023-08-01T01:05:00Z",
    ]


def test_200_stands_in_one_place() -> None:
    tree = ast.parse(inspect.getsource(forward_auth))
    places = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and node.value in (200, 201, 202, 204)
    ]
    assert places == ["_allowed"]


@every_profile
@pytest.mark.parametrize("subject", ["u-deny", "u-step", "u-not-ready", "a b"])
async def test_no_denial_is_read_as_an_allow_by_any_gateway(
    decider: ScriptedDecider, profile: str, subject: str
) -> None:
    """nginx, Traefik and oauth2-proxy's friends take any 2xx; nginx makes a 500 of what is neither 401 nor 403."""
    answer = await handler(decider, REDIRECTING)(ask(profile, subject, BROWSER))
    known = {301, 302, 400, 401, 403, 404, 429, 503} if PROFILES[profile].passes_on else {401, 403, 503}
    assert answer.status in known


@every_profile
async def test_a_step_up_redirects_only_where_the_gateway_passes_it_on(decider: ScriptedDecider, profile: str) -> None:
    answer = await handler(decider, REDIRECTING)(ask(profile, "u-step", BROWSER))
    target = "https://idp.example.jp/up?acr=urn%3Asekisho%3Aauth-level%3A3&to=https%3A%2F%2Fapps.example.jp%2Fa%3Fb%3Dc"
    if PROFILES[profile].passes_on:
        assert (answer.status, header(answer, "location")) == (302, target)
    else:
        assert (answer.status, header(answer, "location")) == (401, None)
        assert header(answer, "www-authenticate") == REDIRECTING.step_up.challenge(3)
        assert header(answer, STEP_UP_LOCATION) == target


async def test_the_way_back_is_the_clients_host_and_not_ours(decider: ScriptedDecider) -> None:
    foreign = await handler(decider, REDIRECTING)(ask("traefik", "u-step", BROWSER, host="evil.example"))
    assert foreign.status == 401


async def test_the_reasons_for_a_page_of_the_gateway_are_ascii_and_escaped(decider: ScriptedDecider) -> None:
    answer = await handler(decider)(ask("nginx", "u-deny"))
    assert header(answer, REASON_EN) == "this terminal is reported lost &lt;&amp;&gt;"
    japanese = header(answer, REASON_JA)
    assert japanese is not None
    assert japanese.isascii()
    assert japanese.startswith("&#32027;&#22833;")
    assert json.loads(answer.body)["outcome"] == "deny"
    assert header(await handler(decider)(ask("traefik", "u-deny")), REASON_EN) is None


@given(st.text())
def test_no_reason_breaks_a_header_or_a_page(text: str) -> None:
    from pdp.model.decision import Text

    for _, value in forward_auth._in_ascii(Text(ja=text, en=text)):
        assert value.isascii()
        assert not set(value) & set("\r\n<>\"'")


NAMES = st.sampled_from(
    [KEY, "x-pdp-subject", "x-pdp-resource", "x-pdp-device", "x-pdp-strict-path", "x-forwarded-for", "authorization"]
    + [name for profile in PROFILES for name, _ in original(profile)]
)
VALUES = st.sampled_from(
    ["key", "u-allow", "u-deny", "mail", "/a", "/../a", "GET", "apps.example.jp", "true", "", "a,b"]
)


@given(
    st.sampled_from(sorted(PROFILES)),
    st.sets(st.integers(0, 6), max_size=2),
    st.lists(st.tuples(NAMES, VALUES), max_size=3),
    st.randoms(use_true_random=False),
)
def test_nothing_is_let_through_that_was_not_decided(
    profile: str, lost: set[int], more: list[tuple[str, str]], order: random.Random
) -> None:
    """A good question with some headers lost, some added, in any order."""
    headers = [pair for number, pair in enumerate(ask(profile).headers) if number not in lost] + more
    order.shuffle(headers)
    decider = ScriptedDecider()
    answer = asyncio.run(handler(decider)(HttpRequest("GET", f"{PREFIX}{profile}", "", tuple(headers))))
    event(f"status {answer.status}")
    if answer.status == 200:
        ((asked, _),) = decider.asked
        assert asked.subject_id == "u-allow"
        assert [value for name, value in headers if name == KEY] == ["key"]
        assert [value.partition("?")[0] for name, value in headers if name == PROFILES[profile].uri] == [asked.path]
    else:
        assert answer.status in (400, 401, 403)


# --- the recorded exchanges


async def test_the_recorded_requests_of_nginx_are_read(decider: ScriptedDecider, shared: Path) -> None:
    """Recorded without our headers: with them, each is decided as nginx's own routing would have it, or refused."""
    file = shared / "vectors" / "nginx-auth_request-observed-1.22.1.json"
    seen = [
        entry
        for exchange in json.loads(file.read_text(encoding="utf-8"))
        for entry in exchange["log"]
        if entry["who"] == "authz"
    ]
    assert len(seen) >= 10
    decided = []
    for entry in seen:
        sent = tuple((name.lower(), value) for name, value in entry["headers"])
        spoofed = [name for name, _ in sent if name.startswith("x-pdp-")]
        assert spoofed == ["x-pdp-user"], "the recording's client forged one, and nginx passed it on"
        honest = tuple(pair for pair in sent if pair[0] not in (*spoofed, "authorization"))
        facts = ((KEY, "key"), ("x-pdp-subject", "u-allow"), ("x-pdp-resource", "mail"))
        host = ("x-original-host", "127.0.0.1:19101")
        for headers, expected in (
            (sent, 403),  # no key
            ((*sent, *facts, host), 403),  # a header of ours that we do not know
            ((*honest, *facts), 403),  # no `x-original-host`
        ):
            assert (await handler(decider)(HttpRequest("GET", f"{PREFIX}nginx", "", headers))).status == expected
        answer = await handler(decider)(HttpRequest("GET", f"{PREFIX}nginx", "", (*honest, *facts, host)))
        uri = dict(sent)["x-original-uri"]
        assert answer.status == (403 if ".." in uri or "//" in uri else 200)
        decided += [uri] if answer.status == 200 else []
    assert [asked.path for asked, _ in decider.asked] == [uri.partition("?")[0] for uri in decided]
    assert len(seen) - len(decided) == 2
