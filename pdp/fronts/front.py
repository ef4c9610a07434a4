"""What the fronts of one worker stand on, and what each of them adds to the surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import APIRouter

    from pdp.activation import Activation
    from pdp.api.body import Limits
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.decide import Checkpoint
    from pdp.declog.port import DecisionLog
    from pdp.declog.record import Record
    from pdp.directory.source import DirectorySource
    from pdp.health import Health
    from pdp.identity.revocations import StoredRevocations
    from pdp.metrics import Metrics
    from pdp.parts import Tokens
    from pdp.settings import Settings
    from pdp.signals.port import News
    from pdp.store.store import Store
    from pdp.wire.exchange import Handler


@dataclass(frozen=True)
class Parts:
    """What the fronts of one worker stand on."""

    settings: Settings
    store: Store
    checkpoint: Checkpoint
    callers: Callers
    activation: Activation
    directory: DirectorySource
    revocations: StoredRevocations
    tokens: Tokens
    health: Health
    metrics: Metrics
    news: News
    log: DecisionLog
    mask: Callable[[Record], Record] | None = None

    def profile(self) -> Profile:
        """Of the active policy. Raises NotReadyError."""
        return self.activation.active().bundle.profile


@dataclass(frozen=True)
class Front:
    """What one wire format adds to the surface."""

    exact: Mapping[str, Handler] = field(default_factory=dict)
    prefixes: Mapping[str, Handler] = field(default_factory=dict)
    prefix_limits: Mapping[str, Limits] = field(default_factory=dict)
    routers: Sequence[APIRouter] = ()
    documents: Sequence[Mapping[str, Any]] = ()
