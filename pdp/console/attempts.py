"""How soon a password may be tried again, in one worker.

By account and address together: the first failures cost nothing, then each doubles the pause before the next try, up to
`LONGEST`. Nobody is ever locked out: whatever strangers do, at their own addresses nothing changes for others, and at a
shared one (a proxy's) the account of an emergency can be tried again after `LONGEST`. What bounds the work of guessing
is this pause, the price of each check (`accounts`) and how many are checked at once (`login`).

A name that nobody has counts as any other, so that the pause says nothing about which names there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pdp.errors import TooManyRequestsError

FREE: Final = 3  # failures without a pause: a person mistypes
LONGEST: Final = timedelta(seconds=15)  # four tries a minute: a password of 12 characters outlasts its owner
FORGOTTEN: Final = timedelta(minutes=15)  # without a failure
MOST_PAIRS: Final = 1_000
_MAX_NAME: Final = 64


@dataclass(slots=True)
class _Tried:
    failures: int
    last: datetime

    @property
    def pause(self) -> timedelta:
        doubled = self.failures - FREE
        return timedelta(0) if doubled < 0 else min(LONGEST, timedelta(seconds=1 << min(doubled, 10)))


class Attempts:
    def __init__(self) -> None:
        self._pairs: Final[dict[tuple[str, str], _Tried]] = {}

    def admit(self, name: str, address: str | None, now: datetime) -> None:
        """Raises TooManyRequestsError before the pause is over."""
        tried = self._pairs.get(_pair(name, address))
        if tried is None:
            return
        rest = tried.last + tried.pause - now
        if rest > timedelta(0):
            seconds = max(1, -(-rest // timedelta(seconds=1)))
            raise TooManyRequestsError("too many passwords were tried", retry_after_s=seconds)

    def failed(self, name: str, address: str | None, now: datetime) -> None:
        pair = _pair(name, address)
        tried = self._pairs.get(pair)
        if tried is None or now - tried.last >= FORGOTTEN:
            tried = _Tried(0, now)
        self._pairs[pair] = _Tried(tried.failures + 1, now)
        if len(self._pairs) > MOST_PAIRS:
            self._make_room(now)

    def succeeded(self, name: str, address: str | None) -> None:
        self._pairs.pop(_pair(name, address), None)

    def _make_room(self, now: datetime) -> None:
        """Attack: a thousand invented names, so that the one that is tried in earnest is forgotten.

        What has failed least often goes first, and of these the oldest.
        """
        for pair in [pair for pair, tried in self._pairs.items() if now - tried.last >= FORGOTTEN]:
            del self._pairs[pair]
        while len(self._pairs) > MOST_PAIRS:
            del self._pairs[min(self._pairs, key=lambda pair: (self._pairs[pair].failures, self._pairs[pair].last))]


def _pair(name: str, address: str | None) -> tuple[str, str]:
    return name[:_MAX_NAME], address or ""
