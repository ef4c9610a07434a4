"""How well the workers follow what is of record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from pdp.errors import EngineError
    from pdp.revisions.following import PolicyFollower


class RevisionMetrics:
    """`show` brings the gauges up to now. Several workers take turns in them, so an alert looks at a minute."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"sekisho_policy_{name}", text, registry=registry, multiprocess_mode="mostrecent")

        self._faults = Counter(
            "sekisho_policy_follow_faults", "Revisions of record that were refused.", ["why"], registry=registry
        )
        self._epoch = gauge("epoch", "Epoch of the revision that decides; 0: nothing was ever activated.")
        self._age = gauge("confirmed_age_seconds", "Time since the policy was seen to be of record.")
        self._following = gauge("following", "1 while what decides is what is of record.")
        self._lapsed = gauge("lease_over", "1 while the policy's lease is over.")
        self._warning = gauge("warning_seconds", "Time left in which new refusals do not count yet; 0: there is none.")
        self._held_over = Counter(
            "sekisho_policy_held_over",
            "New refusals that did not count yet, by what the policy said itself and its first reason.",
            ["outcome", "code"],
            registry=registry,
        )
        self._former_faults = Counter(
            "sekisho_policy_former_faults",
            "New refusals that counted at once because the former policy gave no answer.",
            ["code"],
            registry=registry,
        )

    def failed(self, why: str) -> None:
        self._faults.labels(why).inc()

    def held_over(self, outcome: str, code: str) -> None:
        """Implements `pdp.activation.Counted`; codes are the policy's own, and as many as it has."""
        self._held_over.labels(outcome, code).inc()

    def former_failed(self, fault: EngineError) -> None:
        self._former_faults.labels(fault.code).inc()

    def show(self, follower: PolicyFollower, now: datetime) -> None:
        status = follower.status
        self._epoch.set(status.epoch)
        self._age.set((now - status.confirmed_at).total_seconds())
        self._following.set(status.fault is None)
        self._lapsed.set(follower.is_over())
        left = 0.0 if status.warning is None else (status.warning.until - now).total_seconds()
        self._warning.set(max(0.0, left))
