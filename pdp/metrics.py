"""Prometheus metrics. Names follow Prometheus' own rules: base units, `_total` for counters.

One registry per worker process; with several workers, prometheus-client's multiprocess directory joins
them (`pdp.server` sets it up). No label holds a user, a device or an address.

A decision is counted in plain dictionaries, and `flush` hands the sums to prometheus-client: measured, 13
microseconds a decision become 2. A scrape flushes its own worker; the other workers' numbers are as old as
their last tick (`directory_poll_s`, one second), which is far below any scrape interval.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from pdp.model.input import ResourceGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.callers.stored import Why
    from pdp.model.decision import Decision, Outcome
    from pdp.model.request import Refusal

# From a cache hit's tens of microseconds to a deadline's quarter second.
_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_BOUNDS_US: Final = tuple(round(bound * 1_000_000) for bound in _SECONDS)
_MICRO: Final = 1e-6
_MOST_TIMES: Final = 4_096  # of one kind that wait to be put into buckets


MOST_CALLERS: Final = 200  # names of one label; a deployment has dozens, and who is beyond them is counted together
UNKNOWN_CALLER: Final = "-"  # no caller can be called so
OTHER_CALLERS: Final = "-other"
_GROUPS: Final = frozenset(get_args(ResourceGroup))


class _Durations:
    """Times since the last flush: gathered as they come, and put into buckets many at once."""

    __slots__ = ("_counts", "_times_us", "_total_us")

    def __init__(self) -> None:
        self._times_us: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self._counts = [0] * (len(_BOUNDS_US) + 1)
        self._total_us = 0

    def add(self, taken_us: int) -> None:
        self._times_us.append(taken_us)
        if len(self._times_us) >= _MOST_TIMES:
            self._sort_in()

    def _sort_in(self) -> None:
        times_us = sorted(self._times_us)
        self._times_us.clear()
        self._total_us += sum(times_us)
        below = 0
        for number, bound_us in enumerate(_BOUNDS_US):
            up_to = bisect_right(times_us, bound_us, below)
            self._counts[number] += up_to - below
            below = up_to
        self._counts[-1] += len(times_us) - below

    def flush(self, histogram: Histogram) -> None:
        """As if each time had been observed by itself: the library has no call for many at once."""
        self._sort_in()
        for number, count in enumerate(self._counts):
            if count:
                histogram._buckets[number].inc(count)  # noqa: SLF001  # a test holds it against `observe`
        histogram._sum.inc(self._total_us * _MICRO)  # noqa: SLF001
        self._forget()


class Metrics:
    """Implements `pdp.house.Observer`; the gauges are set by the composition root."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._decisions = self._counter("decisions", "Decisions.", "outcome", "group", "wire")
        self._reasons = self._counter("reasons", "Reasons given, each code of each decision.", "code")
        self._refusals = self._counter("refusals", "Requests answered with an error, not a decision.", "code", "wire")
        self._caller_refusals = self._counter("caller_refusals", "Requests refused for their caller.", "caller", "why")
        self._caller_names: set[str] = set()
        self._engine_errors = self._counter("engine_errors", "Evaluations without a verdict; each is a deny.", "code")
        self._cache = self._counter("cache_lookups", "Decisions by their way past the cache.", "path")
        self._steps = self._histogram("step_seconds", "Time per step of a decision.", "step")
        self._total = self._histogram("decision_seconds", "Time of a whole decision, its record included.")
        self.unrecorded = self._gauge(
            "log_unrecorded_decisions", "Records that the log could not keep. 0, or we are blind."
        )
        self.log_spilling = self._gauge("log_spilling", "1 while records go to the second place of the decision log.")
        self.log_writable = self._gauge("log_writable", "1 while the decision log takes records.")
        self.directory_epoch = self._gauge("directory_epoch", "Epoch of the directory snapshot in use.")
        self.directory_age = self._gauge("directory_age_seconds", "Time since the directory was seen to be current.")
        self.callers_age = self._gauge(
            "callers_age_seconds", "Time since the callers were seen to be current; -1: never."
        )
        self.ready = self._gauge("ready", "1 while the service answers decisions.")
        self._policy = self._gauge("policy_info", "1 for the active policy, 0 for earlier ones.", "revision", "digest")
        self._active_policy: tuple[str, str] | None = None
        # INVARIANT (counted once): what stands here has not been handed on. The keys are bounded by the policy's
        # reasons and our own words, and are forgotten at each flush.
        self._decided: defaultdict[tuple[Outcome, str, str, str, tuple[str, ...]], int] = defaultdict(int)
        self._taken: defaultdict[str, _Durations] = defaultdict(_Durations)
        self._taken_together = _Durations()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sekisho_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"sekisho_{name}", text, labels, registry=self.registry, multiprocess_mode="mostrecent")

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"sekisho_{name}", text, labels, registry=self.registry, buckets=_SECONDS)

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None:
        verdict = decision.verdict
        group = decision.group if decision.group in _GROUPS else "none"  # profile `plain`: whatever a caller wrote
        self._decided[verdict.outcome, group, wire, decision.cache, verdict.reasons] += 1
        if decision.fault is not None and "EVALUATION_ERROR" in verdict.reasons:
            self._engine_errors.labels(decision.fault.partition(":")[0]).inc()
        total_us = 0
        for step, taken_us in steps_us.items():
            self._taken[step].add(taken_us)
            total_us += taken_us
        self._taken_together.add(total_us)

    def flush(self) -> None:
        """Hand what was counted since the last time to prometheus-client. At every scrape, tick and end of a worker."""
        decided, self._decided = self._decided, defaultdict(int)
        for (outcome, group, wire, cache, reasons), times in decided.items():
            self._decisions.labels(outcome.value, group, wire).inc(times)
            self._cache.labels(cache).inc(times)
            for code in reasons:
                self._reasons.labels(code).inc(times)
        for step, durations in self._taken.items():
            durations.flush(self._steps.labels(step))
        self._taken_together.flush(self._total)

    def refused(self, refusal: Refusal) -> None:
        self._refusals.labels(refusal.fault.code, refusal.wire).inc()

    def caller_refused(self, caller_id: str | None, why: Why) -> None:
        """A refusal that no record tells of. `caller_id` is a registered one, or None where nobody is known."""
        name = caller_id or UNKNOWN_CALLER
        if name not in self._caller_names:
            if len(self._caller_names) >= MOST_CALLERS:
                name = OTHER_CALLERS
            self._caller_names.add(name)
        self._caller_refusals.labels(name, why).inc()

    def durations(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """(upper bounds in seconds, decisions of this worker in each bucket, one more than bounds)."""
        self.flush()
        return _SECONDS, tuple(int(bucket.get()) for bucket in self._total._buckets)  # noqa: SLF001  # as in `flush`

    def policy_is(self, revision: str, digest: str) -> None:
        """Name the active policy."""
        if self._active_policy is not None:
            self._policy.labels(*self._active_policy).set(0)
        self._active_policy = (revision, digest)
        self._policy.labels(revision, digest).set(1)

    def render(self) -> bytes:
        """The exposition text, format 0.0.4, of all workers where there are several."""
        self.flush()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        joined = CollectorRegistry()
        MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
        return generate_latest(joined)
