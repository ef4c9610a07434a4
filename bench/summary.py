"""What the raw figures of a run come to. Pure: out of the JSON, no clock and no files.

Rounds are summarised by their median, and a ratio is the median of the rounds' own ratios: both halves of one
ratio were measured seconds apart, under the same weather.
"""

from __future__ import annotations

from statistics import median
from typing import Any

Results = dict[str, Any]


def contestants(results: Results) -> list[str]:
    return list(results["contestants"])


def against(results: Results, name: str) -> str:
    """With whom it is compared: an OPA server as installed, or on one processor too."""
    other: str = results["contestants"][name].get("against", "opa")
    return other


def cell(results: Results, name: str, bodies: str, connections: int) -> list[dict[str, Any]]:
    """The rounds of one cell; empty where it was not measured."""
    found: list[dict[str, Any]] = (
        results["contestants"].get(name, {}).get("closed", {}).get(f"{bodies}/{connections}", [])
    )
    return found


def figure(results: Results, name: str, bodies: str, connections: int, what: str) -> float | None:
    """`rate`, `p50_ms`, `p99_ms`, `p999_ms`, `cpu_us` or `helpers_cpu_us` of a cell."""
    rounds = cell(results, name, bodies, connections)
    return median(one[what] for one in rounds) if rounds else None


def connections_of(results: Results) -> list[int]:
    found: list[int] = results["meta"]["effort"]["connections"]
    return found


def ratio(results: Results, name: str, to: str, bodies: str, connections: int) -> float | None:
    """How many times the rate of `to`."""
    pairs = list(zip(cell(results, name, bodies, connections), cell(results, to, bodies, connections), strict=False))
    return median(one["rate"] / other["rate"] for one, other in pairs) if pairs else None


def cpu_ratio(results: Results, name: str, to: str, bodies: str, connections: int) -> float | None:
    """How many decisions it makes of the CPU that `to` needs for one; helpers count. Noise moves this the least."""
    pairs = list(zip(cell(results, name, bodies, connections), cell(results, to, bodies, connections), strict=False))
    return median(_cpu_us(other) / _cpu_us(one) for one, other in pairs) if pairs else None


def _cpu_us(one: dict[str, Any]) -> float:
    return max(1.0, float(one["cpu_us"] + one["helpers_cpu_us"]))


def open_figure(results: Results, name: str, what: str) -> float | None:
    """A latency at half load, in ms."""
    rounds = results["contestants"].get(name, {}).get("open", [])
    return median(one[what] for one in rounds) if rounds else None


def hit_share(results: Results, name: str, bodies: str, connections: int) -> float | None:
    """The share of the decisions that were a hit, by our own metrics."""
    ways: dict[str, float] = {}
    for one in cell(results, name, bodies, connections):
        for way, count in one["ways"].items():
            ways[way] = ways.get(way, 0) + count
    asked = sum(ways.values())
    return ways.get("hit", 0) / asked if asked else None


def measured_hit_share(results: Results) -> float | None:
    """Of the stream's one pass through an empty cache."""
    ways = results["hit_rate"]["measured"]
    asked = sum(ways.values())
    return ways.get("hit", 0) / asked if asked else None


def boxcar_rate(results: Results, connections: int) -> float | None:
    """Decisions a second in boxcars."""
    rounds = results.get("boxcar", {}).get(str(connections), [])
    return median(one["decisions_per_s"] for one in rounds) if rounds else None


def boxcar_ratio(results: Results, connections: int) -> float | None:
    """Decisions a second in boxcars over those in single calls, from the same stream on as many connections."""
    single = figure(results, "warm", "stream", connections, "rate")
    boxed = boxcar_rate(results, connections)
    return None if single is None or boxed is None else boxed / single


def start_s(results: Results) -> float | None:
    return median(one["ready_s"] for one in results["starts"]) if results["starts"] else None


def memory_mb(results: Results, name: str, what: str = "rss_mb") -> float | None:
    """After the load: a worker and its evaluator, without what it shares a host with (Redis)."""
    found: float | None = results["contestants"].get(name, {}).get("memory", {}).get(what)
    return found
