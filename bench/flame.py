"""`make profile`: where each microsecond goes, warm and cold, as a table and as flame graphs (SVG).

    python -m bench.flame [--seconds N] [--connections N] [--results DIR]

Three loops each over the realistic stream: one undisturbed, for CPU (per thread, /proc) and for the service's own
steps (`sekisho_step_seconds`); one sampled by py-spy into stacks, whose shares split the main thread's CPU among
the modules; one sampled into the flame graph. A sample counts for the innermost frame that is a module of the list
below, so what C code does (sockets, digests, JSON) counts for the module that called it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import CONTESTANTS, HERE, ROOT, Contestant, House, prepare
from bench.documents import Archive
from bench.effort import QUICK, STREAM
from bench.load import closed_loop
from bench.prefecture import stream_of
from bench.processes import BenchError, Server, cpu_s, thread_cpu_s
from bench.rounds import Track, sweep
from bench.table import number
from bench.tables import wait_for_table

if TYPE_CHECKING:
    from collections.abc import Iterable

PROFILED: Final = ("warm", "cold")
_RATE: Final = 250  # samples a second
_STEPS: Final = re.compile(r'^sekisho_step_seconds_(sum|count)\{step="(\w+)"\} (\S+)', re.MULTILINE)
_THREAD: Final = re.compile(r"^thread \((\d+)\): ([^;]*);", re.MULTILINE)
_MAIN: Final = "MainThread"
# The beginning of a file's name as py-spy tells it, and what it is.
PARTS: Final = (
    ("uvicorn/", "uvicorn: protocol, writing to the socket"),
    ("asyncio/", "uvloop and httptools: sockets, parsing, turns of the loop"),
    ("pdp/server.py", "lane"),
    ("pdp/api/", "lane"),
    ("pdp/wire/", "wire: reading the question, writing the answer"),
    ("pdp/callers/", "caller"),
    ("pdp/identity/", "identity"),
    ("pdp/premises.py", "facts"),
    ("pdp/facts/", "facts"),
    ("pdp/cache/", "cache"),
    ("pdp/table/", "table"),
    ("pdp/engine/", "engine: talking to the evaluator"),
    ("pdp/declog/", "record: making it, handing it over"),
    ("pdp/metrics.py", "metrics"),
    ("prometheus_client/", "metrics"),
    ("pdp/", "decide: the steps, reasons, expiry"),
)
_ELSE: Final = "everything else"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.flame", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--place", type=Path, default=ROOT / "var" / "profile", help="emptied")
    chosen = parser.parse_args()
    try:
        found = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "connections": chosen.connections,
            "profiles": _profiles(chosen.place.resolve(), chosen.results, chosen.seconds, chosen.connections),
        }
    except BenchError as fault:
        print(f"profile: {fault}", file=sys.stderr)
        return 2
    (chosen.results / "profile.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, profile in found["profiles"].items():
        _print(name, profile, chosen.results)
    return 0


def _profiles(place: Path, results: Path, seconds: int, connections: int) -> dict[str, Any]:
    results.mkdir(parents=True, exist_ok=True)
    house = prepare(place, None)
    archive = Archive(house.database_url, house.bundle)
    questions = stream_of(archive.snapshot, datetime.now(UTC), STREAM).questions
    (place / "stream.authzen.jsonl").write_text("\n".join(q.body() for q in questions) + "\n", encoding="utf-8")
    found = {}
    for one in CONTESTANTS:
        if one.name in PROFILED:
            print(f"profiling {one.en}", file=sys.stderr, flush=True)
            server = one.boot(house, one.name)
            try:
                found[one.name] = _profile(house, one, server, results, seconds, connections)
            finally:
                server.close()
    return found


def _profile(  # noqa: PLR0913, PLR0917  # what a profile is made of
    house: House, one: Contestant, server: Server, results: Path, seconds: int, connections: int
) -> dict[str, Any]:
    track = Track(house, [one], {one.name: server}, replace(QUICK, sweep=STREAM), None, lambda _: None)
    track.write_all_targets()
    if not wait_for_table(server):
        raise BenchError(f"{one.name}: no decision table")
    if one.name == "warm":
        sweep(track, one)
    pid, children = server.process.pid, server.pids[1:]
    threads, child_s, steps = thread_cpu_s(pid), cpu_s(children), _steps(track, one)
    load = _loop(track, one, connections, seconds)
    used = {tid: after - threads.get(tid, 0.0) for tid, after in thread_cpu_s(pid).items()}
    evaluator_s, ended, decisions = cpu_s(children) - child_s, _steps(track, one), load.requests
    stacks = _sampled(track, one, pid, connections, seconds, results, "raw").read_text(encoding="utf-8").splitlines()
    svg = _sampled(track, one, pid, connections, seconds, results, "flamegraph")
    log_threads = {tid for tid, name in thread_names(stacks).items() if name.startswith("declog")}
    by_kind = {"main": 0.0, "log": 0.0, "other": 0.0}
    for tid, seconds_used in used.items():
        by_kind["main" if tid == pid else "log" if tid in log_threads else "other"] += seconds_used / decisions * 1e6
    return {
        "rate": load.rate,
        "parts_us": {part: share * by_kind["main"] for part, share in shares(stacks).items()},
        "log_thread_us": by_kind["log"],
        "other_threads_us": by_kind["other"],
        "evaluator_us": evaluator_s / decisions * 1e6,
        "steps": {step: _between(steps.get(step, (0.0, 0.0)), after, decisions) for step, after in ended.items()},
        "flame": svg.name,
    }  # fmt: skip


def _between(before: tuple[float, float], after: tuple[float, float], decisions: int) -> dict[str, float]:
    """`us` from the step before to this one, waiting included; `share` of the decisions that took this step."""
    times = after[1] - before[1]
    return {"us": (after[0] - before[0]) / max(1.0, times) * 1e6, "share": times / decisions}


def _loop(track: Track, one: Contestant, connections: int, seconds: int) -> Any:
    bodies = track.bodies("stream", one)
    load = closed_loop(track.url(one), bodies, one.headers(track.house), connections, seconds)
    if load.errors:
        raise BenchError(f"{load.errors} of {load.requests} answers were errors")
    return load


def _sampled(  # noqa: PLR0913, PLR0917  # what py-spy has to be told
    track: Track, one: Contestant, pid: int, connections: int, seconds: int, results: Path, form: str
) -> Path:
    spy = shutil.which("py-spy", path=str(Path(sys.prefix) / "bin"))
    if spy is None:
        raise BenchError("no `py-spy` in .venv/bin: run `make dev`")
    file = results / f"flame-{one.name}.{'svg' if form == 'flamegraph' else 'txt'}"
    command = [spy, "record", "-p", str(pid), "-d", str(seconds), "-r", str(_RATE), "-t", "-f", form, "-o", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as watching:
        _loop(track, one, connections, seconds + 1)  # so that every sample is one of work
        said = watching.communicate(timeout=60)[1]
    if watching.returncode:
        raise BenchError(f"py-spy failed (it needs root, or kernel.yama.ptrace_scope=0): {said[-300:]}")
    return file


def thread_names(stacks: Iterable[str]) -> dict[int, str]:
    """By id, as the first frame of each line says it: `thread (21172): declog-w0`."""
    return {int(tid): name for tid, name in _THREAD.findall("\n".join(stacks))}


def shares(stacks: Iterable[str]) -> dict[str, float]:
    """Of the main thread's samples, the share of each part; the largest first. A line is `frame;frame;… count`."""
    counts: dict[str, int] = {}
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[0].endswith(_MAIN):
            part = _part(frames[1:])
            counts[part] = counts.get(part, 0) + int(count)
    total = sum(counts.values())
    if not total:
        raise BenchError("py-spy saw no sample of the main thread")
    return {part: count / total for part, count in sorted(counts.items(), key=lambda one: -one[1])}


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        file = frame.rpartition("(")[2]
        for beginning, part in PARTS:
            if file.startswith(beginning):
                return part
    return _ELSE


def _steps(track: Track, one: Contestant) -> dict[str, tuple[float, float]]:
    """(seconds, decisions) by step."""
    with urllib.request.urlopen(track.url(one, "/metrics"), timeout=10) as answer:
        lines = _STEPS.findall(answer.read().decode())
    sums = {step: float(value) for kind, step, value in lines if kind == "sum"}
    counts = {step: float(value) for kind, step, value in lines if kind == "count"}
    return {step: (total, counts.get(step, 0.0)) for step, total in sums.items()}


def _print(name: str, profile: dict[str, Any], results: Path) -> None:
    print(f"\n{name}: {number(profile['rate'], 0)} decisions/s; flame graph: {results / profile['flame']}")
    print("CPU us per decision:")
    rows = {
        **{f"main thread, {part}": us for part, us in profile["parts_us"].items()},
        "log thread": profile["log_thread_us"],
        "other threads": profile["other_threads_us"],
        "evaluator process": profile["evaluator_us"],
    }
    for part, us in rows.items():
        print(f"  {us:8.1f}  {part}")
    print(f"  {sum(rows.values()):8.1f}  together")
    print("the service's own steps, us from one to the next, waiting included, and of how many decisions:")
    for step, took in profile["steps"].items():
        print(f"  {took['us']:8.1f}  {step}, {took['share']:.0%}")


if __name__ == "__main__":
    sys.exit(main())
