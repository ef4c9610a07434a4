"""Whole services for system tests: `pdp serve` processes over one small directory, and what an operator sees of them.

    home = house(place)
    with services(home, {"one": {"workers": 1, "redis_url": …}, …}) as started: …

Every process is ended by its id. Settings go in as `PDP_*` variables, so any of them can be given.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.processes import family
from pdp.callers.caller import PERMISSIONS
from pdp.callers.keys import add_caller
from pdp.declog.layout import Layout
from pdp.directory.changes import change
from pdp.directory.demo_people import FiscalYear
from pdp.directory.personas import personas
from pdp.directory.registers import REGISTERS, registers_of
from pdp.store.store import open_store

START_S = 150.0  # several at once on two busy processors
STOP_S = 20.0
LOOK_AGAIN_S = 0.03
ANSWER_S = 5.0  # no answer takes as long, whatever becomes of Redis

_RUNNING = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")
_SAMPLE = re.compile(r'^(sekisho_\w+)(?:\{(?:\w+="([^"]*)")?\})? (\S+)$', re.MULTILINE)

Samples = Mapping[tuple[str, str], float]


def until(holds: Callable[[], Any], otherwise: Callable[[], str] | str, within_s: float = START_S) -> Any:
    """The first true value of `holds`: what other processes do can only be looked at, not awaited."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(LOOK_AGAIN_S)
    return found


@dataclass(frozen=True)
class House:
    """What the services of a test have in common."""

    place: Path
    database_url: str
    key: str


def house(place: Path) -> House:
    """The named people and terminals of the demonstration and nobody else, and a caller who may ask everything."""
    now = datetime.now(UTC)
    url = f"sqlite:///{place / 'sekisho.db'}"
    store = open_store(url)
    try:
        store.migrate()
        key = add_caller(store, "test-gateway", PERMISSIONS, now=now)
        people, park = personas(FiscalYear(now))
        registers = registers_of(
            users=people,
            devices=park.devices,
            permits=park.permits,
            loans=park.loans,
            work_permits=park.work_permits,
        )
        with change(store, now) as inside:
            for register in REGISTERS:
                inside.add(register, registers.of(register))
    finally:
        store.close()
    return House(place, url, key)


class Service:
    """One `pdp serve`. Its log and state stand in a folder of its own."""

    def __init__(self, home: House, name: str, settings: Mapping[str, object]) -> None:
        self.name = name
        self.home = home
        self.workers = int(str(settings.get("workers", 1)))
        self.place = home.place / name
        self.state = self.place / "state"
        self.place.mkdir(exist_ok=True)
        self._log = self.place / "log"
        self._log.touch()
        self._started_before = self._log.read_text(encoding="utf-8").count("Application startup complete")
        own = {
            "database_url": home.database_url,
            "state_dir": self.state,
            "node": name,
            "port": 0,  # what is free now need not be free when it has started
            "durability": "process",
            "engine_deadline_ms": 5_000,  # two processors that others use too
            "directory_poll_s": 0.2,  # metrics are read off as often
            "log_level": "info",
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PDP_")}
        clean["PDP_DECISION_TABLE"] = "off"
        given = {f"PDP_{key.upper()}": str(value) for key, value in {**own, **settings}.items()}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pdp.cli", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean, **given, "PYTHONPATH": os.pathsep.join(sys.path)},
                cwd=self.place,
            )

    def __repr__(self) -> str:
        return self.name

    def log(self) -> list[dict[str, Any]]:
        """Every line; one that is no JSON, as of a traceback, fails the test."""
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]

    def is_up(self) -> bool:
        assert self.process.poll() is None, self._log.read_text(encoding="utf-8")[-3000:]
        text = self._log.read_text(encoding="utf-8")
        return text.count("Application startup complete") >= self._started_before + self.workers

    @cached_property
    def port(self) -> int:
        return int(_RUNNING.findall(self._log.read_text(encoding="utf-8"))[-1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metrics(self) -> Samples:
        """By name (without `sekisho_`) and the value of the one label, "" where there is none."""
        status, text = self.get("/metrics")
        assert status == 200
        return {
            (name.removeprefix("sekisho_"), label): float(value)
            for name, label, value in _SAMPLE.findall(text.decode())
        }

    def details(self) -> dict[str, str]:
        """What `/readyz` says of each part. Whatever happens to Redis, the service is ready."""
        status, text = self.get("/readyz")
        assert status == 200, f"{self.name} is not ready: {text!r}"
        return {probe["name"]: probe["detail"] for probe in json.loads(text)["checks"]}

    def recorded(self) -> dict[str, int]:
        """Decisions in the log so far, by worker."""
        found: dict[str, int] = {}
        layout = Layout(self.state / "decisions")
        for name in layout.names():
            path = next(layout.segments.glob(f"{name}.*"))
            found[name.worker] = found.get(name.worker, 0) + path.read_bytes().count(b'"kind":"decision"')
        return found

    def audit(self) -> dict[str, Any]:
        """What `pdp audit verify` says of the records; what its signed heads cover has tests of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "pdp.cli", "audit", "verify", "--json", "--state-dir", str(self.state)],
            capture_output=True,
            check=False,
            timeout=START_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        said: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == 0, said
        return {name: said[name] for name in ("ok", "records", "findings")}

    def terminate(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Whatever happened: nothing of it is left."""
        below = family(self.process.pid)
        self.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(STOP_S)
            raise AssertionError(f"{self.name} did not end") from None


@contextmanager
def services(home: House, settings: Mapping[str, Mapping[str, object]]) -> Iterator[dict[str, Service]]:
    """Started together; ready when the block begins."""
    started: dict[str, Service] = {}
    try:
        for name, own in settings.items():
            started[name] = Service(home, name, own)
        until(lambda: all(service.is_up() for service in started.values()), "not every service came up")
        yield started
    finally:
        for service in started.values():
            service.terminate()
        with ExitStack() as stack:
            for service in started.values():
                stack.callback(service.end)
