"""Writes to Redis, off the answer's path: a bounded queue, and one task that empties it, many at a time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from pdp.cache.word import word
from pdp.ending import end
from pdp.logs import get_log

if TYPE_CHECKING:
    from datetime import timedelta

    from redis.asyncio import Redis, RedisCluster

    from pdp.cache.batch import Counts

MAX_WAITING: Final = 4_096  # entries
MAX_WAITING_BYTES: Final = 8_000_000
AT_ONCE: Final = 64  # entries of one round-trip
ROUND_TRIP_S: Final = 2.0
LONGEST_PAUSE_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.1

_log = get_log(__name__)


class Writes:
    """To be made inside a running event loop; `close` ends it, and drops what still waits.

    `fault` is why the server takes no writes (full, read-only, not permitted), None where it does. That is no
    matter of the breaker: a Redis that is full can still be read.
    """

    def __init__(self, client: Redis | RedisCluster, *, head: bytes, counts: Counts) -> None:
        self.fault: str | None = None
        self._client = client
        self._head = head
        self._counts = counts
        self._waiting: dict[bytes, tuple[bytes, int]] = {}  # in the order of arrival: value, milliseconds
        self._bytes = 0
        self._some = asyncio.Event()
        self._failures = 0
        self._task = asyncio.create_task(self._run())

    def put(self, key: bytes, value: bytes, ttl: timedelta) -> None:
        """Over a limit, the oldest go first: what was asked last is asked again soonest."""
        milliseconds = int(ttl.total_seconds() * 1000)
        self._remove(key)
        if milliseconds <= 0 or len(value) > MAX_WAITING_BYTES:
            self._counts.dropped += 1
            return
        self._waiting[key] = (value, milliseconds)
        self._bytes += len(value)
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._remove(next(iter(self._waiting)))
            self._counts.dropped += 1
        self._some.set()

    async def close(self) -> None:
        await end(self._task)
        self._counts.dropped += len(self._waiting)
        self._waiting.clear()

    def _remove(self, key: bytes) -> None:
        gone = self._waiting.pop(key, None)
        if gone is not None:
            self._bytes -= len(gone[0])

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            some = [(key, *self._waiting[key]) for key in list(self._waiting)[:AT_ONCE]]
            for key, _, _ in some:
                self._remove(key)
            if not self._waiting:
                self._some.clear()
            await self._write(some)
            if self._failures:
                pause = min(LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16))
                await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311  # only spreads workers in time

    async def _write(self, some: list[tuple[bytes, bytes, int]]) -> None:
        pipe = self._client.pipeline(transaction=False)
        for key, value, milliseconds in some:
            pipe.execute_command("SET", self._head + key, value, "PX", milliseconds)
        refused: list[BaseException] = []
        # A broad except: nothing that a server or a client library raises may end this task.
        try:
            async with asyncio.timeout(ROUND_TRIP_S):
                replies = await pipe.execute(raise_on_error=False)
            refused = [reply for reply in replies if isinstance(reply, Exception)]
            self._counts.written += len(some) - len(refused)
            self._counts.dropped += len(refused)
            self._failures = self._failures + 1 if len(refused) == len(some) else 0
        except Exception as failure:  # noqa: BLE001
            refused = [failure]
            self._counts.dropped += len(some)
            self._failures += 1
        self._say(word(refused[0]) if refused else None)

    def _say(self, fault: str | None) -> None:
        """One line in the log for each change, never one for each write."""
        if (fault is None) is not (self.fault is None):
            if fault is None:
                _log.info("redis takes writes again")
            else:
                _log.warning("redis takes no writes", fault=fault)
        self.fault = fault
