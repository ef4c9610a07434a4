"""The audit API of one worker, made of its parts. Who asks nothing costs nothing: the processes that ask, and the
trail, are opened at the first question.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.audit.askers import Askers
from pdp.audit.desk import Desk
from pdp.audit.question import Ground
from pdp.audit.reception import Reception
from pdp.audit.routes import audit_router
from pdp.audit.saved import SavedQueries
from pdp.audit.saved_desk import SavedDesk
from pdp.privacy.pseudonym import make_key_file, read_pseudonyms
from pdp.trail.keeping import Trail, trail_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from fastapi import APIRouter

    from pdp.audit.metrics import Watch
    from pdp.callers.caller import Caller
    from pdp.settings import Settings
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest

_KEYS: Final = "audit-pseudonyms.keys"


class Audit(NamedTuple):
    """Its paths, and the desk for who asks from within."""

    router: APIRouter
    desk: Desk


@asynccontextmanager
async def open_audit(  # noqa: PLR0913, PLR0917  # the composition root names each
    settings: Settings,
    store: Store,
    introduce: Callable[[HttpRequest], Awaitable[Caller]],
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    watch: Watch,
) -> AsyncIterator[Audit]:
    """Raises SettingsError where the keys of the pseudonyms cannot be had."""
    ground = ground_of(settings, await asyncio.to_thread(_keys, settings))
    async with AsyncExitStack() as stack:
        each = settings.audit_questions_per_caller
        askers = Askers(ground, most=settings.audit_questions, each=each, watch=watch)
        stack.push_async_callback(askers.close)
        trail = Trail(trail_path(settings.state_path), node=settings.node, clock=clock)
        stack.push_async_callback(trail.close)
        desk = Desk(Reception(introduce, trail, clock, new_id, watch), askers, settings.audit_departments)
        yield Audit(audit_router(desk, SavedDesk(desk, SavedQueries(store))), desk)


def ground_of(settings: Settings, keys: Path) -> Ground:
    """What the processes that ask stand on."""
    return Ground(
        logs=[str(log.resolve()) for log in settings.decision_logs],
        trail=str(trail_path(settings.state_path).resolve()),
        memory_mb=settings.audit_memory_mb,
        threads=settings.audit_threads,
        keys=str(keys.resolve()),
    )


def _keys(settings: Settings) -> Path:
    """The file of keys, which is there and can be read."""
    if settings.audit_pseudonym_file:
        path = Path(settings.audit_pseudonym_file)
    else:
        path = settings.state_path / _KEYS
        make_key_file(path)
    read_pseudonyms(path)
    return path
