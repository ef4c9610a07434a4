"""Our transmitter and our receiver, three real services of three houses: pushed and polled, and no echo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pdp.callers.keys import add_caller
from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot
from pdp.identity.revocations import list_marks
from pdp.identity.signing import SigningKeys
from pdp.model.directory import User
from pdp.ssf.sending.outbox import standings
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.fleet import House, Service, house, services, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

URL = "https://a.example.jp"
STAFF = "u-demo-staff"


class Place:
    """One house with its database and its service."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.place = place
        self.home: House = house(place)
        self.store: Store = open_store(self.home.database_url)

    @contextmanager
    def running(self, **settings: object) -> Iterator[Service]:
        with services(self.home, {self.place.name: settings}) as started:
            yield started[self.place.name]

    def user(self, user_id: str = STAFF) -> User:
        return load_snapshot(self.store).users[user_id]

    def device(self, device_id: str) -> str:
        return load_snapshot(self.store).devices[device_id].state

    def marks(self) -> set[tuple[str, str]]:
        return {(one.kind, one.id) for one in list_marks(self.store, now=datetime.now(UTC))}

    def outcomes(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            events = tables.ssf_events.c
            rows = connection.execute(select(events.type, events.outcome).order_by(events.id))
            return [(row.type.rpartition("/")[2], row.outcome) for row in rows]


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[dict[str, Place]]:
    made = {name: Place(tmp_path / name) for name in ("a", "b", "c")}
    yield made
    for one in made.values():
        one.store.close()


def received(place: Path, **stream: object) -> str:
    (place / "token").write_text("a-token-of-32-characters-or-more", encoding="utf-8")
    common: dict[str, object] = {
        "name": "a", "issuer": URL, "audiences": [f"receiver-{place.name}"], "token_file": str(place / "token"),
        "effects": ["end_sessions", "hold_accounts", "hold_devices"],
    }  # fmt: skip
    return json.dumps([{**common, **stream}])


def ask(service: Service, key: str, path: str, body: Any) -> Any:
    connection = service.connect()
    connection.timeout = 60
    try:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text) if text else None
    finally:
        connection.close()


def test_what_happens_in_one_house_ends_sessions_in_two_others(houses: dict[str, Place]) -> None:
    a, b, c = houses["a"], houses["b"], houses["c"]
    keys = SigningKeys(a.place / "keys.json", lambda: datetime.now(UTC), lambda: 0.0)
    (b.place / "jwks.json").write_text(json.dumps({"keys": keys.published(datetime.now(UTC))}), encoding="utf-8")
    pushed = received(b.place, delivery="push", jwks_file=str(b.place / "jwks.json"))
    credentials = {
        name: add_caller(a.store, f"receiver-{name}", ["ssf_manage"], now=datetime.now(UTC)) for name in "bc"
    }
    with b.running(signal_streams=pushed) as receiver:
        transmitter = {
            "push_hosts": [f"127.0.0.1:{receiver.port}"], "http_on_loopback": True,
            "keys_file": str(a.place / "keys.json"), "subject_format": "opaque",
        }  # fmt: skip
        with a.running(ssf_transmitter=json.dumps(transmitter), public_url=URL) as sender:
            endpoint = f"http://127.0.0.1:{receiver.port}/ssf/receive/a"
            header = "Bearer a-token-of-32-characters-or-more"
            delivery = {"method": "urn:ietf:rfc:8935", "endpoint_url": endpoint, "authorization_header": header}
            ask(sender, credentials["b"], "/ssf/stream", {"delivery": delivery})
            polled = ask(sender, credentials["c"], "/ssf/stream", {})
            here = f"http://127.0.0.1:{sender.port}"
            stream = received(
                c.place, delivery="poll", stream_id=polled["stream_id"], jwks_uri=f"{here}/ssf/jwks.json",
                endpoint_url=polled["delivery"]["endpoint_url"].replace(URL, here),
                verification_endpoint=f"{here}/ssf/verify",
            )  # fmt: skip
            (c.place / "token").write_text(credentials["c"], encoding="utf-8")
            with c.running(signal_streams=stream):
                _happen(
                    a, (b, c), lambda: ask(sender, credentials["c"], "/ssf/verify", {"stream_id": polled["stream_id"]})
                )


def _happen(a: Place, others: tuple[Place, Place], verify: Any) -> None:
    def begun() -> bool:
        with a.store.read() as connection:
            return connection.execute(select(tables.ssf_sender.c.begun_at)).scalar_one() is not None

    until(begun, "nobody sends")
    device = load_snapshot(a.store).devices["d-demo-pc"]
    verify()
    until(lambda: ("verification", "verified") in others[1].outcomes(), lambda: str(others[1].outcomes()))
    person = a.user()
    with change(a.store, datetime.now(UTC)) as inside:
        inside.put_user(replace(person, status="suspended"))
    for one in others:
        until(lambda one=one: one.user().status == "suspended", lambda one=one: f"{one.place.name}: {one.outcomes()}")
        until(lambda one=one: ("subject", STAFF) in one.marks(), lambda one=one: f"{one.place.name}: {one.outcomes()}")
    with change(a.store, datetime.now(UTC)) as inside:
        inside.put_user(person)
        inside.put_device(replace(device, state="lost"))
    for one in others:
        until(lambda one=one: one.user().status == "active", lambda one=one: f"{one.place.name}: {one.outcomes()}")
    for one in others:
        until(
            lambda one=one: one.device(device.id) == "quarantined",
            lambda one=one: f"{one.place.name}: {one.outcomes()}",
        )
    until(lambda: standings(a.store) == {}, "not everything was acknowledged")
    for one in others:
        until(lambda one=one: all(outcome for _, outcome in one.outcomes()), lambda one=one: str(one.outcomes()))
        assert {outcome for _, outcome in one.outcomes()} <= {"acted", "unchanged", "verified"}, one.outcomes()
