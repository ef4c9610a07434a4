"""What provisioners ask, and when each last changed something. A client is the caller's id in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from pdp.scim.counting import Outcome


class ScimMetrics:
    """No label holds a person, and none a name that somebody sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sekisho_scim_requests",
            "SCIM requests: read, written, refused (4xx), held_back (a deletion beyond the bound) or failed (5xx).",
            ("client", "resource", "outcome"),
            registry=registry,
        )
        self._last_write = Gauge(
            "sekisho_scim_last_write_timestamp_seconds",
            "When this provisioner last wrote something that was taken, in seconds since 1970; 0: never.",
            ("client",),
            registry=registry,
            multiprocess_mode="max",
        )

    def begin(self, last_writes: Mapping[str, datetime | None]) -> None:
        """What the store knows of the time before this worker."""
        for client, at in last_writes.items():
            self._last_write.labels(client).set(0 if at is None else at.timestamp())

    def count(self, client: str, resource: str, outcome: Outcome, now: datetime) -> None:
        self._requests.labels(client, resource, outcome).inc()
        if outcome == "written":
            self._last_write.labels(client).set(now.timestamp())
