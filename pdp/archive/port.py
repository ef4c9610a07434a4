"""The seams of the store: where sealed segments go, and who answers questions.

The segments are the truth. A sink can be rebuilt from them; an engine reads what a sink holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from pdp.declog.layout import SegmentName


class SegmentSink(Protocol):
    """Takes sealed segments. Every sink passes `tests/contract/test_archive.py`."""

    def stored(self, names: Iterable[SegmentName]) -> frozenset[str]:
        """Which of these segments it has. Blocks. Raises NotReadyError."""
        ...

    def publish(self, names: Sequence[SegmentName], now: datetime) -> int:
        """Take these sealed segments, durably; gives how many were new.

        Idempotent by the segment's name: what it has already is passed over, also after a crash at any
        point. Raises OSError, NotReadyError, and RecordDamagedError where what it holds is not what it
        was given; then it counts as not published.
        """
        ...


class QueryEngine(Protocol):
    """Answers the questions of `pdp.archive.queries`, and no others."""

    def run(self, name: str, params: Mapping[str, object], *, within: Sequence[str] | None = None) -> pa.Table:
        """The answer as a table, never more than the engine's limit of rows. Blocks: call it in a thread.

        `within`: the question sees records of people of these departments alone; empty is nobody.
        Raises BadRequestError for an unknown question or a parameter that does not fit, NotReadyError where
        the answer cannot be had (in time).
        """
        ...
