"""What the composition root gives to the HTTP surface: everything that it shows, and nothing that it builds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.api.body import Limits
from pdp.api.lane import log_bug

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import APIRouter
    from starlette.types import StatelessLifespan

    from pdp.wire.exchange import Handler


class Probe(NamedTuple):
    """One thing that must be well before decisions are answered. `detail` is shown to anybody: no paths, no secrets."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Surface:
    """`exact` and `prefixes` are the lane's, `prefix_limits` those of the prefixes that need larger (or smaller) bodies
    than `limits`; `routers` are mounted in the application behind it.

    `readiness` must answer from memory: it is asked every few seconds. `metrics` is the Prometheus text.
    `documents` are further OpenAPI fragments (`paths`, `components`) of the handlers in the lane.
    `lifespan` is FastAPI's own: what is opened before the first request and closed after the last.
    """

    exact: Mapping[str, Handler]
    readiness: Callable[[], Sequence[Probe]]
    metrics: Callable[[], bytes]
    prefixes: Mapping[str, Handler] = field(default_factory=dict)
    prefix_limits: Mapping[str, Limits] = field(default_factory=dict)
    routers: Sequence[APIRouter] = ()
    documents: Sequence[Mapping[str, Any]] = ()
    lifespan: StatelessLifespan[Any] | None = None
    limits: Limits = field(default_factory=Limits)
    on_bug: Callable[[BaseException], None] = log_bug
