"""Reading a list that is ordered by time, the newest first, only as far as it is needed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.posture.reading import instant, member

if TYPE_CHECKING:
    from datetime import datetime


class NewestFirst:
    """`done` once everything that follows is older than `start`.

    A source that does not keep the order is read to its end: where a later record is newer than an earlier one, an old
    record says nothing about those that follow. Records without a time say nothing either way.
    """

    def __init__(self, column: str, start: datetime) -> None:
        self._column = column
        self._start = start
        self._oldest: datetime | None = None
        self._ordered = True

    @property
    def done(self) -> bool:
        return self._ordered and self._oldest is not None and self._oldest < self._start

    def look(self, records: list[Any]) -> None:
        for record in records:
            at = instant(member(record, self._column))
            if at is None:
                continue
            if self._oldest is not None and at > self._oldest:
                self._ordered = False
            self._oldest = at
