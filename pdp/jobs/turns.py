"""Whose turn it is: a place goes to whoever has none before anybody has a second one. `Turns` is a queue by that rule.

Attack: one author asks for two long trials again and again, and another one, who edits a single line, never gets a
place. Nobody's work is stopped for it: what has begun ends.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


def next_turns(busy: Sequence[str], waiting: Sequence[tuple[str, str]], places: int) -> list[str]:
    """Which of `waiting`, (id, author) in the order in which they asked, begin now. `busy`: authors of what runs."""
    having, left, found = list(busy), list(waiting), []
    for _ in range(min(places, len(left))):
        turn = next((one for one in left if one[1] not in having), left[0])
        left.remove(turn)
        having.append(turn[1])
        found.append(turn[0])
    return found


class _Waiter(NamedTuple):
    author: str
    turn: asyncio.Future[None]


class Turns:
    """Places for short work in one worker. `wait_s`: whoever has no turn by then is refused; `most` may wait."""

    def __init__(self, places: int, *, wait_s: float, most: int) -> None:
        self._places: Final = places
        self._wait_s: Final = wait_s
        self._most: Final = most
        self._busy: list[str] = []
        self._waiting: dict[str, _Waiter] = {}
        self._asked = 0

    @asynccontextmanager
    async def turn(self, author: str) -> AsyncIterator[None]:
        """A place for as long as the block takes. Raises ConflictError."""
        if len(self._waiting) >= self._most:
            raise ConflictError("too many drafts wait to be tried", next_step="try again in a moment")
        self._asked += 1
        ticket, waiter = str(self._asked), _Waiter(author, asyncio.get_running_loop().create_future())
        self._waiting[ticket] = waiter
        self._give()
        try:
            async with asyncio.timeout(self._wait_s):
                await waiter.turn
        except TimeoutError:
            if not self._left(ticket, waiter):
                raise ConflictError("other drafts are being tried", next_step="try again in a moment") from None
        except asyncio.CancelledError:
            if self._left(ticket, waiter):
                self._free(author)
            raise
        try:
            yield
        finally:
            self._free(author)

    def _left(self, ticket: str, waiter: _Waiter) -> bool:
        """Whether it had its turn after all; it waits no longer."""
        self._waiting.pop(ticket, None)
        return waiter.turn.done() and not waiter.turn.cancelled()

    def _free(self, author: str) -> None:
        self._busy.remove(author)
        self._give()

    def _give(self) -> None:
        waiting = [(ticket, one.author) for ticket, one in self._waiting.items() if not one.turn.done()]
        for ticket in next_turns(self._busy, waiting, self._places - len(self._busy)):
            waiter = self._waiting.pop(ticket)
            self._busy.append(waiter.author)
            waiter.turn.set_result(None)
