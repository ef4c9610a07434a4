"""The decision cache in every form that a deployment can have, for tests that must come out alike with each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.cache.seal import Seal
from pdp.cache.shared import open_shared_level
from pdp.redis_client import RedisPlace
from tests.servers import LOOK_AGAIN_S
from tests.valkey_server import valkey_server

Kind = Literal["off", "on", "redis"]
CACHES = ("off", "on", pytest.param("redis", marks=pytest.mark.system))
PATIENCE_S = 10.0  # only a failing test ever waits so long


@asynccontextmanager
async def cache_of(kind: Kind) -> AsyncIterator[VerdictCache | None]:
    """`off`: none. `on`: in this process. `redis`: nothing in this process, so that everything comes from a Valkey."""
    if kind == "off":
        yield None
    elif kind == "on":
        yield VerdictCache(LocalLevel(10_000))
    else:
        with valkey_server() as server:
            level = open_shared_level(RedisPlace(server.url), prefix="tests", deadline_s=PATIENCE_S)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while level.status().state != "up":  # noqa: ASYNC110  # the level tells nobody
                        await asyncio.sleep(LOOK_AGAIN_S)
                yield VerdictCache(LocalLevel(0), (level, Seal(b"the secret of these tests, 32 by")))
            finally:
                await level.close()


async def until_written(cache: VerdictCache) -> None:
    """Redis is written behind the answer: wait until it has all that was kept."""
    async with asyncio.timeout(PATIENCE_S):
        while (shared := cache.status().shared) is not None and shared.written < cache.status().kept:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN_S)
