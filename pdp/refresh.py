"""What a worker does beside deciding: look, every so often, whether the registers have changed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.errors import SekishoError
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

_log = get_log("pdp.refresh")


@asynccontextmanager
async def keep_fresh(
    looks: Sequence[Callable[[], Awaitable[object]]], *, every_s: float, after: Callable[[], None]
) -> AsyncIterator[None]:
    """Run every look again and again while the block runs; a look that fails is logged and tried next time.

    The values that a failed look would have replaced stay; readiness and metrics show their age.
    """
    task = asyncio.create_task(_forever(looks, every_s, after), name="refresh")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _forever(looks: Sequence[Callable[[], Awaitable[object]]], every_s: float, after: Callable[[], None]) -> None:
    failing: set[int] = set()
    while True:
        for number, look in enumerate(looks):  # each on its own: a directory that fails must not hide a revoked key
            await _look(number, look, failing)
        try:
            after()
        except Exception:  # noqa: BLE001  # measuring must never end the looking
            _log.exception("the gauges could not be set")
        await asyncio.sleep(every_s)


async def _look(number: int, look: Callable[[], Awaitable[object]], failing: set[int]) -> None:
    try:
        await look()
    except SekishoError as fault:
        if number not in failing:  # once per outage, not once a second
            _log.warning("refresh failed; the last good state stays", code=fault.code, reason=fault.message)
        failing.add(number)
    except Exception:  # noqa: BLE001  # a worker that stops looking would decide on old registers for ever
        if number not in failing:
            _log.exception("refresh failed unexpectedly; the last good state stays")
        failing.add(number)
    else:
        if number in failing:
            _log.info("refresh works again")
        failing.discard(number)
