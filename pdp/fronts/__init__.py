"""Every front of one worker: the wire formats that enforcement points, sources, people and identity providers speak.

Part of the composition root: `pdp.main` composes what decides, and this what asks. Each function makes one front out
of the same `Parts`, and what a deployment has not configured does not exist at its path.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pdp.api.surface import Surface
from pdp.fronts import bringing, deciding, governing, telling
from pdp.fronts.front import Front, Parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["Front", "Parts", "open_surface"]


@asynccontextmanager
async def open_surface(parts: Parts) -> AsyncIterator[Surface]:
    """Everything that is asked over HTTP, and the gRPC listener beside it. Raises SettingsError."""
    async with AsyncExitStack() as stack:
        audit = await stack.enter_async_context(governing.opened_audit(parts))
        fronts = [
            deciding.authzen(parts),
            deciding.gateways(parts),
            deciding.opa(parts),
            await stack.enter_async_context(bringing.opa_sink(parts)),
            governing.audit_front(parts, audit),
            await stack.enter_async_context(bringing.posture(parts)),
            await bringing.scim(parts),
            await stack.enter_async_context(deciding.cloudflare(parts)),
            bringing.logout(parts),
            await stack.enter_async_context(bringing.signals(parts)),
            await stack.enter_async_context(governing.governance(parts)),
            governing.bundles(parts),
            governing.cut_off(parts),
            await stack.enter_async_context(telling.security_events(parts)),
        ]
        fronts.append(await stack.enter_async_context(governing.console(parts, audit, fronts)))
        if parts.settings.grpc_port:
            await stack.enter_async_context(deciding.grpc(parts))
        yield _joined(parts, fronts)


def _joined(parts: Parts, fronts: Sequence[Front]) -> Surface:
    surface = Surface(exact={}, readiness=parts.health.probes, metrics=parts.metrics.render)
    for front in fronts:
        surface = replace(
            surface,
            exact={**surface.exact, **front.exact},
            prefixes={**surface.prefixes, **front.prefixes},
            prefix_limits={**surface.prefix_limits, **front.prefix_limits},
            routers=(*surface.routers, *front.routers),
            documents=(*surface.documents, *front.documents),
        )
    return surface
