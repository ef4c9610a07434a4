"""What is sent, what waits, and what cannot be sent. No label holds a stream, a caller or a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from pdp.ssf.sending.streams import Method

OUTCOMES: Final = ("taken", "refused", "failed")


class SendingMetrics:
    """The gauges are of the whole deployment, and are shown by the worker that sends; the others show 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._put = Counter("sekisho_ssf_events_put", "Security events put into streams.", registry=registry)
        self._deliveries = Counter(
            "sekisho_ssf_deliveries",
            "Security events by how their delivery ended: taken, refused for good, or failed (they are tried again).",
            ("method", "outcome"),
            registry=registry,
        )
        self._waiting = self._gauge(registry, "outbox_events", "Security events that wait in all streams.")
        self._oldest = self._gauge(registry, "outbox_oldest_seconds", "Age of the oldest security event that waits.")
        self._failing = self._gauge(registry, "streams_failing", "Streams whose receiver does not take events.")
        self._dropped = self._gauge(registry, "outbox_dropped", "Security events let go since more waited than may.")
        self._sender = self._gauge(registry, "sender", "1 where a worker of this deployment sends security events.")

    @staticmethod
    def _gauge(registry: CollectorRegistry, name: str, text: str) -> Gauge:
        return Gauge(f"sekisho_ssf_{name}", text, registry=registry, multiprocess_mode="livemax")

    def put(self, events: int) -> None:
        self._put.inc(events)

    def delivered(self, method: Method, outcome: str, events: int = 1) -> None:
        self._deliveries.labels(method, outcome).inc(events)

    def show(self, *, sends: bool, waiting: int, oldest_s: float, failing: int, dropped: int) -> None:
        self._sender.set(sends)
        self._waiting.set(waiting)
        self._oldest.set(oldest_s)
        self._failing.set(failing)
        self._dropped.set(dropped)
