"""Used proofs that workers share, in a real Valkey."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from pdp.identity.shared_marks import CONNECTIONS, PAUSE_S, RedisMarks
from pdp.redis_client import RedisPlace, open_redis
from tests.valkey_server import ValkeyServer, valkey_server

DEADLINE_S = 5.0  # generous: this suite is about what is claimed, not about how fast

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with valkey_server() as running:
        yield running


class Stopwatch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def marks(server: ValkeyServer) -> AsyncIterator[RedisMarks]:
    made = RedisMarks(_client(server), "sekisho", time.monotonic, deadline_s=DEADLINE_S)
    yield made
    await made.close()


def _client(server: ValkeyServer) -> object:
    return open_redis(RedisPlace(server.url), deadline_s=DEADLINE_S, max_connections=CONNECTIONS)


async def test_the_first_who_claims_a_name_has_it(marks: RedisMarks) -> None:
    assert await marks.claim("one", "d-1", 60_000) == "d-1"
    assert await marks.claim("one", "d-2", 60_000) == "d-1"
    assert await marks.claim("two", "d-2", 60_000) == "d-2"


async def test_a_claim_ends(marks: RedisMarks, server: ValkeyServer) -> None:
    await marks.claim("short", "d-1", 60_000)
    with redis.Redis.from_url(server.url) as looking:
        assert 0 < looking.pttl("sekisho:short") <= 60_000


async def test_a_redis_that_is_gone_is_asked_again_after_a_pause(server: ValkeyServer) -> None:
    stopwatch = Stopwatch()
    marks = RedisMarks(_client(server), "sekisho", stopwatch, deadline_s=DEADLINE_S)
    server.kill()
    try:
        assert await marks.claim("three", "d-1", 60_000) is None
    finally:
        server.restart()
    assert await marks.claim("three", "d-1", 60_000) is None
    stopwatch.now = PAUSE_S
    assert await marks.claim("three", "d-1", 60_000) == "d-1"
    await marks.close()
