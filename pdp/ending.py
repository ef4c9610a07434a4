"""Ending background tasks, for sure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import Task

_ASK_AGAIN_S: Final = 0.1


async def end(*tasks: Task[Any]) -> None:
    """Cancel them until they have ended, however they end.

    Once is not enough: before Python 3.12, `asyncio.wait_for` swallows a cancellation that arrives in the same turn
    of the loop as its result, and redis-py connects and sends within it. Whoever waits would then wait for ever.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_ASK_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen; nobody is left to act on it
