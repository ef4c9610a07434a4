"""Metrics of received streams. No label holds a person, a device, or a text that a transmitter chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from pdp.ssf.events import short_name

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from prometheus_client import CollectorRegistry

    from pdp.ssf.receiving.register import Reception


class ReceivingMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._taken = Counter("sekisho_ssf_sets_taken", "SETs that were taken.", ("stream", "event"), registry=registry)
        self._refused = Counter(
            "sekisho_ssf_sets_refused", "SETs that do not count, by why.", ("stream", "reason"), registry=registry
        )
        self._acted = Counter(
            "sekisho_ssf_events", "Events by what became of them.", ("stream", "outcome"), registry=registry
        )
        self._delay = Histogram(
            "sekisho_ssf_effect_seconds",
            "From the taking of a SET to its effect in this worker.",
            ("stream",),
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
            registry=registry,
        )

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"sekisho_ssf_{name}", text, labels, registry=registry, multiprocess_mode="mostrecent")

        self._silent = gauge("silent_seconds", "Time since the transmitter was last heard.", "stream")
        self._enabled = gauge("enabled", "1 while the transmitter says that the stream is enabled.", "stream")
        self._failures = gauge("poll_failures", "Polls that failed, one after another, up to now.", "stream")
        self._verified = gauge("verified_seconds", "Time since the last verification; -1: there was none.", "stream")
        self._waiting = gauge("waiting", "Events that were taken and not acted on.")

    def taken(self, stream: str, event_type: str) -> None:
        self._taken.labels(stream, short_name(event_type)).inc()

    def refused(self, stream: str, reason: str) -> None:
        """`reason`: a word of ours."""
        self._refused.labels(stream, reason).inc()

    def acted(self, stream: str, outcome: str, after: timedelta) -> None:
        self._acted.labels(stream, outcome).inc()
        self._delay.labels(stream).observe(max(0.0, after.total_seconds()))

    def show(self, reception: Reception, now: datetime) -> None:
        """Bring the gauges of one stream up to now."""
        name = reception.stream
        self._silent.labels(name).set(reception.silent_for(now).total_seconds())
        self._enabled.labels(name).set(reception.status == "enabled")
        self._failures.labels(name).set(reception.failures)
        at = reception.verified_at
        self._verified.labels(name).set(-1 if at is None else max(0.0, (now - at).total_seconds()))

    def show_waiting(self, count: int) -> None:
        self._waiting.set(count)
