"""Questions whose answers are known, asked of running services without pause while a test does something to them.

The answers are known from `Checkpoint.decide` in this process, over the same registers, without any cache.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pdp.activation import Activation
from pdp.bundle.bundle import Bundle
from pdp.directory.personas import STORIES, Story
from pdp.directory.snapshot import load_snapshot
from pdp.engine.regorus import RegorusEngine
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.model.directory import Snapshot
from pdp.model.request import AccessRequest, AssertedClaims, Network
from pdp.scenario.in_process import InProcess
from pdp.scenario.world import address_in
from pdp.store.store import open_store
from tests.fleet import House, Samples, Service, until
from tests.valkey_server import ValkeyServer

PACE_S = 0.02
PEP = ("clipboard", "print", "save", "download", "browser_only", "record_session")
STEADY = timedelta(minutes=10)  # a test is over by then, so no fact of these questions changes under it
UNSURE_S = 10.0  # the longest that an answer holds while news cannot be heard


@dataclass(frozen=True)
class Question:
    """`outcome` and `reasons` are what every answer must say; it holds for `lasts_s` where news are heard."""

    name: str
    body: bytes
    outcome: str
    reasons: tuple[str, ...]
    lasts_s: float


def questions(home: House, bundle: Bundle) -> list[Question]:
    """Every story of the named people that ends alike now and in a while."""
    store = open_store(home.database_url)
    try:
        snapshot = load_snapshot(store)
    finally:
        store.close()
    return asyncio.run(_known(bundle, snapshot, datetime.now(UTC)))


async def _known(bundle: Bundle, snapshot: Snapshot, now: datetime) -> list[Question]:
    engine = RegorusEngine(timedelta(seconds=20))
    try:
        activation = Activation(engine)
        await activation.activate(bundle)
        way = InProcess(engine, bundle, footprint=activation.active().footprint)
        found = []
        for story in (*STORIES, *(replace(story, auth_level=1) for story in STORIES)):
            request = _request(story, way, now - timedelta(minutes=5))
            first, last = [await way.decide(snapshot, request, at) for at in (now, now + STEADY)]
            if first.verdict == last.verdict and first.fault is None:
                name = f"{story.user} {story.device} {story.resource} {story.zone} {story.auth_level}"
                lasts_s = (first.expires_at - now).total_seconds()
                verdict = first.verdict
                found.append(Question(name, _body(request), verdict.outcome.value, verdict.reasons, lasts_s))
    finally:
        await engine.close()
    assert len(found) > len(STORIES)
    assert {question.outcome for question in found} == {"allow", "limit", "step_up", "deny"}
    return found


def _request(story: Story, way: InProcess, auth_time: datetime) -> AccessRequest:
    address, tunnel = address_in(story.zone, way.reference)
    underlay = "office" if story.zone == "office" else "carrier"
    return AccessRequest(
        subject_id=story.user,
        resource_id=story.resource,
        action=story.action,
        identity=AssertedClaims(acr=ACR_OF_LEVEL[story.auth_level], auth_time=auth_time.replace(microsecond=0)),
        device_id=story.device,
        network=Network(source_ip=address, tunnel=tunnel, underlay=underlay, path_encrypted=True, country="JP"),
        pep=PEP,
        wire="authzen",
    )


def _body(request: AccessRequest) -> bytes:
    """The same as an AuthZEN request."""
    claims = request.identity
    assert isinstance(claims, AssertedClaims)
    assert claims.auth_time is not None
    said = {"acr": claims.acr, "auth_time": int(claims.auth_time.timestamp())}
    network = {name: getattr(request.network, name) for name in ("source_ip", "tunnel", "underlay", "country")}
    return msgspec.json.encode(
        {
            "subject": {"type": "user", "id": request.subject_id, "properties": {"claims": said}},
            "action": {"name": request.action},
            "resource": {"type": "application", "id": request.resource_id},
            "context": {
                "device": {"id": request.device_id},
                "network": {**network, "path_encrypted": request.network.path_encrypted},
                "pep": list(request.pep),
            },
        }
    )


class Asker:
    """One line to one service; it says at once what is wrong with an answer."""

    def __init__(self, service: Service, *, keep_alive: bool = True) -> None:
        self._service = service
        self._keep_alive = keep_alive
        self._headers = {"Authorization": f"Bearer {service.home.key}", "Content-Type": "application/json"}
        self._connection = service.connect()

    def ask(self, question: Question) -> tuple[float, str | None]:
        """(for how many seconds the answer holds, None or what is wrong with it). Raises OSError, HTTPException."""
        if not self._keep_alive:
            self._connection.close()
        self._connection.request("POST", "/access/v1/evaluation", question.body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            return 0.0, f"{self._service}: {answer.status} {text[:300]!r} for {question.name}"
        said: dict[str, Any] = json.loads(text)["context"]
        holds_s = (datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC)).total_seconds()
        if (said["outcome"], tuple(said["reasons"])) != (question.outcome, question.reasons):
            return holds_s, f"{self._service}: {said['outcome']} {said['reasons']}, not as known, for {question.name}"
        return holds_s, None

    def close(self) -> None:
        self._connection.close()


class Stream:
    """What came of the questions. `faults`: everything that must not happen; `answered`: how many, by service."""

    def __init__(self, services: Sequence[Service], known: Sequence[Question]) -> None:
        self.services = services
        self.faults: list[str] = []
        self.answered = {service.name: 0 for service in services}
        self._known = known
        self._unsure = False
        self._ending: set[str] = set()
        self._held: dict[str, deque[bool]] = {service.name: deque(maxlen=30) for service in services}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(service, keep_alive), daemon=True)
            for service in services
            for keep_alive in (True, True, False)  # a new connection finds the worker that the others have not
        ]

    def goes_on(self, more: int = 30) -> None:
        """Every service answers so many more."""
        before = dict(self.answered)
        until(
            lambda: self.faults or all(self.answered[name] >= count + more for name, count in before.items()),
            lambda: f"no answers any more: {before} {self.answered}",
        )
        assert self.faults == []

    def ends_soon(self) -> None:
        """Wait until every answer holds for ten seconds at most; from now on every one must, until `may_last`."""
        for held in self._held.values():
            held.clear()
        self._wait_for(short=True)
        self._unsure = True

    def may_last(self) -> None:
        self._unsure = False

    def lasts_again(self) -> None:
        """Wait until answers are given out for as long as the policy says."""
        for held in self._held.values():
            held.clear()
        self._wait_for(short=False)

    def _wait_for(self, *, short: bool) -> None:
        until(
            lambda: (
                self.faults or all(len(held) == held.maxlen and set(held) == {short} for held in self._held.values())
            ),
            lambda: f"answers do not hold for {'a short' if short else 'their whole'} time: {self._held}",
        )
        assert self.faults == []

    def service_ends(self, service: Service) -> None:
        """From now on it may close its connections. What it still answers must be right."""
        self._ending.add(service.name)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _run(self, service: Service, keep_alive: bool) -> None:
        asker, chance = Asker(service, keep_alive=keep_alive), random.Random()
        try:
            while not self._stop.is_set():
                self._ask(service, asker, chance.choice(self._known))
                time.sleep(PACE_S)
        except (OSError, http.client.HTTPException) as fault:
            if service.name not in self._ending:
                self.faults.append(f"{service}: {fault!r}")
        finally:
            asker.close()

    def _ask(self, service: Service, asker: Asker, question: Question) -> None:
        unsure = self._unsure
        holds_s, wrong = asker.ask(question)
        with self._lock:
            self.answered[service.name] += 1
            if wrong is not None:
                self.faults.append(wrong)
            if question.lasts_s > UNSURE_S + 1:
                self._held[service.name].append(holds_s <= UNSURE_S)
            if unsure and self._unsure and holds_s > UNSURE_S:
                self.faults.append(f"{service}: holds {holds_s:.0f} s, and news cannot be heard")


@contextmanager
def asked(services: Sequence[Service], known: Sequence[Question], *, exactly: bool = True) -> Iterator[Stream]:
    """The stream, while the block runs. At its end nothing may have been wrong; `exactly`: every answer is recorded."""
    before = {service.name: sum(service.recorded().values()) for service in services}
    stream = Stream(services, known)
    stream.start()
    try:
        yield stream
    finally:
        stream.stop()
        assert stream.faults == []
    for service in services if exactly else ():
        new = sum(service.recorded().values()) - before[service.name]
        assert new == stream.answered[service.name], f"{service}: {new} records"


@dataclass
class Fleet:
    """Services, the Valkey behind them, and what their metrics said when a test last looked."""

    services: list[Service]
    valkey: ValkeyServer
    known: list[Question]
    before: dict[str, Samples] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # of the stream that is asked now

    @contextmanager
    def asked(self) -> Iterator[Stream]:
        """Everybody is well and asked; and at the end is well again."""
        self.are_well()
        with asked(self.services, self.known) as stream:
            self.faults = stream.faults
            stream.goes_on()
            self.look()
            yield stream
            self.are_well()
            self.look()
            self.see(self.rises("redis_reads_total", "hits"), "no hits any more")
            stream.goes_on()

    def look(self) -> None:
        self.before = {service.name: service.metrics() for service in self.services}

    def see(self, holds: Callable[[Service, Samples], bool], otherwise: str) -> None:
        """Wait until it holds for every service; each is ready all the time, and no answer is wrong."""

        def missing() -> list[str]:
            for service in self.services:
                service.details()
            return [service.name for service in self.services if not holds(service, service.metrics())]

        until(
            lambda: self.faults or not missing(),
            lambda: f"{otherwise}: {missing()} of {[service.details() for service in self.services]}",
        )
        assert self.faults == []

    def rises(self, name: str, label: str = "") -> Callable[[Service, Samples], bool]:
        """Since the last look, by one for each worker at least."""
        at = (name, label)
        return lambda service, now: now.get(at, 0) >= self.before[service.name].get(at, 0) + service.workers

    def one_rises(self, name: str, label: str = "") -> Callable[[Service, Samples], bool]:
        """By one at least, whichever worker it was."""
        return lambda service, now: now.get((name, label), 0) > self.before[service.name].get((name, label), 0)

    def are_well(self) -> None:
        self.see(lambda _, now: now["redis_up", ""] == now["news_up", ""] == 1, "not everybody is well")
        self.say_so("shared_cache", "up")
        self.say_so("news", "up")

    def say_so(self, part: str, word: str) -> None:
        """`/readyz` names the fault."""
        self.see(lambda service, _: service.details()[part].startswith(word), f"nobody says `{word}` of {part}")
