"""Reading the stream to its end and on, over one connection after another, without missing that something was missed.

1. A new connection first takes its place: after the entry that was read last where that still stands, else
   at the end. Then, whatever was missed, everything is looked at once.
2. Before each read it asks whether the entry that was read last still stands. Entries leave a stream at its
   beginning only, so while it stands nothing after it is gone. Where it is gone (trimmed past us, deleted,
   flushed, restarted empty, another server that is behind), that is a gap: the place is the end, and
   everything is looked at.
3. The read waits for `block_s`. A server that is alive answers then, if only with nothing: no answer within
   `answer_s` is a dead server, a dead peer or a partition.
4. A server may answer and take no news (its memory is full, it has become a replica, we may not write). So
   where nothing at all was heard for some seconds, somebody writes a beat, and everybody hears that one:
   about one entry in `quiet_s` for the whole fleet, however large. Who cannot write it has lost the news
   until it can; the place of the connection after that is the beat with which it proves so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from redis.exceptions import InvalidResponse

from pdp.signals.entries import START
from pdp.signals.port import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pdp.signals.entries import Entry, NewsStream
    from pdp.signals.port import Kind

_AT_ONCE: Final = 50  # entries in one answer; more is a flood, which is not read but looked at
_BREATH_S: Final = 0.01  # between reads that found something: a flood costs a share of a core, not a core


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take, in seconds."""

    block_s: float = 1.0
    answer_s: float = 2.0  # of the server, the block included: then the news are lost, well within 3 s
    quiet_s: float = 4.0  # without any entry, until one of us writes a beat
    publish_s: float = 0.5
    retry_s: float = 5.0  # between attempts to connect, at most


class Follower:
    """One worker's place in the stream, kept from connection to connection.

    `hear` is called as `News.following` says; `now_ms` is Unix time in milliseconds, `chance` in [0, 1).
    """

    def __init__(
        self,
        hear: Callable[[Collection[Kind]], None],
        *,
        patience: Patience,
        now_ms: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._hear = hear
        self._patience = patience
        self._now_ms = now_ms
        self._chance = chance
        self._place: bytes | None = None
        self._must_prove = False
        self.heard = 0
        self.gaps = 0
        self.lag_ms: float | None = None

    async def follow(self, stream: NewsStream, opened: Callable[[], None]) -> NoReturn:
        """Read until something fails; `opened` is called when from now on nothing can be missed unnoticed.

        Raises what the client raises, and TimeoutError for a server that does not answer in time.
        """
        try:
            await self._follow(stream, opened)
        except InvalidResponse:  # an entry too large to be read: the next connection must begin after it
            self._must_prove = True
            raise

    async def _follow(self, stream: NewsStream, opened: Callable[[], None]) -> NoReturn:
        await self._take_place(stream)
        opened()
        clock = asyncio.get_running_loop().time
        beat_at = clock() + self._quiet_s()
        while True:
            if not await self._stands(stream):
                self.gaps += 1
                await self._go_to_the_end(stream)
            # Each waits for its own moment: reads that all end at once would all write.
            entries = await self._read(stream, min(self._patience.block_s, beat_at - clock()))
            if entries:
                await asyncio.sleep(_BREATH_S)
            elif clock() >= beat_at:
                await self._beat(stream)
            else:
                continue
            beat_at = clock() + self._quiet_s()

    async def _take_place(self, stream: NewsStream) -> None:
        if self._must_prove:
            self.gaps += 1
            self._place = await self._beat(stream)
            self._hear(KINDS)
        elif self._place in (None, START):
            await self._go_to_the_end(stream)
        elif await self._stands(stream):
            self._hear(KINDS)
        else:
            self.gaps += 1
            await self._go_to_the_end(stream)

    async def _stands(self, stream: NewsStream) -> bool:
        """Whether nothing after our place can have gone. An empty stream has nothing that could."""
        assert self._place is not None
        if self._place == START:
            return True
        async with asyncio.timeout(self._patience.answer_s):
            return await stream.has(self._place)

    async def _go_to_the_end(self, stream: NewsStream) -> None:
        async with asyncio.timeout(self._patience.answer_s):
            self._place = await stream.newest()
        self._hear(KINDS)  # after the place is taken: what comes from now on is read, what came before is looked at

    async def _read(self, stream: NewsStream, block_s: float) -> list[Entry]:
        assert self._place is not None
        async with asyncio.timeout(self._patience.answer_s):
            entries = await stream.after(self._place, at_most=_AT_ONCE, block_s=block_s)
        if not entries:
            return entries
        kinds = [entry.kind for entry in entries if entry.kind is not None]
        self.heard += len(kinds)
        self.lag_ms = max(0.0, self._now_ms() - entries[-1].at_ms)
        if len(entries) == _AT_ONCE:
            await self._go_to_the_end(stream)
        else:
            self._place = entries[-1].id
            self._hear(frozenset(kinds))
        return entries

    async def _beat(self, stream: NewsStream) -> bytes:
        """Its id. Raises where the stream takes no entry; then the next connection must prove that it does."""
        self._must_prove = True
        async with asyncio.timeout(self._patience.answer_s):
            written = await stream.beat()
        self._must_prove = False
        return written

    def _quiet_s(self) -> float:
        """Spread, so that one is the first and the others hear it."""
        return self._patience.quiet_s * (0.75 + self._chance() / 2)
