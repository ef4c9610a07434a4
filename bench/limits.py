"""bench/limits.toml against a run: each limit is a ratio within the run, or an absolute figure that it names."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import summary
from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Limit:
    """`connections`: where several are named, the worst of those that were measured counts."""

    name: str
    measure: str
    unit: str
    reason: str
    of: str = "warm"
    to: str = ""
    bodies: str = "stream"
    connections: tuple[int, ...] = ()
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0)


def read_limits(file: Path) -> list[Limit]:
    """Raises BenchError for a file that says nothing, or that says what nobody measures."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("limit", [])
    try:
        limits = [Limit(**{**one, "connections": tuple(one.get("connections", ()))}) for one in entries]
    except TypeError as fault:
        raise BenchError(f"{file.name}: {fault}") from None
    for limit in limits:
        if limit.measure not in _MEASURES or (limit.at_least is None) == (limit.at_most is None):
            raise BenchError(f"{file.name}: `{limit.name}` is no limit")
    if not limits:
        raise BenchError(f"{file.name} has no limits")
    return limits


def check(limits: list[Limit], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each limit with its value, and whether it holds; None where this run did not measure it."""
    checked = []
    for limit in limits:
        values = [value for value in _values(limit, dict(results)) if value is not None]
        value = None if not values else min(values) if limit.at_least is not None else max(values)
        checked.append(
            {
                "name": limit.name,
                "unit": limit.unit,
                "at_least": limit.at_least,
                "at_most": limit.at_most,
                "value": value,
                "holds": None if value is None else limit.holds(value),
                "reason": limit.reason,
            }
        )
    if all(one["holds"] is None for one in checked):
        raise BenchError("this run measured nothing that a limit is set for")
    return checked


def _values(limit: Limit, results: dict[str, Any]) -> list[float | None]:
    return _MEASURES[limit.measure](limit, results)


def _ratio(limit: Limit, results: dict[str, Any]) -> list[float | None]:
    return [summary.ratio(results, limit.of, limit.to, limit.bodies, count) for count in limit.connections]


def _boxcar(limit: Limit, results: dict[str, Any]) -> list[float | None]:
    return [summary.boxcar_ratio(results, count) for count in limit.connections]


def _open_p99(limit: Limit, results: dict[str, Any]) -> list[float | None]:
    return [summary.open_figure(results, limit.of, "p99_ms")]


def _start(limit: Limit, results: dict[str, Any]) -> list[float | None]:  # noqa: ARG001  # one shape for all
    return [summary.start_s(results)]


def _memory(limit: Limit, results: dict[str, Any]) -> list[float | None]:
    return [summary.memory_mb(results, limit.of)]


def _footprint_gain(limit: Limit, results: dict[str, Any]) -> list[float | None]:  # noqa: ARG001  # one shape for all
    rates = results["hit_rate"]["in_an_hour"]
    return [rates["footprint"] - rates["whole_input"]]


_MEASURES = {
    "rate_ratio": _ratio,
    "boxcar_ratio": _boxcar,
    "half_load_p99": _open_p99,
    "start": _start,
    "memory": _memory,
    "footprint_gain": _footprint_gain,
}
