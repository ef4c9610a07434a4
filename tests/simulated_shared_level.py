"""A shared level of the cache in memory, and every way in which a Redis can fail it. Simulates `pdp.cache.port.SharedLevel`."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from pdp.cache.port import SharedStatus


class Fault(Enum):
    """What goes wrong with the next read, or with the next write."""

    ABSENT = "a read finds nothing"
    LATE = "a read is given up at its deadline, some turns of the event loop later"
    ANOTHERS = "a read gives what stands under another key"
    OLD = "a read gives the first value that ever stood under this key"
    FLIPPED = "a read gives the value with one bit flipped"
    CUT = "a read gives the beginning of the value"
    DROPPED = "a write is lost"


READS = tuple(fault for fault in Fault if fault is not Fault.DROPPED)


@dataclass
class Redis:
    """What several workers share: the values, and the first one that each key ever had."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    first: dict[bytes, bytes] = field(default_factory=dict)


class SimulatedShared:
    """One worker's way to the shared values. `faults` wait for the reads and writes that they spoil."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.faults: deque[Fault] = deque()
        self.asked: list[bytes] = []
        self.ttls: list[timedelta] = []

    async def get(self, key: bytes) -> bytes | None:
        self.asked.append(key)
        await asyncio.sleep(0)
        values = self.redis.values
        match self._next(READS):
            case Fault.ABSENT:
                return None
            case Fault.LATE:
                for _ in range(3):
                    await asyncio.sleep(0)
                return None
            case Fault.ANOTHERS:
                return next((value for other, value in values.items() if other != key), None)
            case Fault.OLD:
                return self.redis.first.get(key)
            case Fault.FLIPPED if values.get(key):
                at = len(values[key]) * 2 // 3
                return values[key][:at] + bytes([values[key][at] ^ 1]) + values[key][at + 1 :]
            case Fault.CUT if key in values:
                return values[key][: len(values[key]) // 2]
        return values.get(key)

    def put(self, key: bytes, value: bytes, ttl: timedelta) -> None:
        self.ttls.append(ttl)
        if self._next((Fault.DROPPED,)) is None:
            self.redis.values[key] = value
            self.redis.first.setdefault(key, value)

    def status(self) -> SharedStatus:
        return SharedStatus("up")

    async def close(self) -> None:
        return

    def _next(self, fitting: tuple[Fault, ...]) -> Fault | None:
        return self.faults.popleft() if self.faults and self.faults[0] in fitting else None
