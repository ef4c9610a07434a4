"""From a roster and orders (発令) to users with effective dates. Pure; read `people` first.

1. a roster says how things stand from its day on; a row with a day of its own (異動日) says it from that day on
2. an order changes one thing from its day on
3. what holds is found day by day in order; of two that fall on one day, the file that came later counts
4. a post of the main office lasts until the next one; further posts (兼務) until they are taken back
5. retirement and the end of a term are last days; a leave begins on its day

Posts and the end of employment carry their dates, so that a transfer takes effect at midnight without us. What a
user can have only one of (kind, name, roles, whether on leave) is that of `today`, and the connector looks again
when the day changes.

INVARIANT (closing needs no run): a leave or an end ahead bounds the employment itself; only what opens waits for us.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.port import Refused
from pdp.model.directory import Post, User, period_of_dates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.identity.csv_drop.settings import Column, FeedMapping, Order
    from connectors.identity.csv_drop.table import Record
    from pdp.model.directory import Period
    from pdp.model.input import Employment

_BEGIN: Final = date.min  # "always has been"
_END: Final = date(MAXYEAR, 12, 31)  # the first day after "never"
_DAY: Final = timedelta(days=1)


class Roster(NamedTuple):
    """`as_of`: the day from which it is so. `columns`: what the file tells of at all."""

    as_of: date
    records: Sequence[Record]
    columns: frozenset[Column] = frozenset()

    def tells(self, order: Order | None) -> bool:
        """A roster without a column for leaves says nothing of them, so that an order of before it still counts."""
        if order in ("leave", "return"):
            return not self.columns.isdisjoint(("status", "leave_from"))
        return order not in ("concurrent", "concurrent_end") or "concurrent" in self.columns


class Orders(NamedTuple):
    """`newer`: it came after the roster; of an older file only what lies after the roster's day still counts."""

    newer: bool
    records: Sequence[Record]


class _Span(NamedTuple):
    """Days from `start` to the day before `end`."""

    start: date
    end: date
    what: str = ""


@dataclass(slots=True)
class _Events:
    """What is known of one person, by day and then by arrival."""

    rows: list[tuple[date, int, Record]] = field(default_factory=list)

    def in_order(self) -> list[tuple[date, Record]]:
        return [(day, record) for day, _, record in sorted(self.rows, key=lambda row: row[:2])]


def people(
    roster: Roster | None, orders: Iterable[Orders], mapping: FeedMapping, today: date
) -> tuple[tuple[User, ...], tuple[Refused, ...]]:
    """The users, by id, and what could not be used."""
    events: dict[str, _Events] = {}
    number = 0
    for record in roster.records if roster is not None else ():
        number += 1
        events.setdefault(record.id, _Events()).rows.append((record.effective or _BEGIN, number, record))
    for file in orders:
        for record in file.records:
            day = record.effective or _BEGIN
            if roster is not None and not file.newer and day <= roster.as_of and roster.tells(record.order):
                continue
            number += 1
            events.setdefault(record.id, _Events()).rows.append((day, number, record))
    users: list[User] = []
    refused: list[Refused] = []
    for id_ in sorted(events):
        life = _Life(id_, mapping, today)
        user = life.lived(events[id_].in_order())
        refused += life.refused
        if user is not None:
            users.append(user)
    return tuple(users), tuple(refused)


class _Life:
    """One person's days, read from the first to the last."""

    def __init__(self, id_: str, mapping: FeedMapping, today: date) -> None:
        self._id = id_
        self._mapping = mapping
        self._today = today
        self._known = False
        self._main: list[tuple[date, str | None]] = []
        self._beside: dict[str, date] = {}  # department: since
        self._over: list[_Span] = []  # further posts that have an end
        self._employed: list[_Span] = []
        self._leaves: list[_Span] = []
        self._current: Record | None = None  # whose kind, name and roles count today
        self._said: dict[str, object] = {}
        self._status: Employment | None = None
        self.refused: list[Refused] = []

    def lived(self, rows: Sequence[tuple[date, Record]]) -> User | None:
        """None where nothing says who this is."""
        for day, record in rows:
            for code, value in record.unknown:
                self._note(code, f"line {record.line}: `{value}` is not in the mapping file")
            if record.order is None:
                self._state(day, record)
            else:
                self._ordered(day, record)
        return self._user() if self._known else None

    def _state(self, day: date, record: Record) -> None:
        """A row of a roster: main post and further posts from its day on, and dates of employment."""
        first = record.effective if record.next_department else None
        self._main.append((_BEGIN if first else day, record.department))
        if first:
            self._main.append((first, record.next_department))
        for department in list(self._beside):
            self._ended(department, day)
        for department in record.concurrent or ():
            self._beside[department] = _BEGIN if first else day
        yet_to_come = record.effective if first is None and day > self._today else None
        self._span(record.hired or (None if self._known else yet_to_come or _BEGIN), _last(record))
        if record.status == "suspended" and record.leave_from is None:
            self._leaves.append(_Span(day, _after(record.leave_until)))
        elif record.leave_from is not None:
            self._leaves.append(_Span(record.leave_from, _after(record.leave_until)))
        self._about(_BEGIN if first else day, record)
        self._known = True

    def _span(self, start: date | None, last: date | None) -> None:
        """The employment that a roster's row tells; a later row of the same person may say its end anew."""
        if start is None or (self._employed and self._employed[-1].start == start):
            if last is not None and self._employed:
                self._employed[-1] = _Span(self._employed[-1].start, _after(last))
            return
        self._employed.append(_Span(start, _after(last)))

    def _ordered(self, day: date, record: Record) -> None:
        if record.order in ("hire", "rehire"):
            self._hired(day, record)
        elif not self._known:
            self._note("order_without_person", f"line {record.line}: an order for somebody whom no roster names")
        elif record.order == "retirement":
            self._retired(day)
        else:
            self._changed(day, record)

    def _hired(self, day: date, record: Record) -> None:
        if self._employed and self._employed[-1].end > day:
            if self._employed[-1].start == day:  # the roster tells of it already
                self._about(day, record)
                return
            if record.order == "hire":
                self._note("order_without_effect", f"line {record.line}: hired, though employed already")
            self._employed[-1] = self._employed[-1]._replace(end=day)
        self._employed.append(_Span(day, _after(_last(record))))
        self._leaves = [leave._replace(end=min(leave.end, day)) for leave in self._leaves]
        self._main.append((day, record.department))
        for department in record.concurrent or ():
            self._beside[department] = day
        self._about(day, record)
        self._known = True

    def _retired(self, last: date) -> None:
        if not self._employed or self._employed[-1].start > last:
            self._note("order_without_effect", "a retirement before the employment begins")
            return
        self._employed[-1] = self._employed[-1]._replace(end=min(self._employed[-1].end, _after(last)))
        for department in list(self._beside):
            self._ended(department, _after(last))

    def _changed(self, day: date, record: Record) -> None:
        department = record.department
        if record.order == "concurrent" and department:
            if record.until is not None:
                self._over.append(_Span(day, _after(record.until), department))
            else:
                self._beside.setdefault(department, day)
        elif record.order == "concurrent_end" and department:
            if not self._ended(department, day):
                self._note("order_without_effect", f"line {record.line}: no such further post")
        elif record.order == "leave":
            self._leaves.append(_Span(day, _after(record.leave_until or record.until)))
        elif record.order == "return":
            self._returned(day, record)
        elif record.order in ("transfer", "promotion"):
            if record.department or record.order == "transfer":
                self._main.append((day, record.department))
            self._about(day, record)

    def _returned(self, day: date, record: Record) -> None:
        if not any(leave.start < day <= leave.end for leave in self._leaves):
            self._note("order_without_effect", f"line {record.line}: a return from no leave")
        self._leaves = [leave._replace(end=max(leave.start, min(leave.end, day))) for leave in self._leaves]

    def _ended(self, department: str, day: date) -> bool:
        """The further post's last day is the day before; False where there is none."""
        since = self._beside.pop(department, None)
        if since is not None:
            self._over.append(_Span(since, day, department))
            return True
        held = [span for span in self._over if span.what == department and span.start < day < span.end]
        self._over = [span._replace(end=day) if span in held else span for span in self._over]
        return bool(held)

    def _about(self, day: date, record: Record) -> None:
        """What a user has only one of: today's, or the first that is known of somebody who is yet to come."""
        if day > self._today and self._said:
            return
        for name in ("name", "kind", "organisation", "roles"):
            value = getattr(record, name)
            if value is not None:
                self._said[name] = value
        if record.order is None:
            self._status = record.status

    def _note(self, code: str, detail: str) -> None:
        self.refused.append(Refused(code, self._id, detail))

    def _user(self) -> User:
        said = self._said
        employed = self._employment()
        return User(
            id=self._id,
            kind=said.get("kind", "unknown"),  # type: ignore[arg-type]  # as it stands in Record
            organisation=str(said.get("organisation") or self._mapping.organisation),
            identity_source=self._mapping.identity_source,
            posts=self._posts(),
            roles=said.get("roles", ()),  # type: ignore[arg-type]  # as it stands in Record
            employment=_period(employed),
            status=self._state_today(),
            name=str(said.get("name", "")),
        )

    def _state_today(self) -> Employment:
        if any(leave.start <= self._today < leave.end for leave in self._leaves):
            return "suspended"
        return self._status if self._status in ("ended", "not_started") else "active"

    def _employment(self) -> _Span:
        """The employment that holds today, else the next, else the last; a leave ahead ends it."""
        spans = sorted(span for span in self._employed if span.start < span.end) or self._employed[-1:]
        span = next((s for s in spans if self._today < s.end), spans[-1] if spans else _Span(_BEGIN, _BEGIN + _DAY))
        ahead = [
            leave.start for leave in self._leaves if self._today < leave.start < span.end and leave.start < leave.end
        ]
        return span._replace(end=max(min([span.end, *ahead]), span.start))

    def _posts(self) -> tuple[Post, ...]:
        main = sorted(self._main, key=lambda post: post[0])
        spans = [_Span(a[0], b[0], a[1] or "") for a, b in pairwise([*main, (_END, None)])]
        spans += self._over
        spans += [_Span(since, _END, department) for department, since in self._beside.items()]
        alive = [span for span in spans if span.what and span.start < span.end and self._today < span.end]
        return tuple(dict.fromkeys(Post(span.what, _period(span)) for span in alive))


def _last(record: Record) -> date | None:
    """The narrower of retirement and end of term: both are last days."""
    return min((day for day in (record.retires, record.term_until) if day is not None), default=None)


def _after(last: date | None) -> date:
    return _END if last is None else last + _DAY


def _period(span: _Span) -> Period:
    start = None if span.start == _BEGIN else span.start
    return period_of_dates(start, None if span.end == _END else span.end - _DAY)
