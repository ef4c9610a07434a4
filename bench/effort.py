"""How much a run does, and which rows are measured how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STREAM: Final = 20_000  # questions
BOXCAR: Final = 100  # evaluations in one call: as many as the service takes


@dataclass(frozen=True)
class Effort:
    """`seconds` of one closed loop (wrk knows whole ones), `open_s` of one open loop; `hour`: simulated requests."""

    name: str
    rounds: int
    seconds: int
    open_rounds: int
    open_s: float
    connections: tuple[int, ...]
    kinds: tuple[str, ...]
    agreement: int
    sweep: int  # questions of the stream that fill a cache before it is measured
    starts: int
    hour: int


FULL: Final = Effort("full", 3, 2, 3, 4.0, (1, 16, 64), ("stream", "single"), 1_500, STREAM, 3, 100_000)
QUICK: Final = Effort("quick", 1, 1, 1, 1.0, (16,), ("stream",), 100, 2_000, 1, 2_000)

# These answer one question each: two rounds at most, and single bodies at one number of connections.
SIDE: Final = frozenset(
    {
        "warm-process",
        "warm-two",
        "warm-core",
        "warm-engine",
        "cold-engine",
        "redis-only",
        "opa-engine",
        "opa-log",
        "opa-core",
        "cerbos",
        "cerbos-audit",
    }
)
SIDE_ROUNDS: Final = 2
SINGLE_AT: Final = 16
CACHED: Final = frozenset({"warm", "warm-process", "warm-two", "warm-core", "warm-engine", "redis-only"})
STRIDE: Final = 4_999  # lines between the rounds' first questions; a prime, so that no round repeats another
MOST_OPEN: Final = 5_000  # requests a second; beyond it vegeta, on the same two processors, is what would be measured
AT_ONCE: Final = 32  # requests under way in a sweep
