"""What the checkpoint needs of a decision log. Every adapter passes `tests/contract/test_declog.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Future
    from datetime import datetime


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

    def begin(self, record: bytes) -> Future[None] | None:
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
