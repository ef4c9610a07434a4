"""Office hours as a schedule of Strata Cloud Manager, and what a schedule says of the day and the hour.

A schedule that recurs every week knows no holiday, so what asks for a business day is written out, day by day. What is
a business day, and when the office is open, the policy's data says: a schedule is read by that, whoever wrote it. The
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
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pdp.model.rules import Office

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
    """The days for which schedules are written out, in the local time of the tenant's gateways.

    `opens` and `until` (`17:15`, closed again) are the policy's own where they are left out; they may be narrower.
    """

    days: tuple[date, ...]
    opens: str | None = None
    until: str | None = None

    def hours(self, office: Office) -> tuple[time, time]:
        """When it opens, and when it is closed again."""
        return time.fromisoformat(self.opens or office.opens), time.fromisoformat(self.until or office.closes)


def refuse_calendar(calendar: Calendar | None) -> None:
    """Raises SettingsError for days that are too many or twice, and for hours that end before they begin."""
    if calendar is None:
        return
    if not 0 < len(calendar.days) <= _MAX_DAYS or len(set(calendar.days)) != len(calendar.days):
        raise SettingsError(f"`calendar`: one to {_MAX_DAYS} days, each once")
    said = [one for one in (calendar.opens, calendar.until) if one is not None]
    if not all(_HOUR.fullmatch(one) for one in said) or said != sorted(set(said)):
        raise SettingsError("`calendar`: it opens before it closes, both as hours and minutes")


def schedule(name: str, folder: str, calendar: Calendar, office: Office, *, hours: bool) -> dict[str, Any]:
    """The days of the calendar; with `hours`, their business hours alone. Raises ExportError where those are none."""
    opens, until = calendar.hours(office)
    if opens >= until:
        raise ExportError("the `calendar` of the mapping opens when the policy's office has closed")
    spans = []
    for day in sorted(calendar.days):
        begin = datetime.combine(day, opens if hours else time(0, 0))
        end = datetime.combine(day, until) - _MINUTE if hours else datetime.combine(day, time(23, 59))
        spans.append(f"{begin.strftime(_MOMENT)}-{end.strftime(_MOMENT)}")
    return {"name": name, "folder": folder, "schedule_type": {"non_recurring": spans}}


def moments(held: Mapping[str, Any], office: Office | None) -> frozenset[Moment]:
    """Which (day, hours) can be while a schedule is on, by the *policy's* office hours: the mapping's are not asked.

    One that recurs, or no office hours: all. Raises ExportError.
    """
    ((kind, spans),) = held["schedule_type"].items()
    if kind == "recurring" or office is None:
        return ALL
    if kind != "non_recurring":
        raise ExportError(f"a schedule `{kind}` is not known")
    closed = frozenset(map(date.fromisoformat, office.closed_dates))
    return frozenset(moment for begin, end in _read(spans) for moment in _within(begin, end, office, closed))


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


def _within(begin: datetime, end: datetime, office: Office, closed: Collection[date]) -> Iterator[Moment]:
    """The moments of one span, its last minute included."""
    opens, closes = time.fromisoformat(office.opens), time.fromisoformat(office.closes)
    day = begin.date()
    while day <= end.date():
        first = begin.time() if day == begin.date() else time(0, 0)
        last = end.time() if day == end.date() else time(23, 59)
        if day in closed or day.weekday() in office.closed_weekdays:
            yield (False, False)
        else:
            if first < closes and last >= opens:
                yield (True, True)
            if first < opens or last >= closes:
                yield (True, False)
        day += timedelta(days=1)
