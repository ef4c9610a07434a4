"""The shared level without a server: one store, as many levels on it as there are workers, and a clock to turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pdp.cache.port import SharedStatus
from pdp.cache.seal import MAX_SEALED_BYTES


@dataclass
class SimulatedRedis:
    """`reachable` False: every read is a miss, every write is lost. `values`: what stands there, to be tampered with."""

    now: datetime = datetime(2026, 4, 1, tzinfo=UTC)
    reachable: bool = True
    values: dict[bytes, tuple[bytes, datetime]] = field(default_factory=dict)

    def level(self, prefix: str = "sekisho") -> SimulatedLevel:
        return SimulatedLevel(self, prefix)


class SimulatedLevel:
    """`pdp.cache.port.SharedLevel`."""

    def __init__(self, redis: SimulatedRedis, prefix: str) -> None:
        self._redis = redis
        self._head = f"{prefix}:d1:".encode()
        self._status = SharedStatus("up")
        self._is_closed = False

    async def get(self, key: bytes) -> bytes | None:
        await asyncio.sleep(0)
        if self._is_closed or not self._redis.reachable:
            self._count(skipped=1)
            return None
        value, end = self._redis.values.get(self._head + key, (None, self._redis.now))
        if value is None or end <= self._redis.now:
            self._count(misses=1)
            return None
        self._count(hits=1)
        return value

    def put(self, key: bytes, value: bytes, ttl: timedelta) -> None:
        refused = self._is_closed or not self._redis.reachable
        if refused or ttl < timedelta(milliseconds=1) or len(value) > MAX_SEALED_BYTES:
            self._count(dropped=1)
            return
        self._redis.values[self._head + key] = (value, self._redis.now + ttl)
        self._count(written=1)

    def status(self) -> SharedStatus:
        return replace(self._status, state="up" if self._redis.reachable else "down")

    async def close(self) -> None:
        self._is_closed = True

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self._status, name) + number for name, number in more.items()}
        self._status = replace(self._status, **counts)
