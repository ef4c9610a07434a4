"""Office hours as a schedule of Strata Cloud Manager, and what a schedule says of the day and the hour.

A schedule that recurs every week knows no holiday, so what asks for a business day is written out, day by day. The
vendor's documents give minutes and do not say whether the last one is inside: it is written as if it were, one minute
short, and read the same way.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import ExportError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BUSINESS_DAY: Final = "context.business_day"
BUSINESS_HOURS: Final = "context.business_hours"
_MOMENT: Final = "%Y/%m/%d@%H:%M"
_SPAN: Final = re.compile(r"(\d{4}/\d\d/\d\d@\d\d:\d\d)-(\d{4}/\d\d/\d\d@\d\d:\d\d)", re.ASCII)
_HOUR: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_MINUTE: Final = timedelta(minutes=1)
_MAX_DAYS: Final = 370  # a year and the days of its turn
Moment = tuple[bool, bool]  # business day, business hours
ALL: Final[frozenset[Moment]] = frozenset({(True, True), (True, False), (False, False)})


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Business days and their hours (`08:30`), in the local time of the tenant's gateways. `until` is closed again."""

    days: tuple[date, ...]
    opens: str = "08:30"
    until: str = "17:15"

    def hours_of(self, day: date) -> tuple[datetime, datetime]:
        """When it opens and closes on one of its days."""
        return (
            datetime.combine(day, time.fromisoformat(self.opens)),
            datetime.combine(day, time.fromisoformat(self.until)),
        )


def refuse_calendar(calendar: Calendar | None) -> None:
    """Raises SettingsError for days that are too many or twice, and for hours that end before they begin."""
    if calendar is None:
        return
    if not 0 < len(calendar.days) <= _MAX_DAYS or len(set(calendar.days)) != len(calendar.days):
        raise SettingsError(f"`calendar`: one to {_MAX_DAYS} days, each once")
    if not all(_HOUR.fullmatch(one) for one in (calendar.opens, calendar.until)) or calendar.opens >= calendar.until:
        raise SettingsError("`calendar`: it opens before it closes, both as hours and minutes")


def schedule(name: str, folder: str, calendar: Calendar, *, hours: bool) -> dict[str, Any]:
    """The business days of the calendar; with `hours`, their business hours alone."""
    spans = []
    for day in sorted(calendar.days):
        opens, until = calendar.hours_of(day)
        begin = opens if hours else datetime.combine(day, time(0, 0))
        end = until - _MINUTE if hours else datetime.combine(day, time(23, 59))
        spans.append(f"{begin.strftime(_MOMENT)}-{end.strftime(_MOMENT)}")
    return {"name": name, "folder": folder, "schedule_type": {"non_recurring": spans}}


def moments(held: Mapping[str, Any], calendar: Calendar | None) -> frozenset[Moment]:
    """Which (day, hours) can be while a schedule is on. One that recurs, or no calendar: all. Raises ExportError."""
    ((kind, spans),) = held["schedule_type"].items()
    if kind == "recurring" or calendar is None:
        return ALL
    if kind != "non_recurring":
        raise ExportError(f"a schedule `{kind}` is not known")
    return frozenset(moment for begin, end in _read(spans) for moment in _within(begin, end, calendar))


def _read(spans: Sequence[str]) -> Iterator[tuple[datetime, datetime]]:
    for span in spans:
        found = _SPAN.fullmatch(span)
        if found is None:
            raise ExportError(f"`{span}` is no span of a schedule")
        # Local wall clock on both sides; the schedule format has no zone to give.
        begin, end = (datetime.strptime(one, _MOMENT) for one in found.groups())  # noqa: DTZ007
        if (end - begin).days > _MAX_DAYS:
            raise ExportError(f"`{span}` is longer than a year")
        yield begin, end


def _within(begin: datetime, end: datetime, calendar: Calendar) -> Iterator[Moment]:
    """The moments of one span, its last minute included."""
    day = begin.date()
    while day <= end.date():
        first = begin if day == begin.date() else datetime.combine(day, time(0, 0))
        last = end if day == end.date() else datetime.combine(day, time(23, 59))
        if day not in calendar.days:
            yield (False, False)
        else:
            opens, until = calendar.hours_of(day)
            if first < until and last >= opens:
                yield (True, True)
            if first < opens or last >= until:
                yield (True, False)
        day += timedelta(days=1)
