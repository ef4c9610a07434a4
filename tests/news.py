"""What the suites about news share: an ear that can be awaited, and patience short enough for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from pdp.parts import utc_now
from pdp.redis_client import RedisPlace
from pdp.signals.follower import Patience
from pdp.signals.port import KINDS, Kind, News, State
from pdp.signals.stream import StreamNews

DEADLINE_S = 10.0
LOOK_AGAIN_S = 0.005
QUICK = Patience(block_s=0.1, answer_s=0.5, quiet_s=0.3, publish_s=0.3, retry_s=0.1)
EVERYTHING = frozenset(KINDS)


class Ear:
    """Everything that one worker heard, in order."""

    def __init__(self, news: News) -> None:
        self.news = news
        self.heard: list[frozenset[Kind]] = []

    def hear(self, kinds: Collection[Kind]) -> None:
        self.heard.append(frozenset(kinds))

    async def hears(self, kind: Kind) -> None:
        """Waits for this kind alone, and forgets what was heard until then."""
        await self.until(lambda: frozenset((kind,)) in self.heard, f"{kind} was not heard")
        self.heard.clear()

    async def is_told_to_look_at_everything(self) -> None:
        await self.until(lambda: EVERYTHING in self.heard, "nobody said to look at everything")
        self.heard.clear()

    async def sees(self, state: State) -> None:
        await self.until(lambda: self.news.state == state, f"the news are not {state}")

    async def counts(self, **counts: int) -> None:
        """Waits until the status says so."""
        await self.until(
            lambda: all(getattr(self.news.status(), name) == count for name, count in counts.items()),
            f"it does not count {counts}",
        )

    async def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        """State can only be looked at, not awaited: an operator does not get more either."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds():  # noqa: ASYNC110  # as the docstring says
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            raise AssertionError(f"{otherwise}: {self.heard}, {self.news.status()}") from None


@asynccontextmanager
async def following(news: News) -> AsyncIterator[Ear]:
    ear = Ear(news)
    async with news.following(ear.hear):
        yield ear


@asynccontextmanager
async def up(news: News) -> AsyncIterator[Ear]:
    """A worker that hears, and has looked at everything once."""
    async with following(news) as ear:
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        yield ear


def stream_news(url: str, patience: Patience = QUICK, **place: str) -> StreamNews:
    return StreamNews(RedisPlace(url, **place), "test", utc_now, patience=patience)
