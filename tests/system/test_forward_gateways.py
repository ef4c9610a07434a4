"""Forward-auth with real nginx, HAProxy and Traefik, each configured by the files of deploy/, and a real uvicorn.

What must hold of every gateway stands here; what is one gateway's own, in test_nginx, test_haproxy and test_traefik.
"""

from __future__ import annotations

import asyncio
import html
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.forward_auth import PREFIX, ForwardAuth
from pdp.wire.gateway_check import ANSWERS, CheckSettings
from pdp.wire.gateway_facts import FACTS, KEY
from pdp.wire.step_up import StepUp
from tests.certificates import Authority
from tests.envoy_server import GATEWAY_KEY, HOST, behind_lane
from tests.haproxy_server import haproxy_gateway
from tests.nginx_server import nginx_gateway
from tests.path_tricks import OURS, OVERRIDES, RAW, RESOURCES, TRICKS, WINDOWS, other_spellings, raw_request
from tests.scripted_decider import OneKey, ScriptedDecider
from tests.servers import free_port
from tests.traefik_server import traefik_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.envoy_server import Answer, Front

pytestmark = pytest.mark.system

BROWSER = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
STEP_UP = StepUp(
    url="https://idp.example.jp/up?acr={acr_values}&to={return_to}", return_origins=frozenset({f"https://{HOST}"})
)
GATEWAYS: dict[str, Callable[..., AbstractContextManager[Front]]] = {
    "nginx": nginx_gateway,
    "haproxy": haproxy_gateway,
    "traefik": traefik_gateway,
}


class Pdp:
    """The handler with its simulator, and what the gateway sent it, byte for byte."""

    def __init__(self, key: str = GATEWAY_KEY) -> None:
        self.decider = ScriptedDecider()
        self.bugs: list[BaseException] = []
        self.requests: list[HttpRequest] = []
        self._handler = ForwardAuth(self.decider, OneKey(key), CheckSettings(step_up=STEP_UP), lambda: "zta")
        self.app = behind_lane(self, self.bugs, PREFIX)

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return await self._handler(request)

    def forget(self) -> None:
        for memory in (self.decider.asked, self.decider.refused, self.bugs, self.requests):
            memory.clear()


@dataclass(frozen=True)
class Pair:
    name: str
    front: Front
    pdp: Pdp

    def ask(self, path: str, *headers: tuple[str, str], **options: Any) -> Answer:
        return self.front.ask(path, *headers, **options)

    def as_user(self, subject: str, path: str = "/groupware/", *headers: tuple[str, str], **options: Any) -> Answer:
        return self.front.ask(path, self.front.bearer(subject), *headers, **options)

    def asked(self) -> Any:
        ((request, caller),) = self.pdp.decider.asked
        assert caller.id == "gateway-1"
        assert request.wire == "forward_auth"
        return request


@contextmanager
def pair(name: str, folder: Path, pdp: Pdp | None = None, **options: Any) -> Iterator[Pair]:
    pdp = pdp or Pdp()
    with GATEWAYS[name](pdp.app, folder, **options) as front:
        pdp.forget()
        yield Pair(name, front, pdp)


@pytest.fixture(scope="module", params=list(GATEWAYS))
def _pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(request.param, tmp_path_factory.mktemp(request.param), patient=True) as running:
        yield running


@pytest.fixture
def gate(_pair: Pair) -> Pair:
    _pair.pdp.forget()
    return _pair


def not_reached(gate: Pair, answer_of: Callable[[], Answer]) -> Answer:
    before = gate.front.upstream.reached
    answer = answer_of()
    assert gate.front.upstream.reached == before
    return answer


# --- the outcomes


def test_an_allow_reaches_the_application_with_the_decision(gate: Pair) -> None:
    answer = gate.as_user("u-allow", "/groupware/a?b=c", method="POST", body=b"hello")
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
    (request,) = gate.pdp.requests
    assert (request.method, request.path, request.body) == ("GET", f"{PREFIX}{gate.name}", b"")
    assert (gate.asked().path, gate.asked().action) == ("/groupware/a", "write")


def test_a_limit_reaches_the_application_with_its_obligations(gate: Pair) -> None:
    seen = gate.as_user("u-limit").upstream["headers"]
    assert seen["x-pdp-outcome"] == ["limit"]
    assert seen["x-pdp-obligations"] == [
        "clipboard=off;session_max_minutes=60;end_at=2023-08-01T18:00:00+09:00;warn=A%3Bb%3Dc%2C%0D%0Ad"
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_deny_is_a_page_that_says_why(gate: Pair, method: str) -> None:
    answer = not_reached(gate, lambda: gate.as_user("u-deny", "/groupware/", BROWSER, method=method))
    assert answer.status == 403
    assert answer.header("x-pdp-decision-id") == "decision-" + answer.header("x-pdp-decision-id").partition("-")[2]
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("cache-control") == "no-store"
    assert "default-src 'none'" in answer.header("content-security-policy")
    if method == "HEAD":
        assert answer.body == b""
        return
    page = answer.body.decode()
    assert "<&>" not in page, "the reason is text, and never markup"
    assert "紛失届のある端末です<&>" in html.unescape(page)
    assert "this terminal is reported lost <&>" in html.unescape(page)
    assert answer.header("x-pdp-decision-id") in page


def test_a_step_up_is_a_challenge_for_a_machine_and_a_redirect_for_a_browser(gate: Pair) -> None:
    machine = not_reached(gate, lambda: gate.as_user("u-step"))
    assert (machine.status, machine.header("www-authenticate")) == (401, STEP_UP.challenge(3))
    browser = not_reached(gate, lambda: gate.as_user("u-step", "/groupware/a?b=c", BROWSER))
    assert browser.status == 302
    assert browser.header("location") == (
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
        ("PROPFIND", "write"),
    ],
)
def test_every_method_is_decided(gate: Pair, method: str, action: str) -> None:
    assert gate.as_user("u-allow", "/groupware/x", method=method).status == 200
    assert gate.asked().action == action
    denied = not_reached(gate, lambda: gate.as_user("u-deny", "/groupware/x", method=method))
    assert denied.status == 403


@pytest.mark.parametrize(
    ("path", "resource", "action"),
    [
        ("/groupware/", "groupware", "access"),
        ("/files/a", "file-storage", "access"),
        ("/files/download/a", "file-storage", "download"),
        ("/files/download/", "file-storage", "download"),
        ("/files/download", "file-storage", "download"),
        ("/files/downloads", "file-storage", "access"),
        ("/files/%E6%97%A5%E6%9C%AC", "file-storage", "access"),
    ],
)
def test_the_route_names_the_resource(gate: Pair, path: str, resource: str, action: str) -> None:
    assert gate.as_user("u-allow", path).status == 200
    request = gate.asked()
    assert (request.resource_id, request.action, request.path) == (resource, action, path)
    assert (request.network.source_ip, request.network.path_encrypted) == ("127.0.0.1", True)


def test_what_no_route_names_is_closed(gate: Pair) -> None:
    assert not_reached(gate, lambda: gate.as_user("u-allow", "/nothing")).status in (400, 404)


# --- whom the gateway believes


def test_the_device_certificate_of_the_connection_arrives(gate: Pair) -> None:
    forged = [(name, "0" * 64) for name in ("x-pdp-certificate-sha256", "x-forwarded-tls-client-cert")]
    forged.append(("x-forwarded-client-cert", "Hash=" + "0" * 64))
    assert gate.as_user("u-allow", "/groupware/", *forged, certificate=gate.front.terminal).status == 200
    assert gate.asked().certificate_sha256 == gate.front.terminal.sha256
    gate.pdp.forget()
    assert gate.as_user("u-allow", "/groupware/", *forged).status == 200
    assert gate.asked().certificate_sha256 is None


def test_a_certificate_of_another_authority_is_not_let_in(gate: Pair, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue("terminal", "stranger")
    try:
        answer = not_reached(gate, lambda: gate.as_user("u-allow", certificate=stranger))
    except (ssl.SSLError, ConnectionError):
        pass
    else:
        assert answer.status == 400
    assert gate.pdp.requests == []


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_nothing_that_a_client_says_in_our_name_is_heard(gate: Pair, spelling: Any) -> None:
    original = [f"x-original-{name}" for name in ("uri", "method", "host", "path", "url")]
    forwarded = [f"x-forwarded-{name}" for name in ("uri", "method", "host", "proto", "for", "prefix")]
    names = (KEY, *FACTS, "x-pdp-anything", *original, *forwarded, "x-envoy-original-path", "x-real-ip", "forwarded")
    forged = [(spelling(name), "forged") for name in names]
    answers = [(spelling(name), "forged") for name in ANSWERS]
    gate.as_user("u-allow")
    honest = gate.asked()
    gate.pdp.forget()
    answer = gate.as_user("u-allow", "/groupware/", *forged, *answers, *forged)
    assert answer.status == 200
    told = gate.asked()
    assert "forged" not in str(gate.pdp.requests)
    for fact in ("subject_id", "resource_id", "action", "device_id", "network", "risk", "pep", "tenant", "session_id"):
        assert getattr(told, fact) == getattr(honest, fact)
    ours = {name: said for name, said in answer.upstream["headers"].items() if name.startswith("x-pdp-")}
    ours.pop("x-pdp-anything", None)  # no name of ours; nginx and Traefik cannot remove by prefix
    assert set(ours) == set(ANSWERS)
    assert "forged" not in str(ours)


@pytest.mark.parametrize("name", ["x_pdp_subject", "X_Original_Uri", "x.pdp.resource"])
def test_another_spelling_of_a_dash_smuggles_nothing(gate: Pair, name: str) -> None:
    answer = gate.as_user("u-allow", "/groupware/", (name, "forged"))
    assert "forged" not in str(gate.pdp.requests)
    assert answer.status in (200, 400)


@pytest.mark.parametrize("name", [*OURS, *OVERRIDES])
def test_another_spelling_of_a_dash_does_not_reach_the_application(gate: Pair, name: str) -> None:
    """The attack: to an application that reads headers as CGI variables, `x-pdp_user` is `x-pdp-user`."""
    before = gate.front.upstream.reached
    answer = gate.as_user("u-allow", "/groupware/", *((other, "forged") for other in other_spellings(name)))
    assert "forged" not in str(gate.pdp.requests)
    if answer.status == 200:
        assert "forged" not in answer.body.decode()
    else:
        assert (answer.status, gate.front.upstream.reached) == (400, before)


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_what_would_override_the_decided_method_or_path_does_not_reach_the_application(
    gate: Pair, spelling: Any
) -> None:
    """The attack: a GET is decided, and the framework behind makes a DELETE of it because a header says so."""
    answer = gate.as_user("u-allow", "/groupware/", *((spelling(name), "forged") for name in OVERRIDES))
    assert answer.status == 200
    assert "forged" not in answer.body.decode()
    assert answer.upstream["headers"].keys().isdisjoint(OVERRIDES)


def test_a_client_cannot_have_facts_removed_as_hop_by_hop(gate: Pair) -> None:
    """The attack: `Connection: x-pdp-…` asks a proxy to drop headers of that name on their way."""
    nominated = ("connection", "x-pdp-resource, x-pdp-source-ip, x-pdp-key, x-forwarded-uri, x-forwarded-for")
    before = gate.front.upstream.reached
    answer = gate.as_user("u-allow", "/groupware/", nominated)
    if answer.status == 200:
        assert (gate.asked().resource_id, gate.asked().network.source_ip) == ("groupware", "127.0.0.1")
    else:
        assert gate.front.upstream.reached == before


def test_two_tokens_are_refused(gate: Pair) -> None:
    two = [gate.front.bearer("u-allow"), gate.front.bearer("u-deny")]
    answer = not_reached(gate, lambda: gate.ask("/groupware/", *two))
    assert answer.status in (400, 403)
    assert gate.pdp.decider.asked == []


@pytest.mark.parametrize("headers", [[], [("authorization", "Bearer a.b.c")], [("authorization", "Basic YTpi")]])
def test_who_shows_no_usable_token_is_refused(gate: Pair, headers: list[tuple[str, str]]) -> None:
    assert not_reached(gate, lambda: gate.ask("/groupware/", *headers)).status in (400, 403)
    assert len(gate.pdp.decider.refused) == 1


def test_one_request_on_a_connection_says_nothing_about_the_next(gate: Pair) -> None:
    """The attack: what an allow left behind in the gateway, a variable or a header, counts for what comes after it."""
    allow, deny, nobody = [(gate.front.bearer(subject),) for subject in ("u-allow", "u-deny")] + [()]
    questions = [("/groupware/", allow), ("/groupware/", deny), ("/groupware/", nobody), ("/nothing", allow)]
    before = gate.front.upstream.reached
    statuses = gate.front.ask_on_one_connection(*questions, *questions)
    assert [status == 200 for status in statuses] == [True, False, False, False] * 2
    assert gate.front.upstream.reached - before == 2


@pytest.mark.parametrize("host", ["evil.example", "apps.example.jp.evil.example", "127.0.0.1"])
def test_another_host_is_not_served(gate: Pair, host: str) -> None:
    headers = [gate.front.bearer("u-allow")]
    answer = not_reached(gate, lambda: gate.ask(f"http://{host}/groupware/", *headers))
    assert answer.status in (400, 404, 421)
    assert gate.pdp.decider.asked == []


def test_large_headers_are_decided_or_refused_and_never_skipped(gate: Pair) -> None:
    big = ("cookie", "a" * 60_000)
    before = gate.front.upstream.reached
    try:
        answer = gate.as_user("u-deny", "/groupware/", big)
    except (ssl.SSLError, ConnectionError):
        pass
    else:
        assert answer.status in (400, 403, 431, 500)
    assert gate.front.upstream.reached == before


# --- paths


@pytest.mark.parametrize("path", TRICKS)
def test_the_path_that_was_decided_is_the_path_that_is_served(gate: Pair, path: str) -> None:
    before = gate.front.upstream.reached
    answer = gate.as_user("u-allow", path)
    if answer.status != 200:
        assert answer.status in (301, 302, 307, 308, 400, 403, 404, 405, 421, 503)
        assert gate.front.upstream.reached == before
        assert gate.pdp.decider.asked == []
        return
    request = gate.asked()
    assert answer.upstream["path"] == request.path
    segments = request.path.split("/")
    expected = ("file-storage", "download") if segments[1:3] == ["files", "download"] else RESOURCES[segments[1]]
    assert (request.resource_id, request.action) == expected


@pytest.mark.parametrize("path", WINDOWS)
def test_a_path_that_windows_reads_otherwise_is_refused(gate: Pair, path: str) -> None:
    """The attack: `/files/download./x` is judged as a plain access, and IIS serves `/files/download/x`."""
    assert not_reached(gate, lambda: gate.as_user("u-allow", path)).status in (400, 403)
    assert len(gate.pdp.decider.refused) == 1


@pytest.mark.parametrize("case", RAW)
def test_what_is_not_plain_http_is_decided_or_refused(gate: Pair, case: str) -> None:
    """The attack: the gateway asks about one request and forwards another, or forwards without having asked."""
    for subject in ("u-deny", "u-allow"):
        gate.pdp.forget()
        before = gate.front.upstream.reached
        gate.front.send(raw_request(case, gate.front.issuer.token(sub=subject)))
        reached = gate.front.upstream.reached - before
        decided = [request.subject_id for request, _ in gate.pdp.decider.asked]
        assert reached <= decided.count("u-allow")
        assert "forged" not in str(gate.pdp.requests)


# --- failures


@pytest.mark.parametrize(("subject", "bugs"), [("u-broken", 1), ("u-not-ready", 0)])
def test_a_pdp_that_fails_is_a_deny_that_tells_nothing(gate: Pair, subject: str, bugs: int) -> None:
    answer = not_reached(gate, lambda: gate.as_user(subject, "/groupware/", BROWSER))
    assert answer.status in (500, 503)
    assert b"secret" not in answer.body
    assert len(gate.pdp.bugs) == bugs


@pytest.mark.parametrize("name", ["nginx", "haproxy"])  # Traefik's deadline is 30 s: test_traefik says what bounds it
def test_a_pdp_that_is_slow_is_a_deny(tmp_path: Path, name: str) -> None:
    with pair(name, tmp_path) as gate:
        answer = not_reached(gate, lambda: gate.as_user("u-late"))
        assert answer.status == 503


@pytest.mark.parametrize("name", list(GATEWAYS))
def test_a_pdp_that_is_down_is_a_deny(tmp_path: Path, name: str) -> None:
    with pair(name, tmp_path, pdp_port=free_port()) as gate:
        answer = not_reached(gate, lambda: gate.as_user("u-allow"))
        assert answer.status in (500, 503)


@pytest.mark.parametrize("name", list(GATEWAYS))
def test_a_gateway_with_a_wrong_key_lets_nobody_through(tmp_path: Path, name: str) -> None:
    pdp = Pdp(key="another key")
    with pair(name, tmp_path, pdp) as gate:
        answer = not_reached(gate, lambda: gate.as_user("u-allow", "/groupware/", (KEY, "another key")))
        assert answer.status == 403
        assert (pdp.decider.asked, pdp.decider.refused) == ([], [])


# --- many at once


@pytest.mark.anyio
async def test_many_requests_at_once_get_each_its_own_answer(gate: Pair) -> None:
    subjects = {"u-allow": 200, "u-limit": 200, "u-deny": 403, "u-step": 401, "u-nobody": 403}
    tokens = {subject: gate.front.issuer.token(sub=subject) for subject in subjects}
    context = ssl.create_default_context(cafile=str(gate.front.trust))
    at_once = asyncio.Semaphore(50)

    async def one(number: int) -> tuple[str, int, str]:
        subject = list(subjects)[number % len(subjects)]
        async with at_once:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", gate.front.ports["front"], ssl=context, server_hostname=HOST
            )
            request = f"GET /groupware/{number} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {tokens[subject]}\r\n"
            writer.write(f"{request}connection: close\r\n\r\n".encode())
            raw = await reader.read()
            writer.close()
            return subject, int(raw.split(b" ", 2)[1]), raw.decode()

    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(one(number) for number in range(300)))
    assert [(subject, status) for subject, status, _ in answers if status != subjects[subject]] == []
    subject_of = {request.path: request.subject_id for request, _ in gate.pdp.decider.asked}
    assert len(gate.pdp.decider.asked) == len(subject_of) == 300
    for number, (subject, status, raw) in enumerate(answers):
        assert subject_of[f"/groupware/{number}"] == subject
        if status == 200:
            assert f'"path": "/groupware/{number}"' in raw
            assert f'"x-pdp-user": ["{subject}"]' in raw
