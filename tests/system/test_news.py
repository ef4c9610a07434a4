"""From a change in the directory to the first changed answer, on every worker: two services, one database, one Valkey.

The services poll every half minute here, so what changes within a second has been heard. The change is made
by a third process, or by this one, which is a third process too.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.callers.caller import PERMISSIONS
from pdp.callers.keys import add_caller
from pdp.directory.changes import change
from pdp.directory.demo import write_demonstration
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import Device
from pdp.redis_client import RedisPlace
from pdp.signals.announcing import announcing
from pdp.store.store import Store, open_store
from tests.servers import free_port
from tests.valkey_server import ValkeyServer, valkey_server

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

START_S = 30.0
STOP_S = 15.0
ANSWER_S = 10.0
LOOK_AGAIN_S = 0.02
POLL_S = 30.0
UNSURE = timedelta(seconds=10)
SLACK_S = 2.0  # for a look and an answer on a machine that is busy with other tests
HEARD_S = 3.0  # a tenth of the poll; what is measured is a few hundredths of a second
ROUNDS = 15
PREFIX = "two-hosts"
TERMINAL = "d-demo-pc"
BODY = json.dumps(
    {
        "subject": {
            "type": "user",
            "id": "u-demo-staff",
            "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}},
        },
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "groupware"},
        "context": {"device": {"id": TERMINAL}, "network": {"source_ip": "10.0.0.1"}},
    }
)


@dataclass
class Office:
    """What the hosts share."""

    store: Store
    database_url: str
    key: str
    place: Path
    terminal: Device

    def set_state(self, state: str) -> None:
        """Committed when this returns."""
        with change(self.store, datetime.now(UTC)) as inside:
            inside.put_device(replace(self.terminal, state=state))


class Host:
    """One `pdp serve` with a state directory of its own, asked over one connection that is kept."""

    def __init__(self, name: str, office: Office, **settings: object) -> None:
        self.port = free_port()
        self._key = office.key
        self._place = office.place / name
        self._place.mkdir()
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        given = {
            "state_dir": self._place / "state",
            "database_url": office.database_url,
            "node": name,
            "port": self.port,
            "redis_prefix": PREFIX,
            **settings,
        }
        with (self._place / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pdp.cli", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(given),
                cwd=self._place,
            )

    def ask(self) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        status, body = self._talk("POST", "/access/v1/evaluation", BODY, headers)
        return status, json.loads(body or b"null")

    def allows(self) -> bool:
        status, answer = self.ask()
        assert status == 200, answer
        return bool(answer["decision"])

    def get(self, path: str) -> str:
        return self._talk("GET", path)[1].decode()

    def _talk(self, *request: Any) -> tuple[int, bytes]:
        try:
            self._connection.request(*request)
            answer = self._connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):  # idle for five seconds
            self._connection.close()
            self._connection.request(*request)
            answer = self._connection.getresponse()
        return answer.status, answer.read()

    def news(self) -> str:
        (probe,) = [check for check in json.loads(self.get("/readyz"))["checks"] if check["name"] == "news"]
        return str(probe["detail"])

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, (self._place / "log").read_text()
            try:
                if self.ask()[0] == 200:
                    return
            except ConnectionRefusedError:
                self._connection.close()
            time.sleep(LOOK_AGAIN_S)

    def close(self) -> None:
        self._connection.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)


def environment(settings: dict[str, object]) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PDP_")}
    return {
        **mine,
        "PDP_ENGINE_DEADLINE_MS": "5000",  # two processors that others use too
        "PDP_DECISION_TABLE": "off",
        **{f"PDP_{name.upper()}": str(value) for name, value in settings.items()},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    place = tmp_path_factory.mktemp("office")
    url = f"sqlite:///{place / 'shared.db'}"
    store = open_store(url)
    store.migrate()
    now = datetime.now(UTC)
    write_demonstration(store, now)
    key = add_caller(store, "gateway", PERMISSIONS, now=now)
    yield Office(store, url, key, place, load_snapshot(store).devices[TERMINAL])
    store.close()


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server() as server:
        yield server


@pytest.fixture(scope="module")
def hosts(office: Office, valkey: ValkeyServer) -> Iterator[list[Host]]:
    with running(office, ("one", "two"), redis_url=valkey.url, directory_poll_s=POLL_S) as found:
        for host in found:
            until(lambda host=host: host.news() == "up", "news that are up")
        yield found


@contextmanager
def running(office: Office, names: tuple[str, ...], **settings: object) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        found = [Host(name, office, **settings) for name in names]
        for host in found:
            stack.callback(host.close)
        for host in found:
            host.wait_until_ready()
        yield found


def until(holds: Callable[[], Any], what: str, within_s: float = START_S) -> float:
    """How long it took, in seconds."""
    began = time.perf_counter()
    while not holds():
        assert time.perf_counter() - began < within_s, f"no {what} within {within_s} s"
        time.sleep(0)
    return time.perf_counter() - began


def first_changed_answers(hosts: list[Host], allowed: bool, since: float) -> list[float]:
    """For each host, seconds from `since` to its first answer that is `allowed`; all are asked at the same time."""
    took = [float("nan")] * len(hosts)

    def ask(number: int) -> None:
        until(lambda: hosts[number].allows() == allowed, f"answer {allowed} at host {number}", within_s=HEARD_S)
        took[number] = time.perf_counter() - since

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seconds == seconds for seconds in took), "a host did not change its answer"
    return took


def imported(office: Office, valkey: ValkeyServer, state: str) -> subprocess.CompletedProcess[str]:
    """`pdp directory import` of one row, in a process of its own."""
    file = office.place / "devices.csv"
    file.write_text(f"id,state\n{TERMINAL},{state}\n")
    return command(office, valkey, "directory", "import", str(file))


def command(office: Office, valkey: ValkeyServer, *words: str) -> subprocess.CompletedProcess[str]:
    settings: dict[str, object] = {
        "database_url": office.database_url,
        "redis_url": valkey.url,
        "redis_prefix": PREFIX,
        "state_dir": office.place / "command",
    }
    return subprocess.run(
        [sys.executable, "-m", "pdp.cli", *words],
        env=environment(settings),
        cwd=office.place,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=True,
    )


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# --- news are up


@pytest.mark.parametrize("way", [("lost", False), ("in_service", True)], ids=["lost", "found"])
def test_an_import_in_a_third_process_changes_the_answers_of_every_worker_long_before_its_poll(
    office: Office, valkey: ValkeyServer, hosts: list[Host], way: tuple[str, bool]
) -> None:
    state, allowed = way
    with announcing(RedisPlace(valkey.url), PREFIX) as publish:
        office.set_state("in_service" if state == "lost" else "lost")
        assert publish("directory", "") is None
    first_changed_answers(hosts, not allowed, time.perf_counter())

    process = imported(office, valkey, state)
    assert process.stderr == ""
    assert [host.allows() for host in hosts] == [allowed, allowed], "both know when the command has ended"


def test_the_first_changed_answer_comes_within_a_fraction_of_the_poll_on_every_worker(
    office: Office, valkey: ValkeyServer, hosts: list[Host]
) -> None:
    took: list[float] = []
    with announcing(RedisPlace(valkey.url), PREFIX) as publish:
        for number in range(2 * ROUNDS):
            allowed = number % 2 == 1
            time.sleep(0.06 + (37 * number % 100) / 1_000)  # changes that are not on each other's heels
            office.set_state("in_service" if allowed else "lost")
            committed = time.perf_counter()
            assert publish("directory", str(number)) is None
            took += first_changed_answers(hosts, allowed, committed)
    p50, p99 = statistics.median(took), percentile(took, 0.99)
    told = f"p50 {1e3 * p50:.1f} ms, p99 {1e3 * p99:.1f} ms of {len(took)}"
    print("from commit to the first changed answer:", told)  # with -s; the promise is 100 ms on a machine at peace
    assert p99 < HEARD_S / 3, told


def test_a_revoked_key_is_refused_by_every_worker_long_before_its_poll(
    office: Office, valkey: ValkeyServer, hosts: list[Host]
) -> None:
    key = json.loads(command(office, valkey, "caller", "add", "another", "--json").stdout)["key"]

    def status(host: Host, presented: str) -> int:
        mine, host._key = host._key, presented
        try:
            return host.ask()[0]
        finally:
            host._key = mine

    for host in hosts:
        until(lambda host=host: status(host, key) != 401, "answer to the new key", within_s=HEARD_S)
    command(office, valkey, "caller", "revoke", "another")
    for host in hosts:
        until(lambda host=host: status(host, key) == 401, "refusal of the revoked key", within_s=HEARD_S)


# --- news are lost


def test_while_news_are_lost_answers_end_within_ten_seconds_and_polling_sees_the_change(office: Office) -> None:
    poll_s = 0.5
    office.set_state("in_service")
    with (
        valkey_server() as valkey,
        running(office, ("three",), redis_url=valkey.url, directory_poll_s=poll_s) as (host,),
    ):
        until(lambda: host.news() == "up", "news that are up")
        assert ends_in(host) > UNSURE

        valkey.freeze()
        assert until(lambda: host.news().startswith("lost"), "lost news") < 3.0
        assert json.loads(host.get("/readyz"))["ready"] is True
        assert ends_in(host) <= UNSURE
        office.set_state("lost")
        until(lambda: not host.allows(), "deny", within_s=poll_s + SLACK_S)
        with announcing(RedisPlace(valkey.url), PREFIX, deadline_s=0.1) as publish:
            assert publish("directory", "1") == "TimeoutError"

        valkey.thaw()
        until(lambda: host.news() == "up", "news that are up again")
        office.set_state("in_service")
        until(host.allows, "allow")
        assert ends_in(host) > UNSURE


def ends_in(host: Host) -> timedelta:
    """How long the answer may be relied on."""
    status, answer = host.ask()
    assert status == 200
    return datetime.fromisoformat(answer["context"]["expires_at"]) - datetime.now(UTC)


def test_without_redis_two_hosts_on_one_database_learn_by_polling(office: Office) -> None:
    office.set_state("in_service")
    with running(office, ("four",), directory_poll_s=0.2) as (host,):
        assert host.news().startswith("none")
        assert host.allows()
        office.set_state("lost")
        until(lambda: not host.allows(), "deny", within_s=HEARD_S)
    office.set_state("in_service")
