"""No stream: a worker hears only of its own changes; those of others it sees by polling."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.signals.port import KINDS, NewsStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from datetime import datetime

    from pdp.signals.port import Kind, State


class LocalNews:
    """Adapter of `pdp.signals.port.News` for one process. `clock` gives aware times."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._since = clock()
        self._hear: Callable[[Collection[Kind]], None] | None = None
        self._heard = 0
        self._published = 0

    @property
    def state(self) -> State:
        return "off"

    def publish(self, kind: Kind, mark: str) -> None:  # noqa: ARG002  # as the port says; nobody else reads it
        self._published += 1
        if self._hear is not None:
            self._heard += 1
            self._hear((kind,))

    @asynccontextmanager
    async def following(self, hear: Callable[[Collection[Kind]], None]) -> AsyncIterator[None]:
        self._hear = hear
        hear(KINDS)
        try:
            yield
        finally:
            self._hear = None

    def status(self) -> NewsStatus:
        return NewsStatus("off", self._since, heard=self._heard, published=self._published)
