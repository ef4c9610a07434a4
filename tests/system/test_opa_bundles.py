"""A real OPA pulls the policy from a real service, checks its signature, follows it, and answers alike."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.activation import Activation
from pdp.bundle.bundle import Bundle
from pdp.callers.keys import add_caller
from pdp.engine.regorus import RegorusEngine
from pdp.revisions.activations import Activations
from pdp.revisions.files import bundle_of, from_directory
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.revisions.sealing import Sealing
from pdp.revisions.statement import read_signing_key
from pdp.settings import load_settings
from pdp.store.store import Store, open_store
from tests.fleet import House, Service, house, services, until
from tests.oracle.documents import FEASIBLE_CELLS, healthy
from tests.revision_files import APPROVER, AUTHOR, FINE, OPERATOR, WHY, key_pair
from tests.servers import OpaServer, opa_server

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SHIPPED = load_settings(environ={}).bundle_path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("key")
    private, public = key_pair("ES256")
    (place / "key.pem").write_bytes(private)
    (place / "key.pub").write_bytes(public)
    return place


class Fleet:
    """A service with the shipped policy, and what its operators do."""

    def __init__(self, home: House, service: Service, store: Store, key_file: str) -> None:
        self.home, self.service, self.store = home, service, store
        signing = read_signing_key(key_file)
        self.sealing = Sealing(own=lambda: signing)
        self.activations = Activations(store, People(), self.sealing)
        self.key = add_caller(store, "other-opa", ["read_bundles"], now=datetime.now(UTC))

    def activate(self, files: dict[str, str]) -> Bundle:
        now, revisions = datetime.now(UTC), Revisions(self.store, People(), self.sealing)
        made = revisions.create(AUTHOR, files, WHY, now)
        revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, now)
        revisions.submit(AUTHOR, made.number, WHY, now)
        revisions.approve(APPROVER, made.number, WHY, now)
        self.activations.activate(OPERATOR, made.number, WHY, now)
        return bundle_of(files)

    @contextmanager
    def opa(self, place: Path, public: str) -> Iterator[OpaServer]:
        configuration = {
            "services": {
                "sekisho": {
                    "url": f"http://127.0.0.1:{self.service.port}",
                    "credentials": {"bearer": {"token": self.key}},
                }
            },
            "bundles": {
                "policy": {
                    "service": "sekisho",
                    "resource": "bundles/policy.tar.gz",
                    "polling": {"long_polling_timeout_seconds": 20},
                    "signing": {"keyid": "sekisho"},
                }
            },
            "status": {"console": False, "prometheus": True},
            "keys": {"sekisho": {"algorithm": "ES256", "key": public}},
        }
        (place / "opa.json").write_text(json.dumps(configuration))
        with opa_server("--config-file", str(place / "opa.json")) as server:
            yield server


def asked(server: OpaServer, path: str, document: Any = None) -> Any:
    body = json.dumps({"input": document}).encode()
    request = urllib.request.Request(f"{server.url}{path}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer).get("result")


@pytest.fixture(scope="module")
def fleet(key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = house(tmp_path_factory.mktemp("house"))
    settings = {"bundle_signing_key_file": str(key / "key.pem"), "log_proof": "off", "engine_children": 1}
    store = open_store(home.database_url)
    try:
        with services(home, {"one": settings}) as started:
            yield Fleet(home, started["one"], store, str(key / "key.pem"))
    finally:
        store.close()


@pytest.mark.anyio
async def test_an_opa_that_checks_our_signature_answers_as_we_do_and_follows(
    fleet: Fleet, key: Path, tmp_path: Path
) -> None:
    with fleet.opa(tmp_path, (key / "key.pub").read_text()) as server:
        files = from_directory(SHIPPED)
        bundle = bundle_of(files)
        engine = RegorusEngine(timedelta(seconds=20))
        try:
            await Activation(engine).activate(bundle)
            for device, group, place in FEASIBLE_CELLS:
                document = healthy(device, group, place=place)
                (ours,) = await engine.evaluate([json.dumps(document).encode()])
                assert asked(server, "/v1/data/pdp/decision", document) == json.loads(ours)  # type: ignore[arg-type]
        finally:
            await engine.close()
        changed = {**files, ".manifest": files[".manifest"].replace(bundle.revision, "the-next-one")}
        fleet.activate(changed)
        until(lambda: _revision(server) == "the-next-one", lambda: f"it is still on {_revision(server)}")
        (key / "key.pem").write_bytes(key_pair("ES256")[0])  # somebody else's key signs what comes next
        fleet.activate({**files, ".manifest": files[".manifest"].replace(bundle.revision, "of-a-stranger")})
        until(lambda: "of-a-stranger" in fleet.service.details()["policy"], "the service does not follow")
        until(lambda: _refused(server), "the other OPA has not refused anything")
        assert _revision(server) == "the-next-one"


def _revision(server: OpaServer) -> str:
    request = urllib.request.Request(f"{server.url}/v1/data/pdp/decision?provenance=true", b'{"input":{}}')
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        bundles = json.load(answer)["provenance"]["bundles"]
    return str(bundles["policy"]["revision"])


def _refused(server: OpaServer) -> bool:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return any(line.startswith("bundle_failed_load_counter{") and not line.endswith(" 0") for line in lines)
