"""What is Traefik's own in deploy/traefik, with a real Traefik. What holds of every gateway: test_forward_gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.forward_auth import PREFIX
from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import FACTS, KEY, PROFILE
from tests.envoy_server import behind_lane
from tests.system.test_forward_gateways import not_reached, pair
from tests.traefik_server import DEPLOYED, traefik_gateway

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

CONFIG: dict[str, Any] = yaml.safe_load(DEPLOYED.read_text(encoding="utf-8"))
MIDDLEWARES: dict[str, Any] = CONFIG["http"]["middlewares"]
ASKED = {name.lower() for name in MIDDLEWARES["sekisho"]["forwardAuth"]["authRequestHeaders"]}
FACTS_OF = {
    name: {header.lower() for header in entry["headers"]["customRequestHeaders"]}
    for name, entry in MIDDLEWARES.items()
    if name.startswith("facts-")
}


def test_every_router_has_its_four_middlewares_in_order() -> None:
    routers = CONFIG["http"]["routers"]
    assert len(routers) >= 4
    for router in routers.values():
        first, facts, third, last = router["middlewares"]
        assert (first, third, last) == ("certificate", "sekisho", "clean")
        assert facts in FACTS_OF
        assert router["tls"] == {}


def test_what_is_asked_with_is_set_by_the_facts_of_every_router() -> None:
    """A name of ours in the list that some router does not set would be the client's to say."""
    ours = {name for name in ASKED if name.startswith("x-pdp-")}
    assert KEY in ours
    for name, said in FACTS_OF.items():
        assert said == ours, name
    assert {name for name in ASKED if not name.startswith("x-forwarded-")} <= PROFILE


def test_the_answer_replaces_and_the_facts_are_taken_off() -> None:
    answer = {name.lower() for name in MIDDLEWARES["sekisho"]["forwardAuth"]["authResponseHeaders"]}
    assert answer == set(ANSWERS)
    cleaned = MIDDLEWARES["clean"]["headers"]["customRequestHeaders"]
    assert {name.lower() for name, value in cleaned.items() if value == ""} >= {KEY, *FACTS}
    assert MIDDLEWARES["sekisho"]["forwardAuth"]["trustForwardHeader"] is True


def test_a_name_of_ours_that_no_router_sets_would_be_the_clients(tmp_path: Path) -> None:
    """So it is the list that keeps it out."""

    def list_more(text: str) -> str:
        return text.replace("          - X-Pdp-Key\n", "          - X-Pdp-Key\n          - X-Pdp-Device\n", 1)

    with pair("traefik", tmp_path, change=list_more) as gate:
        assert gate.as_user("u-allow", "/groupware/", ("x-pdp-device", "forged")).status == 200
        assert gate.asked().device_id == "forged"


def test_the_clients_forwarded_headers_end_at_the_entry_point(tmp_path: Path) -> None:
    """Whatever the middleware trusts: what reaches it is Traefik's own word. Proved with both of its settings."""

    def distrust(text: str) -> str:
        return text.replace("trustForwardHeader: true", "trustForwardHeader: false")

    forged = [("x-forwarded-uri", "/forged"), ("x-forwarded-method", "GET"), ("x-forwarded-tls-client-cert", "forged")]
    for change in (None, distrust):
        folder = tmp_path / ("plain" if change is None else "distrusting")
        folder.mkdir()
        with pair("traefik", folder, change=change) as gate:
            assert gate.as_user("u-allow", "/groupware/x", *forged).status == 200
            assert gate.asked().path == "/groupware/x"
            assert gate.asked().certificate_sha256 is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (HttpAnswer(302, (("location", "https://idp.example.jp/"),)), 302),
        (HttpAnswer(403), 403),
        (HttpAnswer(500), 500),
    ],
)
def test_anything_but_a_success_is_a_deny(tmp_path: Path, answer: HttpAnswer, status: int) -> None:
    async def always(request: HttpRequest) -> HttpAnswer:
        return answer

    with traefik_gateway(behind_lane(always, prefix=PREFIX), tmp_path) as front:
        assert front.ask("/groupware/", front.bearer("u-allow")).status == status
        assert front.upstream.reached == 0


def test_a_chain_of_certificates_names_the_terminals_own(tmp_path: Path) -> None:
    with pair("traefik", tmp_path) as gate:
        assert gate.as_user("u-allow", certificate=gate.front.terminal).status == 200
        chain = dict(gate.pdp.requests[0].headers)["x-forwarded-tls-client-cert"]
        assert "," in chain
        assert gate.asked().certificate_sha256 == gate.front.terminal.sha256
        upstream = gate.as_user("u-allow", certificate=gate.front.terminal).upstream["headers"]
        assert "x-forwarded-tls-client-cert" not in upstream


def test_the_gateways_key_does_not_reach_the_application(tmp_path: Path) -> None:
    with pair("traefik", tmp_path) as gate:
        seen = gate.as_user("u-allow").upstream["headers"]
        assert KEY not in seen
        assert "the-key-of-the-gateway" not in str(seen)
        assert not_reached(gate, lambda: gate.as_user("u-deny")).status == 403
