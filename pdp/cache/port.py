"""The shared level of the cache, as the house sees it. Adapter: `pdp.cache.shared` (Redis)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True)
class SharedStatus:
    """For metrics, `/readyz` and `pdp doctor`. The counts are of this process since its start."""

    state: Literal["up", "down", "probing"]
    hits: int = 0
    misses: int = 0
    failures: int = 0
    timeouts: int = 0
    skipped: int = 0  # reads that were not asked because the breaker was open
    corrupted: int = 0
    written: int = 0
    dropped: int = 0
    opened: int = 0  # how often the breaker opened
    fault: str | None = None  # a short word for the operator, never an address


class SharedLevel(Protocol):
    """A store of sealed values that other workers and hosts read and write too. It is never believed unseen."""

    async def get(self, key: bytes) -> bytes | None:
        """The value as it was put, or None: absent, late, unreachable.

        Never raises (but when cancelled), and never takes longer than its deadline.
        """
        ...

    def put(self, key: bytes, value: bytes, ttl: timedelta) -> None:
        """Remember the value some time soon, off the answer's path. Never raises, never waits; may drop it."""
        ...

    def status(self) -> SharedStatus: ...

    async def close(self) -> None: ...
