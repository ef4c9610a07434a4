"""News between simulated workers of one event loop: instant, or as bad as a test wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pdp.signals.port import KINDS, Kind, NewsStatus, State


class Exchange:
    """What a Redis stream is to real workers. `up` is whether it works; news of the time when not are gone."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.members: list[SimulatedNews] = []
        self._up = True

    def worker(self) -> SimulatedNews:
        return SimulatedNews(self)

    @property
    def up(self) -> bool:
        return self._up

    def fail(self) -> None:
        self._up = False
        for member in self.members:
            member.turned(up=False)

    def recover(self) -> None:
        """Every worker is told to look at everything, as after any interruption."""
        self._up = True
        for member in self.members:
            member.turned(up=True)

    def spread(self, kind: Kind) -> None:
        """A piece of news for everybody, from a worker, or forged, or sent a second time."""
        if self._up:
            for member in self.members:
                member.hears((kind,))


class SimulatedNews:
    """Adapter of `pdp.signals.port.News`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._hear: Callable[[Collection[Kind]], None] | None = None
        self._since = exchange.clock()
        self._heard = self._published = self._unsent = self._gaps = 0

    @property
    def state(self) -> State:
        return "up" if self._hear is not None and self._exchange.up else "lost"

    def publish(self, kind: Kind, mark: str) -> None:
        if self._exchange.up:
            self._published += 1
            self._exchange.spread(kind)
        else:
            self._unsent += 1
            if self._hear is not None:
                self._hear((kind,))

    @asynccontextmanager
    async def following(self, hear: Callable[[Collection[Kind]], None]) -> AsyncIterator[None]:
        self._hear = hear
        self._since = self._exchange.clock()
        self._exchange.members.append(self)
        hear(KINDS)
        try:
            yield
        finally:
            self._exchange.members.remove(self)
            self._hear = None

    def status(self) -> NewsStatus:
        lag = 0.0 if self._heard else None
        fault = None if self.state == "up" else "ConnectionError"
        return NewsStatus(
            self.state, self._since, self._heard, self._published, self._unsent, self._gaps, lag_ms=lag, fault=fault
        )

    def hears(self, kinds: Collection[Kind]) -> None:
        self._heard += len(kinds)
        if self._hear is not None:
            self._hear(kinds)

    def turned(self, *, up: bool) -> None:
        self._since = self._exchange.clock()
        if up and self._hear is not None:
            self._gaps += 1
            self._hear(KINDS)
