"""What the checkpoint needs of a decision log. Every adapter passes `tests/contract/test_declog.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context
    from datetime import datetime
    from typing import Any


class Kept(Protocol):
    """What becomes of one record; as much of an `asyncio.Future` as is needed of it."""

    def add_done_callback(self, call: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Call it, with this, when it is done: perhaps within the turn of the event loop that says so."""
        ...

    def result(self) -> None:
        """Of one that is done: nothing. Raises RecordFailedError."""
        ...

    def __await__(self) -> Generator[Any, None, None]:
        """As `result`, when it is done. Whoever hangs up leaves the record where it is."""
        ...


class DecisionLog(Protocol):
    """Keeps one record for each answer.

    INVARIANT (no answer without a record): where `append` returned, the record will be found; where it
    raised, the answer is not given. The reverse does not hold: a record may stand for an answer that
    was never given, because the disk took it and the caller had gone.
    """

    async def append(self, record: bytes) -> None:
        """Keep one JSON object (its key `id` is the decision id), on one line.

        Returns only when the record is as durable as configured. Raises RecordFailedError where it could
        not be made so within the deadline. One log belongs to one event loop.
        """
        ...

    def begin(self, record: bytes) -> Kept | None:
        """As `append`, where the record is taken at once: done or failed as `append` returns or raises. None where
        there would be more to wait for, and nothing was taken. Raises RecordFailedError.
        """
        ...

    def find(self, decision_id: str) -> bytes | None:
        """The record as it was appended, or None. Reads files: call it in a thread.

        Raises RecordDamagedError where a record stands under this id but cannot be trusted.
        """
        ...

    def writable(self) -> bool:
        """Whether a record would be taken now, as far as is known: for `/readyz`. Never blocks."""
        ...

    @property
    def unrecorded(self) -> int:
        """How many records this log could not keep since it was opened: how blind we are."""
        ...

    @property
    def spilling_since(self) -> datetime | None:
        """Since when records have gone to a second place because the first takes none; None while they do not."""
        ...

    async def close(self) -> None:
        """Write what is queued and let go of the files. May be called twice."""
        ...
