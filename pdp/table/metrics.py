"""Metrics of the decision table, read off its status once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from pdp.table.port import TableStatus


class TableMetrics:
    """`show` brings the metrics up to a status, whose counts never go back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge(
            "sekisho_decision_table_ready",
            "1 where the active policy is counted out and answers are looked up; the worst of the workers.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._waiting = Gauge(
            "sekisho_decision_table_waiting",
            "1 where a table could not be had and it is tried again; `/readyz` says why; the worst of the workers.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._answers = Counter(
            "sekisho_decision_table_lookups",
            "Documents looked up: answered, or unread and put to the engine.",
            ("result",),
            registry=registry,
        )
        self._checks = Counter(
            "sekisho_decision_table_checks",
            "Look-ups put to the engine as well: same; differs, after which the table is not asked again; unchecked.",
            ("result",),
            registry=registry,
        )
        self._shown: dict[tuple[Counter, str], int] = {}

    def show(self, status: TableStatus) -> None:
        self._ready.set(status.state == "ready")
        self._waiting.set(status.state == "waiting")
        self._add(self._answers, "answered", status.looked_up)
        self._add(self._answers, "unread", status.unread)
        self._add(self._checks, "same", status.checked - status.differed)
        self._add(self._checks, "differs", status.differed)
        self._add(self._checks, "unchecked", status.unchecked)

    def _add(self, counter: Counter, result: str, total: int) -> None:
        before = self._shown.get((counter, result), 0)
        counter.labels(result).inc(total - before)
        self._shown[counter, result] = total
