"""Ending a task that talks to Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import Task

_ASK_AGAIN_S: Final = 0.1


async def end(task: Task[Any]) -> None:
    """Cancel it until it has ended, however it ends.

    Once is not enough: redis-py sends and connects within `asyncio.wait_for`, which before Python 3.12 swallows a
    cancellation that arrives in the same turn of the loop as its result. The service would then never end.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_ASK_AGAIN_S)
    if not task.cancelled():
        task.exception()  # seen; nobody is left to act on it
