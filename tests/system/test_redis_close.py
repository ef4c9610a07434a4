"""A shared level that is closed at any moment of its life ends: a service must never wait for one when it stops."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from pdp.cache.shared import open_shared_level
from pdp.redis_client import RedisPlace
from tests.valkey_server import valkey_server

pytestmark = [pytest.mark.anyio, pytest.mark.system]

MOMENTS = 250  # with one cancellation only, every thirtieth close or so never ended
CLOSE_S = 10.0


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the service."""
    return "asyncio", {"use_uvloop": True}


async def test_a_level_that_is_closed_at_any_moment_ends() -> None:
    with valkey_server() as server:
        for number in range(MOMENTS):
            level = open_shared_level(RedisPlace(server.url), prefix="sekisho", deadline_s=0.02)
            for _ in range(random.randrange(60)):  # turns of the loop: somewhere between connecting and reading
                await asyncio.sleep(0)
            level.put(bytes([number]), b"value", timedelta(seconds=9))
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            async with asyncio.timeout(CLOSE_S):
                await level.close()
