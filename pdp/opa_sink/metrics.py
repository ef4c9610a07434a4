"""What came from other OPAs, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


_WHAT: Final = ("recorded", "repeated", "unreadable", "status", "bundle_error")


class SinkMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "sekisho_opa_reports",
            "Events and status reports of other OPAs, by what became of them.",
            ("what",),
            registry=registry,
        )
        for what in _WHAT:  # from 0 on: an alert looks for what was added, and misses a first value
            self._events.labels(what)

    def count(self, what: str, number: int) -> None:
        self._events.labels(what).inc(number)
