"""`pdp serve` as an operator runs it: a process of its own, asked over HTTP, ended by a signal, killed in parts.

Every process is found below the one that a test started, and ended by its id.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from tests.processes import command_of, parents

pytestmark = [pytest.mark.system, pytest.mark.timeout(30)]

START_S = 40.0
STOP_S = 15.0
ANSWER_S = 10.0
LOOK_AGAIN_S = 0.02
LAST_LINE = "Stop with Ctrl-C."


@dataclass(frozen=True)
class Question:
    """An HTTP request as the printed curl line spells it."""

    url: str
    body: bytes
    headers: dict[str, str] = field(repr=False)  # with the key

    @property
    def key(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")

    def ask(self) -> tuple[int, Any]:
        """(status, JSON of the answer), over a connection of its own."""
        request = urllib.request.Request(self.url, self.body, self.headers)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read() or b"null")

    def with_key(self, key: str | None) -> Question:
        others = {name: value for name, value in self.headers.items() if name != "Authorization"}
        return replace(self, headers=others if key is None else {**others, "Authorization": f"Bearer {key}"})


def question_of(introduction: str) -> Question:
    """The request of the one curl line; raises where there is none, or it has a part that is not read here."""
    (line,) = re.findall(r"^\s*(curl (?:.*\\\n)*.*)$", introduction, re.MULTILINE)
    _, *words = shlex.split(line.replace("\\\n", " "))
    said: dict[str, list[str]] = {"-H": [], "-d": [], "": []}
    while words:
        word = words.pop(0)
        if word != "-s":
            said[word if word in said else ""].append(words.pop(0) if word in said else word)
    (url,), (body,) = said[""], said["-d"]
    return Question(url, body.encode(), dict(header.split(": ", 1) for header in said["-H"]))


class Served:
    """One `pdp serve --demo` on a free port, with its output in files."""

    def __init__(self, place: Path, *arguments: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self._out, self._err = place / "stdout", place / "stderr"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PDP_")}
        environment |= {"PDP_DECISION_TABLE": "off", "PDP_ENGINE_DEADLINE_MS": "5000"}
        command = [sys.executable, "-m", "pdp.cli", "serve", "--demo", "--port", "0", *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(place / "state")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
                cwd=place,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def log(self) -> list[dict[str, Any]]:
        """Every line of stderr; one that is no JSON, as of a traceback, fails the test."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def question(self) -> Question:
        until(lambda: LAST_LINE in self.stdout, f"no introduction: {self.stderr[-2000:]}", self.process)
        return question_of(self.stdout)

    def evaluators(self) -> dict[int, int]:
        """The process id of each evaluator below this service, and of the worker that it belongs to."""
        below = {self.process.pid}
        started_by = parents()
        while more := {pid for pid, parent in started_by.items() if parent in below} - below:
            below |= more
        return {
            pid: started_by[pid] for pid in below if pid in started_by and "pdp.engine.regorus_child" in command_of(pid)
        }

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(STOP_S)

    def close(self) -> None:
        """Whatever happened: nothing of it is left. A worker without its parent would go on."""
        if self.process.poll() is None:
            workers = set(self.evaluators().values())
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                for pid in {*workers, self.process.pid}:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait(STOP_S)


def until(holds: Callable[[], Any], otherwise: str, process: subprocess.Popen[bytes] | None = None) -> Any:
    """The first true value of `holds`; files and /proc can only be looked at, not awaited."""
    deadline = time.monotonic() + START_S
    while not (found := holds()):
        assert time.monotonic() < deadline, otherwise
        assert process is None or process.poll() is None, otherwise
        time.sleep(LOOK_AGAIN_S)
    return found


def reachable(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_S).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def serving(place: Path, *arguments: str) -> Iterator[Served]:
    served = Served(place, *arguments)
    try:
        yield served
    finally:
        served.close()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("one")) as served:
        yield served


# --- one worker


def test_the_printed_curl_line_is_answered_with_an_allow(one: Served) -> None:
    status, answer = one.question().ask()
    assert (status, answer["decision"]) == (200, True)


def test_a_caller_without_a_key_or_with_a_wrong_one_is_not_answered(one: Served) -> None:
    question = one.question()
    wrong = question.key[:-1] + ("0" if question.key[-1] != "0" else "1")
    for key in (None, wrong, "x"):
        status, answer = question.with_key(key).ask()
        assert status == 401
        assert "decision" not in (answer or {})


def test_an_evaluator_that_is_killed_is_replaced_and_the_service_goes_on(one: Served) -> None:
    question = one.question()
    before = set(one.evaluators())
    killed = min(before)
    os.kill(killed, signal.SIGKILL)

    def allowed() -> bool:
        status, answer = question.ask()
        assert status == 200, "a deny while the evaluator is replaced, but never an error"
        return bool(answer["decision"])

    until(allowed, "no allow any more")
    (evaluator,) = until(lambda: set(one.evaluators()) - before, "no new evaluator")
    assert evaluator != killed and killed not in parents()
    assert one.process.poll() is None


def test_a_term_signal_ends_the_service_without_a_traceback_and_no_secret_was_told(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "debug") as served:
        question = served.question()
        assert [question.ask()[0], question.with_key("sekisho_ab_cd").ask()[0]] == [200, 401]
        children = served.evaluators()
        began = time.monotonic()
        assert served.end() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < STOP_S
        assert not set(children) & set(parents()), "an evaluator outlived its worker"
    assert any(line["event"] == "Application shutdown complete." for line in served.log())
    assert not [line for line in served.log() if line["level"] in ("error", "critical") or "exception" in line]
    for secret in (question.key, question.key.rpartition("_")[2], "sekisho_ab_cd"):
        assert secret not in served.stderr


# --- two workers


def test_two_workers_both_answer_and_their_counts_are_joined(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        question = served.question()

        def both() -> set[int] | None:
            found = set(served.evaluators().values())
            return found if len(found) == 2 else None

        workers = until(both, "no two workers", served.process)
        until(lambda: reachable(question.url), "nobody listens", served.process)
        for worker in sorted(workers):
            with paused(worker):  # so that it is the other one that answers
                assert [question.ask()[1]["decision"] for _ in range(2)] == [True, True]

        def counted() -> bool:  # the other worker's counts are as old as its last look, a second at most
            metrics = urllib.request.urlopen(
                question.url.replace("/access/v1/evaluation", "/metrics"), timeout=ANSWER_S
            )
            with metrics:
                counts = re.findall(
                    r'^sekisho_decisions_total\{[^}]*outcome="allow"[^}]*\} (\S+)',
                    metrics.read().decode(),
                    re.MULTILINE,
                )
            assert len(counts) == 1
            return float(counts[0]) == 4.0

        until(counted, "the counts of both workers were not joined")
        served.end()
    assert not [line for line in served.log() if "exception" in line]


# --- a start that fails


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Served]]:
    """Started together and before they are asked for: two workers need ten seconds to give up."""
    place = tmp_path_factory.mktemp("failing")
    none = str(place / "no-such-bundle")
    served = {count: Served(place / str(count), "--workers", str(count), "--bundle", none) for count in (1, 2)}
    yield served
    for service in served.values():
        service.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_missing_bundle_ends_the_service_with_code_three_and_says_so(
    failing: dict[int, Served], workers: int
) -> None:
    served = failing[workers]
    assert served.process.wait(START_S) == 3
    told = [line for line in served.log() if line["logger"].startswith("pdp.")]
    assert len(told) == workers, "one line for each worker"
    for line in told:
        assert (line["event"], line["code"], line["level"]) == ("the service cannot start", "bundle_refused", "error")
        assert "no-such-bundle" in line["reason"] and line["next"]
    assert "Traceback" not in served.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_that_could_not_start_never_said_that_it_is_open(failing: dict[int, Served], workers: int) -> None:
    served = failing[workers]
    served.process.wait(START_S)
    assert "is open" not in served.stdout
