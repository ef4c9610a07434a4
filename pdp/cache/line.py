"""One connection to one Redis, for reads only: questions go out as they come, answers come back in their order.

redis-py makes the connection (TLS, HELLO, AUTH, SELECT, the master of a Sentinel service) and reads the replies
off it. The questions are written past it, because its `send_packed_command` makes a new connection by itself
when the old one is gone: the answers of the new one would then be taken for those of the old. A read through
its client costs some 30 µs of CPU, one through a line 7.

INVARIANT (an answer belongs to its question): a line never outlives its connection. Whatever is odd about a
reply (one that nobody asked for, one of another form, an error of the protocol) ends the line and with it
every question under way; a reply that is late is still read in its turn, and then thrown away.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import InvalidResponse, ResponseError

from pdp.cache.word import word
from pdp.ending import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.connection import AbstractConnection

    from pdp.cache.batch import Batch

MAX_UNDER_WAY: Final = 64  # batches; a healthy server answers each within one or two turns of the loop


class Line:
    """Lives until `ended` is done, which says why, in one word. Then `close` gives the connection back.

    `connection` is connected and has nothing unread. `on_answer` gets each batch that was answered in time,
    and `on_end` the word, at once.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        give_back: Callable[[AbstractConnection], Awaitable[None]],
        *,
        on_answer: Callable[[Batch], None],
        on_end: Callable[[Line, str], None],
    ) -> None:
        reader, writer = connection._reader, connection._writer  # noqa: SLF001  # see above
        assert reader is not None
        assert writer is not None
        self._connection = connection
        self._reader: Any = reader
        self._writer = writer
        self._give_back = give_back
        self._on_answer = on_answer
        self._on_end = on_end
        self._under_way: deque[Batch] = deque()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    @property
    def has_unread(self) -> bool:
        """Bytes of the server have come, and this loop has not come to them yet."""
        return bool(self._reader._buffer)  # noqa: SLF001  # asyncio has no other way to ask; redis-py asks so too

    @property
    def is_full(self) -> bool:
        return len(self._under_way) >= MAX_UNDER_WAY

    def ask(self, batch: Batch, head: bytes) -> None:
        """Send it. Its answer, or the line's end, ends the waiting; the deadline is the caller's."""
        if self.ended.done():
            batch.fail(self.ended.result())
            return
        self._under_way.append(batch)
        if self._writer.transport.is_closing():
            self.end("ConnectionError")
        else:
            self._writer.write(batch.command(head))

    def end(self, fault: str) -> None:
        """Let everybody go, and never read from this connection again."""
        if self.ended.done():
            return
        self.ended.set_result(fault)
        self._reading.cancel()
        under_way, self._under_way = self._under_way, deque()
        for batch in under_way:
            batch.fail(fault)
            batch.cancel_timer()
        self._on_end(self, fault)

    async def close(self) -> None:
        self.end("closed")
        await end(self._reading)
        try:
            await self._connection.disconnect(nowait=True)
        finally:
            await self._give_back(self._connection)

    async def _read(self) -> None:
        # A broad except: whatever a server can make a parser raise (a hostile one has many ways) is the end of
        # this line, and of nothing else.
        try:
            while True:
                self._take(await self._reply())
        except Exception as failure:  # noqa: BLE001
            self.end(word(failure))

    def _take(self, reply: object) -> None:
        if not self._under_way:
            raise InvalidResponse("an answer that nobody asked for")
        batch = self._under_way[0]
        waited = batch.waiting
        if batch.take(reply):
            self._under_way.popleft()
            batch.cancel_timer()
            if waited:
                self._on_answer(batch)

    async def _reply(self) -> object:
        try:
            return await self._connection.read_response(disable_decoding=True, timeout=math.inf)
        except ResponseError as refusal:  # a complete reply; the order is intact
            return refusal
