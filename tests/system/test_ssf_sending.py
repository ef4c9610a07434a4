"""Security events of real services: pushed and polled, through the death of whoever sends, each SET verified."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from pdp.callers.keys import add_caller
from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot
from pdp.ssf.events import ACCOUNT_DISABLED, DEVICE_COMPLIANCE_CHANGE, REQUIRED, SESSION_REVOKED
from pdp.ssf.sending.outbox import standings
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.fleet import House, Service, family, house, services, until
from tests.simulators.ssf_receiver import Receiver, receiving

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

URL = "https://pdp.example.jp"


class Deployment:
    """Services over one database, a receiver that is pushed to, and a caller with streams."""

    def __init__(self, place: Path, receiver: Receiver) -> None:
        self.home: House = house(place)
        self.store: Store = open_store(self.home.database_url)
        self.receiver = receiver
        self.key = add_caller(self.store, "sase", ["ssf_manage", "ssf_read"], now=datetime.now(UTC))
        transmitter = {
            "push_hosts": [f"127.0.0.1:{receiver.port}"],
            "http_on_loopback": True,
            "keys_file": str(place / "ssf-keys.json"),
            "subject_format": "opaque",
            "retry_s": 2,
        }
        self.settings: dict[str, object] = {"ssf_transmitter": json.dumps(transmitter), "public_url": URL}

    @contextmanager
    def running(self, *names: str, **settings: object) -> Iterator[dict[str, Service]]:
        with services(self.home, {name: {**self.settings, **settings} for name in names}) as started:
            until(self.begun, "nobody sends")
            yield started

    def begun(self) -> bool:
        with self.store.read() as connection:
            return connection.execute(select(tables.ssf_sender.c.begun_at)).scalar_one() is not None

    def holder(self) -> str:
        """The name of the service that sends."""
        with self.store.read() as connection:
            held: str = connection.execute(select(tables.ssf_sender.c.holder)).scalar_one()
        return held.partition("/")[0]

    def ask(self, service: Service, method: str, path: str, body: Any = None) -> Any:
        connection = service.connect()
        connection.timeout = 60
        try:
            headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, text
            return json.loads(text) if text else None
        finally:
            connection.close()

    def poll(self, service: Service, stream: Any, **asked: Any) -> dict[str, str]:
        path = stream["delivery"]["endpoint_url"].removeprefix(URL)
        sets: dict[str, str] = self.ask(service, "POST", path, asked)["sets"]
        return sets

    def verified(self, service: Service, token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(self.ask(service, "GET", "/ssf/jwks.json"))
        found = jwt.decode(token, keys, algorithms=["RS256"])
        assert found.header["typ"] == "secevent+jwt"
        assert found.claims["iss"] == URL
        assert found.claims["aud"] == "sase"
        [(event_type, members)] = found.claims["events"].items()
        assert set(REQUIRED.get(event_type, ())) <= members.keys()
        return dict(found.claims)

    def suspend(self, user_id: str, status: Any = "suspended") -> None:
        user = load_snapshot(self.store).users[user_id]
        with change(self.store, datetime.now(UTC)) as inside:
            inside.put_user(replace(user, status=status))

    def people(self) -> list[str]:
        """Who is employed now, and so can be suspended."""
        with self.store.read() as connection:
            told = tables.ssf_told
            found = select(told.c.key).where(told.c.register == "user", told.c.state == "active").order_by(told.c.key)
            return list(connection.execute(found).scalars())


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with receiving() as receiver:
        made = Deployment(tmp_path, receiver)
        yield made
        made.store.close()


def subjects(receiver: Receiver) -> list[str]:
    return [one["sub_id"]["id"] for one in receiver.claims()]


def kill(service: Service) -> None:
    for pid in family(service.process.pid):
        os.kill(pid, signal.SIGKILL)
    service.process.wait(20)


def test_a_killed_sender_loses_nothing_and_what_happens_while_nobody_runs_is_told(deployment: Deployment) -> None:
    receiver = deployment.receiver
    with deployment.running("one", "two") as running:
        made = deployment.ask(
            running["one"],
            "POST",
            "/ssf/stream",
            {"delivery": receiver.delivery, "events_requested": [SESSION_REVOKED]},
        )
        polled = deployment.ask(running["two"], "POST", "/ssf/stream", {"events_requested": [SESSION_REVOKED]})
        people = deployment.people()
        assert len(people) >= 8
        deployment.suspend(people[0])
        until(lambda: subjects(receiver) == people[:1], "the first is not told")
        receiver.mode = "slow"  # the sender is in the middle of a push
        deployment.suspend(people[1])
        until(lambda: len(receiver.seen) == 2, "the second was not tried")
        deployment.suspend(people[2])
        until(lambda: standings(deployment.store)[made["stream_id"]].events == 2, "the third does not wait")
        dead = deployment.holder()
        kill(running[dead])
        left = running["two" if dead == "one" else "one"]
        deployment.suspend(people[3])  # while nobody sends
        receiver.mode = "take"
        until(lambda: subjects(receiver) == people[:4], lambda: f"{subjects(receiver)} and not {people[:4]}")
        assert deployment.holder() == left.name
        for token in receiver.taken:
            deployment.verified(left, token)
        assert "1 receivers do not take" not in left.details()["security_events"]
        kill(left)
    deployment.suspend(people[4])  # while nobody runs
    with deployment.running("three") as running:
        until(lambda: subjects(receiver) == people[:5], "what happened while nobody ran was not told")
        sets = deployment.poll(running["three"], polled)
        told = [deployment.verified(running["three"], token) for token in sets.values()]
        assert [one["sub_id"]["id"] for one in told] == people[:5]
        assert deployment.poll(running["three"], polled, ack=list(sets), returnImmediately=True) == {}


def test_two_workers_send_each_event_once_and_both_are_polled(deployment: Deployment) -> None:
    receiver = deployment.receiver
    with deployment.running("one", workers=2) as running:
        service = running["one"]
        asked = {"events_requested": [ACCOUNT_DISABLED]}
        deployment.ask(service, "POST", "/ssf/stream", {**asked, "delivery": receiver.delivery})
        polled = deployment.ask(service, "POST", "/ssf/stream", asked)
        people = deployment.people()
        for one in people:
            deployment.suspend(one)
        until(lambda: len(receiver.taken) >= len(people), "not everything was pushed")
        until(lambda: polled["stream_id"] in standings(deployment.store), "nothing waits to be polled")
        sets: dict[str, str] = {}
        for _ in range(6):  # each over a connection of its own, to whichever worker takes it
            sets |= deployment.poll(service, polled, maxEvents=5, ack=list(sets), returnImmediately=True)
            if not standings(deployment.store):
                break
        until(
            lambda: not standings(deployment.store) or deployment.poll(service, polled, ack=list(sets)),
            "not acknowledged",
        )
        assert subjects(receiver) == people
        assert [deployment.verified(service, one)["sub_id"]["id"] for one in sets.values()] == people
        numbers = service.metrics()
        assert numbers["ssf_sender", ""] == 1
        assert numbers["ssf_events_put_total", ""] == 2 * len(people)


def test_a_revocation_by_command_and_a_lost_device_end_sessions_elsewhere(deployment: Deployment) -> None:
    receiver = deployment.receiver
    snapshot = load_snapshot(deployment.store)
    device = next(one for one in snapshot.devices.values() if one.owner == "u-demo-staff" and one.state == "in_service")
    with deployment.running("one") as running:
        service = running["one"]
        asked = {"delivery": receiver.delivery, "events_requested": [SESSION_REVOKED, DEVICE_COMPLIANCE_CHANGE]}
        made = deployment.ask(service, "POST", "/ssf/stream", asked)
        done = subprocess.run(
            [sys.executable, "-m", "pdp.cli", "token", "revoke", "--subject", "u-demo-staff",
             "--database-url", deployment.home.database_url, "--state-dir", str(service.state)],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        until(lambda: receiver.taken, "the revocation is not told")
        with change(deployment.store, datetime.now(UTC)) as inside:
            inside.put_device(replace(device, state="lost"))
        until(
            lambda: SESSION_REVOKED in receiver.claims()[-1]["events"] and len(receiver.taken) >= 2, "no loss is told"
        )
        told = [deployment.verified(service, token) for token in receiver.taken]
        assert told[0]["sub_id"] == told[-1]["sub_id"] == {"format": "opaque", "id": "u-demo-staff"}
        assert "失効" in told[0]["events"][SESSION_REVOKED]["reason_admin"]["ja"]
        assert "紛失" in told[-1]["events"][SESSION_REVOKED]["reason_user"]["ja"]
        listed = subprocess.run(
            [sys.executable, "-m", "pdp.cli", "ssf", "stream", "list", "--json", "--database-url",
             deployment.home.database_url, "--state-dir", str(service.state)],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        [row] = json.loads(listed.stdout)
        assert (row["stream_id"], row["delivered"], row["waiting"]) == (made["stream_id"], len(told), 0)
        assert "s3cret" not in listed.stdout
