"""The loops of a run: sweeps that fill a cache, closed loops in rounds, open loops at half load, boxcars.

Each cell goes over all contestants before the next one, and the first of a round changes from round to round:
what slows the machine for a while slows all of them.
"""

from __future__ import annotations

import re
import statistics
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import SERVER_CORE
from bench.effort import AT_ONCE, BOXCAR, CACHED, MOST_OPEN, SIDE, SIDE_ROUNDS, SINGLE_AT, STRIDE
from bench.load import closed_loop, open_loop, send_once, write_targets
from bench.processes import BenchError, cpu_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bench.contestants import Contestant, House
    from bench.effort import Effort
    from bench.processes import Server

_AWAKE_S: Final = 0.3  # for what a server has missed while it rested
_LOOKUPS: Final = re.compile(r'^sekisho_cache_lookups_total\{path="(\w+)"\} (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Track:
    """Who runs, and on what. `core`: the processor of the load, or None. `say` is told what is being done."""

    house: House
    entered: list[Contestant]
    servers: Mapping[str, Server]
    effort: Effort
    core: int | None
    say: Callable[[str], None]

    def load_core(self, one: Contestant) -> int | None:
        """The processor of the load for this one."""
        return SERVER_CORE + 1 if one.one_core else self.core

    def bodies(self, kind: str, one: Contestant) -> Path:
        return self.house.place / f"{kind}.{one.wire}.jsonl"

    def url(self, one: Contestant, path: str = "") -> str:
        return f"http://127.0.0.1:{self.servers[one.name].port}{path or one.path}"

    def targets(self, one: Contestant) -> Path:
        return self.house.place / f"{one.name}.targets"

    def write_all_targets(self) -> None:
        for one in self.entered:
            bodies = self.bodies("stream", one).read_text(encoding="utf-8").splitlines()
            write_targets(self.url(one), bodies, one.headers(self.house), self.targets(one))

    @contextmanager
    def alone(self, one: Contestant) -> Iterator[None]:
        """Only this one runs meanwhile: ten servers with nothing to do still look at their clocks and registers."""
        self.servers[one.name].go_on()
        time.sleep(_AWAKE_S)
        try:
            yield
        finally:
            self.servers[one.name].rest()

    def lookups(self, one: Contestant) -> dict[str, float]:
        """Decisions so far by their way past the cache, from our metrics."""
        if not one.ours:
            return {}
        with urllib.request.urlopen(self.url(one, "/metrics"), timeout=10) as answer:
            return {way: float(count) for way, count in _LOOKUPS.findall(answer.read().decode())}


def sweep(track: Track, one: Contestant) -> dict[str, float]:
    """The stream (or its beginning) once, as fast as it goes; the ways that its decisions took."""
    lines = track.targets(one).read_text(encoding="utf-8").splitlines(keepends=True)[: track.effort.sweep]
    once = track.targets(one).with_suffix(".once")
    once.write_text("".join(lines), encoding="utf-8")
    before = track.lookups(one)
    answered = send_once(once, AT_ONCE, core=track.load_core(one))
    if answered != len(lines):
        raise BenchError(f"{one.name}: {len(lines) - answered} of {len(lines)} answers were errors")
    return {way: count - before.get(way, 0) for way, count in track.lookups(one).items()}


def closed_rounds(track: Track, keep: Callable[[str, str, dict[str, Any]], None]) -> None:
    """`keep` is given the contestant's name, the cell's and its figures."""
    effort = track.effort
    for one in track.entered:
        if one.name not in CACHED:
            track.say(f"warm-up of {one.en}")
            with track.alone(one):
                _closed(track, one, "stream", effort.connections[-1], 0)
    for number in range(effort.rounds):
        shift = number % len(track.entered)
        turn = [
            one for one in track.entered[shift:] + track.entered[:shift] if one.name not in SIDE or number < SIDE_ROUNDS
        ]
        for kind in effort.kinds:
            for connections in effort.connections:
                for one in turn:
                    if one.name in SIDE and kind != "stream" and connections != SINGLE_AT:
                        continue
                    with track.alone(one):
                        if kind == "stream":
                            _fill(track, one)
                        track.say(f"round {number + 1} of {effort.rounds}: {kind}, {connections}, {one.en}")
                        keep(one.name, f"{kind}/{connections}", _closed(track, one, kind, connections, number * STRIDE))


def _fill(track: Track, one: Contestant) -> None:
    """Entries end with the policy's ttl while others have their turn (a step-up's after 15 s), all at once; under load
    they go one by one.
    """
    if one.name in CACHED:
        track.say(f"the stream once through {one.en}")
        sweep(track, one)


def _closed(track: Track, one: Contestant, kind: str, connections: int, first: int) -> dict[str, Any]:
    server = track.servers[one.name]
    helpers = [pid for helper in server.helpers for pid in helper.pids]
    before, before_helpers, ways = cpu_s(server.pids), cpu_s(helpers), track.lookups(one)
    load = closed_loop(
        track.url(one),
        track.bodies(kind, one),
        one.headers(track.house),
        connections,
        track.effort.seconds,
        first=first,
        core=track.load_core(one),
    )
    if load.errors:
        raise BenchError(f"{one.name}: {load.errors} of {load.requests} answers were errors ({kind}, {connections})")
    return {
        **asdict(load),
        "rate": load.rate,
        "cpu_us": (cpu_s(server.pids) - before) / max(1, load.requests) * 1e6,
        "helpers_cpu_us": (cpu_s(helpers) - before_helpers) / max(1, load.requests) * 1e6,
        "ways": {way: count - ways.get(way, 0) for way, count in track.lookups(one).items()},
    }


def open_rounds(
    track: Track, closed: Mapping[str, Mapping[str, list[dict[str, Any]]]]
) -> dict[str, list[dict[str, Any]]]:
    """The stream at half of the highest rate that `closed` has for each, or at what vegeta can send."""
    found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in track.entered}
    for number in range(track.effort.open_rounds):
        for one in track.entered:
            rate = min(_highest(closed[one.name]) / 2, MOST_OPEN)
            track.say(f"half load, round {number + 1} of {track.effort.open_rounds}: {one.en}")
            with track.alone(one):
                _fill(track, one)
                load = open_loop(track.targets(one), rate, track.effort.open_s, core=track.load_core(one))
            if load.errors:
                raise BenchError(f"{one.name}: {load.errors} of {load.requests} answers were errors at half load")
            found[one.name].append(asdict(load))
    return found


def _highest(cells: Mapping[str, list[dict[str, Any]]]) -> float:
    return max(
        float(statistics.median(cell["rate"] for cell in rounds))
        for name, rounds in cells.items()
        if name.startswith("stream/")
    )


def boxcars(track: Track, one: Contestant) -> dict[str, list[dict[str, float]]]:
    """Calls of 100 evaluations out of the same stream, by connections."""
    found: dict[str, list[dict[str, float]]] = {}
    _fill(track, one)
    for number in range(track.effort.rounds):
        for connections in track.effort.connections:
            track.say(f"boxcars of {BOXCAR}, {connections} connections")
            load = closed_loop(
                track.url(one, "/access/v1/evaluations"),
                track.bodies("boxcar", one),
                one.headers(track.house),
                connections,
                track.effort.seconds,
                first=17 * number,
                core=track.core,
            )
            if load.errors:
                raise BenchError(f"boxcars: {load.errors} of {load.requests} answers were errors")
            cell = {"decisions_per_s": load.rate * BOXCAR, "p50_ms": load.p50_ms, "p99_ms": load.p99_ms}
            found.setdefault(str(connections), []).append(cell)
    return found
