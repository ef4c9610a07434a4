"""`pdp serve` as an operator runs it, to be killed in parts, and clients that remember each answer they had."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from bench.processes import family, free_port
from tests.processes import command_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
PDP: Final = Path(sys.prefix) / "bin" / "pdp"
START_S: Final = 120.0  # of a machine that does much else
STOP_S: Final = 30.0
ANSWER_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.02
AGAIN_S: Final = 0.1  # after a request that had no answer
PATH: Final = "/access/v1/evaluation"

Part = Literal["worker", "parent", "notary", "all"]


class Service:
    """One state directory, and whatever process serves it now, always at the same port.

    The directory of people is empty: every answer is a denial, and a record like any other.
    """

    def __init__(self, place: Path, *, workers: int, durability: str, environment: Mapping[str, str] | None = None):
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.state = place / "state"
        self.answered: list[str] = []  # by the clients of a run, for whoever reckons later
        self.port = free_port()
        self._workers = workers
        self._settings = {
            "PDP_DATABASE_URL": f"sqlite:///{place / 'directory.db'}",
            "PDP_STATE_DIR": str(self.state),
            "PDP_BUNDLE": str(ROOT / "policies"),
            "PDP_DURABILITY": durability,
            "PDP_ENGINE_CHILDREN": "1",
            "PDP_ENGINE_DEADLINE_MS": "5000",  # two processors that others use too
            "PDP_PORT": str(self.port),
            "PDP_WORKERS": str(workers),
            "PDP_LOG_LEVEL": "warning",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.key: str = json.loads(
            self.pdp("caller", "add", "crash", *(f"--permission={one}" for one in RIGHTS), "--json")
        )["key"]

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PDP_")}
        own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PDP_DECISION_TABLE": "off"}
        return clean | own | self._settings

    def pdp(self, *arguments: str) -> str:
        """What a command says on stdout. Raises CalledProcessError."""
        clean = {name: value for name, value in self.environment().items() if name != "LD_PRELOAD"}
        command = [PDP, *arguments]
        done = subprocess.run(
            command, env=clean, cwd=self.place, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            sys.stderr.write(done.stderr + done.stdout)
        done.check_returncode()
        return done.stdout

    def start(self) -> None:
        with (self.place / "output.log").open("ab") as out:
            self._process = subprocess.Popen(
                [PDP, "serve"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd=self.place,
                start_new_session=True,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def until_ready(self) -> float:
        """Seconds until it said so. Raises TimeoutError, and RuntimeError where the process ended."""
        began = time.monotonic()
        while not self._ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended: {(self.place / 'output.log').read_text()[-2000:]}")
            if time.monotonic() - began > START_S:
                raise TimeoutError("the service is not ready")
            time.sleep(LOOK_AGAIN_S)
        return time.monotonic() - began

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            # Not `/readyz`, which says no where the directory of people is empty.
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def pids(self, part: Part) -> list[int]:
        """Of the processes that are this part; none where there is none now."""
        below = family(self.process.pid)
        if part == "all":
            return below
        if part == "parent":
            return below[:1]
        sign = "pdp.notary_child" if part == "notary" else "spawn_main"
        return [pid for pid in below[1:] if sign in command_of(pid)]

    def kill(self, part: Part, dice: random.Random) -> bool:
        """SIGKILL for one of that part, or for all; False where there was none."""
        if part == "all" or (part == "parent" and self._workers == 1):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_S)
            return True
        pids = self.pids(part)
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(dice.choice(pids), signal.SIGKILL)
        return True

    def end(self) -> None:
        """In order, as a service manager does it."""
        self.process.terminate()
        self.process.wait(STOP_S)

    def close(self) -> None:
        """Nothing of it is left, also not what a killed parent left behind."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)


RIGHTS: Final = ("decide", "batch", "assert_identity", "assert_network")


def _question(dice: random.Random) -> dict[str, Any]:
    return {
        "subject": {
            "type": "user",
            "id": f"u-{dice.randrange(500)}",
            "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}},
        },
        "action": {"name": "access"},
        "resource": {"type": "application", "id": dice.choice(("groupware", "mail", "finance"))},
        "context": {"device": {"id": f"d-{dice.randrange(500)}"}, "network": {"source_ip": "10.0.0.1"}},
    }


class Clients:
    """Threads that ask until they are told to end. `answered` are the decisions of every answer that arrived.

    One question in ten is a boxcar of five, one in twenty no question at all: a refusal is a decision too.
    `failed` counts the requests that had no answer, `refused` the answers that said so (5xx).
    """

    def __init__(self, port: int, key: str, *, clients: int, pause_s: float) -> None:
        self._port = port
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._fresh: list[str] = []
        self.answers = 0
        self.failed = 0
        self.refused = 0
        self.latencies: list[tuple[float, float, int]] = []  # (when, seconds, status), where wanted
        self.timed = False
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def take(self) -> list[str]:
        """The decisions that were answered since the last call."""
        with self._lock:
            taken, self._fresh = self._fresh, []
        return taken

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        dice = random.Random(number)  # which question
        connection: http.client.HTTPConnection | None = None
        while not self._ending.wait(self._pause_s * dice.random() * 2):
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
            began = time.monotonic()
            try:
                status = self._once(connection, dice)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                with self._lock:
                    self.failed += 1
                self._ending.wait(AGAIN_S)
                continue
            if self.timed:
                self.latencies.append((began, time.monotonic() - began, status))
        if connection is not None:
            connection.close()

    def _once(self, connection: http.client.HTTPConnection, dice: random.Random) -> int:
        kind = dice.random()
        if kind < 0.05:  # one in twenty
            path, body = PATH, b'{"subject":'
        elif kind < 0.15:  # one in ten
            path, body = f"{PATH}s", json.dumps({"evaluations": [_question(dice) for _ in range(5)]}).encode()
        else:
            path, body = PATH, json.dumps(_question(dice)).encode()
        connection.request("POST", path, body, self._headers)
        answer = connection.getresponse()
        # Counted from here on: the id has arrived, whatever becomes of the body.
        listed = [one for one in (answer.getheader("x-decision-id") or "").split(",") if one]
        with self._lock:
            if answer.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                self._fresh += listed
                self.answers += 1
            else:
                self.refused += 1
        answer.read()
        return answer.status


def until(holds: Callable[[], object], otherwise: str) -> None:
    """Processes of others can only be looked at, not awaited. Raises TimeoutError."""
    deadline = time.monotonic() + START_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(LOOK_AGAIN_S)
