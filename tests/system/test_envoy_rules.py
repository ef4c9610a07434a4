"""A real Envoy with exported rules answers a sample of the decision space over HTTP, and the attacks on such rules."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from connectors.sase.envoy import FILE, claims_of, target
from connectors.sase.envoy_config import LISTENER
from connectors.sase.envoy_reading import EnvoyReading
from pdp.export.checking import MODEL
from pdp.export.sieves import DocumentSieve
from pdp.model.rules import FactValue, encode
from tests.envoy_server import Issuer, Upstream, envoy
from tests.http_server import serving
from tests.oracle.documents import FEASIBLE_CELLS, healthy
from tests.spaces import shipped_model, shipped_space

pytestmark = pytest.mark.system

HOST = "apps.example.jp"
ENFORCES = ["record_session", "alert", "clipboard", "save", "print", "screen_transfer_only"]
SAMPLE = 160
DEPARTMENTS = {  # a person's, by how they stand to the one system that names any (`soumu`)
    "first": ("soumu", "elsewhere"),
    "later": ("elsewhere", "soumu"),
    "none": ("elsewhere",),
    "open": ("elsewhere",),
    "nobody": (),
    "open-nobody": (),
}


@dataclass(frozen=True)
class Gate:
    port: int
    issuer: Issuer
    reading: EnvoyReading
    upstream: Upstream

    def ask(self, path: str, *tokens: str, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> int:
        return self.reached(path, *tokens, method=method, headers=headers)[0]

    def reached(
        self, path: str, *tokens: str, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()
    ) -> tuple[int, str]:
        """The status, and the path that the application saw where it was reached."""
        status, seen = self.seen(path, *tokens, method=method, headers=headers)
        return status, seen.get("path", "")

    def seen(
        self, path: str, *tokens: str, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()
    ) -> tuple[int, dict[str, Any]]:
        """The status, and the request as the application saw it where it was reached."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("host", HOST)
            for token in tokens:
                connection.putheader("authorization", f"Bearer {token}")
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if answer.status == 200 and body else {}
        finally:
            connection.close()

    def token(self, facts: dict[str, FactValue], **claims: Any) -> str:
        held = DEPARTMENTS[str(facts["departments"])]
        said = claims_of(shipped_model(), facts, self.reading.given, departments=held)
        return self.issuer.token(sub="u-1", sekisho=said, **claims)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("envoy")
    issuer, upstream = Issuer(), Upstream()
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks), encoding="utf-8")
    with serving(upstream) as upstream_port:
        used = sorted({rule.resource for rule in shipped_model().rules})
        made = target(
            {
                "issuer": "https://idp.example.jp",
                "audiences": ["gateway"],
                "jwks_file": str(folder / "jwks.json"),
                "listen": "127.0.0.1:0",
                "enforces": ENFORCES,
                "resources": {
                    name: {"host": HOST, "prefix": f"/{name}/", "upstream": f"127.0.0.1:{upstream_port}"}
                    for name in used
                },
            }
        )
        files = {**made.export(shipped_model()).files, MODEL: encode(shipped_model())}
        config = json.loads(files[FILE])
        config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        with envoy(config, folder) as started:
            yield Gate(started.ports[LISTENER], issuer, made.interpreter(files), upstream)


def facts_for(gate: Gate, resource_id: str, rng: Random, changes: int) -> dict[str, FactValue]:
    """Facts of somebody who may use this system, with a few changed; the system's and the gateway's own as they are."""
    space, model = shipped_space(), shipped_model()
    resource = model.resource(resource_id)
    cells = [cell for cell in FEASIBLE_CELLS if cell[1] == resource.group]
    device_class, group, place = rng.choice(cells)
    vector = space.vector(healthy(device_class, group, place=place, status=resource.status, segment=resource.segment))
    for _ in range(changes):
        level = rng.choice(list(space.facts))
        vector[level] = rng.randrange(len(space.facts[level].values))
    facts = space.named(vector)
    for condition in resource.given:
        if facts[condition.fact] not in condition.values:
            facts[condition.fact] = condition.values[0]
    return {**facts, **gate.reading.given}


def allowed_by_the_policy(facts: dict[str, FactValue]) -> bool:
    space = shipped_space()
    vector = {level: fact.values.index(facts[fact.name]) for level, fact in space.facts.items()}
    return bool(space.diagram.at(space.permit, vector))


def test_envoy_answers_a_sample_of_the_space_as_its_rules_are_read_and_never_more_than_the_policy(gate: Gate) -> None:
    rng, reading = Random(12), gate.reading
    resources = sorted({rule.resource for rule in shipped_model().rules})
    passed = refused = 0
    for number in range(SAMPLE):
        resource = resources[number % len(resources)]
        method, action = rng.choice((("GET", "read"), ("POST", "write")))
        facts = {**facts_for(gate, resource, rng, rng.choice((0, 0, 1, 2, 3))), "action.name": action}
        status = gate.ask(f"/{resource}/x", gate.token(facts), method=method)
        region: Any = reading.permitted(resource, DocumentSieve(facts))
        assert (status == 200) == region.holds, (resource, facts, status)
        assert status != 200 or allowed_by_the_policy(facts), (resource, facts)
        passed, refused = passed + (status == 200), refused + (status == 403)
    assert passed + refused == SAMPLE
    assert min(passed, refused) > SAMPLE // 10


@pytest.fixture
def reader(gate: Gate) -> dict[str, FactValue]:
    """Somebody who may use the mail and nothing that asks for more."""
    space = shipped_space()
    vector = space.vector(healthy("managed_pc", "communication"))
    facts = {**space.named(vector), **gate.reading.given, "subject.auth_level": 2}
    return {**facts, "action.name": "read", **{name: False for name in facts if name.startswith("subject.roles")}}


@pytest.mark.parametrize(
    "path",
    [
        "/mail/../integrated-auth/x", "/mail/%2e%2e/integrated-auth/x", "/mail//../integrated-auth/x",
        "/mail/..%2fintegrated-auth/x", "/mail/%2e%2e%2fintegrated-auth/x", "/mail/..\\integrated-auth/x",
        "/integrated-auth/../integrated-auth/x", "//integrated-auth/x", "/./integrated-auth/x",
    ],
)  # fmt: skip
def test_no_trick_with_the_path_reaches_another_system(gate: Gate, reader: dict[str, FactValue], path: str) -> None:
    token = gate.token(reader)
    assert gate.ask("/mail/x", token) == 200
    assert gate.ask("/integrated-auth/x", token) == 403
    status, seen = gate.reached(path, token)
    assert status in (400, 403) or seen.startswith("/mail/")


def test_without_a_valid_token_nothing_passes(gate: Gate, reader: dict[str, FactValue]) -> None:
    other = Issuer()
    good = gate.token(reader)
    head, payload, signature = good.split(".")
    assert gate.ask("/mail/x") == 401
    assert gate.ask("/mail/x", "nonsense") == 401
    assert gate.ask("/mail/x", gate.token(reader, exp=1)) == 401
    assert gate.ask("/mail/x", gate.token(reader, exp=None)) == 401
    assert gate.ask("/mail/x", gate.token(reader, aud="another")) == 403
    assert gate.ask("/mail/x", gate.token(reader, iss="https://evil.example")) == 401
    assert gate.ask("/mail/x", other.token(sekisho=claims_of(shipped_model(), reader, {}))) == 401
    assert gate.ask("/mail/x", f"{head}.{payload}.{signature[:-4]}AAAA") == 401
    assert gate.ask("/mail/x", good, good) in (400, 401, 403)


@pytest.mark.parametrize(
    "claims", [{}, {"sets": []}, {"sets": "users-1", "facts": "x"}, {"sets": [["x"]], "facts": [1, None]}]
)
def test_a_token_without_the_claims_allows_nothing(gate: Gate, claims: dict[str, Any]) -> None:
    assert gate.ask("/mail/x", gate.issuer.token(sub="u-1", sekisho=claims)) == 403
    assert gate.ask("/mail/x", gate.issuer.token(sub="u-1")) == 403


def test_headers_of_the_client_say_nothing(gate: Gate, reader: dict[str, FactValue]) -> None:
    """Attack: the claims once more as headers, doubled, and with the names that gateways use."""
    phone = {**reader, "device.registered": False}
    claims = json.dumps(claims_of(shipped_model(), reader, {}))
    spoofed = (
        ("x-sekisho-sets", claims), ("x-sekisho-facts", claims), ("sekisho", claims), ("x-envoy-original-path", "/mail/x"),
        ("x-forwarded-host", HOST), ("x-jwt-payload", claims), ("x-device-class", "managed_pc"), ("x-device-class", "byod_phone"),
    )  # fmt: skip
    assert gate.ask("/mail/x", gate.token(phone), headers=spoofed) == 403
    assert gate.ask("/mail/x", gate.token(reader), headers=(("x_pdp_subject", "root"),)) == 400


OVERRIDES = (
    "x-http-method-override", "x-http-method", "x-method-override", "x-original-method", "x-original-url",
    "x-original-uri", "x-original-host", "x-rewrite-url", "x-rewrite-uri", "x-override-url", "x-forwarded-method",
    "x-forwarded-uri", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-path", "x-forwarded-server",
    "x-envoy-original-path", "x-envoy-original-method", "x-host", "x-http-host-override", "x-real-ip", "true-client-ip",
    "forwarded",
)  # fmt: skip


def test_no_header_of_the_client_gives_the_application_another_method_path_or_host(
    gate: Gate, reader: dict[str, FactValue]
) -> None:
    """Attack: the rules let a GET of the old mail through, and a header tells the framework behind that it is a DELETE."""
    space = shipped_space()
    vector = space.vector(healthy("managed_pc", "legacy", status="readonly"))
    old_mail = gate.token({**space.named(vector), **gate.reading.given})
    for path, token in (("/old-internal-mail/x", old_mail), ("/mail/x", gate.token(reader))):
        for spelt in (str.lower, str.upper, str.title):
            spoofed = tuple((spelt(name), "evil/integrated-auth") for name in OVERRIDES for _ in range(2))
            status, seen = gate.seen(path, token, headers=spoofed)
            assert (status, seen["method"], seen["path"]) == (200, "GET", path)
            assert "evil" not in json.dumps(seen["headers"])
    status, seen = gate.seen(
        "/mail/x", gate.token(reader), headers=(("x-forwarded-for", "10.0.0.1"), ("accept", "a/b"))
    )
    assert (status, seen["headers"]["accept"]) == (200, ["a/b"])
    assert "10.0.0.1" not in json.dumps(seen["headers"]["x-forwarded-for"])  # as Envoy itself knows it
    assert gate.ask("/mail/x", gate.token(reader), headers=(("x_http_method_override", "DELETE"),)) == 400


def test_a_method_that_is_no_action_is_not_let_through_where_the_action_counts(
    gate: Gate, reader: dict[str, FactValue]
) -> None:
    """The old mail is read-only: reading passes, everything else does not."""
    space = shipped_space()
    vector = space.vector(healthy("managed_pc", "legacy", status="readonly"))
    facts = {**space.named(vector), **gate.reading.given}
    token = gate.token(facts)
    assert gate.ask("/old-internal-mail/x", token) == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS"):
        assert gate.ask("/old-internal-mail/x", token, method=method) == 403
