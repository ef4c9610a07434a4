"""The time that a form asks about: two local times of a form, or a handy span. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.model.directory import JST

if TYPE_CHECKING:
    from pdp.console.visit import Visit

_FIELD: Final = "%Y-%m-%dT%H:%M"  # what <input type="datetime-local"> takes and gives


class Window(NamedTuple):
    """Aware times; `until` is not in it."""

    since: datetime
    until: datetime

    def params(self) -> dict[str, str]:
        return {"since": self.since.isoformat(), "until": self.until.isoformat()}

    def fields(self) -> dict[str, str]:
        """As the form shows it, in Japan's time."""
        return {
            "since": self.since.astimezone(JST).strftime(_FIELD),
            "until": self.until.astimezone(JST).strftime(_FIELD),
        }

    def whole_hours(self) -> Window:
        """At least this, in whole hours: what counts by the hour takes no others."""
        since = self.since.replace(minute=0, second=0, microsecond=0)
        until = self.until.replace(minute=0, second=0, microsecond=0)
        return Window(since, until if until == self.until else until + timedelta(hours=1))


def window_of(visit: Visit, span: timedelta) -> Window:
    """What the form says; of a field that is empty or unreadable, the last `span` until the next minute."""
    now = visit.now.astimezone(JST).replace(second=0, microsecond=0) + timedelta(minutes=1)
    until = _read(visit.one("until")) or now
    since = _read(visit.one("since")) or until - span
    return Window(since, until) if since < until else Window(until - span, until)


def _read(text: str) -> datetime | None:
    """A local time of a form is Japan's; one with an offset, as links have it, is what it says."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=JST)).astimezone(JST)
    except (ValueError, OverflowError):
        return None
