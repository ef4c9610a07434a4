"""Every gauge of a worker brought up to now, once a second, and how it is told to the other workers of this host.

What the worker holds in memory is read on the event loop; what stands in files is read, and the worker's own file is
written, aside (`pdp.aside`). A disk that hangs makes those gauges old and holds up nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pdp.cache_metrics import CacheMetrics
from pdp.delivery.metrics import DeliveryMetrics
from pdp.insight.opening import workers_path
from pdp.insight.percentiles import Buckets
from pdp.insight.workers import Check, WorkerFile
from pdp.log_metrics import ProofMetrics, StoreMetrics
from pdp.outgrown.metrics import CopyMetrics
from pdp.outgrown.standing import Standings, copies_of
from pdp.shipping.ledger import Ledger
from pdp.shipping.metrics import ShippingMetrics
from pdp.source_metrics import SourceMetrics
from pdp.table.metrics import TableMetrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from pdp.aside import Aside
    from pdp.health import Health
    from pdp.metrics import Metrics
    from pdp.settings import Settings
    from pdp.table.port import TableStatus
    from pdp.transparency.keeper import KeeperStatus


class Measuring:
    """`show` is called once a second on the event loop, and waits for no disk."""

    def __init__(  # noqa: PLR0913  # everything that is measured
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        health: Health,
        metrics: Metrics,
        aside: Aside,
        policy: Callable[[], None],
        proof: Callable[[], KeeperStatus] | None,
        table: Callable[[], TableStatus] | None,
        shadow: Callable[[], dict[str, Any]] | None,
    ) -> None:
        registry = metrics.registry
        self._clock = clock
        self._health = health
        self._metrics = metrics
        self._aside = aside
        self._policy = policy
        self._proof = None if proof is None else (proof, ProofMetrics(registry))
        self._table = None if table is None else (table, TableMetrics(registry))
        self._shadow = shadow
        self._cache, self._sources = CacheMetrics(registry), SourceMetrics(registry)
        self._files = _Files(settings, registry)
        self._said = WorkerFile(workers_path(settings), settings.node, clock())

    def show(self) -> None:
        now = self._clock()
        self._health.measure(self._metrics, self._cache, self._sources)
        if self._table is not None:
            status, tables = self._table
            tables.show(status())
        self._policy()
        if self._proof is not None:
            look, proofs = self._proof
            proofs.show(look())
        told = self._telling(now) if self._said.is_due(now) else None
        self._aside.offer(partial(self._with_the_disk, now, told))

    async def close(self) -> None:
        """The worker's file goes, unless its disk hangs."""
        await self._aside.close(self._said.remove)

    def _telling(self, now: datetime) -> Callable[[], None]:
        """How this worker is, taken now, to be written in a while."""
        checks = [Check(probe.name, probe.ok, probe.detail) for probe in self._health.probes()]
        shadow = None if self._shadow is None else self._shadow()
        durations = Buckets(*self._metrics.durations())
        return partial(self._said.write, now, checks, self._health.numbers(), durations, shadow)

    def _with_the_disk(self, now: datetime, told: Callable[[], None] | None) -> None:
        """In the thread."""
        if told is not None:
            told()
        self._files.show(now)


class _Files:
    """The gauges that are read off files which other processes leave."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        state = settings.state_path
        self._store = StoreMetrics(registry, state)
        self._shipping = ShippingMetrics(registry, Ledger(state / "shipping"), settings.log_targets)
        self._copies = CopyMetrics(registry, Standings(state / "copies"), copies_of(settings))
        self._deliveries = DeliveryMetrics(registry, state)

    def show(self, now: datetime) -> None:
        self._store.show()
        self._shipping.show(now)
        self._copies.show(now)
        self._deliveries.show(now)
