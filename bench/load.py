"""Load: wrk for the highest rate (closed loop), vegeta for latency at a given rate (open loop).

A closed loop waits for an answer before it asks again, so a slow server is asked less: its latencies say what
the connections saw, not what users would have. In the open loop requests begin by the clock. vegeta's results
carry each request's number; a latency counts here from the instant that the clock gave that number, so what
the generator itself could not send in time counts too (no coordinated omission).
"""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contestants import tool
from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLACK_S: Final = 30.0
_SWEEP_S: Final = 180.0
_OPEN_CONNECTIONS: Final = 64
_MOST_AT_ONCE: Final = 256  # what is due beyond it waits in the generator, and its wait counts
_SETTLE_S: Final = 0.5  # of an open loop: connections are being opened


@dataclass(frozen=True)
class Closed:
    """One run of wrk. Times in milliseconds; `errors`: answers that are no 200, and broken connections."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Open:
    """One run of vegeta at `rate`. `sent_*`: from the sending, without what waited in the generator."""

    rate: float
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    sent_p50_ms: float
    sent_p99_ms: float


def closed_loop(  # noqa: PLR0913  # what wrk has to be told
    url: str,
    bodies: Path,
    headers: Sequence[str],
    connections: int,
    seconds: int,
    *,
    first: int = 0,
    core: int | None = None,
) -> Closed:
    """`first` is the line of `bodies` to begin with. One thread, so that the order is the file's."""
    script = Path(__file__).with_name("stream.lua")
    command = [
        *_pinned(core), tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
        "-s", str(script), url, "--", str(bodies), str(first), *headers,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _SLACK_S)
    line = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not line.startswith("{"):
        raise BenchError(f"wrk failed: {(done.stdout + done.stderr)[-800:]}")
    said = json.loads(line)
    return Closed(
        requests=said["requests"],
        seconds=said["duration_us"] / 1e6,
        errors=sum(said[kind] for kind in ("connect", "read", "write", "timeout", "status")),
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        p999_ms=said["p999_us"] / 1e3,
        max_ms=said["max_us"] / 1e3,
    )


def write_targets(url: str, bodies: Sequence[str], headers: Sequence[str], file: Path) -> None:
    """What vegeta reads: one target a line, asked in this order and around."""
    named = {name: [value] for name, _, value in (header.partition(": ") for header in headers)}
    with file.open("w", encoding="utf-8") as out:
        for body in bodies:
            target = {"method": "POST", "url": url, "header": named, "body": base64.b64encode(body.encode()).decode()}
            out.write(json.dumps(target) + "\n")


def send_once(targets: Path, at_once: int, *, core: int | None = None) -> int:
    """Every target once, in order, as fast as the answers come; how many answers were a 200."""
    results = targets.with_suffix(".results")
    attack = [
        *_pinned(core), tool("vegeta"), "attack", "-format=json", "-lazy", f"-targets={targets}", "-rate=0",
        f"-workers={at_once}", f"-max-workers={at_once}", "-timeout=10s", "-max-body=0", f"-output={results}",
    ]  # fmt: skip
    done = subprocess.run(attack, capture_output=True, text=True, check=False, timeout=_SWEEP_S)
    if done.returncode:
        raise BenchError(f"vegeta failed: {done.stderr[-800:]}")
    said = subprocess.run([tool("vegeta"), "report", "-type=json", str(results)], capture_output=True, check=True)
    results.unlink()
    codes: dict[str, int] = json.loads(said.stdout)["status_codes"]
    return codes.get("200", 0)  # one more, of status 0, says that the file has ended


def open_loop(targets: Path, rate: float, seconds: float, *, core: int | None = None) -> Open:
    """`rate` requests a second, whatever the answers."""
    results = targets.with_suffix(".results")
    attack = [
        *_pinned(core), tool("vegeta"), "attack", "-format=json", f"-targets={targets}", f"-rate={round(rate)}/1s",
        f"-duration={seconds:g}s", "-timeout=10s", "-max-body=0", f"-workers={_OPEN_CONNECTIONS}",
        f"-max-workers={_MOST_AT_ONCE}", f"-connections={_MOST_AT_ONCE}", f"-output={results}", "-redirects=-1",
    ]  # fmt: skip
    done = subprocess.run(attack, capture_output=True, text=True, check=False, timeout=seconds + _SLACK_S)
    if done.returncode:
        raise BenchError(f"vegeta failed: {done.stderr[-800:]}")
    environment = {**os.environ, "GOMAXPROCS": "1"}
    encode = [tool("vegeta"), "encode", "-to", "csv", str(results)]
    rows = subprocess.run(encode, capture_output=True, text=True, check=True, timeout=120, env=environment).stdout
    measured = [(int(row[8]), int(row[0]), int(row[2]), row[1]) for row in csv.reader(rows.splitlines())]
    results.unlink()
    return _open_figures(measured, round(rate))


def _open_figures(measured: Sequence[tuple[int, int, int, str]], rate: float) -> Open:
    """(number, begun in ns, latency in ns, status) of each request."""
    if not measured:
        raise BenchError("vegeta sent nothing")
    step_ns = 1e9 / rate
    clock = min(begun - number * step_ns for number, begun, _, _ in measured)  # when request 0 was due
    settled = [one for one in measured if one[0] >= rate * _SETTLE_S] or measured
    waits = sorted((begun + took - clock - number * step_ns) / 1e6 for number, begun, took, _ in settled)
    sent = sorted(took / 1e6 for _, _, took, _ in settled)
    return Open(
        rate=rate,
        requests=len(measured),
        errors=sum(status != "200" for *_, status in measured),
        p50_ms=quantile(waits, 0.5),
        p99_ms=quantile(waits, 0.99),
        p999_ms=quantile(waits, 0.999),
        max_ms=waits[-1],
        sent_p50_ms=quantile(sent, 0.5),
        sent_p99_ms=quantile(sent, 0.99),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of ascending values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _pinned(core: int | None) -> list[str]:
    return [] if core is None else ["taskset", "-c", str(core)]
