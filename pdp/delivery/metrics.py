"""Metrics of deliveries, read off the files that `pdp export apply` and `drift` leave in the state directory.

Both run beside the service, which shows how they came out. A tenant that is gone shows -1 everywhere, as sources do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client import Gauge

from pdp.delivery.journal import Journal, tenants_in
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

_EVERY: Final = timedelta(seconds=15)  # looks go by the hour; the files need not be read every second


class DeliveryMetrics:
    """`show` brings the gauges up to now, and never raises."""

    def __init__(self, registry: CollectorRegistry, state: Path) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(
                f"sekisho_delivery_{name}", text, ("tenant",), registry=registry, multiprocess_mode="mostrecent"
            )

        self._state = state
        self._differences = gauge("differences", "What the last look at the tenant found; -1: nobody could look.")
        self._age = gauge("look_age_seconds", "Time since the last look at the tenant; -1: there was none.")
        self._unfinished = gauge("unfinished", "1 while an apply is under way or was cut off.")
        self._shown: set[str] = set()
        self._at: datetime | None = None

    def show(self, now: datetime) -> None:
        """At most every 15 s."""
        if self._at is not None and now - self._at < _EVERY:
            return
        self._at = now
        try:
            tenants = tenants_in(self._state)
            for name in tenants:
                self._put(name, now)
        except (OSError, SekishoError):
            return  # what cannot be read is told by `pdp doctor`
        for gone in self._shown - set(tenants):
            for gauge in (self._differences, self._age, self._unfinished):
                gauge.labels(gone).set(-1)
        self._shown = set(tenants)

    def _put(self, name: str, now: datetime) -> None:
        journal = Journal(self._state, name)
        try:
            looked = journal.looked()
        except (OSError, SekishoError):  # told by `pdp doctor`; the other tenants are shown all the same
            looked = None
        found = -1 if looked is None or looked.differences is None else looked.differences
        age = -1.0 if looked is None else (now - datetime.fromisoformat(looked.at)).total_seconds()
        self._differences.labels(name).set(found)
        self._age.labels(name).set(age)
        self._unfinished.labels(name).set(journal.is_unfinished())
