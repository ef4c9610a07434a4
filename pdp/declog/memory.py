"""A decision log that lasts as long as the process: for scenarios, simulation and tests, never for answers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import msgspec

from pdp.errors import RecordFailedError

_MAX_RECORDS: Final = 100_000  # about 200 MB; the oldest go first


class _Identified(msgspec.Struct):
    id: str


class UnsafeMemoryLog:
    """A `DecisionLog` that nothing survives."""

    def __init__(self, max_records: int = _MAX_RECORDS) -> None:
        self._max_records = max_records
        self._records: OrderedDict[str, bytes] = OrderedDict()
        self._refused = 0
        self._closed = False

    @property
    def records(self) -> tuple[bytes, ...]:
        """What was appended, oldest first."""
        return tuple(self._records.values())

    async def append(self, record: bytes) -> None:
        decision_id = None if self._closed or b"\n" in record else _id_of(record)
        if decision_id is None:
            self._refused += 1
            raise RecordFailedError("the decision log is closed, or the record is not one JSON object on one line")
        self._records[decision_id] = record
        if len(self._records) > self._max_records:
            self._records.popitem(last=False)
        await asyncio.sleep(0)  # as with a disk, others run before the answer

    def find(self, decision_id: str) -> bytes | None:
        return self._records.get(decision_id.lower())

    def writable(self) -> bool:
        return not self._closed

    @property
    def unrecorded(self) -> int:
        return self._refused

    async def close(self) -> None:
        self._closed = True


def _id_of(record: bytes) -> str | None:
    try:
        return msgspec.json.decode(record, type=_Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
