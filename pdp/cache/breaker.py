"""When Redis is not to be asked: it opens after failures in a row, and a probe in the background closes it.

Pure: the clock and the chance are values. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FAILURES_IN_A_ROW: Final = 5  # one late answer is a hiccup (a fork, a slow command of somebody else); five are a fault
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
STEADY_S: Final = 5.0  # after that long without opening, the next fault is a new one and is probed at once

State = Literal["up", "down", "probing"]


@dataclass(slots=True)
class Breaker:
    """Begins open: nothing is known of Redis yet. `fault` is the word for what opened it, None while closed."""

    state: State = "down"
    fault: str | None = None
    opened: int = 0  # how often it opened, the beginning not counted
    _failures: int = 0
    _tries: int = 0  # probes since Redis was last steady
    _closed_at: float = 0.0

    def succeeded(self) -> None:
        """A read was answered in time."""
        self._failures = 0

    def failed(self, fault: str, now: float) -> bool:
        """A read was not. True where that opened the breaker."""
        self._failures += 1
        return self._failures >= FAILURES_IN_A_ROW and self.open(fault, now)

    def open(self, fault: str, now: float) -> bool:
        """At once, for a connection that is gone. True where it was closed until now."""
        if self.state != "up":
            return False
        self.state, self.fault = "down", fault
        self.opened += 1
        if now - self._closed_at >= STEADY_S:
            self._tries = 0
        return True

    def pause_s(self, chance: float) -> float:
        """How long to wait before the next probe; `chance` in [0, 1) keeps workers from asking in step.

        The first probe after a steady time comes at once. A Redis that answers a probe and fails again is not
        steady, so it is asked ever more seldom.
        """
        if self._tries == 0:
            return 0.0
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._tries - 1, 16))
        return longest * (0.5 + chance / 2)

    def probe(self) -> None:
        self.state = "probing"
        self._tries += 1

    def probe_failed(self, fault: str) -> None:
        self.state, self.fault = "down", fault

    def close(self, now: float) -> None:
        """The probe was answered."""
        self.state, self.fault = "up", None
        self._failures = 0
        self._closed_at = now
