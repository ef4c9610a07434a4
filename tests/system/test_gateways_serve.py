"""Every gateway in front of `pdp serve` as an operator runs it: keys, tokens, policy and decision log are the real ones.

The gateways are those of deploy/; only what a test machine cannot have is said for them: an address in the office, and
the device that its certificate would name.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy_server import DEPLOYED_GRPC, Issuer, connection_manager, gateway, http_filter
from tests.haproxy_server import haproxy_gateway
from tests.nginx_server import nginx_gateway
from tests.servers import free_port, wait_until_stopped
from tests.system.test_serve import Served, until
from tests.system.test_serve import serving as serving_pdp
from tests.traefik_server import traefik_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.envoy_server import Answer, Front

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

DEVICE, ADDRESS = "d-demo-pc", "10.0.0.1"
SETTINGS = """
grpc_port = {grpc_port}

[[issuers]]
issuer = "https://idp.example.jp"
audiences = ["gateway"]
jwks_file = "{place}/jwks.json"
algorithms = ["ES256"]
"""


@dataclass(frozen=True)
class Service:
    place: Path
    served: Served
    issuer: Issuer
    port: int
    grpc_port: int
    key: str

    def workers(self) -> set[int]:
        return {self.served.process.pid, *self.served.evaluators().values()}

    def record(self, number: str) -> dict[str, Any]:
        """What the decision log holds under this number: it was written before the answer."""
        found = [
            json.loads(line)["record"]
            for segment in self.place.rglob("decisions/segments/*")
            for line in segment.read_bytes().splitlines()
            if f'"id":"{number}"'.encode() in line
        ]
        (record,) = found
        return record


@contextmanager
def service(place: Path, *arguments: str) -> Iterator[Service]:
    issuer, grpc_port = Issuer(), free_port()
    (place / "jwks.json").write_text(json.dumps(issuer.jwks), encoding="utf-8")
    (place / "pdp.toml").write_text(SETTINGS.format(place=place, grpc_port=grpc_port), encoding="utf-8")
    with serving_pdp(place, *arguments) as served:
        question = served.question()
        port = int(question.url.split(":")[2].partition("/")[0])
        yield Service(place, served, issuer, port, grpc_port, question.key)


def nginx(folder: Path, to: Service) -> AbstractContextManager[Front]:
    def known(text: str) -> str:
        own = f'proxy_set_header X-Pdp-Source-Ip "{ADDRESS}";\n        proxy_set_header X-Pdp-Device "{DEVICE}";'
        return text.replace("proxy_set_header X-Pdp-Source-Ip $remote_addr;", own)

    return nginx_gateway(None, folder, change=known, pdp_port=to.port, key=to.key, issuer=to.issuer)


def haproxy(folder: Path, to: Service) -> AbstractContextManager[Front]:
    def known(text: str) -> str:
        own = f"set-var(txn.sekisho_source) str({ADDRESS})\n    http-request set-var(txn.sekisho_device) str({DEVICE})"
        return text.replace("set-var(txn.sekisho_source) src", own)

    return haproxy_gateway(None, folder, change=known, pdp_port=to.port, key=to.key, issuer=to.issuer)


def traefik(folder: Path, to: Service) -> AbstractContextManager[Front]:
    def known(text: str) -> str:
        own = f"          X-Pdp-Source-Ip: {ADDRESS}\n          X-Pdp-Device: {DEVICE}\n          X-Pdp-Resource: "
        listed = "          - X-Pdp-Key\n          - X-Pdp-Source-Ip\n          - X-Pdp-Device\n"
        facts, _, rest = text.partition("    clean:\n")
        facts = facts.replace("          X-Pdp-Resource: ", own).replace("          - X-Pdp-Key\n", listed)
        return f"{facts}    clean:\n{rest}"

    return traefik_gateway(None, folder, change=known, pdp_port=to.port, key=to.key, issuer=to.issuer)


def envoy(folder: Path, to: Service) -> AbstractContextManager[Front]:
    def known(config: dict[str, Any]) -> None:
        authz = http_filter(connection_manager(config["static_resources"]["listeners"][0]), "ext_authz")
        said = authz["grpc_service"]["initial_metadata"]
        said[:] = [entry for entry in said if entry["key"] != "x-pdp-source-ip"]
        said += [{"key": "x-pdp-source-ip", "value": ADDRESS}, {"key": "x-pdp-device", "value": DEVICE}]
        authz["grpc_service"]["timeout"] = "2s"  # a busy machine must not turn an answer into a timeout

    return gateway(None, folder, change=known, pdp_port=to.grpc_port, file=DEPLOYED_GRPC, key=to.key, issuer=to.issuer)


GATEWAYS = {"envoy": envoy, "nginx": nginx, "haproxy": haproxy, "traefik": traefik}
WIRES = {"envoy": "ext_authz_grpc"}


def ask(front: Front, issuer: Issuer, subject: str = "u-demo-staff", level: int = 2, **claims: object) -> Answer:
    acr = f"urn:sekisho:auth-level:{level}"
    token = issuer.access_token(subject, acr=acr, **claims)
    return front.ask("/groupware/x", ("authorization", f"Bearer {token}"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.mark.parametrize("name", list(GATEWAYS))
def test_a_verified_token_decides_and_the_record_says_over_which_wire(
    running: Service, tmp_path: Path, name: str
) -> None:
    with GATEWAYS[name](tmp_path, running) as front:
        allowed = ask(front, running.issuer)
        assert allowed.status == 200
        (number,) = allowed.upstream["headers"]["x-pdp-decision-id"]
        assert allowed.upstream["headers"]["x-pdp-user"] == ["u-demo-staff"]
        step_up = ask(front, running.issuer, level=1)
        assert step_up.status == 401
        stranger = ask(front, running.issuer, subject="u-nobody")
        assert stranger.status == 403
        forged = front.ask("/groupware/", ("authorization", f"Bearer {Issuer().access_token('u-demo-staff')}"))
        expired = ask(front, running.issuer, exp=1_700_000_000)
        assert {forged.status, expired.status} <= {401, 403}
        assert front.upstream.reached == 1
    record = running.record(number)
    assert (record["wire"], record["outcome"]) == (WIRES.get(name, "forward_auth"), "allow")


@pytest.mark.parametrize("name", ["envoy", "nginx", "haproxy"])  # Traefik waits 30 s, which cannot be set
def test_a_pdp_that_stands_still_is_a_deny_and_then_it_goes_on(running: Service, tmp_path: Path, name: str) -> None:
    with GATEWAYS[name](tmp_path, running) as front:
        assert ask(front, running.issuer).status == 200
        stopped = running.workers()
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            for pid in stopped:
                wait_until_stopped(pid)
            assert ask(front, running.issuer).status == 503
            assert front.upstream.reached == 1
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        until(lambda: ask(front, running.issuer).status == 200, "it did not go on")


def test_a_pdp_that_is_killed_is_a_deny_at_every_gateway(tmp_path: Path) -> None:
    place = tmp_path / "service"
    place.mkdir()
    with service(place) as started, ExitStack() as open_gateways:
        fronts: dict[str, Front] = {}
        for name, make in GATEWAYS.items():
            (tmp_path / name).mkdir()
            fronts[name] = open_gateways.enter_context(make(tmp_path / name, started))
        assert {name: ask(front, started.issuer).status for name, front in fronts.items()} == dict.fromkeys(fronts, 200)
        for pid in started.workers():
            os.kill(pid, signal.SIGKILL)
        started.served.process.wait(10)
        answers = {name: ask(front, started.issuer).status for name, front in fronts.items()}
        assert set(answers.values()) <= {500, 503}
        assert [front.upstream.reached for front in fronts.values()] == [1] * len(fronts)


def test_workers_share_the_port_of_grpc_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "service"
    place.mkdir()
    with service(place, "--workers", "2") as started, envoy(tmp_path, started) as front:
        assert ask(front, started.issuer).status == 200
        workers = set(started.served.evaluators().values())
        assert len(workers) == 2
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            # The connection to it is gone with it: the next check finds the other one, or is denied.
            until(lambda: ask(front, started.issuer).status == 200, "nobody answers")
        until(lambda: len(set(started.served.evaluators().values()) - workers) == 2, "a worker was not replaced")
        until(lambda: ask(front, started.issuer).status == 200, "nobody answers")
