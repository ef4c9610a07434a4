"""`pdp serve` with two workers and a policy that is counted out: what stands in the table is what the engine says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.prefecture import OFFICE, PEP, PHONE, stream_of
from pdp.directory.snapshot import load_snapshot
from pdp.space.keeping import Shelf, dumped, file_of, key_of, sealed
from pdp.store.store import open_store
from tests.fleet import House, Service, house, services, until
from tests.spaces import shipped_space

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

QUESTIONS = 120
PASSING = ("id", "expires_at", "cache")
NETWORKS: tuple[dict[str, Any], ...] = (
    {"source_ip": "10.1.2.3", "underlay": "office"},
    {"source_ip": "100.64.0.9", "tunnel": True, "underlay": "home", "country": "JP"},
    {"source_ip": "172.16.0.9", "tunnel": True, "underlay": "carrier", "path_encrypted": True, "country": "JP"},
    {"source_ip": "203.0.113.7", "underlay": "public_wifi", "country": "US"},
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house whose service finds the space of the shipped policy, sealed under its own secret."""
    found = house(tmp_path_factory.mktemp("table"))
    state, secret = found.place / "one" / "state", b"t" * 32
    (state / "spaces").mkdir(parents=True)
    (state / "spaces.key").write_bytes(secret)
    space = shipped_space()
    kept(found).write_bytes(sealed(dumped(space), key_of(space.bundle), secret))
    return found


def kept(home: House) -> Path:
    return file_of(Shelf(home.place / "one" / "state" / "spaces", b"t" * 32), shipped_space().bundle)


@pytest.fixture(scope="module")
def service(home: House) -> Iterator[Service]:
    with services(home, {"one": {"workers": 2, "decision_table": "on"}}) as started:
        yield started["one"]


def questions(home: House) -> list[dict[str, Any]]:
    """What these people ask on a working day; and as much again of anybody, for anything, on anything, from anywhere."""
    store = open_store(home.database_url)
    try:
        snapshot = load_snapshot(store)
    finally:
        store.close()
    now, rng, resources = datetime.now(UTC), Random(3), sorted({*OFFICE, *PHONE})
    users, devices = sorted(snapshot.users), sorted(snapshot.devices)
    found = [question.members() for question in stream_of(snapshot, now, QUESTIONS).questions]
    for _ in range(QUESTIONS):
        claims = {"acr": f"urn:sekisho:auth-level:{rng.randint(1, 3)}", "auth_time": int(now.timestamp()) - 60}
        context = {"network": rng.choice(NETWORKS), "pep": rng.choice((list(PEP), ["save"]))}
        found.append(
            {
                "subject": {"type": "user", "id": rng.choice(users), "properties": {"claims": claims}},
                "action": {"name": rng.choice(("access", "read", "write", "download"))},
                "resource": {"type": "application", "id": rng.choice(resources)},
                "context": {"device": {"id": rng.choice(devices)}, **context},
            }
        )
    return found


def asked(connection: HTTPConnection, key: str, question: dict[str, Any], **headers: str) -> dict[str, Any]:
    said = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    connection.request("POST", "/access/v1/evaluation", json.dumps(question), said)
    answer = connection.getresponse()
    found: dict[str, Any] = json.loads(answer.read())
    assert answer.status == 200, found
    return found


def lasting(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what belongs to one request."""
    context = {name: value for name, value in answer["context"].items() if name not in PASSING}
    return {**answer, "context": context}


def test_every_answer_that_stands_in_the_table_is_the_one_that_the_engine_gives(home: House, service: Service) -> None:
    before = kept(home).stat().st_mtime_ns
    until(lambda: service.metrics().get(("decision_table_ready", "")) == 1, lambda: str(service.details()), 60)
    until(
        lambda: all("different answers over" in service.details()["decision_table"] for _ in range(12)),
        lambda: str(service.details()),
    )
    assert kept(home).stat().st_mtime_ns == before, "it was found, and not made anew"
    connections = [service.connect() for _ in range(6)]
    outcomes = set()
    try:
        for number, question in enumerate(questions(home)):
            connection = connections[number % len(connections)]
            looked_up = asked(connection, home.key, question)
            evaluated = asked(connection, home.key, question, **{"Cache-Control": "no-cache"})
            assert lasting(looked_up) == lasting(evaluated), question
            outcomes.add((looked_up["decision"], json.dumps(lasting(looked_up), sort_keys=True)))
    finally:
        for connection in connections:
            connection.close()
    assert len(outcomes) > 10, "too little was met to prove anything"
    assert {permitted for permitted, _ in outcomes} == {True, False}
    until(
        lambda: service.metrics().get(("decision_table_checks_total", "same"), 0) > 0,
        "no look-up was put to the engine",
    )
    counted = service.metrics()
    assert counted["decision_table_lookups_total", "answered"] > QUESTIONS // 4, "the rest is remembered"
    assert counted["decision_table_lookups_total", "unread"] == 0
    assert counted["decision_table_checks_total", "differs"] == 0
    assert [line for line in service.log() if line["level"] == "error"] == []
    assert service.audit()["ok"]
