"""This package's part of a worker, made of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.insight.desk import Desk
from pdp.insight.recomputing import Recomputing
from pdp.insight.routes import insight_router

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from fastapi import APIRouter

    from pdp.active_policy import ActivePolicy
    from pdp.audit.opening import Audit
    from pdp.bundle.bundle import Bundle
    from pdp.directory.source import DirectorySource
    from pdp.engine.port import Engine
    from pdp.settings import Settings
    from pdp.store.store import Store


def workers_path(settings: Settings) -> Path:
    """Where the workers of this host say how they are."""
    return settings.state_path / "workers"


def insight(  # noqa: PLR0913  # the composition root names each
    settings: Settings,
    *,
    audit: Audit,
    directory: DirectorySource,
    store: Store,
    policy: Callable[[], ActivePolicy],
    load: Callable[[str], Bundle],
    make: Callable[[], Engine],
    clock: Callable[[], datetime],
) -> APIRouter:
    """Its paths. `load`: a bundle by its digest; `make`: an engine with nothing loaded."""
    return insight_router(
        Desk(
            reception=audit.desk.reception,
            audit=audit.desk,
            directory=directory,
            store=store,
            policy=policy,
            workers=workers_path(settings),
            node=settings.node,
            recomputing=Recomputing(load, make),
            clock=clock,
        )
    )
