"""`pdp serve` with two workers and a policy that is counted out: what stands in the table is what the engine says."""

from __future__ import annotations

import asyncio
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
from pdp.space.keeping import Shelf
from pdp.store.store import open_store
from pdp.table.kept import KeptTables, keep_table
from tests.fleet import House, Service, house, services, until
from tests.spaces import shipped_space

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

QUESTIONS = 120
PASSING = ("id", "expires_at", "cache")
NETWORKS: tuple[dict[str, Any], ...] = (
    {"source_ip": "10.1.2.3", "underlay": "office"},
    {"source_ip": "100.64.0.9", "tunnel": True, "underlay": "home", "country": "JP"},
    {"source_ip": "172.16.0.9", "tunnel": True, "underlay": "carrier", "path_encrypted": True, "country": "JP"},
    {"source_ip": "203.0.113.7", "underlay": "public_wifi", "country": "US"},
)


SECRET = b"t" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return with_table(house(tmp_path_factory.mktemp("table")))


def with_table(home: House) -> House:
    """Whose service finds the table of the shipped policy, sealed under its own secret."""
    state = home.place / "one" / "state"
    state.mkdir(parents=True)
    (state / "spaces.key").write_bytes(SECRET)
    keep_table(Shelf(state / "spaces", SECRET), shipped_space())
    return home


def kept(home: House) -> list[Path]:
    return sorted((home.place / "one" / "state" / "spaces").iterdir())


def told(service: Service, words: str) -> None:
    """Every worker says so in its `/readyz`: which of them answers is chance."""
    until(
        lambda: all(words in service.details()["decision_table"] for _ in range(12)),
        lambda: str(service.details()),
        60,
    )


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
    (table,) = kept(home)
    before = table.stat().st_ino
    until(lambda: service.metrics().get(("decision_table_ready", "")) == 1, lambda: str(service.details()), 60)
    told(service, "different answers over")
    assert (kept(home), table.stat().st_ino) == ([table], before), "it was found, and not made anew"
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


def test_a_doubt_of_another_process_ends_the_table_on_each_worker_and_at_each_start(tmp_path: Path) -> None:
    home = with_table(house(tmp_path))
    settings = {"one": {"workers": 2, "decision_table": "on"}}
    (question, *_) = questions(home)
    with services(home, settings) as started:
        service = started["one"]
        told(service, "different answers over")
        connection = service.connect()
        before = asked(connection, home.key, question)
        connection.close()
        asyncio.run(KeptTables(kept(home)[0].parent, SECRET).doubt(shipped_space().bundle.digest))
        told(service, "the engine answers otherwise than the table")
        until(lambda: service.metrics()["decision_table_ready", ""] == 0, "metrics follow within a second", 60)
    with services(home, settings) as started:
        service = started["one"]
        told(service, "the engine answers otherwise than the table")
        connection = service.connect()
        assert lasting(asked(connection, home.key, question)) == lasting(before), "the engine decides"
        connection.close()
    assert [file.suffix for file in kept(home)] == [".doubted"]
