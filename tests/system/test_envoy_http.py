"""ext_authz over HTTP with a real Envoy, configured by deploy/envoy/ext-authz-http.yaml, and a real uvicorn."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.gateway_check import ANSWERS, CheckSettings
from pdp.wire.gateway_facts import FACTS, KEY
from pdp.wire.step_up import StepUp
from tests.certificates import Authority
from tests.envoy_server import (
    DEPLOYED,
    GATEWAY_KEY,
    HOST,
    behind_lane,
    bench_headers,
    connection_manager,
    deployed,
    gateway,
    gateway_headers,
    http_filter,
    validate,
    with_bench,
)
from tests.path_tricks import OURS, OVERRIDES, RESOURCES, TRICKS, other_spellings
from tests.scripted_decider import AT, OneKey, ScriptedDecider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.envoy_server import Answer, Gateway

pytestmark = pytest.mark.system

BROWSER = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
STEP_UP = StepUp(
    url="https://idp.example.jp/up?acr={acr_values}&to={return_to}", return_origins=frozenset({f"https://{HOST}"})
)


class Pdp:
    """The handler with its simulator, and what Envoy sent it, byte for byte."""

    def __init__(self) -> None:
        self.decider = ScriptedDecider()
        self.bugs: list[BaseException] = []
        self.requests: list[HttpRequest] = []
        self._handler = ExtAuthzHttp(self.decider, OneKey(GATEWAY_KEY), CheckSettings(step_up=STEP_UP), lambda: "plain")
        self.app = behind_lane(self, self.bugs)

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return await self._handler(request)

    def forget(self) -> None:
        for memory in (self.decider.asked, self.decider.refused, self.bugs, self.requests):
            memory.clear()


@pytest.fixture(scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Pdp]]:
    pdp = Pdp()
    with gateway(pdp.app, tmp_path_factory.mktemp("envoy")) as running:
        yield running, pdp


@pytest.fixture
def pdp(_pair: tuple[Gateway, Pdp]) -> Pdp:
    _pair[1].forget()
    return _pair[1]


@pytest.fixture
def envoy(_pair: tuple[Gateway, Pdp], pdp: Pdp) -> Gateway:
    return _pair[0]


def asked(pdp: Pdp) -> Any:
    ((request, caller),) = pdp.decider.asked
    assert caller.id == "gateway-1"
    return request


def not_reached(envoy: Gateway, answer_of: Any) -> Answer:
    before = envoy.upstream.reached
    answer: Answer = answer_of()
    assert envoy.upstream.reached == before
    return answer


# --- the deployed file


def test_envoy_accepts_the_deployed_file(envoy: Gateway, tmp_path: Path) -> None:
    config = deployed(tmp_path, pdp_port=1, upstream_port=1, trust=envoy.trust, server=envoy.terminal)
    (tmp_path / "jwks.json").write_text(json.dumps(envoy.issuer.jwks), encoding="utf-8")
    checked = validate(config, tmp_path)
    assert checked.returncode == 0, checked.stderr[-2000:]
    config["static_resources"]["listeners"][0]["no_such_field"] = 1
    assert validate(config, tmp_path).returncode != 0


def test_the_tests_change_nothing_but_addresses_and_files(envoy: Gateway, tmp_path: Path) -> None:
    file = yaml.safe_load(DEPLOYED.read_text(encoding="utf-8"))
    tested = deployed(tmp_path, pdp_port=1, upstream_port=1, trust=envoy.trust, server=envoy.terminal)
    changed = {where.rpartition(".")[2] for where in _differences(file, tested, "")}
    assert changed == {"address", "port_value", "filename"}


def _differences(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            yield from _differences(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            yield from _differences(left, right, where)
    elif one != other:
        yield where


# --- the four outcomes


def test_an_allow_reaches_the_application_with_the_decision(envoy: Gateway, pdp: Pdp) -> None:
    answer = envoy.ask("/groupware/a?b=c", envoy.bearer("u-allow"), method="POST", body=b"hello")
    assert answer.status == 200
    assert (answer.upstream["method"], answer.upstream["path"]) == ("POST", "/groupware/a")
    assert answer.upstream["body"] == "hello"
    seen = answer.upstream["headers"]
    assert {name: seen[name] for name in seen if name.startswith("x-pdp-")} == {
        "x-pdp-decision-id": [seen["x-pdp-decision-id"][0]],
        "x-pdp-user": ["u-allow"],
        "x-pdp-outcome": ["allow"],
        "x-pdp-reasons": ["OK"],
        "x-pdp-obligations": ["none"],
        "x-pdp-expires-at": ["2023-08-01T01:05:00Z"],
    }
    assert "x-envoy-auth-headers-to-remove" not in seen
    (request,) = pdp.requests
    assert (request.method, request.path, request.query, request.body) == ("POST", "/envoy/groupware/a", "b=c", b"")


def test_a_limit_reaches_the_application_with_its_obligations(envoy: Gateway) -> None:
    seen = envoy.ask("/groupware/", envoy.bearer("u-limit")).upstream["headers"]
    assert seen["x-pdp-outcome"] == ["limit"]
    assert seen["x-pdp-obligations"] == [
        "clipboard=off;session_max_minutes=60;end_at=2023-08-01T18:00:00+09:00;warn=A%3Bb%3Dc%2C%0D%0Ad"
    ]


def test_a_deny_is_a_page_for_a_person(envoy: Gateway) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-deny"), BROWSER))
    assert answer.status == 403
    page = answer.body.decode()
    assert page.startswith('<!doctype html>\n<html lang="ja">')
    assert "紛失届のある端末です&lt;&amp;&gt;" in page
    assert answer.header("x-pdp-decision-id") in page
    for name in ("content-security-policy", "content-language", "x-content-type-options", "referrer-policy", "vary"):
        assert answer.header(name), name
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("cache-control") == "no-store"


def test_a_deny_is_json_for_a_machine(envoy: Gateway) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-deny")))
    assert answer.status == 403
    assert json.loads(answer.body)["id"] == answer.header("x-pdp-decision-id")


def test_a_step_up_is_a_challenge_for_a_machine(envoy: Gateway) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-step")))
    assert answer.status == 401
    assert answer.header("www-authenticate") == STEP_UP.challenge(3)


def test_a_step_up_is_a_redirect_for_a_browser_and_leads_back(envoy: Gateway) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/a?b=c", envoy.bearer("u-step"), BROWSER))
    assert answer.status == 302
    assert answer.header("location") == (
        "https://idp.example.jp/up?acr=urn%3Asekisho%3Aauth-level%3A3"
        "&to=https%3A%2F%2Fapps.example.jp%2Fgroupware%2Fa%3Fb%3Dc"
    )


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "access"),
        ("HEAD", "access"),
        ("OPTIONS", "access"),
        ("POST", "write"),
        ("PUT", "write"),
        ("PATCH", "write"),
        ("DELETE", "write"),
        ("TRACE", "write"),
        ("PROPFIND", "write"),
        ("PURGE", "write"),
    ],
)
def test_every_method_is_decided(envoy: Gateway, pdp: Pdp, method: str, action: str) -> None:
    allowed = envoy.ask("/groupware/x", envoy.bearer("u-allow"), method=method)
    assert allowed.status == 200
    assert asked(pdp).action == action
    assert pdp.requests[0].method == method
    denied = not_reached(envoy, lambda: envoy.ask("/groupware/x", envoy.bearer("u-deny"), method=method))
    assert denied.status == 403
    assert (denied.body == b"") == (method == "HEAD")


@pytest.mark.parametrize("method", ["CONNECT", "QUERY"])
def test_a_method_that_nobody_knows_is_not_let_through(envoy: Gateway, method: str) -> None:
    path = f"{HOST}:443" if method == "CONNECT" else "/groupware/"
    answer = not_reached(envoy, lambda: envoy.ask(path, envoy.bearer("u-allow"), method=method))
    assert answer.status in (400, 404)


# --- whom Envoy believes


def test_the_claims_of_the_verified_token_arrive_whole(envoy: Gateway, pdp: Pdp) -> None:
    claims = {"acr": "phr", "amr": ["pwd", "hwk"], "auth_time": 1_690_851_600, "sid": "s-1"}
    assert envoy.ask("/groupware/", envoy.bearer("u-allow", **claims)).status == 200
    request = asked(pdp)
    assert (request.identity.acr, request.identity.amr) == ("phr", ("pwd", "hwk"))
    assert request.identity.auth_time == AT
    assert (request.identity.issuer, request.session_id) == ("https://idp.example.jp", "s-1")
    assert [name for name, _ in pdp.requests[0].headers if name == "authorization"] == []


def test_the_device_certificate_of_the_connection_arrives(envoy: Gateway, pdp: Pdp) -> None:
    forged = ("x-forwarded-client-cert", "Hash=" + "0" * 64)
    shown = envoy.ask("/groupware/", envoy.bearer("u-allow"), forged, certificate=envoy.terminal)
    assert shown.status == 200
    assert asked(pdp).certificate_sha256 == envoy.terminal.sha256
    pdp.forget()
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), forged).status == 200
    assert asked(pdp).certificate_sha256 is None


def test_a_certificate_of_another_authority_is_not_let_in(envoy: Gateway, pdp: Pdp, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue("terminal", "stranger")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        envoy.ask("/groupware/", envoy.bearer("u-allow"), certificate=stranger)
    assert pdp.requests == []


def test_the_route_names_the_resource_and_the_action(envoy: Gateway, pdp: Pdp) -> None:
    assert envoy.ask("/files/download/x", envoy.bearer("u-allow")).status == 200
    assert (asked(pdp).resource_id, asked(pdp).action) == ("file-storage", "download")


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_nothing_that_a_client_says_in_our_name_is_heard(envoy: Gateway, pdp: Pdp, spelling: Any) -> None:
    names = ("subject", "acr", "amr", "auth-time", "issuer", "session", "device", "resource", "action", "tenant")
    more = ("organisation", "source-ip", "tunnel", "underlay", "country", "path-encrypted", "risk", "pep", "key")
    forged = [(spelling(f"x-pdp-{name}"), "forged") for name in (*names, *more, "strict-path", "anything")]
    answers = [(spelling(name), "forged") for name in ANSWERS]
    plain = envoy.ask("/groupware/", envoy.bearer("u-allow"))
    honest = asked(pdp)
    pdp.forget()
    answer = envoy.ask("/groupware/", *forged, envoy.bearer("u-allow"), *answers, *forged)
    assert answer.status == 200
    sent = {name: value for name, value in pdp.requests[0].headers if name.startswith("x-pdp-")}
    assert sent == {
        KEY: GATEWAY_KEY,
        "x-pdp-subject": "u-allow",
        "x-pdp-issuer": "https://idp.example.jp",
        "x-pdp-resource": "groupware",
        "x-pdp-source-ip": "127.0.0.1",
        "x-pdp-path-encrypted": "true",
    }
    assert asked(pdp).document == honest.document
    assert "forged" not in answer.body.decode()
    assert answer.upstream["headers"].keys() == plain.upstream["headers"].keys()


def test_a_client_cannot_have_facts_removed_as_hop_by_hop(envoy: Gateway, pdp: Pdp) -> None:
    """The attack: `Connection: x-pdp-risk` asks a proxy to drop a header of that name on its way."""
    nominated = ("connection", "x-pdp-subject, x-pdp-path-encrypted, x-pdp-resource, x-pdp-key")
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), nominated).status == 200
    assert asked(pdp).network.path_encrypted is True


def test_a_forwarded_address_of_the_client_is_not_the_source(envoy: Gateway, pdp: Pdp) -> None:
    envoy.ask("/groupware/", envoy.bearer("u-allow"), ("x-forwarded-for", "10.0.0.10"), ("x-real-ip", "10.0.0.10"))
    assert asked(pdp).network.source_ip == "127.0.0.1"


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_what_would_override_the_decided_method_or_path_does_not_reach_the_application(
    envoy: Gateway, spelling: Any
) -> None:
    """The attack: a GET is decided, and the framework behind makes a DELETE of it because a header says so."""
    said = [(spelling(name), "forged") for name in OVERRIDES]
    answer = envoy.ask("/groupware/", envoy.bearer("u-allow"), *said)
    assert answer.status == 200
    assert "forged" not in answer.body.decode()
    assert answer.upstream["headers"].keys().isdisjoint(OVERRIDES)


@pytest.mark.parametrize("name", [*OURS, *OVERRIDES])
def test_another_spelling_of_a_dash_does_not_reach_the_application(envoy: Gateway, pdp: Pdp, name: str) -> None:
    """The attack: to an application that reads headers as CGI variables, `x-pdp.user` is `x-pdp-user`."""
    dotted = [(other, "forged") for other in other_spellings(name) if "_" not in other]
    answer = envoy.ask("/groupware/", envoy.bearer("u-allow"), *dotted)
    assert answer.status == 200
    assert "forged" not in answer.body.decode() + str(pdp.requests)
    underscored = [(other, "forged") for other in other_spellings(name) if "_" in other]
    refused = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), *underscored))
    assert refused.status == 400


@pytest.mark.parametrize("spelling", ["x_pdp_subject", "X_Pdp_Resource"])
def test_underscores_do_not_smuggle_a_header(envoy: Gateway, spelling: str) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), (spelling, "forged")))
    assert answer.status == 400


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer a.b.c")],
        [("x-pdp-subject", "u-allow")],
        [],
    ],
)
def test_without_a_verified_token_nobody_is_asked(envoy: Gateway, pdp: Pdp, headers: list[tuple[str, str]]) -> None:
    assert not_reached(envoy, lambda: envoy.ask("/groupware/", *headers)).status == 401
    assert pdp.requests == []


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": "a,b"},
        {"sub": "日本"},
        {"auth_time": 1.5},
        {"amr": ["日本"]},
        {"acr": "a b"},
    ],
)
def test_a_token_whose_claims_cannot_be_read_is_refused(envoy: Gateway, pdp: Pdp, claims: dict[str, Any]) -> None:
    token = envoy.issuer.token(**{"sub": "u-allow", **claims})
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", ("authorization", f"Bearer {token}")))
    assert answer.status == 400
    assert len(pdp.decider.refused) == 1


@pytest.mark.parametrize("name", ["traceparent", "sec-fetch-mode"])
def test_a_header_that_comes_twice_is_refused(envoy: Gateway, pdp: Pdp, name: str) -> None:
    twice = [(name, "navigate"), (name, "navigate")]
    assert not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), *twice)).status == 400
    assert "more than once" in pdp.decider.refused[0][0].fault.message


def test_two_tokens_are_refused_by_envoy(envoy: Gateway) -> None:
    two = [envoy.bearer("u-allow"), envoy.bearer("u-deny")]
    assert not_reached(envoy, lambda: envoy.ask("/groupware/", *two)).status == 401


def test_large_headers_are_decided_or_refused_and_never_skipped(envoy: Gateway, pdp: Pdp) -> None:
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), ("cookie", "a" * 30_000)).status == 200
    assert envoy.ask("/groupware/", envoy.bearer("u-deny"), ("accept", "a" * 30_000)).status == 403
    big = ("cookie", "a" * 40_000)
    assert not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), big)).status == 431
    assert len(pdp.decider.asked) == 2


# --- paths


@pytest.mark.parametrize("path", TRICKS)
def test_the_path_that_was_decided_is_the_path_that_is_served(envoy: Gateway, pdp: Pdp, path: str) -> None:
    before = envoy.upstream.reached
    answer = envoy.ask(path, envoy.bearer("u-allow"))
    if answer.status != 200:
        assert answer.status in (400, 404)
        assert envoy.upstream.reached == before
        return
    request = asked(pdp)
    assert answer.upstream["path"] == request.path
    segments = request.path.split("/")
    expected = ("file-storage", "download") if segments[1:3] == ["files", "download"] else RESOURCES[segments[1]]
    assert (request.resource_id, request.action) == expected


@pytest.fixture(scope="module")
def _lax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Pdp]]:
    """A gateway whose operator switched off every clean-up, forwards a fact of the client, and lets failures allow."""

    def switch_off(config: dict[str, Any]) -> None:
        manager = connection_manager(config["static_resources"]["listeners"][0])
        manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")
        del manager["early_header_mutation_extensions"]
        authz = http_filter(manager, "ext_authz")
        authz["allowed_headers"]["patterns"].append({"exact": "x-pdp-device"})
        authz["failure_mode_allow"] = True

    pdp = Pdp()
    with gateway(pdp.app, tmp_path_factory.mktemp("lax"), change=switch_off) as running:
        yield running, pdp


@pytest.fixture
def lax(_lax: tuple[Gateway, Pdp]) -> tuple[Gateway, Pdp]:
    _lax[1].forget()
    return _lax


@pytest.mark.parametrize("path", TRICKS)
def test_where_the_gateway_cleans_nothing_the_pdp_refuses(lax: tuple[Gateway, Pdp], path: str) -> None:
    envoy, pdp = lax
    before = envoy.upstream.reached
    answer = envoy.ask(path, envoy.bearer("u-allow"))
    if answer.status == 200:
        assert path in ("/groupware?/../files/x", f"http://{HOST}/files/x")
        assert answer.upstream["path"] == asked(pdp).path
    else:
        assert answer.status in (400, 404)
        assert envoy.upstream.reached == before


def test_without_the_clean_up_a_forged_fact_would_arrive(lax: tuple[Gateway, Pdp]) -> None:
    """So it is the clean-up that keeps it out. What jwt_authn and headers_to_add set, they replace even here."""
    envoy, pdp = lax
    forged = [(f"x-pdp-{name}", "forged") for name in ("subject", "resource", "source-ip", "device", "key")]
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), *forged).status == 200
    request = asked(pdp)
    assert (request.subject_id, request.resource_id, request.network.source_ip) == ("u-allow", "groupware", "127.0.0.1")
    assert request.device_id == "forged"


def test_without_the_clean_up_the_application_still_sees_no_forged_answer(lax: tuple[Gateway, Pdp]) -> None:
    envoy, _ = lax
    forged = [(name, "forged") for name in (*ANSWERS, *FACTS)]
    seen = envoy.ask("/groupware/", envoy.bearer("u-allow"), *(pair for pair in forged if pair[0] != "x-pdp-device"))
    assert seen.status == 200
    assert "forged" not in seen.body.decode()


EVERYTHING_OF_OURS = {"remove_on_match": {"key_matcher": {"prefix": "x-pdp-"}}}
FILTER = {
    "name": "clean-up",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        "mutations": {"request_mutations": [EVERYTHING_OF_OURS]},
    },
}


@pytest.mark.parametrize(
    ("place", "status", "device"),
    [
        ("early mutation", 200, None),
        ("filter before jwt_authn", 200, None),
        ("filter behind jwt_authn", 400, None),
        ("route", 200, "forged"),
    ],
)
def test_where_forged_facts_can_be_removed(tmp_path: Path, place: str, status: int, device: str | None) -> None:
    """The client's `x-pdp-device` is forwarded here, so that only the removal in that place keeps it out."""

    def change(config: dict[str, Any]) -> None:
        manager = connection_manager(config["static_resources"]["listeners"][0])
        http_filter(manager, "ext_authz")["allowed_headers"]["patterns"].append({"exact": "x-pdp-device"})
        if place != "early mutation":
            del manager["early_header_mutation_extensions"]
        if place == "route":
            for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
                route["request_headers_to_remove"] = ["x-pdp-device", "x-pdp-subject"]
        if place.startswith("filter"):
            manager["http_filters"].insert(0 if "before" in place else 1, FILTER)

    pdp = Pdp()
    with gateway(pdp.app, tmp_path, change=change) as envoy:
        answer = envoy.ask("/groupware/", envoy.bearer("u-allow"), ("x-pdp-device", "forged"))
    assert answer.status == status
    assert [request.device_id for request, _ in pdp.decider.asked] == ([device] if status == 200 else [])


@pytest.mark.parametrize(
    ("subject", "headers", "status"),
    [
        ("u-deny", [], 403),
        ("u-step", [], 401),
        ("u-allow", [("x-pdp-device", "a,b")], 400),
        ("a,b", [], 400),
        ("u-broken", [], 200),
        ("u-not-ready", [], 200),
    ],
)
def test_a_refusal_stays_a_deny_even_where_failures_allow(
    lax: tuple[Gateway, Pdp], subject: str, headers: list[tuple[str, str]], status: int
) -> None:
    """`failure_mode_allow` opens the gate for 5xx (the last two): the reason why a refusal is never one."""
    envoy, _ = lax
    assert envoy.ask("/groupware/", envoy.bearer(subject), *headers).status == status


# --- failures


@contextmanager
def one_failed_check(envoy: Gateway) -> Iterator[None]:
    """Envoy itself counts one check that got no answer, and none that was denied."""
    names = [f"http.front.ext_authz.{name}" for name in ("error", "denied", "failure_mode_allowed")]
    before = [envoy.envoy.stat(name) for name in names]
    yield
    assert [envoy.envoy.stat(name) - count for name, count in zip(names, before, strict=True)] == [1, 0, 0]


@pytest.mark.parametrize("subject", ["u-broken", "u-not-ready", "u-late"])
def test_a_pdp_that_fails_or_is_slow_is_a_deny_that_tells_nothing(envoy: Gateway, pdp: Pdp, subject: str) -> None:
    with one_failed_check(envoy):
        answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer(subject), BROWSER))
    assert (answer.status, answer.body) == (503, b"")
    assert len(pdp.decider.asked) == 1
    assert len(pdp.bugs) == (subject == "u-broken")


def test_a_pdp_that_is_down_is_a_deny(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound, but nobody listens: a connection is refused
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with gateway(None, tmp_path, pdp_port=port) as envoy, one_failed_check(envoy):
            answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow")))
            assert (answer.status, answer.body) == (503, b"")


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_gateway_without_its_key_lets_nobody_through(tmp_path: Path, key: str) -> None:
    def change(config: dict[str, Any]) -> None:
        authz = http_filter(connection_manager(config["static_resources"]["listeners"][0]), "ext_authz")
        headers = authz["http_service"]["authorization_request"]["headers_to_add"]
        headers[:] = [entry for entry in headers if entry["key"] != KEY]
        if key:
            headers.append({"key": KEY, "value": key})

    pdp = Pdp()
    with gateway(pdp.app, tmp_path, change=change) as envoy:
        forged = (KEY, GATEWAY_KEY)
        answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), forged))
        assert answer.status == 403
        assert (pdp.decider.asked, pdp.decider.refused) == ([], [])


@contextmanager
def answering(tmp_path: Path, answer: HttpAnswer) -> Iterator[Gateway]:
    async def always(request: HttpRequest) -> HttpAnswer:
        return answer

    with gateway(behind_lane(always), tmp_path) as running:
        yield running


def test_envoy_removes_after_it_adds_so_an_answer_must_not_be_named_like_a_fact(tmp_path: Path) -> None:
    answer = HttpAnswer(
        200, (("x-pdp-outcome", "allow"), ("x-pdp-reasons", "OK"), ("x-envoy-auth-headers-to-remove", "x-pdp-reasons"))
    )
    with answering(tmp_path, answer) as envoy:
        seen = envoy.ask("/groupware/", envoy.bearer("u-allow")).upstream["headers"]
        assert seen["x-pdp-outcome"] == ["allow"]
        assert "x-pdp-reasons" not in seen


# --- many at once


@pytest.mark.anyio
async def test_a_thousand_requests_at_once_get_each_its_own_answer(envoy: Gateway, pdp: Pdp) -> None:
    subjects = {"u-allow": 200, "u-limit": 200, "u-deny": 403, "u-step": 401, "u-nobody": 403}
    tokens = {subject: envoy.issuer.token(sub=subject) for subject in subjects}
    port = envoy.envoy.ports["bench"]

    async def one(number: int) -> tuple[str, int, str]:
        subject = list(subjects)[number % len(subjects)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /{number} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {tokens[subject]}\r\n"
        writer.write(f"{request}bench-resource: mail\r\nconnection: close\r\n\r\n".encode())
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        return subject, int(raw.split(b" ", 2)[1]), raw.decode()

    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(one(number) for number in range(1000)))
    assert [(subject, status) for subject, status, _ in answers if status != subjects[subject]] == []
    assert len(pdp.decider.asked) == 1000
    subject_of = {request.path: request.subject_id for request, _ in pdp.decider.asked}
    for number, (subject, status, raw) in enumerate(answers):
        assert subject_of[f"/{number}"] == subject
        if status == 200:
            assert f'"path": "/{number}"' in raw
            assert ('"x-pdp-outcome": ["limit"]' in raw) == (subject == "u-limit")


# --- the scenarios' requests on this wire


def test_every_request_of_the_scenarios_means_the_same_with_and_without_envoy(
    envoy: Gateway, pdp: Pdp, shared: Path
) -> None:
    requests = [
        step["request"]
        for file in sorted((shared / "scenarios").glob("*.yaml"))
        for scenario in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        for step in scenario.get("steps", [scenario])
    ]
    assert len(requests) >= 60
    direct = ScriptedDecider()
    handler = ExtAuthzHttp(direct, OneKey(GATEWAY_KEY), CheckSettings(), lambda: "plain")
    for short in requests:
        envoy.ask("/x", *bench_headers(envoy.issuer, short, AT), listener="bench")
        asyncio.run(_ask(handler, gateway_headers(short, AT)))
    assert pdp.decider.refused == direct.refused == []
    with_envoy, without = ([request for request, _ in decider.asked] for decider in (pdp.decider, direct))
    assert len(with_envoy) == len(requests)
    for short, through, straight in zip(requests, with_envoy, without, strict=True):
        assert through.document == straight.document
        assert (through.identity.acr, through.identity.auth_time) == (
            straight.identity.acr,
            straight.identity.auth_time,
        )
        assert (through.subject_id, through.resource_id) == (short["user"], short["resource"])
        assert set(short.get("pep", [])) == set(through.pep)
        assert through.risk == tuple(short.get("risk", []))


async def _ask(handler: ExtAuthzHttp, headers: list[tuple[str, str]]) -> None:
    await handler(HttpRequest("GET", "/envoy/x", "", tuple(headers)))


def test_the_bench_is_the_deployed_gateway_but_for_its_facts(envoy: Gateway, tmp_path: Path) -> None:
    config = deployed(tmp_path, pdp_port=1, upstream_port=1, trust=envoy.trust, server=envoy.terminal)
    before = copy.deepcopy(config)
    front, bench = with_bench(config)["static_resources"]["listeners"]
    assert config == before
    assert front == config["static_resources"]["listeners"][0]
    one, other = connection_manager(front), connection_manager(bench)
    assert {name for name in one if one[name] != other[name]} == {"stat_prefix", "http_filters", "route_config"}
    assert http_filter(one, "jwt_authn") == http_filter(other, "jwt_authn")
    authz, theirs = http_filter(one, "ext_authz"), http_filter(other, "ext_authz")
    assert {name for name in authz if authz[name] != theirs[name]} == {"http_service"}
