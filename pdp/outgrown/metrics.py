"""How far the copies are, read off the files of the process that publishes, for the `/metrics` of the service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import Gauge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from pdp.outgrown.standing import Standings

EVERY: Final = 15  # ticks of a second: the files are small, and a scrape is no sooner


class CopyMetrics:
    """`show` is called about once a second, and looks at the files now and then."""

    def __init__(self, registry: CollectorRegistry, standings: Standings, copies: Sequence[str]) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"sekisho_log_copy_{name}", text, ("copy",), registry=registry, multiprocess_mode="mostrecent")

        self._standings = standings
        self._copies = copies
        self._tick = 0
        self._waiting = gauge("waiting_segments", "Sealed segments that the copy lacks; -1: not known.")
        self._seen = gauge(
            "seen_age_seconds", "Time since the process that publishes said something; -1: it never did."
        )
        self._failing = gauge("failing_seconds", "How long the copy has not been brought up to date; 0: it is.")

    def show(self, now: datetime) -> None:
        if self._tick % EVERY == 0:
            for name in self._copies:
                self._show(name, now)
        self._tick += 1

    def _show(self, name: str, now: datetime) -> None:
        standing = self._standings.read(name)
        if standing is None or not standing.last_attempt:
            self._waiting.labels(name).set(-1)
            self._seen.labels(name).set(-1)
            return
        self._waiting.labels(name).set(standing.waiting)
        self._seen.labels(name).set(_age(standing.last_attempt, now))
        self._failing.labels(name).set(_age(standing.failing_since, now) if standing.failing_since else 0)


def _age(text: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(text)).total_seconds()
