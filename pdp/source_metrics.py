"""Metrics of the sources of people and posture, read off the directory's snapshot once a second.

Sources run in a process of their own, and what they have to say of themselves stands in the store; each worker
shows the same. No label holds a person or a device. A source that is configured no longer shows -1 everywhere:
prometheus-client cannot take a label away where there are several workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Gauge

if TYPE_CHECKING:
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from pdp.model.source import SourceHealth

_STATES: Final = {"ok": 2, "stale": 1, "down": 0}


class SourceMetrics:
    """`show` brings the gauges up to now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(
                f"sekisho_source_{name}", text, ("source", *labels), registry=registry, multiprocess_mode="mostrecent"
            )

        self._state = gauge("state", "2 ok, 1 stale, 0 down; -1: configured no longer.")
        self._age = gauge("age_seconds", "Time since the last run that succeeded; -1: none ever did.")
        self._well = gauge("last_run_ok", "1 where the last run succeeded.")
        self._rows = gauge("rows", "Rows of the directory that the source owns.")
        self._unmatched = gauge("unmatched", "Records of the last complete run on devices that nobody knows.")
        self._refused = gauge("refused", "Records of the last complete run that could not be used.")
        self._pending = gauge("removals_pending", "1 while a removal waits for approval.")
        self._faults = gauge("failed_runs", "Runs that counted for nothing, ever.", "code")
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}

    def show(self, sources: tuple[SourceHealth, ...], now: datetime) -> None:
        seen: dict[Gauge, set[tuple[str, ...]]] = {}

        def put(gauge: Gauge, value: float, *labels: str) -> None:
            gauge.labels(*labels).set(value)
            seen.setdefault(gauge, set()).add(labels)

        for source in sources:
            age = source.age(now)
            put(self._state, _STATES[source.state(now)], source.name)
            put(self._age, -1 if age is None else age.total_seconds(), source.name)
            put(self._well, source.fault is None and source.last_attempt_at is not None, source.name)
            put(self._rows, source.rows, source.name)
            put(self._unmatched, source.unmatched, source.name)
            put(self._refused, source.refused, source.name)
            put(self._pending, source.pending, source.name)
            for code, count in source.faults.items():
                put(self._faults, count, source.name, code)
        for gauge, labels in self._shown.items():
            for gone in labels - seen.get(gauge, set()):
                put(gauge, -1, *gone)
        self._shown = seen
