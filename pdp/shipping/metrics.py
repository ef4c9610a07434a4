"""How far the shipping is, read off the files of its own process, for the `/metrics` of the service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import Gauge

from pdp.errors import SettingsError
from pdp.shipping.ledger import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from pdp.model.log_target import LogTarget
    from pdp.shipping.ledger import Ledger

EVERY: Final = 15  # ticks of a second: the files are small, and a scrape is no sooner


class ShippingMetrics:
    """`show` is called about once a second, and looks at the files now and then."""

    def __init__(self, registry: CollectorRegistry, ledger: Ledger, targets: Sequence[LogTarget]) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(
                f"sekisho_shipping_{name}", text, ("target",), registry=registry, multiprocess_mode="mostrecent"
            )

        self._ledger = ledger
        self._names = [target.name for target in targets]
        self._tick = 0
        self._behind = gauge("behind_bytes", "Recorded and not shipped, when it was last tried; -1: not known.")
        self._seen = gauge("seen_age_seconds", "Time since the process that ships said something; -1: it never did.")
        self._failures = gauge("failures", "Failed attempts in a row.")
        self._refused = gauge("refused", "Records that the receiver refuses for good, ever.")
        self._refused_bytes = gauge("refused_bytes", "Of the file of refused records; bounded by the target's setting.")
        self._let_go = gauge("let_go", "Refused records that found no room in their file, ever.")
        self._lost = gauge("lost", "Damaged lines, missing segments and unreadable records, ever.")

    def show(self, now: datetime) -> None:
        if self._tick % EVERY == 0:
            for name in self._names:
                self._show(name, now)
        self._tick += 1

    def _show(self, name: str, now: datetime) -> None:
        try:
            standing = self._ledger.read(name) or Standing()
        except (OSError, SettingsError):  # the process that ships says so; what was counted stays as it was shown
            standing = None
        if standing is None or not standing.last_attempt:
            self._behind.labels(name).set(-1)
            self._seen.labels(name).set(-1)
        else:
            self._behind.labels(name).set(standing.behind_bytes)
            self._seen.labels(name).set((now - datetime.fromisoformat(standing.last_attempt)).total_seconds())
        if standing is not None:
            self._count(name, standing)

    def _count(self, name: str, standing: Standing) -> None:
        """From 0 on, before anything was shipped: an alert looks for what was added, and misses a first value."""
        self._failures.labels(name).set(standing.failures)
        self._refused.labels(name).set(standing.refused)
        self._refused_bytes.labels(name).set(standing.refused_bytes)
        self._let_go.labels(name).set(standing.let_go)
        self._lost.labels(name).set(standing.damaged + standing.missing + standing.unreadable)
