"""How one worker is: what `/readyz` says, and the gauges that are read off its parts once a second."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pdp.api.surface import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.activation import Activation
    from pdp.cache.levels import VerdictCache
    from pdp.cache_metrics import CacheMetrics
    from pdp.declog.port import DecisionLog
    from pdp.directory.source import DirectorySource
    from pdp.metrics import Metrics
    from pdp.revisions.following import PolicyFollower
    from pdp.settings import Settings
    from pdp.signals.port import News
    from pdp.source_metrics import SourceMetrics
    from pdp.table.port import TableStatus
    from pdp.transparency.keeper import KeeperStatus


class Health:
    """Everything here is answered from memory."""

    def __init__(  # noqa: PLR0913  # the parts of a worker that can be unwell
        self,
        settings: Settings,
        *,
        directory: DirectorySource,
        activation: Activation,
        log: DecisionLog,
        cache: VerdictCache | None,
        news: News,
        proof: Callable[[], KeeperStatus] | None = None,
        callers_age: Callable[[], timedelta | None] | None = None,
        follower: PolicyFollower | None = None,
        table: Callable[[], TableStatus] | None = None,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._activation = activation
        self._log = log
        self._cache = cache
        self._news = news
        self._proof = proof
        self._callers_age = callers_age
        self._follower = follower
        self._table = table
        self._further: list[Callable[[], Probe]] = []

    def add(self, probe: Callable[[], Probe]) -> None:
        """One more thing that an operator should know of; never a reason not to be ready."""
        self._further.append(probe)

    def probes(self) -> Sequence[Probe]:
        """What must be well before decisions are answered, and what an operator should know of."""
        proof = () if self._proof is None else (self._signed(self._proof()),)
        callers = () if self._callers_age is None else (self._known_callers(self._callers_age()),)
        table = () if self._table is None else (self._counted_out(self._table()),)
        rest = (
            *callers,
            self._redis(),
            *table,
            self._hearing(),
            self._sources(),
            *proof,
            *(probe() for probe in self._further),
        )
        return (self._policy(), self._register(), self._record(), *rest)

    def measure(self, metrics: Metrics, cache_metrics: CacheMetrics, source_metrics: SourceMetrics) -> None:
        """Bring every gauge up to now."""
        age = self._directory.age()
        metrics.directory_age.set(-1 if age is None else age.total_seconds())
        metrics.directory_epoch.set(self._directory.current().epoch if age is not None else 0)
        callers_age = None if self._callers_age is None else self._callers_age()
        metrics.callers_age.set(-1 if callers_age is None else callers_age.total_seconds())
        metrics.log_writable.set(self._log.writable())
        metrics.log_spilling.set(self._log.spilling_since is not None)
        metrics.unrecorded.set(self._log.unrecorded)
        metrics.ready.set(all(probe.ok for probe in self.probes()))
        cache_metrics.show(None if self._cache is None else self._cache.status(), self._news.status())
        if age is not None:
            source_metrics.show(self._directory.current().sources, self._directory.now())
        metrics.flush()  # for the scrape of another worker

    def numbers(self) -> dict[str, float | None]:
        """Ages in seconds and counts, for the page that shows how the service is. None: not known."""
        age = self._directory.age()
        callers_age = None if self._callers_age is None else self._callers_age()
        status = None if self._proof is None else self._proof()
        signed = None if status is None or not status.working or not status.turned else status.turned
        cache = None if self._cache is None else self._cache.status()
        return {
            "directory_age_s": None if age is None else age.total_seconds(),
            "callers_age_s": None if callers_age is None else callers_age.total_seconds(),
            "log_writable": float(self._log.writable()),
            "log_spilling": float(self._log.spilling_since is not None),
            "log_unrecorded": float(self._log.unrecorded),
            "log_signed_at": signed,
            "log_signed_size": None if status is None or not status.working else float(status.size),
            "log_altered": None if status is None else float(len(status.altered)),
            "cache_shared_up": None if cache is None or cache.shared is None else float(cache.shared.state == "up"),
        }

    def _policy(self) -> Probe:
        if not self._activation.is_active():
            return Probe("policy", ok=False, detail="no policy is active")
        revision = self._activation.active().bundle.revision
        if self._follower is None or not self._follower.status.epoch:
            return Probe("policy", ok=True, detail=revision)
        return self._followed(revision, self._follower)

    def _followed(self, revision: str, follower: PolicyFollower) -> Probe:
        """Not ready where the lease is over and denies: another instance may still know what is of record."""
        status = follower.status
        detail = f"{revision} (revision {status.number}, epoch {status.epoch})"
        if (warning := status.warning) is not None:
            why = f"cannot be had ({warning.fault})" if warning.fault else f"goes on until {warning.until.isoformat()}"
            detail += f"; warns: what {warning.former[:12]} permits {why}"
        if status.fault is not None:
            detail += f"; what is of record is refused ({status.fault.why}): {status.fault.message}"
        if not follower.is_over():
            return Probe("policy", ok=True, detail=detail)
        denied = self._settings.policy_lease_end != "keep"
        detail += f"; not confirmed since {status.confirmed_at.isoformat(timespec='seconds')}"
        return Probe("policy", ok=not denied, detail=f"{detail}: everything is denied" if denied else detail)

    def _register(self) -> Probe:
        age = self._directory.age()
        if age is None:
            return Probe("directory", ok=False, detail="no directory has been read yet")
        judged = self._activation.is_active() and self._activation.active().reference is not None
        if judged and not self._directory.current().users:
            return Probe("directory", ok=False, detail="the directory is empty: `pdp directory import` fills it")
        fresh = age <= timedelta(seconds=self._settings.directory_max_age_s)
        return Probe("directory", fresh or not judged, f"last seen to be current {int(age.total_seconds())} s ago")

    @staticmethod
    def _counted_out(status: TableStatus) -> Probe:
        """Never a reason not to be ready: without a table the engine is asked."""
        if status.state == "ready":
            detail = f"{status.answers} different answers over {status.facts} facts"
        elif status.state == "refused":
            place = f" ({status.where})" if status.where else ""
            detail = f"none, the engine is asked: {status.why}{place}"
        else:
            detail = status.why or "the policy is being counted out; until then the engine is asked"
        return Probe("decision_table", ok=True, detail=detail)

    def _sources(self) -> Probe:
        """Never a reason not to be ready: policies judge missing facts, and deny where they must."""
        if self._directory.age() is None:
            return Probe("sources", ok=True, detail="no directory has been read yet")
        now = self._directory.now()
        states = {source.name: source.state(now) for source in self._directory.current().sources}
        unwell = [f"{name} {state}" for name, state in states.items() if state != "ok"]
        waiting = [f"{s.name} asks for approval" for s in self._directory.current().sources if s.pending]
        detail = ", ".join([*unwell, *waiting]) or (f"{len(states)} ok" if states else "none are configured")
        return Probe("sources", ok=True, detail=detail)

    def _record(self) -> Probe:
        if not self._log.writable():
            return Probe("decision_log", ok=False, detail="the decision log takes no records")
        since = self._log.spilling_since
        detail = "" if since is None else f"its own disk takes nothing: spilling since {since.isoformat()}"
        return Probe("decision_log", ok=True, detail=detail)

    def _signed(self, status: KeeperStatus) -> Probe:
        """Never a reason not to be ready: what is not signed for now is signed for later."""
        late = sum(anchor.fault is not None for anchor in status.anchors)
        detail = f"head {status.size}" if status.working else "another worker signs"
        if status.altered:
            detail = "a segment is not what was signed for: run `pdp audit verify`"
        elif status.fault is not None:
            detail = "nothing can be signed now: see the service's log"
        elif late:
            detail += f"; {late} of {len(status.anchors)} anchors do not answer"
        return Probe("log_proof", ok=True, detail=detail)

    def _known_callers(self, age: timedelta | None) -> Probe:
        """Never a reason not to be ready: a key that was revoked meanwhile still counts, and somebody should know."""
        if age is None:
            return Probe("callers", ok=True, detail="none have been read yet")
        late = age > timedelta(seconds=self._settings.directory_max_age_s)
        seen = f"last seen to be current {int(age.total_seconds())} s ago"
        return Probe("callers", ok=True, detail=f"{seen}: revoked keys still count" if late else seen)

    def _redis(self) -> Probe:
        """Never a reason not to be ready: without Redis decisions are as right, and slower."""
        shared = None if self._cache is None else self._cache.status().shared
        if shared is None:
            return Probe("shared_cache", ok=True, detail="none is configured")
        if shared.state == "up":
            return Probe("shared_cache", ok=True, detail="up")
        return Probe("shared_cache", ok=True, detail=f"does not answer ({shared.fault}): every worker evaluates itself")

    def _hearing(self) -> Probe:
        """Never a reason not to be ready either: a change is seen by the next look, and answers end sooner."""
        late = f"changes are seen within {self._settings.directory_poll_s:g} s"
        detail = {"up": "up", "off": f"none are configured: {late}", "lost": f"lost: {late}"}[self._news.state]
        return Probe("news", ok=True, detail=detail)
