"""One row of a file over the row that the directory holds (or none): the row that it would become. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from pdp.directory.changes import is_newer
from pdp.directory.posture import FACTS
from pdp.model.directory import (
    ALWAYS,
    DEFAULT_SEGMENT,
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    SegmentFrom,
    User,
    WorkPermit,
    period_of_dates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pdp.directory.files.entry import Entry
    from pdp.directory.files.faults import Faults

CLOCK_SKEW: Final = timedelta(minutes=5)  # as `pdp.facts.device`: a report from further ahead has no age
DEFAULT_SOURCE: Final = "asset"  # of a posture row that names none: the asset register
_ENDS: Final = ("employed_until", "appointment_until", "contract_until")
_USER: Final = ("kind", "name", "organisation", "identity_source", "roles", "status")
_DEVICE: Final = ("owner", "department", "shared", "state", "takeout", "returned_from_outside", "certificate_sha256")
_POSTURE: Final = (*FACTS, "source")


class Builder:
    """Each method gives the new value, or None with a fault added. `kept_newer`: devices whose report stayed."""

    def __init__(self, now: datetime, faults: Faults) -> None:
        self._now = now
        self._faults = faults
        self.kept_newer: list[str] = []

    def user(self, entry: Entry, held: User | None) -> User | None:
        fields = entry.fields
        base = held or User(id=fields["id"], kind=fields["kind"])
        employment = self._employment(entry, base.employment)
        posts = base.posts
        if "posts" in fields:
            posts = self.posts(fields["posts"])
        elif "department" in fields:
            posts = self._one_post(entry)
        for name in ("post_from", "post_until"):
            if fields.get(name) is not None and fields.get("department") is None:
                self._faults.add(entry.fault(name, "belongs to a department, and none is given", "add the department"))
        if employment is None:
            return None
        return replace(base, posts=posts, employment=employment, **{n: fields[n] for n in _USER if n in fields})

    def _employment(self, entry: Entry, held: Period) -> Period | None:
        """The narrowest of the dates; the ends that the file has decide together."""
        named = [name for name in _ENDS if name in entry.fields]
        ends = [period_of_dates(None, entry.fields[name]).end for name in named if entry.fields[name] is not None]
        end = min((end for end in ends if end is not None), default=None) if named else held.end
        start = self._start(entry, "employed_from", held)
        return self._ordered(entry, start, end, named[0] if named else "employed_from")

    def _one_post(self, entry: Entry) -> tuple[Post, ...]:
        if entry.fields["department"] is None:
            return ()
        period = self._period(entry, ALWAYS, names=("post_from", "post_until"))
        return () if period is None else (Post(entry.fields["department"], period),)

    def posts(self, entries: Iterable[Entry]) -> tuple[Post, ...]:
        found: dict[tuple[str, datetime | None], Post] = {}
        for entry in entries:
            period = self._period(entry, ALWAYS)
            if period is None:
                continue
            post = Post(entry.fields["department"], period)
            if found.setdefault((post.department, period.start), post) is not post:
                self._faults.add(entry.fault("department", "the post stands twice", "leave one of the two out"))
        return tuple(found.values())

    def device(self, entry: Entry, held: Device | None) -> Device:
        fields = entry.fields
        base = held or Device(id=fields["id"], class_=fields["class"])
        changes = {name: fields[name] for name in _DEVICE if name in fields}
        return replace(base, class_=fields.get("class", base.class_), **changes)

    def report(self, entry: Entry, held: PostureReport | None) -> PostureReport | None:
        fields = entry.fields
        observed_at, hours = fields.get("observed_at"), fields.get("age_hours")
        if observed_at is not None and hours is not None:
            self._faults.add(entry.fault("age_hours", "the time of observation is given too", "give one of the two"))
            return None
        if observed_at is not None and observed_at > self._now + CLOCK_SKEW:
            self._faults.add(entry.fault("observed_at", "lies in the future", "correct it, or the clock of the source"))
            return None
        if hours is not None:
            observed_at = self._now - timedelta(hours=hours)
        given = {name: fields[name] for name in _POSTURE if name in fields}
        report = PostureReport(**{"source": DEFAULT_SOURCE, **given}, observed_at=_utc(observed_at))
        if held is not None and not is_newer(report, held):
            self.kept_newer.append(fields["device"])
            return held
        return report

    def permit(self, entry: Entry, held: Permit | None) -> Permit | None:
        period = self._period(entry, ALWAYS if held is None else held.period)
        is_held = entry.fields.get("held", held is not None and held.held)
        return None if period is None else Permit(entry.fields["device"], entry.fields["user"], period, held=is_held)

    def loan(self, entry: Entry, held: Loan | None) -> Loan | None:
        period = self._period(entry, ALWAYS if held is None else held.period)
        return None if period is None else Loan(entry.fields["device"], entry.fields["user"], period)

    def work_permit(self, entry: Entry, held: WorkPermit | None) -> WorkPermit | None:
        period = self._period(entry, ALWAYS if held is None else held.period)
        if period is None:
            return None
        base = held or WorkPermit(entry.fields["id"], frozenset(), frozenset(), frozenset(), period)
        users, resources, devices = (
            frozenset(entry.fields.get(name, getattr(base, name))) for name in ("users", "resources", "devices")
        )
        return WorkPermit(base.id, users, resources, devices, period)

    def emergency(self, entry: Entry, held: Emergency | None) -> Emergency | None:
        period = self._period(entry, ALWAYS if held is None else held.period)
        reason = entry.fields.get("reason", "" if held is None else held.reason)
        return None if period is None else Emergency(period, reason)

    def resource(self, entry: Entry, held: CatalogueRow | None) -> CatalogueRow | None:
        fields = entry.fields
        if held is None and fields["group"] == "business" and not fields.get("segments"):
            # its default is a parameter of the policy, which a stored row would not follow
            step = "write for example lgwan; internet@2023-02-01"
            self._faults.add(entry.fault("segments", "a business system needs its segments", step))
            return None
        usual = (SegmentFrom(DEFAULT_SEGMENT[fields["group"]]),) if held is None else held.segments
        base = held or CatalogueRow(id=fields["id"], group=fields["group"], segments=usual)
        service = self._period(entry, base.service)
        if service is None:
            return None
        readonly = base.readonly_from
        if "readonly_from" in fields:
            readonly = period_of_dates(fields["readonly_from"], None).start
        changes = {n: fields[n] for n in ("group", "departments", "organisations", "sensitivity") if n in fields}
        changes |= {f"title_{n}": fields[n] for n in ("ja", "en") if n in fields}
        segments = fields.get("segments") or usual
        return replace(base, service=service, readonly_from=readonly, segments=segments, **changes)

    def _period(self, entry: Entry, held: Period, names: tuple[str, str] = ("from", "until")) -> Period | None:
        start = self._start(entry, names[0], held)
        end = period_of_dates(None, entry.fields[names[1]]).end if names[1] in entry.fields else held.end
        return self._ordered(entry, start, end, names[1] if names[1] in entry.fields else names[0])

    def _start(self, entry: Entry, name: str, held: Period) -> datetime | None:
        return period_of_dates(entry.fields[name], None).start if name in entry.fields else held.start

    def _ordered(self, entry: Entry, start: datetime | None, end: datetime | None, column: str) -> Period | None:
        if start is not None and end is not None and end <= start:
            self._faults.add(entry.fault(column, "the period ends before it starts", "correct one of the two dates"))
            return None
        return Period(start, end)


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)
