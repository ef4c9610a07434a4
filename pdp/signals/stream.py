"""News over a Redis stream. What may go wrong with the server makes them `lost`, and never a wrong answer.

Two connections: one that waits for news (`follower`), and one that is opened when there is something to tell
(`teller`). News need no seal: they carry no facts (`port`). Whoever may write to the stream can make workers
look at their database `LOOKS_PER_S` times a second; whoever can delete it, or hold it up, takes away the
speed and leaves the poll.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pdp.ending import end
from pdp.logs import get_log
from pdp.redis_client import open_redis
from pdp.signals.entries import NewsStream
from pdp.signals.follower import Follower, Patience
from pdp.signals.port import NewsStatus
from pdp.signals.teller import FAULTS, Teller, close, word_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from datetime import datetime

    from pdp.redis_client import RedisPlace
    from pdp.signals.port import Kind, State

_FIRST_RETRY_S: Final = 0.1
_log = get_log("pdp.signals")


class StreamNews:
    """Adapter of `pdp.signals.port.News`. Nothing is opened before `following`.

    `clock` gives aware times; `chance` numbers in [0, 1), so that workers do not all come back at one instant.
    Raises SettingsError for a place that cannot be used; one that becomes so later makes the news `lost`.
    """

    def __init__(
        self,
        place: RedisPlace,
        prefix: str,
        clock: Callable[[], datetime],
        *,
        patience: Patience = Patience(),  # noqa: B008  # frozen
        chance: Callable[[], float] = random.random,
    ) -> None:
        open_redis(place, deadline_s=patience.answer_s, max_connections=1)
        self._place = place
        self._prefix = prefix
        self._clock = clock
        self._patience = patience
        self._chance = chance
        self._follower = Follower(self._tell, patience=patience, now_ms=self._now_ms, chance=chance)
        self._hear: Callable[[Collection[Kind]], None] | None = None
        self._state: State = "lost"
        self._since = clock()
        self._fault: str | None = None
        self._outbox: dict[Kind, str] = {}
        self._any = asyncio.Event()
        self._published = 0
        self._unsent = 0

    @property
    def state(self) -> State:
        return self._state

    def publish(self, kind: Kind, mark: str) -> None:
        self._tell((kind,))
        self._outbox[kind] = mark  # at most one of a kind waits
        self._any.set()

    @asynccontextmanager
    async def following(self, hear: Callable[[Collection[Kind]], None]) -> AsyncIterator[None]:
        self._hear = hear
        tasks = [asyncio.create_task(self._follow(), name="news"), asyncio.create_task(self._send(), name="news-out")]
        try:
            yield
        finally:
            await end(*tasks)
            self._hear = None

    def status(self) -> NewsStatus:
        follower = self._follower
        return NewsStatus(
            state=self._state,
            since=self._since,
            heard=follower.heard,
            published=self._published,
            unsent=self._unsent,
            gaps=follower.gaps,
            lag_ms=follower.lag_ms,
            fault=self._fault,
        )

    def _tell(self, kinds: Collection[Kind]) -> None:
        if self._hear is not None and kinds:
            self._hear(kinds)

    def _now_ms(self) -> float:
        return self._clock().timestamp() * 1_000

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            try:
                await self._connection()
            except FAULTS as fault:
                self._lose(fault)
            except Exception as fault:  # noqa: BLE001  # a bug here must not make a worker deaf for ever
                _log.exception("news failed unexpectedly")
                self._lose(fault)
            failures = 0 if clock() - began > self._patience.retry_s else failures + 1
            await asyncio.sleep(self._pause_s(failures))

    async def _connection(self) -> None:
        client = open_redis(self._place, deadline_s=self._patience.answer_s, max_connections=1)
        try:
            await self._follower.follow(NewsStream(client, self._prefix), self._found)
        finally:
            await close(client)

    def _pause_s(self, failures: int) -> float:
        """Longer with each failure, and anywhere up to that: a server that returns is not run over by a fleet."""
        longest = min(self._patience.retry_s, _FIRST_RETRY_S * float(2 ** min(failures, 16)))
        return longest * (0.1 + 0.9 * self._chance())

    def _found(self) -> None:
        if self._fault is not None:
            _log.info("news are heard again", gaps=self._follower.gaps)
        self._state, self._since, self._fault = "up", self._clock(), None

    def _lose(self, fault: Exception) -> None:
        word = word_for(fault)
        if self._fault is None:  # once per outage
            _log.warning("news are lost; changes are seen by polling", fault=word)
        if self._state != "lost":
            self._state, self._since = "lost", self._clock()
        self._fault = word

    async def _send(self) -> None:
        teller = Teller(self._place, self._prefix, deadline_s=self._patience.publish_s)
        try:
            while True:
                await self._any.wait()
                self._any.clear()
                while self._outbox:
                    kind = next(iter(self._outbox))
                    if await teller.tell(kind, self._outbox.pop(kind)) is None:
                        self._published += 1
                    else:
                        self._unsent += 1
        finally:
            await teller.close()
