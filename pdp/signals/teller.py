"""Writing news: over a connection that is opened when there is something to tell, and kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from pdp.errors import SettingsError
from pdp.redis_client import open_redis
from pdp.signals.entries import NewsStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis, RedisCluster

    from pdp.redis_client import RedisPlace
    from pdp.signals.port import Kind

# SettingsError: the files of a place are read at each opening, so that a new password counts without a restart.
FAULTS: Final = (RedisError, OSError, TimeoutError, SettingsError)
_CLOSE_S: Final = 0.5
_ATTEMPTS: Final = 2  # a connection that was kept may have died since; the second attempt opens a new one


class Teller:
    """Never raises (but when cancelled), and never takes longer than its deadline."""

    def __init__(self, place: RedisPlace, prefix: str, *, deadline_s: float) -> None:
        self._place = place
        self._prefix = prefix
        self._deadline_s = deadline_s
        self._client: Redis | RedisCluster | None = None

    async def prepare(self) -> str | None:
        """Connect now, so that telling takes no longer than a round trip. As `tell`, but tells nothing."""
        return await self._attempt(lambda stream: stream.newest())

    async def tell(self, kind: Kind, mark: str) -> str | None:
        """None where the stream took it, else a short word for the operator, never an address."""
        return await self._attempt(lambda stream: stream.post(kind, mark))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await close(client)

    async def _attempt(self, write: Callable[[NewsStream], Awaitable[object]]) -> str | None:
        fault = ""
        try:
            async with asyncio.timeout(self._deadline_s):
                for _ in range(_ATTEMPTS):
                    try:
                        self._client = self._client or open_redis(
                            self._place, deadline_s=self._deadline_s, max_connections=1
                        )
                        await write(NewsStream(self._client, self._prefix))
                    except FAULTS as failed:
                        fault = word_for(failed)
                        await self.close()
                    else:
                        return None
        except TimeoutError:
            await self.close()
            return TimeoutError.__name__
        return fault


def word_for(fault: Exception) -> str:
    """What to call it before an operator: a library's own text may hold addresses, ours holds none."""
    return fault.message if isinstance(fault, SettingsError) else type(fault).__name__


async def close(client: Redis | RedisCluster) -> None:
    """Close it, whatever state its connection is in, within half a second."""
    with suppress(*FAULTS):
        async with asyncio.timeout(_CLOSE_S):
            await client.aclose()
