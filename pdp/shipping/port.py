"""What the shipper needs of a carrier, and what passes between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["info", "notice", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """One record in the form of its target. `time` is RFC 3339 with microseconds, `seq` its number in the epoch."""

    body: bytes
    time: str
    node: str
    worker: str
    seq: int
    level: Level
    kind: str


class UndeliveredError(Exception):
    """The receiver did not take the batch now; it is sent again. `fault`: a short word for status and metrics."""

    def __init__(self, fault: str, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(detail or fault)
        self.fault = fault
        self.retry_after_s = retry_after_s


class RefusedError(Exception):
    """The receiver will not take these events, ever: their content, not the moment, is what it refuses."""


class Carrier(Protocol):
    def send(self, events: Sequence[Event]) -> None:
        """Return only when the receiver has the events. Blocks, at most for the target's deadline.

        Raises UndeliveredError or RefusedError; then some of the events may have arrived.
        """
        ...

    def close(self) -> None: ...
