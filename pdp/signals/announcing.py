"""Telling news from a command: a process that changes the database, says so, and ends."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pdp.signals.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.redis_client import RedisPlace
    from pdp.signals.port import Kind

DEADLINE_S: Final = 0.5  # of the connection, and of each piece of news


@contextmanager
def announcing(
    place: RedisPlace, prefix: str, *, deadline_s: float = DEADLINE_S
) -> Iterator[Callable[[Kind, str], str | None]]:
    """Connect, and hand over what publishes one piece of news; call that after the commit.

    It returns None where the stream took the news, else a short word that says why not, and never raises:
    the change stands, and the workers see it at their next poll. Connecting before the change keeps the
    commit and the news a round trip apart. Not to be used where an event loop runs (RuntimeError).
    """
    teller = Teller(place, prefix, deadline_s=deadline_s)
    with asyncio.Runner() as runner:
        runner.run(teller.prepare())  # what fails here is tried again when there is something to tell
        try:
            yield lambda kind, mark: runner.run(teller.tell(kind, mark))
        finally:
            runner.run(teller.close())
