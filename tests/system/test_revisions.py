"""Revisions under load: two workers that are asked all the time while what is of record changes, and is tampered with."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pdp.revisions.activations import Activations
from pdp.revisions.instances import Instances
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.revisions.sealing import Sealing
from pdp.revisions.statement import read_keys, read_signing_key
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.fleet import House, Service, house, services, until
from tests.revision_files import APPROVER, AUTHOR, FINE, OPERATOR, WHY, key_pair, policy
from tests.servers import OWN_TOOLS

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

ITEMS = 12
BODY = json.dumps(
    {
        "subject": {"type": "user", "id": "u"},
        "action": {"name": "read"},
        "evaluations": [{"resource": {"type": "application", "id": f"r{number}"}} for number in range(ITEMS)],
    }
).encode()


@dataclass
class Stream:
    """Boxcars over kept connections; `seen` is the policy of each answer, in order, `faults` what was wrong with one."""

    service: Service
    seen: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def ask(self, connection: http.client.HTTPConnection) -> None:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.service.home.key}"}
        connection.request("POST", "/access/v1/evaluations", BODY, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != 200 or len(said["evaluations"]) != ITEMS:
            self.faults.append(f"{answer.status} {said}")
            return
        found = {(one["decision"], one.get("context", {}).get("from")) for one in said["evaluations"]}
        if len(found) != 1:
            self.faults.append(f"mixed: {found}")
        self.seen.append(str(next(iter(found))[1]))

    @contextmanager
    def running(self, clients: int = 3) -> Iterator[None]:
        stop = threading.Event()

        def client() -> None:
            connection = self.service.connect()
            try:
                while not stop.is_set():
                    self.ask(connection)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as fault:
                self.faults.append(repr(fault))
            finally:
                connection.close()

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def settles_on(self, name: str, answers: int = 30) -> None:
        """So many answers in a row are of this policy: both workers serve it."""
        until(lambda: self.seen[-answers:] == [name] * answers or self.faults, f"not on {name}: {self.seen[-5:]}")


@contextmanager
def wrk_beside(service: Service) -> Iterator[dict[str, int]]:
    """wrk, at full load with eight connections, until the block ends; what it found stands in what is yielded then."""
    program = shutil.which("wrk", path=str(OWN_TOOLS)) or shutil.which("wrk")
    if program is None:
        pytest.skip("no wrk: install it with `make tools`")
    script, url = Path(__file__).with_name("boxcars.lua"), f"http://127.0.0.1:{service.port}/access/v1/evaluations"
    command = [program, "-t1", "-c8", "-d600s", "--timeout", "20s", "-s", script, url, "--", BODY, service.home.key]
    found: dict[str, int] = {}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield found
        process.send_signal(signal.SIGINT)  # it then tells what it has
        said = process.communicate(timeout=30)[0].decode()
        found |= json.loads(said.strip().splitlines()[-1])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


class Board:
    """What operators do, on the same database."""

    def __init__(self, store: Store, sealing: Sealing) -> None:
        self.store = store
        self.revisions = Revisions(store, People(), sealing)
        self.activations = Activations(store, People(), sealing)

    def activate(self, name: str, **policies: Any) -> int:
        now = datetime.now(UTC)
        made = self.revisions.create(AUTHOR, policy(name, **policies), WHY, now)
        self.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, now)
        self.revisions.submit(AUTHOR, made.number, WHY, now)
        self.revisions.approve(APPROVER, made.number, WHY, now)
        self.activations.activate(OPERATOR, made.number, WHY, now)
        return made.number

    def tamper(self, **values: Any) -> None:
        table, epoch = tables.policy_activations, self.activations.look(datetime.now(UTC))[0]
        with self.store.write() as connection:
            connection.execute(update(table).where(table.c.epoch == epoch).values(**values))


@dataclass
class Scene:
    home: House
    service: Service
    board: Board
    stream: Stream

    def all_refuse(self, word: str) -> bool:
        """Whether both workers say so, each in the row that it writes itself."""
        found = Instances(self.board.store).all()
        return len(found) == 2 and all(one.fault is not None and one.fault.startswith(word) for one in found)

    def all_follow(self) -> bool:
        epoch = self.board.activations.look(datetime.now(UTC))[0]
        return all(one.fault is None and one.epoch == epoch for one in Instances(self.board.store).all())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = house(tmp_path_factory.mktemp("house"))
    private, public = key_pair("ES256")
    (home.place / "key.pem").write_bytes(private)
    (home.place / "key.pub").write_bytes(public)
    for name, text in policy("configured").items():
        path: Path = home.place / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    key = read_signing_key(str(home.place / "key.pem"))
    keys = [str(home.place / "key.pub")]
    settings = {
        "workers": 2,
        "bundle": str(home.place / "bundle"),
        "bundle_keys": json.dumps(keys),
        "engine_children": 1,
        "log_proof": "off",
    }
    store = open_store(home.database_url)
    try:
        with services(home, {"one": settings}) as started:
            board = Board(store, Sealing(lambda: read_keys(keys), lambda: key))
            yield Scene(home, started["one"], board, Stream(started["one"]))
    finally:
        store.close()


def test_two_workers_under_load_change_policies_lose_no_request_and_mix_none_in_an_answer(scene: Scene) -> None:
    stream, board = scene.stream, scene.board
    with wrk_beside(scene.service) as load, stream.running():
        stream.settles_on("configured")
        first = board.activate("v1", allow=False)
        stream.settles_on("v1")
        board.activate("v2")
        stream.settles_on("v2")
        begun = time.monotonic()
        board.activations.rollback(OPERATOR, first, "v2 lets everybody in", datetime.now(UTC))
        stream.settles_on("v1")
        taken = time.monotonic() - begun
        for change, word in (
            ({"signatures": "[]"}, "signature"),
            ({"statement": "{}"}, "statement"),
            ({"digest": "0" * 64}, "record_damaged"),
        ):
            board.activate(f"bad {word}")
            board.tamper(**change)
            until(lambda word=word: scene.all_refuse(word), f"not refused: {word}")
            assert "refused" in scene.service.details()["policy"]
            board.activations.rollback(OPERATOR, first, "it is not what was approved", datetime.now(UTC))
            until(scene.all_follow, "it stays refused")
        board.activate("calls what is not there", more="x := nobody.knows(1)\n")
        until(lambda: scene.all_refuse("bundle_refused"), "not refused")
        board.activations.rollback(OPERATOR, first, "it does not load", datetime.now(UTC))
        until(scene.all_follow, "it stays refused")
    assert stream.faults == []
    order = [name for number, name in enumerate(stream.seen) if name not in stream.seen[:number]]
    assert order == ["configured", "v1", "v2"], "nothing that was refused ever decided"
    assert load["answers"] > 100
    assert {name: load[name] for name in ("mixed", "others", "connect", "read", "write", "timeout")} == dict.fromkeys(
        ("mixed", "others", "connect", "read", "write", "timeout"), 0
    )
    print(f"wrk: {load['answers']} boxcars, none lost, none mixed")
    print(f"roll-back to the 30th answer of both workers: {taken:.2f} s; {len(stream.seen)} boxcars")
    counted = scene.service.metrics()
    assert counted["policy_follow_faults_total", "signature"] >= 2
    assert counted["policy_follow_faults_total", "bundle_refused"] >= 2
    until(lambda: scene.service.metrics()["policy_following", ""] == 1, "it does not follow again")
