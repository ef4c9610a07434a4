"""The front that tells others: security events, sent to whoever has a stream."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.api.surface import Probe
from pdp.errors import NotReadyError
from pdp.fronts.front import Front
from pdp.parts import new_id, security_event_keys_file, utc_now
from pdp.wire.caller_credentials import introducing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.fronts.front import Parts
    from pdp.model.directory import Snapshot
    from pdp.posture.score import Thresholds
    from pdp.ssf.sending.sender import Sender


@asynccontextmanager
async def security_events(parts: Parts) -> AsyncIterator[Front]:
    """The transmitter of the Shared Signals Framework, where the settings have one. Raises SettingsError."""
    settings = parts.settings
    if settings.ssf_transmitter is None:
        yield Front()
        return
    from pdp.posture.score import thresholds_of
    from pdp.ssf.sending.metrics import SendingMetrics
    from pdp.ssf.sending.opening import Ground, open_transmitter

    def registers() -> tuple[Snapshot, Thresholds] | None:
        try:
            if parts.directory.is_stale():
                return None
            return parts.directory.current(), thresholds_of(parts.activation.active().bundle.data)
        except NotReadyError:
            return None

    ground = Ground(
        store=parts.store,
        introduce=introducing(parts.callers),
        registers=registers,
        keys_file=security_event_keys_file(settings),
        base_url=settings.base_url,
        issuers=settings.issuers,
        worker=f"{settings.node}/{os.getpid()}",
        clock=utc_now,
        new_id=new_id,
        metrics=SendingMetrics(parts.metrics.registry),
    )
    async with open_transmitter(settings.ssf_transmitter, ground) as (router, sender):
        parts.health.add(lambda: _probe(sender))
        yield Front(routers=(router,))


def _probe(sender: Sender) -> Probe:
    """Never a reason not to be ready: decisions are as right without it. What waits is sent later."""
    status = sender.status()
    if status.fault:
        return Probe("security_events", ok=True, detail="nothing can be told now: see the service's log")
    if not status.sends:
        return Probe("security_events", ok=True, detail="another worker sends")
    detail = f"{status.streams} streams, {status.waiting} events wait"
    if status.waiting:
        detail += f", the oldest for {int(status.oldest_s)} s"
    if status.failing:
        detail += f"; {status.failing} receivers do not take events"
    if status.dropped:
        detail += f"; {status.dropped} events were let go"
    return Probe("security_events", ok=True, detail=detail)
