"""On whose behalf this process asks its own API: a person at the console.

The console has no power that the API lacks, because it asks the API itself, in this process, as the person who is
logged in. Who that is cannot travel in a header, which anybody could write: it stands in the context of the task that
asks, for as long as it asks.

INVARIANT (from within): nothing that arrives over a connection sets this value, and no code of a server runs under
it: a task, a timer or a reader that a server starts keeps the context in which it was started, and with it the person.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.callers.caller import Caller

_acting: Final[ContextVar[Caller | None]] = ContextVar("acting", default=None)


def acting() -> Caller | None:
    """Who asks, where it is a person at the console; None for everything that came over a connection."""
    return _acting.get()


@contextmanager
def acting_as(person: Caller | None) -> Iterator[None]:
    """Requests that are made within this block, in this task, are this person's; with None, nobody's."""
    token = _acting.set(person)
    try:
        yield
    finally:
        _acting.reset(token)
