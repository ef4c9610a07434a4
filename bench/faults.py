"""What a fault of Redis costs while it lasts: `python -m bench.faults [--quick] [--rounds N] [--results FILE]`.

A service is asked the realistic stream in an open loop, at half of the highest rate that it can bear *without*
Redis: a service that has lost its Redis has to evaluate by itself, and one that is asked for more than that has
another problem than latency. A third of the way in, Redis is hurt; two thirds in, it is mended. Each latency
counts for the third in which its request was due, so the instants of losing and of finding Redis count too.

| row | |
|---|---|
| both levels | what a worker has seen, it knows without Redis |
| Redis only | `cache_entries = 0`: every decision asks Redis, which is the most that a fault can hurt |

Exit codes: 0 the limits of bench/limits.toml [faults] hold, 1 some do not, 2 the figures would mean nothing.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench.contestants import HERE, PDP, ROOT, prepare, tool
from bench.documents import Archive
from bench.effort import STREAM
from bench.load import closed_loop, quantile, send_once, write_targets
from bench.machine import describe
from bench.prefecture import stream_of
from bench.processes import BenchError, Server, free_port, start
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.namespace import Namespace
from tests.valkey_server import ValkeyServer, valkey_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.contestants import House

SETTLE_S: Final = 1.0  # of each open loop: connections are being opened
_LOOKUPS: Final = re.compile(r'^sekisho_cache_lookups_total\{path="(\w+)"\} (\S+)', re.MULTILINE)
PHASES: Final = ("before", "while", "after")
CONNECTIONS: Final = 32
MOST_CONNECTIONS: Final = 512  # of an open loop; a request that is due does not wait for another one's answer
FIRST: Final = 2_000  # questions of the stream that a cache knows when the highest rate is looked for
SLOW_S: Final = 0.05
GENTLY: Final = 4  # requests under way while a cache is filled: more, and a busy machine looks like a slow Redis
LEAST_HITS: Final = 0.5  # before the fault; with fewer, there is nothing that it could take away
WELL_S: Final = 30.0
# Without a decision table: with one, Redis is not read at all.
ROWS: Final = {
    "both levels": {"DECISION_TABLE": "off"},
    "Redis only": {"DECISION_TABLE": "off", "CACHE_ENTRIES": "0"},
}


@dataclass(frozen=True)
class Fault:
    """`hurt` and `mend` are called with the Valkey, the proxy before it, and the network that it stands in."""

    name: str
    hurt: Callable[[Scene], object]
    mend: Callable[[Scene], object]
    through_proxy: bool = False


@dataclass(frozen=True)
class Scene:
    valkey: ValkeyServer
    proxy: FlakyProxy
    network: Namespace | None


def _slow(scene: Scene, delay_s: float) -> None:
    scene.proxy.delay_s = delay_s


def _cut(scene: Scene) -> None:
    if scene.network is not None:
        scene.network.pull()
    else:
        scene.proxy.manner = "swallow"


def _join(scene: Scene) -> None:
    if scene.network is not None:
        scene.network.mend()
    else:
        scene.proxy.manner = "pass"
        scene.proxy.drop_connections()


def faults(*, in_namespace: bool) -> list[Fault]:
    partitioned = "partitioned" if in_namespace else "partitioned (by a proxy)"
    return [
        Fault("killed", lambda scene: scene.valkey.kill(), lambda scene: scene.valkey.restart()),
        Fault("frozen", lambda scene: scene.valkey.freeze(), lambda scene: scene.valkey.thaw()),
        Fault(partitioned, _cut, _join, through_proxy=not in_namespace),
        Fault("slow (50 ms)", lambda scene: _slow(scene, SLOW_S), lambda scene: _slow(scene, 0), through_proxy=True),
    ]


@dataclass(frozen=True)
class Third:
    """The requests that were due in one third, and the decisions made in it. Times in ms, from when they were due."""

    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    hits: float  # share of the decisions that were not evaluated


class Run:
    """Rows times faults times rounds. `say` is told what is being done."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a run is
        self, house: House, bodies: Path, third_s: float, rounds: int, durability: str, say: Callable[[str], None]
    ) -> None:
        self._durability = durability
        self._house = house
        self._bodies = bodies
        self._third_s = third_s
        self._whole_s = SETTLE_S + 3 * third_s
        self._rounds = rounds
        self._say = say
        self._headers = ["Content-Type: application/json", f"Authorization: Bearer {house.key}"]

    def rate(self, row: str) -> float:
        """Half of the highest rate of this row with a Redis that is not there."""
        self._say(f"{row}: the highest rate without Redis")
        with self._service(row, f"redis://127.0.0.1:{free_port()}", f"{_word(row)}-rate") as server:
            self._fill(server, FIRST)
            load = closed_loop(
                self._url(server), self._bodies, self._headers, CONNECTIONS, max(1, round(self._third_s))
            )
        if load.errors:
            raise BenchError(f"{row}: {load.errors} errors without Redis")
        return load.rate / 2

    def measure(self, row: str, fault: Fault, rate: float, scene: Scene) -> list[dict[str, Any]]:
        """One entry for each round: the thirds, and what the metrics counted."""
        found: list[dict[str, Any]] = []
        url = scene.proxy.url if fault.through_proxy else scene.valkey.url
        place = _word(f"{row}-{fault.name}")
        with self._service(row, url, place) as server:
            for number in range(self._rounds):
                self._say(f"{row}, {fault.name}: round {number + 1} of {self._rounds} at {rate:.0f} a second")
                self._is_well(server)
                self._fill(server, round(rate * self._whole_s))
                thirds = self._hurt(server, fault, rate, scene)
                if thirds[0].hits < LEAST_HITS:
                    raise BenchError(f"{row}, {fault.name}: only {thirds[0].hits:.0%} were known before the fault")
                self._is_well(server)
                found.append({name: asdict(third) for name, third in zip(PHASES, thirds, strict=True)})
        return found

    def _hurt(self, server: Server, fault: Fault, rate: float, scene: Scene) -> list[Third]:
        """The open loop, with the fault in its second third."""
        targets = self._targets(server)
        results = targets.with_suffix(".results")
        attack = [
            tool("vegeta"), "attack", "-format=json", f"-targets={targets}", f"-rate={round(rate)}/1s",
            f"-duration={self._whole_s:g}s", "-timeout=10s", "-max-body=0", f"-workers={CONNECTIONS}",
            f"-connections={MOST_CONNECTIONS}", f"-output={results}", "-redirects=-1",
        ]  # fmt: skip
        process = subprocess.Popen(attack, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        began = time.time_ns()
        ways: dict[int, tuple[float, float]] = {}

        def act(number: int, instant_ns: int, change: Callable[[Scene], object]) -> None:
            time.sleep(max(0.0, (instant_ns - time.time_ns()) / 1e9))
            ways[number] = _ways(server)
            change(scene)

        moments = [began + int((SETTLE_S + third * self._third_s) * 1e9) for third in range(4)]
        changes = [_nothing, fault.hurt, fault.mend, _nothing]
        acts = [threading.Thread(target=act, args=one) for one in zip(range(4), moments, changes, strict=True)]
        for one in acts:
            one.start()
        _, said = process.communicate(timeout=self._whole_s + 60)
        for one in acts:
            one.join()
        if process.returncode:
            raise BenchError(f"vegeta failed: {said.decode()[-800:]}")
        return _thirds(results, round(rate), moments, [ways[number] for number in range(4)])

    @contextmanager
    def _service(self, row: str, url: str, place: str) -> Iterator[Server]:
        port = free_port()
        own = {
            "DATABASE_URL": self._house.database_url,
            "STATE_DIR": str(self._house.place / place / "state"),
            "BUNDLE": str(self._house.bundle),
            "REDIS_URL": url,
            "DURABILITY": self._durability,
            **ROWS[row],
        }
        environment = {f"PDP_{key}": value for key, value in own.items()}
        command = [str(PDP), "serve", "--port", str(port), "--log-level", "warning"]
        server = start(place, command, port, "/readyz", self._house.place / place, environment=environment)
        try:
            yield server
        finally:
            server.close()

    def _fill(self, server: Server, count: int) -> None:
        """So many questions once, so that what is measured is a service that runs, not one that starts."""
        targets = self._targets(server)
        lines = targets.read_text(encoding="utf-8").splitlines(keepends=True)[:count]
        once = targets.with_suffix(".once")
        once.write_text("".join(lines), encoding="utf-8")
        if send_once(once, GENTLY) != len(lines):
            raise BenchError(f"{server.name}: errors while the cache was filled")

    def _targets(self, server: Server) -> Path:
        file = self._house.place / f"{server.name}.targets"
        if not file.exists():
            write_targets(self._url(server), self._bodies.read_text().splitlines(), self._headers, file)
        return file

    @staticmethod
    def _url(server: Server) -> str:
        return f"http://127.0.0.1:{server.port}/access/v1/evaluation"

    @staticmethod
    def _is_well(server: Server) -> None:
        end = time.monotonic() + WELL_S
        while time.monotonic() < end:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
                if b"sekisho_redis_up 1.0" in answer.read():
                    return
            time.sleep(0.1)
        raise BenchError(f"{server.name} does not find Redis")


def _word(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-")


def _nothing(_: Scene) -> None:
    pass


def _ways(server: Server) -> tuple[float, float]:
    """Decisions so far: known, and evaluated. As old as the service's last look at its parts, a second at most."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        found = dict(_LOOKUPS.findall(answer.read().decode()))
    return float(found.get("hit", 0)), float(found.get("miss", 0))


def _thirds(results: Path, rate: float, moments: Sequence[int], ways: Sequence[tuple[float, float]]) -> list[Third]:
    """By when each request was due (see bench/load.py)."""
    environment = {**os.environ, "GOMAXPROCS": "1"}
    encode = [tool("vegeta"), "encode", "-to", "csv", str(results)]
    rows = subprocess.run(encode, capture_output=True, text=True, check=True, timeout=120, env=environment).stdout
    results.unlink()
    measured = [(int(row[8]), int(row[0]), int(row[2]), row[1]) for row in csv.reader(rows.splitlines())]
    step_ns = 1e9 / rate
    clock = min(begun - number * step_ns for number, begun, _, _ in measured)
    found = []
    for (first, then), (last, now) in itertools.pairwise(zip(moments, ways, strict=True)):
        due = [one for one in measured if first <= clock + one[0] * step_ns < last]
        waits = sorted((begun + took - clock - number * step_ns) / 1e6 for number, begun, took, _ in due)
        if not waits:
            raise BenchError("nothing was asked in a third")
        errors = sum(status != "200" for *_, status in due)
        hits, misses = now[0] - then[0], now[1] - then[1]
        share = hits / max(1.0, hits + misses)
        found.append(Third(len(waits), errors, quantile(waits, 0.5), quantile(waits, 0.99), waits[-1], share))
    return found


def ratio(rounds: Sequence[dict[str, Any]], figure: str = "p99_ms") -> float:
    """While it lasts over before it; the median of the rounds."""
    return float(statistics.median(one["while"][figure] / one["before"][figure] for one in rounds))


def check(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Each limit of [faults] whose row was measured, with the worst of that row."""
    limits = tomllib.loads((HERE / "limits.toml").read_text(encoding="utf-8"))["faults"]["limit"]
    checked = []
    for limit in limits:
        if limit["row"] not in results["rows"]:
            continue
        values = {name: ratio(rounds) for name, rounds in results["rows"][limit["row"]]["faults"].items()}
        worst = max(values, key=lambda name: values[name])
        checked.append({**limit, "value": values[worst], "fault": worst, "holds": values[worst] <= limit["at_most"]})
    return checked


def print_table(results: dict[str, Any]) -> None:
    table = Table(title="Redis is hurt: open loop, ms from when a request was due", title_justify="left")
    for column in (
        "",
        "fault",
        "requests/s",
        *(f"{what} {phase}" for phase in PHASES for what in ("p50", "p99", "hits")),
        "x p99",
    ):
        table.add_column(column, justify="left" if column in ("", "fault") else "right")
    for row, said in results["rows"].items():
        for name, rounds in said["faults"].items():
            figures = [
                statistics.median(one[phase][what] for one in rounds)
                for phase in PHASES
                for what in ("p50_ms", "p99_ms", "hits")
            ]
            cells = [f"{figure:.2f}" for figure in figures]
            table.add_row(row, name, f"{said['rate']:,.0f}", *cells, f"{ratio(rounds):.2f}")
    console = Console(width=max(Console().width, 130))
    console.print(table)
    for one in results["limits"]:
        verdict = "holds" if one["holds"] else "DOES NOT HOLD"
        console.print(
            f"{one['name']}: {one['value']:.2f} {one['unit']} ({one['fault']}), limit {one['at_most']:g}: {verdict}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.faults", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="does it work; the figures mean little")
    parser.add_argument("--rounds", type=int, default=None, help="of each fault; default: 3")
    parser.add_argument("--only", default="", help="rows, with commas; default: all")
    parser.add_argument("--durability", choices=("power", "process"), default="power", help="of the decision log")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "faults.json")
    parser.add_argument("--place", type=Path, default=ROOT / "var" / "bench-faults", help="emptied; on a real disk")
    chosen = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    rows = [row for row in ROWS if row in (chosen.only.split(",") if chosen.only else ROWS)]
    third_s, rounds = (1.0, 1) if chosen.quick else (4.0, 3)
    try:
        results = measure(chosen.place.resolve(), rows, third_s, chosen.rounds or rounds, chosen.durability, say)
    except BenchError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    results["limits"] = check(results)
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    chosen.results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_table(results)
    print(f"\nwritten: {os.path.relpath(chosen.results)}")
    return 0 if all(one["holds"] for one in results["limits"]) else 1


def measure(  # noqa: PLR0913, PLR0917  # as Run
    place: Path, rows: Sequence[str], third_s: float, rounds: int, durability: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """The raw figures, as they are written to JSON. Raises BenchError, also where an answer was an error."""
    say("the demonstration directory and the stream")
    house = prepare(place, None)
    archive = Archive(house.database_url, house.bundle)
    stream = stream_of(archive.snapshot, datetime.now(UTC), STREAM)
    bodies = place / "stream.authzen.jsonl"
    bodies.write_text("".join(question.body() + "\n" for question in stream.questions), encoding="utf-8")
    results: dict[str, Any] = {
        "meta": {**describe(archive), "third_s": third_s, "rounds": rounds, "durability": durability},
        "rows": {},
    }
    run = Run(house, bodies, third_s, rounds, durability, say)
    with ExitStack() as stack:
        network = stack.enter_context(Namespace()) if Namespace.is_possible() else None
        where = {} if network is None else {"host": network.address, "namespace": network.name, "port": 7000}
        valkey = stack.enter_context(valkey_server(**where))
        scene = Scene(valkey, stack.enter_context(flaky_proxy(valkey.path)), network)
        for row in rows:
            rate = run.rate(row)
            found = {one.name: run.measure(row, one, rate, scene) for one in faults(in_namespace=network is not None)}
            results["rows"][row] = {"rate": rate, "faults": found}
    errors = [
        f"{row}, {fault}, {phase}: {third['errors']}"
        for row, said in results["rows"].items()
        for fault, found in said["faults"].items()
        for one in found
        for phase, third in one.items()
        if third["errors"]
    ]
    if errors:
        raise BenchError(f"answers that were errors: {'; '.join(errors)}")
    return results


if __name__ == "__main__":
    sys.exit(main())
