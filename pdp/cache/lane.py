"""Reads from one Redis server: gathered, asked together, given up at the deadline, behind a breaker.

    ask()    a future for one key, or None where Redis is not to be asked now
    ...      one keeper in the background connects, probes, watches, and connects again

Nothing here waits on the answer's path but for that future, and it is done at the deadline at the latest.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from pdp.cache.batch import MAX_KEYS, Batch, Counts, Waiters
from pdp.cache.breaker import Breaker
from pdp.cache.line import Line
from pdp.cache.word import word
from pdp.ending import end
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.connection import AbstractConnection

CONNECT_S: Final = 2.0  # for a connection with TLS, login and perhaps a question to the sentinels
ABANDON_S: Final = 0.25  # an answer that is this late will not come: the connection is given up with it
HEARTBEAT_S: Final = 2.0  # so that a Redis that nobody asks, and that is gone, is known to be gone
GRACE: Final = 3  # how often a deadline is put off because the answer lies there, and this loop was busy elsewhere
TRIES: Final = 3  # reads of one probe, of which one must be in time: the first on a new connection is often slow
PROBE: Final = b"probe"  # a key that nobody writes

_log = get_log(__name__)


class Lane:
    """To be made inside a running event loop; `close` ends it. `singly`: one command for each key, and
    `node`: its name for the log; both for a cluster.

    `on_fault` hears of lost connections, failed probes and keys that moved: a cluster looks where its nodes are.
    """

    def __init__(  # noqa: PLR0913  # each is named at the call
        self,
        take: Callable[[], Awaitable[AbstractConnection]],
        give_back: Callable[[AbstractConnection], Awaitable[None]],
        *,
        head: bytes,
        deadline_s: float,
        counts: Counts,
        singly: bool = False,
        node: str | None = None,
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        self.breaker = Breaker()
        self._log = _log if node is None else _log.bind(node=node)
        self._take, self._give_back = take, give_back
        self._head = head
        self._deadline_s = deadline_s
        self._counts = counts
        self._singly = singly
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._pending: dict[bytes, Waiters] = {}
        self._was_up: bool | None = None
        self._keeper = asyncio.create_task(self._keep())

    def ask(self, key: bytes) -> asyncio.Future[bytes | None] | None:
        if self._line is None:
            self._counts.skipped += 1
            return None
        waiter: asyncio.Future[bytes | None] = self._loop.create_future()
        waiters = self._pending.get(key)
        if waiters is not None:
            waiters.append(waiter)
            return waiter
        self._pending[key] = [waiter]
        if len(self._pending) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._pending) >= MAX_KEYS:
            self._flush()
        return waiter

    async def close(self) -> None:
        await end(self._keeper)

    def _flush(self) -> None:
        if not self._pending:
            return
        batch = Batch(self._pending, self._counts, singly=self._singly)
        self._pending = {}
        if self._line is None or self._line.is_full:
            batch.skip()
        else:
            self._send(self._line, batch)

    def _send(self, line: Line, batch: Batch) -> None:
        batch.grace = GRACE
        batch.timer = self._loop.call_later(self._deadline_s, self._look_at, line, batch)
        line.ask(batch, self._head)

    def _look_at(self, line: Line, batch: Batch) -> None:
        """Its deadline has come.

        A loop calls its timers before the tasks that its sockets woke, so a busy loop would give up answers that
        have long come, and then blame Redis for it: with 64 readers of 0.1 ms each, every third.
        """
        now = self._loop.time()
        if batch.grace and line.has_unread:
            batch.grace -= 1
            batch.timer = self._loop.call_later(self._deadline_s, self._look_at, line, batch)
            return
        batch.expire()
        batch.timer = self._loop.call_later(ABANDON_S, line.end, "timeout")
        if self.breaker.failed("timeout", now):
            line.end("timeout")

    def _answered(self, batch: Batch) -> None:
        if batch.moved and batch.keys != [PROBE]:  # in a cluster, that key belongs to some other node
            self._on_fault()
        if batch.fault is None:
            self.breaker.succeeded()
        elif self.breaker.failed(batch.fault, self._loop.time()) and self._line is not None:
            self._line.end(batch.fault)

    def _lost(self, line: Line, fault: str) -> None:
        if line is self._line:
            self._line = None
            self.breaker.open(fault, self._loop.time())
            self._on_fault()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.breaker.pause_s(random.random()))  # noqa: S311  # only spreads workers in time
            self.breaker.probe()
            fault = None
            # A broad except: nothing that a server, a resolver or a client library raises may end the keeper.
            try:
                fault = await self._try()
            except Exception as failure:  # noqa: BLE001
                fault = word(failure)
            if self.breaker.state == "probing":
                self.breaker.probe_failed(fault)
            self._say()
            self._on_fault()

    async def _try(self) -> str:
        """Connect, ask, and keep the line as long as it lives. The word for its end, or for why there is none."""
        async with asyncio.timeout(CONNECT_S):
            connection = await self._take()
        line = Line(connection, self._give_back, on_answer=self._answered, on_end=self._lost)
        try:
            fault: str | None = None
            for _ in range(TRIES):
                fault = (await self._beat(line)).fault
                if fault is None and not line.ended.done():
                    await self._watch(line)
                if line.ended.done():
                    return line.ended.result()
            return fault or "timeout"
        finally:
            if line is self._line:
                self._line = None
            await line.close()

    async def _beat(self, line: Line) -> Batch:
        """A read of nothing, with the deadline of every read. It counts for the breaker, not for the counts."""
        done: asyncio.Future[bytes | None] = self._loop.create_future()
        batch = Batch({PROBE: [done]}, Counts(), singly=self._singly)
        self._send(line, batch)
        await done
        return batch

    async def _watch(self, line: Line) -> None:
        self._line = line
        self.breaker.close(self._loop.time())
        self._say()
        while not line.ended.done():
            await asyncio.wait((line.ended,), timeout=HEARTBEAT_S)
            if not line.ended.done():
                await self._beat(line)

    def _say(self) -> None:
        """One line in the log for each change, never one for each request."""
        is_up = self.breaker.state == "up"
        if is_up is not self._was_up:
            self._was_up = is_up
            if is_up:
                self._log.info("the cache in redis is used")
            else:
                self._log.warning("the cache in redis is not used for now", fault=self.breaker.fault)
