"""How much one caller may ask: the limits, and the bucket that holds a caller to its rate.

A bucket is one number, the instant at which it is full again (the generic cell rate algorithm, ITU-T I.371
annex A, is the same as a token bucket): taking costs a comparison and an addition, and nothing runs by itself.

A bucket belongs to one caller. Where a host has several workers they share it (`pdp.callers.shared_budget`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.errors import BadRequestError, TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND: Final = 1_000_000_000  # nanoseconds
MOST_A_SECOND: Final = 1_000_000  # beyond any worker: as good as no limit, and still a number
MOST_BODY: Final = 256 * 1024  # what the lane takes of anybody
MOST_BATCH: Final = 100  # what the batch endpoint takes of anybody


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """What one caller may ask of one host.

    `requests_per_s` and `burst` count evaluations: each item of a batch and each candidate of a search is one. The
    default lies above what a worker on one core answers: it ends a loop that went mad, and shares nothing out.
    """

    requests_per_s: int = 50_000
    burst: int = 50_000
    body_bytes: int = MOST_BODY
    batch: int = MOST_BATCH

    def __post_init__(self) -> None:
        """Raises BadRequestError for a limit that is no number of something, or beyond what anybody may ask."""
        for name, most in (
            ("requests_per_s", MOST_A_SECOND),
            ("burst", MOST_A_SECOND),
            ("body_bytes", MOST_BODY),
            ("batch", MOST_BATCH),
        ):
            value: object = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise BadRequestError(f"`{name}` must be 1 to {most}")


DEFAULT_LIMITS: Final = CallerLimits()


class Budget:
    """What is left of one caller's rate. `stopwatch` gives monotonic nanoseconds. Not for several threads.

    Whole nanoseconds, rounded up: the sums of fractions would now and then eat the last request of a burst.
    """

    __slots__ = ("_cell", "_interval", "_room", "_stopwatch", "limits")

    def __init__(self, limits: CallerLimits, stopwatch: Callable[[], int], cell: memoryview | None = None) -> None:
        """`cell` holds one signed integer of 64 bits, which others may change too; None: a number of its own."""
        self.limits = limits
        self._stopwatch = stopwatch
        self._interval = -(-_SECOND // limits.requests_per_s)
        self._room = (limits.burst - 1) * self._interval  # how far ahead of now it may be and still give one
        self._cell: list[int] | memoryview = [0] if cell is None else cell  # when it is full again

    def take(self) -> None:
        """One request. Raises TooManyRequestsError, and takes nothing, where none is left."""
        now = self._stopwatch()
        full_at: int = self._cell[0]
        if full_at < now:
            full_at = now
        elif full_at - now > self._room:
            wait_s = -(-(full_at - now - self._room) // _SECOND)
            raise TooManyRequestsError("this caller asks more often than its limit", retry_after_s=wait_s)
        self._cell[0] = full_at + self._interval

    def spend(self, further: int) -> None:
        """Further evaluations of a request that was taken. They may leave a debt, which the next request waits for:
        a batch that is larger than the burst would otherwise never be answered.
        """
        self._cell[0] = max(self._cell[0], self._stopwatch()) + further * self._interval
