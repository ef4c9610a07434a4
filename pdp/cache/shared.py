"""The shared level in Redis: one server, a Sentinel service, or a cluster.

    get    -> lane.py     gathers the reads of one turn of the event loop; line.py asks them over one connection;
                          breaker.py says when not to ask; batch.py is what was asked together
    put    -> writes.py   a bounded queue, emptied in the background
    cluster.py            which of the cluster's nodes, each with a lane of its own, has a key

What Redis says is never believed here: `seal.py` opens it, one level up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from redis.asyncio import Redis

from pdp.cache.batch import Counts
from pdp.cache.cluster import ClusterLanes
from pdp.cache.lane import Lane
from pdp.cache.port import SharedStatus
from pdp.cache.seal import MAX_SEALED_BYTES
from pdp.cache.writes import Writes
from pdp.redis_client import open_redis

if TYPE_CHECKING:
    from datetime import timedelta

    from redis.asyncio import RedisCluster

    from pdp.redis_client import RedisPlace

COMMAND_S: Final = 1.0  # of connecting and of a round-trip of writes; nobody who wants an answer waits for either
CONNECTIONS: Final = 4  # of one worker to one server: one reads, one writes, and while one is replaced, two more


class Lanes(Protocol):
    """Who has which key."""

    @property
    def all(self) -> list[Lane]: ...

    @property
    def fault(self) -> str | None:
        """Why nobody knows who has which key."""
        ...

    def of(self, key: bytes) -> Lane | None: ...

    async def close(self) -> None: ...


class OneLane:
    """One server, or the master of a Sentinel service: each new connection goes to who it is then."""

    def __init__(self, client: Redis, *, head: bytes, deadline_s: float, counts: Counts) -> None:
        pool = client.connection_pool
        self._lane = Lane(pool.get_connection, pool.release, head=head, deadline_s=deadline_s, counts=counts)
        self.all = [self._lane]
        self.fault = None

    def of(self, key: bytes) -> Lane:  # noqa: ARG002  # the port's
        return self._lane

    async def close(self) -> None:
        await self._lane.close()


class RedisLevel:
    """`pdp.cache.port.SharedLevel` in Redis. To be made inside a running event loop.

    `client` becomes its own, and `close` closes it. `prefix` sets deployments apart in one Redis. `deadline_s` is
    the most that a `get` waits. A Redis that is not there, now or ever, is no error.
    """

    def __init__(self, client: Redis | RedisCluster, *, prefix: str, deadline_s: float) -> None:
        head = f"{prefix}:d1:".encode()
        self._client = client
        self._counts = Counts()
        self._lanes: Lanes = (
            OneLane(client, head=head, deadline_s=deadline_s, counts=self._counts)
            if isinstance(client, Redis)
            else ClusterLanes(client, head=head, deadline_s=deadline_s, counts=self._counts)
        )
        self._writes = Writes(client, head=head, counts=self._counts)

    async def get(self, key: bytes) -> bytes | None:
        lane = self._lanes.of(key)
        if lane is None:
            self._counts.skipped += 1
            return None
        waiter = lane.ask(key)
        return None if waiter is None else await waiter

    def put(self, key: bytes, value: bytes, ttl: timedelta) -> None:
        lane = self._lanes.of(key)
        if lane is None or lane.breaker.state != "up" or len(value) > MAX_SEALED_BYTES:
            self._counts.dropped += 1
        else:
            self._writes.put(key, value, ttl)

    def status(self) -> SharedStatus:
        """Of a cluster, the state of the node that is worst off."""
        counts = self._counts
        breakers = [lane.breaker for lane in self._lanes.all]
        open_ = [breaker for breaker in breakers if breaker.state != "up"]
        return SharedStatus(
            state=open_[0].state if open_ else "up" if breakers else "down",
            hits=counts.hits,
            misses=counts.misses,
            failures=counts.failures,
            timeouts=counts.timeouts,
            skipped=counts.skipped,
            corrupted=counts.corrupted,
            written=counts.written,
            dropped=counts.dropped,
            opened=sum(breaker.opened for breaker in breakers),
            fault=open_[0].fault if open_ else self._lanes.fault or self._writes.fault,
        )

    async def close(self) -> None:
        await self._writes.close()
        await self._lanes.close()
        await self._client.aclose()


def open_shared_level(place: RedisPlace, *, prefix: str, deadline_s: float) -> RedisLevel:
    """The level at this place, whether Redis is there or not. Raises SettingsError as `open_redis` does."""
    client = open_redis(place, deadline_s=COMMAND_S, max_connections=CONNECTIONS)
    return RedisLevel(client, prefix=prefix, deadline_s=deadline_s)
