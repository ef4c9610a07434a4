"""Marks in Redis that every worker sees. Adapter of `pdp.identity.replay.SharedMarks`.

A mark is a name and who claimed it, for two minutes: no secret, and nothing that anybody could use. Whoever can
write to this Redis can make proofs look used, and so deny; they cannot make a used one look new for the worker that
saw it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_S: Final = 0.05  # of one claim: a round-trip takes a millisecond, and a decision waits for it
CONNECTIONS: Final = 8  # of one worker to one server; one more claim at once counts as one that failed
PAUSE_S: Final = 5.0  # after one that failed nobody is asked for so long: a Redis that is gone costs one wait, not all

_log = get_log("pdp.identity.shared_marks")


class RedisMarks:
    """To be used from one event loop. `close` closes the client."""

    def __init__(
        self, client: Any, prefix: str, stopwatch: Callable[[], float], *, deadline_s: float = DEADLINE_S
    ) -> None:
        """`client` is an asynchronous one of redis-py, `stopwatch` gives monotonic seconds."""
        self._client = client
        self._prefix = prefix
        self._stopwatch = stopwatch
        self._deadline_s = deadline_s
        self._not_before = 0.0

    async def claim(self, name: str, owner: str, lasts_ms: int) -> str | None:
        """As the port says."""
        if self._stopwatch() < self._not_before:
            return None
        try:
            async with asyncio.timeout(self._deadline_s):
                holder = await self._client.set(f"{self._prefix}:{name}", owner, nx=True, px=lasts_ms, get=True)
        except (RedisError, OSError, TimeoutError) as fault:
            self._not_before = self._stopwatch() + PAUSE_S
            _log.warning("used proofs are not shared for a while", reason=type(fault).__name__)
            return None
        if holder is None:
            return owner
        return holder.decode("utf-8", "replace") if isinstance(holder, bytes) else str(holder)

    async def close(self) -> None:
        await self._client.aclose()
