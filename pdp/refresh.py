"""What a worker does beside deciding: look, every so often and when news come, whether the registers have changed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.ending import end
from pdp.errors import SekishoError
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pdp.signals.listener import Look, Nudge

_log = get_log("pdp.refresh")


@asynccontextmanager
async def keep_fresh(
    looks: Sequence[Look], *, every_s: float, after: Callable[[], None], nudge: Nudge | None = None
) -> AsyncIterator[None]:
    """Run every look again and again while the block runs; a look that fails is logged and tried next time.

    With a `nudge`, what it says is due runs at once too, between the rounds. The values that a failed look
    would have replaced stay; readiness and metrics show their age.
    """
    task = asyncio.create_task(_forever(looks, every_s, after, nudge), name="refresh")
    try:
        yield
    finally:
        await end(task)


async def _forever(looks: Sequence[Look], every_s: float, after: Callable[[], None], nudge: Nudge | None) -> None:
    failing: set[Look] = set()
    clock = asyncio.get_running_loop().time
    while True:
        await _round(looks, failing, after)
        until = clock() + every_s
        while nudge is not None and clock() < until:  # news without end must not keep a whole round away
            await _round(await _due(nudge, until), failing, after)
        await asyncio.sleep(until - clock())


async def _due(nudge: Nudge, until: float) -> Sequence[Look]:
    """What to look at before the next whole round; nothing when its time has come."""
    try:
        async with asyncio.timeout_at(until):
            return await nudge.due()
    except TimeoutError:
        return ()


async def _round(looks: Sequence[Look], failing: set[Look], after: Callable[[], None]) -> None:
    for look in looks:  # each on its own: a directory that fails must not hide a revoked key
        await _look(look, failing)
    try:
        after()
    except Exception:  # noqa: BLE001  # measuring must never end the looking
        _log.exception("the gauges could not be set")


async def _look(look: Look, failing: set[Look]) -> None:
    try:
        await look()
    except SekishoError as fault:
        if look not in failing:  # once per outage, not once a second
            _log.warning("refresh failed; the last good state stays", code=fault.code, reason=fault.message)
        failing.add(look)
    except Exception:  # noqa: BLE001  # a worker that stops looking would decide on old registers for ever
        if look not in failing:
            _log.exception("refresh failed unexpectedly; the last good state stays")
        failing.add(look)
    else:
        if look in failing:
            _log.info("refresh works again")
        failing.discard(look)
