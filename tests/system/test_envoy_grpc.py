"""ext_authz over gRPC with a real Envoy, configured by deploy/envoy/ext-authz-grpc.yaml, and a real gRPC listener."""

from __future__ import annotations

import copy
import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pdp.api.grpc_listener import MAX_MESSAGE, Authorization
from pdp.wire.gateway_check import ANSWERS, CheckSettings
from pdp.wire.gateway_facts import FACTS, KEY
from pdp.wire.step_up import StepUp
from tests.envoy_server import (
    DEPLOYED,
    DEPLOYED_GRPC,
    GATEWAY_KEY,
    HOST,
    bench_headers,
    connection_manager,
    deployed,
    gateway,
    http_filter,
    validate,
)
from tests.grpc_server import serving_grpc
from tests.path_tricks import OURS, OVERRIDES, RAW, RESOURCES, TRICKS, other_spellings, raw_request
from tests.scripted_decider import AT, OneKey, ScriptedDecider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.envoy_server import Answer, Gateway

pytestmark = pytest.mark.system

BROWSER = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
STEP_UP = StepUp(
    url="https://idp.example.jp/up?acr={acr_values}&to={return_to}", return_origins=frozenset({f"https://{HOST}"})
)


class Pdp:
    """The check with its simulator, and what Envoy sent it."""

    def __init__(self, key: str = GATEWAY_KEY) -> None:
        self.decider = ScriptedDecider()
        self.bugs: list[BaseException] = []
        self.seen: list[tuple[Any, dict[str, str]]] = []
        self._key = key

    def make(self) -> Authorization:
        pdp = self

        class Recorded(Authorization):
            async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
                pdp.seen.append((request, dict(context.invocation_metadata())))
                return await super().Check(request, context)

        return Recorded(
            self.decider, OneKey(self._key), CheckSettings(step_up=STEP_UP), lambda: "plain", on_bug=self.bugs.append
        )

    def forget(self) -> None:
        for memory in (self.decider.asked, self.decider.refused, self.bugs, self.seen):
            memory.clear()


@contextmanager
def pair(
    folder: Path, pdp: Pdp | None = None, change: Callable[[dict[str, Any]], None] | None = None
) -> Iterator[tuple[Gateway, Pdp]]:
    pdp = pdp or Pdp()
    with (
        serving_grpc(pdp.make) as port,
        gateway(None, folder, pdp_port=port, file=DEPLOYED_GRPC, change=change) as running,
    ):
        yield running, pdp


@pytest.fixture(scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Pdp]]:
    with pair(tmp_path_factory.mktemp("envoy")) as running:
        yield running


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


def not_reached(envoy: Gateway, answer_of: Callable[[], Answer]) -> Answer:
    before = envoy.upstream.reached
    answer = answer_of()
    assert envoy.upstream.reached == before
    return answer


def authz_of(config: dict[str, Any]) -> dict[str, Any]:
    return http_filter(connection_manager(config["static_resources"]["listeners"][0]), "ext_authz")


# --- the deployed file


def test_envoy_accepts_the_deployed_file(envoy: Gateway, tmp_path: Path) -> None:
    files = {"trust": envoy.trust, "server": envoy.terminal}
    config = deployed(tmp_path, pdp_port=1, upstream_port=1, file=DEPLOYED_GRPC, **files)
    (tmp_path / "jwks.json").write_text(json.dumps(envoy.issuer.jwks), encoding="utf-8")
    checked = validate(config, tmp_path)
    assert checked.returncode == 0, checked.stderr[-2000:]


def test_both_deployed_files_are_the_same_gateway_but_for_the_service() -> None:
    one, other = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (DEPLOYED, DEPLOYED_GRPC))
    over_http, over_grpc = authz_of(one).pop("http_service"), authz_of(other).pop("grpc_service")
    assert authz_of(other).pop("include_peer_certificate") is True
    said = {entry["key"]: entry["value"] for entry in over_http["authorization_request"]["headers_to_add"]}
    assert {entry["key"]: entry["value"] for entry in over_grpc["initial_metadata"]} == said
    for config in (one, other):
        (cluster,) = [entry for entry in config["static_resources"]["clusters"] if entry["name"] == "pdp"]
        del cluster["typed_extension_protocol_options"]
        del cluster["load_assignment"]
    assert one == other


# --- the outcomes


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
    assert (asked(pdp).wire, asked(pdp).path, asked(pdp).action) == ("ext_authz_grpc", "/groupware/a", "write")


def test_a_limit_reaches_the_application_with_its_obligations(envoy: Gateway) -> None:
    seen = envoy.ask("/groupware/", envoy.bearer("u-limit")).upstream["headers"]
    assert seen["x-pdp-outcome"] == ["limit"]
    assert seen["x-pdp-obligations"] == [
        "clipboard=off;session_max_minutes=60;end_at=2023-08-01T18:00:00+09:00;warn=A%3Bb%3Dc%2C%0D%0Ad"
    ]


@pytest.mark.parametrize(("language", "first"), [("ja,en;q=0.5", "ja"), ("en-GB,en", "en"), (None, "ja")])
def test_a_deny_is_a_page_in_the_persons_language(envoy: Gateway, language: str | None, first: str) -> None:
    headers = [BROWSER] if language is None else [BROWSER, ("accept-language", language)]
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-deny"), *headers))
    assert answer.status == 403
    page = answer.body.decode()
    assert page.startswith(f'<!doctype html>\n<html lang="{first}">')
    assert "紛失届のある端末です&lt;&amp;&gt;" in page
    assert answer.header("x-pdp-decision-id") in page
    for name in ("content-security-policy", "content-language", "x-content-type-options", "referrer-policy", "vary"):
        assert answer.header(name), name
    assert answer.header("content-type") == "text/html; charset=utf-8"


def test_a_deny_is_json_for_a_machine(envoy: Gateway) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-deny")))
    assert answer.status == 403
    assert answer.header("content-type") == "application/json"
    assert json.loads(answer.body)["id"] == answer.header("x-pdp-decision-id")


def test_a_step_up_is_a_challenge_for_a_machine_and_a_redirect_for_a_browser(envoy: Gateway) -> None:
    machine = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-step")))
    assert (machine.status, machine.header("www-authenticate")) == (401, STEP_UP.challenge(3))
    browser = not_reached(envoy, lambda: envoy.ask("/groupware/a?b=c", envoy.bearer("u-step"), BROWSER))
    assert browser.status == 302
    assert browser.header("location") == (
        "https://idp.example.jp/up?acr=urn%3Asekisho%3Aauth-level%3A3"
        "&to=https%3A%2F%2Fapps.example.jp%2Fgroupware%2Fa%3Fb%3Dc"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
def test_every_method_is_decided(envoy: Gateway, pdp: Pdp, method: str) -> None:
    assert envoy.ask("/groupware/x", envoy.bearer("u-allow"), method=method).status == 200
    assert asked(pdp).document["action"]["properties"]["method"] == method
    denied = not_reached(envoy, lambda: envoy.ask("/groupware/x", envoy.bearer("u-deny"), method=method))
    assert denied.status == 403
    assert (denied.body == b"") == (method == "HEAD")


def test_the_decision_stands_in_the_gateways_own_log(tmp_path: Path) -> None:
    """Dynamic metadata: an operator's log format can name it, for allows and denies alike."""

    def change(config: dict[str, Any]) -> None:
        manager = connection_manager(config["static_resources"]["listeners"][0])
        said = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:{}:{})%"
        names = ("decision_id", "outcome", "policy_revision")
        log = {"path": str(tmp_path / "access.log"), "log_format": {"json_format": {}}}
        log["log_format"]["json_format"] = {
            **{name: f"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:{name})%" for name in names},
            "clipboard": said.format("obligations", "clipboard"),
        }
        manager["access_log"] = [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    **log,
                },
            }
        ]

    with pair(tmp_path, change=change) as (envoy, _):
        for subject in ("u-limit", "u-deny"):
            envoy.ask("/groupware/", envoy.bearer(subject))
        envoy.ask("/groupware/", envoy.bearer("a,b"))
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["decision_id"], line["outcome"], line["clipboard"]) for line in lines] == [
        ("decision-1", "limit", "off"),
        ("decision-2", "deny", None),
        ("refusal-1", "refused", None),
    ]


# --- whom Envoy believes


def test_the_claims_of_the_verified_token_arrive_whole(envoy: Gateway, pdp: Pdp) -> None:
    claims = {"acr": "phr", "amr": ["pwd", "hwk"], "auth_time": 1_690_851_600, "sid": "s-1"}
    assert envoy.ask("/groupware/", envoy.bearer("u-allow", **claims)).status == 200
    request = asked(pdp)
    assert (request.identity.acr, request.identity.amr) == ("phr", ("pwd", "hwk"))
    assert request.identity.auth_time == AT
    assert (request.identity.issuer, request.session_id) == ("https://idp.example.jp", "s-1")


def test_the_device_certificate_of_the_connection_arrives(envoy: Gateway, pdp: Pdp) -> None:
    forged = ("x-forwarded-client-cert", "Hash=" + "0" * 64)
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), forged, certificate=envoy.terminal).status == 200
    assert asked(pdp).certificate_sha256 == envoy.terminal.sha256
    assert pdp.seen[0][0].attributes.source.certificate.startswith("-----BEGIN%20CERTIFICATE")
    pdp.forget()
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), forged).status == 200
    assert asked(pdp).certificate_sha256 is None


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_nothing_that_a_client_says_in_our_name_is_heard(envoy: Gateway, pdp: Pdp, spelling: Any) -> None:
    forged = [(spelling(name), "forged") for name in (KEY, *FACTS, "x-pdp-anything")]
    answers = [(spelling(name), "forged") for name in ANSWERS]
    plain = envoy.ask("/groupware/", envoy.bearer("u-allow"))
    honest = asked(pdp)
    pdp.forget()
    answer = envoy.ask("/groupware/", *forged, envoy.bearer("u-allow"), *answers, *forged)
    assert answer.status == 200
    assert asked(pdp).document == honest.document
    assert "forged" not in str(pdp.seen)
    assert "forged" not in answer.body.decode()
    assert answer.upstream["headers"].keys() == plain.upstream["headers"].keys()


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-for", "10.0.0.10"), ("x-real-ip", "10.0.0.10")],
        [("x-envoy-external-address", "10.0.0.10"), ("x-envoy-internal", "true")],
        [("x-envoy-auth-partial-body", "true"), ("x-envoy-original-path", "/files/")],
        [("connection", "x-pdp-subject, x-pdp-path-encrypted, x-pdp-resource, x-pdp-key")],
        [("forwarded", "for=10.0.0.10")],
    ],
)
def test_what_a_client_says_of_its_way_changes_nothing(
    envoy: Gateway, pdp: Pdp, headers: list[tuple[str, str]]
) -> None:
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), *headers).status == 200
    network = asked(pdp).network
    assert (network.source_ip, network.path_encrypted, network.tunnel) == ("127.0.0.1", True, False)
    assert asked(pdp).resource_id == "groupware"


def test_a_client_cannot_speak_in_the_calls_own_metadata(envoy: Gateway, pdp: Pdp) -> None:
    """The attack: a header that gRPC would take for its own, or for metadata of the call."""
    forged = [("grpc-timeout", "1n"), ("te", "trailers"), ("x-pdp-tunnel-bin", "dHJ1ZQ=="), ("grpc-metadata-x", "1")]
    assert envoy.ask("/groupware/", envoy.bearer("u-allow"), *forged).status == 200
    assert asked(pdp).network.tunnel is False


def test_one_request_on_a_connection_says_nothing_about_the_next(envoy: Gateway) -> None:
    """The attack: what an allow left behind in the gateway, a variable or a header, counts for what comes after it."""
    allow, deny, nobody = [(envoy.bearer(subject),) for subject in ("u-allow", "u-deny")] + [()]
    questions = [("/groupware/", allow), ("/groupware/", deny), ("/groupware/", nobody), ("/nothing", allow)]
    before = envoy.upstream.reached
    statuses = envoy.ask_on_one_connection(*questions, *questions)
    assert [status == 200 for status in statuses] == [True, False, False, False] * 2
    assert envoy.upstream.reached - before == 2


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
    assert "forged" not in answer.body.decode() + str(pdp.seen)
    underscored = [(other, "forged") for other in other_spellings(name) if "_" in other]
    refused = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), *underscored))
    assert refused.status == 400


@pytest.mark.parametrize("spelling", ["x_pdp_subject", "X_Pdp_Resource"])
def test_underscores_do_not_smuggle_a_header(envoy: Gateway, spelling: str) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), (spelling, "forged")))
    assert answer.status == 400


@pytest.mark.parametrize("name", ["traceparent", "sec-fetch-mode"])
@pytest.mark.parametrize("encoding", ["raw", "map"])
def test_a_header_that_comes_twice_is_refused_or_harmless(
    _pair: tuple[Gateway, Pdp], _map: tuple[Gateway, Pdp], name: str, encoding: str
) -> None:
    """As a list two stay two. As a map Envoy joins them with a comma, which no fact may hold."""
    envoy, pdp = _pair if encoding == "raw" else _map
    pdp.forget()
    answer = envoy.ask("/groupware/", envoy.bearer("u-allow"), (name, "navigate"), (name, "navigate"))
    if encoding == "raw":
        assert answer.status == 400
        assert "more than once" in pdp.decider.refused[0][0].fault.message
    else:
        assert answer.status == 200  # a broken trace id is ignored, and a mode that is no mode redirects nobody
        assert asked(pdp).trace_id is None


@pytest.fixture(scope="module")
def _map(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Pdp]]:
    """A gateway with Envoy's default encoding, which forwards every header and a part of the body."""

    def change(config: dict[str, Any]) -> None:
        authz = authz_of(config)
        authz.update(
            encode_raw_headers=False, with_request_body={"max_request_bytes": 64, "allow_partial_message": True}
        )
        del authz["allowed_headers"]
        del authz["disallowed_headers"]

    with pair(tmp_path_factory.mktemp("map"), change=change) as running:
        yield running


@pytest.mark.parametrize("subject", ["u-allow", "u-deny"])
def test_the_default_encoding_and_a_body_are_read_too(_map: tuple[Gateway, Pdp], subject: str) -> None:
    envoy, pdp = _map
    pdp.forget()
    answer = envoy.ask("/files/x?y=1", envoy.bearer(subject), method="POST", body=b"z" * 300)
    assert answer.status == {"u-allow": 200, "u-deny": 403}[subject]
    assert (asked(pdp).resource_id, asked(pdp).path) == ("file-storage", "/files/x")
    (check, _) = pdp.seen[0]
    assert check.attributes.request.http.headers[":path"] == "/files/x?y=1"
    assert len(check.attributes.request.http.body) == 64


def test_a_fact_that_a_filter_writes_into_the_request_is_refused(tmp_path: Path) -> None:
    """The attack: an operator removes the clean-up and forwards every header; only claims may stand among them."""

    def change(config: dict[str, Any]) -> None:
        del connection_manager(config["static_resources"]["listeners"][0])["early_header_mutation_extensions"]
        del authz_of(config)["allowed_headers"]

    with pair(tmp_path, change=change) as (envoy, pdp):
        for name in ("device", "tunnel", "source-ip", "resource", "key", "strict-path", "nonsense"):
            forged = (f"x-pdp-{name}", "true")
            answer = not_reached(envoy, lambda forged=forged: envoy.ask("/groupware/", envoy.bearer("u-allow"), forged))
            assert answer.status == 400, name
        assert "only the gateway itself may say it" in pdp.decider.refused[0][0].fault.message
        # What jwt_authn writes, it replaces.
        assert envoy.ask("/groupware/", ("x-pdp-subject", "forged"), envoy.bearer("u-allow")).status == 200
        assert asked(pdp).subject_id == "u-allow"


def test_a_route_can_say_facts_in_its_context_extensions(tmp_path: Path) -> None:
    extensions = {"x-pdp-organisation": "agriculture", "x-pdp-pep": "print save", "other": "ignored"}

    def change(config: dict[str, Any]) -> None:
        manager = connection_manager(config["static_resources"]["listeners"][0])
        for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
            said = extensions if route["metadata"]["filter_metadata"]["sekisho"]["resource"] == "groupware" else {}
            twice = {"x-pdp-resource": "mail"} if not said else {}
            per_route = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
            route["typed_per_filter_config"] = {
                "envoy.filters.http.ext_authz": {
                    "@type": per_route,
                    "check_settings": {"context_extensions": {**said, **twice}},
                }
            }

    with pair(tmp_path, change=change) as (envoy, pdp):
        assert envoy.ask("/groupware/", envoy.bearer("u-allow")).status == 200
        assert (asked(pdp).organisation, asked(pdp).pep) == ("agriculture", ("print", "save"))
        answer = not_reached(envoy, lambda: envoy.ask("/files/x", envoy.bearer("u-allow")))
        assert answer.status == 400, "a fact in two places"


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


@pytest.mark.parametrize("case", RAW)
def test_what_is_not_plain_http_is_decided_or_refused(envoy: Gateway, pdp: Pdp, case: str) -> None:
    for subject in ("u-deny", "u-allow"):
        pdp.forget()
        before = envoy.upstream.reached
        envoy.send(raw_request(case, envoy.issuer.token(sub=subject)))
        assert envoy.upstream.reached - before <= [request.subject_id for request, _ in pdp.decider.asked].count(
            "u-allow"
        )
        assert "forged" not in str(pdp.seen)


@pytest.fixture(scope="module")
def _lax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Pdp]]:
    """A gateway whose operator switched off every clean-up of paths, and lets failures allow."""

    def switch_off(config: dict[str, Any]) -> None:
        manager = connection_manager(config["static_resources"]["listeners"][0])
        manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")
        authz_of(config)["failure_mode_allow"] = True

    with pair(tmp_path_factory.mktemp("lax"), change=switch_off) as running:
        yield running


@pytest.mark.parametrize("path", TRICKS)
def test_where_the_gateway_cleans_nothing_the_pdp_refuses(_lax: tuple[Gateway, Pdp], path: str) -> None:
    envoy, pdp = _lax
    pdp.forget()
    before = envoy.upstream.reached
    answer = envoy.ask(path, envoy.bearer("u-allow"))
    if answer.status == 200:
        assert path in ("/groupware?/../files/x", f"http://{HOST}/files/x")
        assert answer.upstream["path"] == asked(pdp).path
    else:
        assert answer.status in (400, 404)
        assert envoy.upstream.reached == before


@pytest.mark.parametrize(
    ("subject", "status"),
    [("u-deny", 403), ("u-step", 401), ("a,b", 400), ("u-broken", 503), ("u-not-ready", 503)],
)
def test_nothing_that_the_pdp_answers_is_a_failure_that_allows(
    _lax: tuple[Gateway, Pdp], subject: str, status: int
) -> None:
    """Over HTTP a 5xx opens the gate of `failure_mode_allow`; here even a fault is a denial with its own answer."""
    envoy, _ = _lax
    assert not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer(subject))).status == status


# --- failures


@contextmanager
def one_failed_check(envoy: Gateway) -> Iterator[None]:
    names = [f"http.front.ext_authz.{name}" for name in ("error", "denied", "failure_mode_allowed")]
    before = [envoy.envoy.stat(name) for name in names]
    yield
    assert [envoy.envoy.stat(name) - count for name, count in zip(names, before, strict=True)] == [1, 0, 0]


@pytest.mark.parametrize(("subject", "bugs"), [("u-broken", 1), ("u-not-ready", 0)])
def test_a_pdp_that_fails_is_a_deny_that_tells_nothing(envoy: Gateway, pdp: Pdp, subject: str, bugs: int) -> None:
    answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer(subject)))
    assert answer.status == 503
    said = json.loads(answer.body)
    assert (said["decision"], said["id"], said["outcome"]) == (False, None, "not_ready")
    assert "secret" not in answer.body.decode()
    assert len(pdp.bugs) == bugs


def test_a_pdp_that_is_slow_is_a_deny_and_its_call_is_ended(envoy: Gateway, pdp: Pdp) -> None:
    with one_failed_check(envoy):
        answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-late")))
    assert (answer.status, answer.body) == (503, b"")
    assert pdp.bugs == []


def test_a_pdp_that_is_down_is_a_deny(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound, but nobody listens: a connection is refused
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with gateway(None, tmp_path, pdp_port=port, file=DEPLOYED_GRPC) as envoy, one_failed_check(envoy):
            answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow")))
            assert (answer.status, answer.body) == (503, b"")


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_gateway_without_its_key_lets_nobody_through(tmp_path: Path, key: str) -> None:
    def change(config: dict[str, Any]) -> None:
        metadata = authz_of(config)["grpc_service"]["initial_metadata"]
        metadata[:] = [entry for entry in metadata if entry["key"] != KEY]
        if key:
            metadata.append({"key": KEY, "value": key})

    with pair(tmp_path, change=change) as (envoy, pdp):
        forged = (KEY, GATEWAY_KEY)
        answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), forged))
        assert answer.status == 403
        assert (pdp.decider.asked, pdp.decider.refused) == ([], [])


def test_a_message_above_the_limit_is_a_deny(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        authz_of(config)["with_request_body"] = {"max_request_bytes": 2 * MAX_MESSAGE, "pack_as_bytes": True}

    with pair(tmp_path, change=change) as (envoy, pdp):
        body = b"z" * (MAX_MESSAGE + 1)
        answer = not_reached(envoy, lambda: envoy.ask("/groupware/", envoy.bearer("u-allow"), method="POST", body=body))
        assert answer.status == 503
        assert pdp.seen == []


# --- the scenarios' requests on this wire


def test_every_request_of_the_scenarios_means_what_it_says(envoy: Gateway, pdp: Pdp, shared: Path) -> None:
    requests = [
        step["request"]
        for file in sorted((shared / "scenarios").glob("*.yaml"))
        for scenario in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        for step in scenario.get("steps", [scenario])
    ]
    assert len(requests) >= 60
    for short in requests:
        envoy.ask("/x", *bench_headers(envoy.issuer, short, AT), listener="bench")
    assert pdp.decider.refused == []
    for short, (through, _) in zip(requests, copy.copy(pdp.decider.asked), strict=True):
        assert (through.subject_id, through.resource_id) == (short["user"], short["resource"])
        assert set(short.get("pep", [])) == set(through.pep)
        assert through.risk == tuple(short.get("risk", []))
        assert through.device_id == short.get("device")
