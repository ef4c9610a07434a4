"""From news to looks: in order, one at a time, however much is heard at once, and not too often."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pdp.signals.port import LOOKS_PER_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from pdp.signals.port import Kind, News

    Look = Callable[[], Awaitable[object]]

_SPACING_S: Final = 1 / LOOKS_PER_S


class Nudge:
    """Which looks are due because of what was heard. `hear` is called by the news, `due` awaited by the looking.

    Whatever is heard while a look runs makes it due once more: that look may have begun before the change.
    """

    def __init__(self, looks: Mapping[Kind, Look], *, spacing_s: float = _SPACING_S) -> None:
        """`looks` in the order in which they are to run; kinds without a look are not waited for."""
        self._looks = dict(looks)
        self._spacing_s = spacing_s
        self._heard: set[Kind] = set()
        self._any = asyncio.Event()
        self._not_before = 0.0

    def hear(self, kinds: Collection[Kind]) -> None:
        """Call it on the event loop. Never waits, and keeps nothing but which kinds it were."""
        self._heard |= self._looks.keys() & set(kinds)
        if self._heard:
            self._any.set()

    async def due(self) -> tuple[Look, ...]:
        """The looks to run now, at least one; what was heard is then taken, as the looking begins.

        Returns at once where nothing was due lately, else a spacing after the previous return. May be
        cancelled: what was heard stays for the next call.
        """
        clock = asyncio.get_running_loop().time
        await self._any.wait()
        if (wait := self._not_before - clock()) > 0:
            await asyncio.sleep(wait)
        # Nothing is awaited from here on: a cancellation must not lose what is taken.
        self._not_before = clock() + self._spacing_s
        taken = tuple(look for kind, look in self._looks.items() if kind in self._heard)
        self._heard.clear()
        self._any.clear()
        return taken


@asynccontextmanager
async def listening(news: News, looks: Mapping[Kind, Look]) -> AsyncIterator[Nudge]:
    """Follow the news while the block runs; hand the value to `pdp.refresh.keep_fresh` as its `nudge`."""
    nudge = Nudge(looks)
    async with news.following(nudge.hear):
        yield nudge
