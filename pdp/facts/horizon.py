"""When a fact could change by itself: the other half of a fact, and the reason an answer has an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.model.directory import Period


class Horizon:
    """Collects, per fact, the earliest instant after `now` at which it could change with no event.

    A path names the fact as the policy would (`device.permit`), so that a cache can later ask only for
    the facts that a policy reads.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.changes: dict[str, datetime] = {}

    def at(self, path: str, instant: datetime | None) -> None:
        """Note that the fact may change at `instant`; None and past instants change nothing."""
        if instant is None or instant <= self.now:
            return
        known = self.changes.get(path)
        if known is None or instant < known:
            self.changes[path] = instant

    def of(self, path: str, period: Period) -> bool:
        """Whether the period holds now; its next border is noted."""
        self.at(path, period.next_change(self.now))
        return period.holds(self.now)

    def earliest(self) -> datetime | None:
        """The first moment at which any noted fact could be another one."""
        return min(self.changes.values(), default=None)
