"""What came from other OPAs, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class SinkMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "sekisho_opa_reports",
            "Events and status reports of other OPAs, by what became of them.",
            ("what",),
            registry=registry,
        )

    def count(self, what: str, number: int) -> None:
        self._events.labels(what).inc(number)
