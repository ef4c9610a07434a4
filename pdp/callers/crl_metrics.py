"""Until when the revocation lists of client certificates count, so that somebody hears of it before they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from datetime import datetime

    from prometheus_client import CollectorRegistry


class CrlMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._ends = Gauge(
            "sekisho_client_crl_end_timestamp_seconds",
            "When an authority's revocation list ends, in seconds since 1970; 0: there is none, and nobody gets in.",
            ("authority",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def told(self, authority: str, ends: datetime | None) -> None:
        self._ends.labels(authority).set(0 if ends is None else ends.timestamp())
