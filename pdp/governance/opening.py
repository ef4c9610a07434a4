"""The admin API of one worker, made of its parts. The trail is opened at the first change."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.governance.desk import Desk
from pdp.governance.drafts_desk import DraftsDesk, turns_of_trials
from pdp.governance.exceptions_desk import ExceptionsDesk
from pdp.governance.jobs_desk import AT_ONCE, Choices, JobsDesk
from pdp.governance.jobs_routes import jobs_router
from pdp.governance.reception import Reception
from pdp.governance.routes import governance_router
from pdp.jobs.register import JobRegister
from pdp.jobs.running import Jobs
from pdp.revisions.exceptions import Exceptions
from pdp.revisions.files import from_directory
from pdp.revisions.opening import open_registers
from pdp.revisions.person import People
from pdp.trail.keeping import Trail, trail_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from fastapi import APIRouter

    from pdp.callers.caller import Caller
    from pdp.governance.drafts_desk import Trying
    from pdp.revisions.gate import Gate
    from pdp.settings import Settings
    from pdp.signals.port import Kind
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest


@asynccontextmanager
async def open_governance(  # noqa: PLR0913  # the parts of a worker that it stands on
    settings: Settings,
    store: Store,
    *,
    introduce: Callable[[HttpRequest], Awaitable[Caller]],
    gates: Sequence[Gate],
    trying: Trying,
    choices: Choices,
    tell: Callable[[Kind, int], None],
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
) -> AsyncIterator[APIRouter]:
    """Its paths. Raises SettingsError where a key cannot be read."""
    registers = open_registers(settings, store)
    trail = Trail(trail_path(settings.state_path), node=settings.node, clock=clock)
    jobs = Jobs(JobRegister(store), settings, clock=clock, new_id=new_id)
    try:
        reception = Reception(introduce, trail, clock, new_id)

        def configured() -> dict[str, str]:
            return from_directory(settings.bundle_path)

        desk = Desk(reception, registers, gates, lambda epoch: tell("policy", epoch), asyncio.Lock(), configured)
        granting = ExceptionsDesk(
            reception, Exceptions(store, People(settings.policy_people)), lambda epoch: tell("directory", epoch)
        )
        drafts = DraftsDesk(reception, registers, trying, turns_of_trials(), configured)
        foreseeing = JobsDesk(
            reception, registers, jobs, choices, settings.audit_departments, asyncio.Semaphore(AT_ONCE), desk.checked
        )
        router = governance_router(desk, granting, drafts)
        router.include_router(jobs_router(foreseeing))
        yield router
    finally:
        await jobs.close()
        await trail.close()
