"""Prometheus metrics. Names follow Prometheus' own rules: base units, `_total` for counters.

One registry per worker process; with several workers, prometheus-client's multiprocess directory joins
them (`pdp.server` sets it up). No label holds a user, a device or an address.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, get_args

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from pdp.model.input import ResourceGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.decision import Decision
    from pdp.model.request import Refusal

# From a cache hit's tens of microseconds to a deadline's quarter second.
_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_MICRO: Final = 1e-6


class _Grouped(msgspec.Struct):
    group: str = "none"


class _Seen(msgspec.Struct):
    """As much of an input document as a metric needs; profile `plain` has no groups."""

    resource: _Grouped | None = None


_GROUPS: Final = frozenset(get_args(ResourceGroup))
_SEEN: Final = msgspec.json.Decoder(_Seen | None)


class Metrics:
    """Implements `pdp.decide.Observer`; the gauges are set by the composition root."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._decisions = self._counter("decisions", "Decisions.", "outcome", "group", "wire")
        self._reasons = self._counter("reasons", "Reasons given, each code of each decision.", "code")
        self._refusals = self._counter("refusals", "Requests answered with an error, not a decision.", "code", "wire")
        self._engine_errors = self._counter("engine_errors", "Evaluations without a verdict; each is a deny.", "code")
        self._cache = self._counter("cache_lookups", "Decisions by their way past the cache.", "path")
        self._steps = self._histogram("step_seconds", "Time per step of a decision.", "step")
        self._total = self._histogram("decision_seconds", "Time of a whole decision, its record included.")
        self.unrecorded = self._gauge(
            "log_unrecorded_decisions", "Records that the log could not keep. 0, or we are blind."
        )
        self.log_writable = self._gauge("log_writable", "1 while the decision log takes records.")
        self.directory_epoch = self._gauge("directory_epoch", "Epoch of the directory snapshot in use.")
        self.directory_age = self._gauge("directory_age_seconds", "Time since the directory was seen to be current.")
        self.ready = self._gauge("ready", "1 while the service answers decisions.")
        self._policy = self._gauge("policy_info", "1 for the active policy, 0 for earlier ones.", "revision", "digest")
        self._active_policy: tuple[str, str] | None = None

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sekisho_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"sekisho_{name}", text, labels, registry=self.registry, multiprocess_mode="mostrecent")

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"sekisho_{name}", text, labels, registry=self.registry, buckets=_SECONDS)

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None:
        self._decisions.labels(decision.verdict.outcome.value, _group(decision.input), wire).inc()
        for code in decision.verdict.reasons:
            self._reasons.labels(code).inc()
        self._cache.labels(decision.cache).inc()
        if decision.fault is not None and "EVALUATION_ERROR" in decision.verdict.reasons:
            self._engine_errors.labels(decision.fault.partition(":")[0]).inc()
        for step, taken_us in steps_us.items():
            self._steps.labels(step).observe(taken_us * _MICRO)
        self._total.observe(sum(steps_us.values()) * _MICRO)

    def refused(self, refusal: Refusal) -> None:
        self._refusals.labels(refusal.fault.code, refusal.wire).inc()

    def policy_is(self, revision: str, digest: str) -> None:
        """Name the active policy."""
        if self._active_policy is not None:
            self._policy.labels(*self._active_policy).set(0)
        self._active_policy = (revision, digest)
        self._policy.labels(revision, digest).set(1)

    def render(self) -> bytes:
        """The exposition text, format 0.0.4, of all workers where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        joined = CollectorRegistry()
        MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
        return generate_latest(joined)


def _group(document: bytes) -> str:
    try:
        seen = _SEEN.decode(document)
    except msgspec.DecodeError:
        return "none"
    group = seen.resource.group if seen is not None and seen.resource is not None else "none"
    return group if group in _GROUPS else "none"  # profile `plain`: whatever a caller wrote there
