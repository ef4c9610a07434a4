"""Between the model's values and the tables' rows, both ways; nothing here talks to a database."""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from pdp.directory.registers import device_of
from pdp.model.directory import (
    ALWAYS,
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
)
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, Table

    from pdp.directory.registers import Alias, Register
    from pdp.model.input import Known

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a register. `key` is the column that holds the key of the row it belongs to."""

    table: Table
    key: Column[Any]
    rows: Callable[[str, Any], list[Row]]


def _span(period: Period) -> Row:
    return {"starts": period.start, "ends": period.end}


def _user(key: str, user: User) -> list[Row]:
    row = {
        "id": key,
        "kind": user.kind,
        "organisation": user.organisation,
        "identity_source": user.identity_source,
        "roles": user.roles,
        "status": user.status,
        "name": user.name,
    }
    return [row | _span(user.employment)]


def _posts(key: str, user: User) -> list[Row]:
    return [
        {"user_id": key, "ordinal": ordinal, "department": post.department} | _span(post.period)
        for ordinal, post in enumerate(user.posts)
    ]


def _device(key: str, device: Device) -> list[Row]:
    return [
        {
            "id": key,
            "class": device.class_,
            "owner": device.owner,
            "department": device.department,
            "shared": device.shared,
            "state": device.state,
            "takeout": device.takeout,
            "returned_from_outside": device.returned_from_outside,
            "certificate_sha256": device.certificate_sha256,
        }
    ]


def _posture(key: str, report: PostureReport) -> list[Row]:
    return [
        {
            "key": key,
            "device_id": device_of(key),
            "certificate": _nullable(report.certificate),
            "disk_encrypted": _nullable(report.disk_encrypted),
            "edr_running": str(report.edr_running).lower(),
            "edr_risk": report.edr_risk,
            "av_current": _nullable(report.av_current),
            "firewall": _nullable(report.firewall),
            "screen_lock": _nullable(report.screen_lock),
            "tampered": _nullable(report.tampered),
            "patch_age_days": report.patch_age_days,
            "observed_at": report.observed_at,
            "source": report.source,
        }
    ]


def _alias(key: str, alias: Alias) -> list[Row]:
    return [{"key": key, "device_id": alias.device, "source": alias.source}]


def _nullable(fact: Known) -> bool | None:
    return None if fact == "unknown" else fact


def _permit(key: str, permit: Permit) -> list[Row]:
    row = {"key": key, "device_id": permit.device, "user_id": permit.user, "held": permit.held}
    return [row | _span(permit.period)]


def _loan(key: str, loan: Loan) -> list[Row]:
    return [{"key": key, "device_id": loan.device, "user_id": loan.user} | _span(loan.period)]


def _work_permit(key: str, permit: WorkPermit) -> list[Row]:
    return [{"id": key} | _span(permit.period)]


def _resource(key: str, row: CatalogueRow) -> list[Row]:
    stored = {
        "id": key,
        "group": row.group,
        "readonly_from": row.readonly_from,
        "departments": row.departments,
        "organisations": row.organisations,
        "sensitivity": row.sensitivity,
        "title_ja": row.title_ja,
        "title_en": row.title_en,
    }
    return [stored | _span(row.service)]


def _segments(key: str, row: CatalogueRow) -> list[Row]:
    return [
        {"resource_id": key, "ordinal": ordinal, "segment": step.segment, "starts": step.start}
        for ordinal, step in enumerate(row.segments)
    ]


def _emergency(key: str, emergency: Emergency) -> list[Row]:
    return [{"key": key, "reason": emergency.reason} | _span(emergency.period)]


def _named(column: str, field: str) -> Callable[[str, Any], list[Row]]:
    def rows(key: str, permit: WorkPermit) -> list[Row]:
        return [{"work_permit_id": key, column: name} for name in sorted(getattr(permit, field))]

    return rows


# The main table first: its rows are one to one with the register's; the others follow by cascade.
PARTS: Final[Mapping[Register, tuple[Part, ...]]] = {
    "users": (Part(tables.users, tables.users.c.id, _user), Part(tables.posts, tables.posts.c.user_id, _posts)),
    "devices": (Part(tables.devices, tables.devices.c.id, _device),),
    "posture": (Part(tables.posture_reports, tables.posture_reports.c.key, _posture),),
    "aliases": (Part(tables.device_aliases, tables.device_aliases.c.key, _alias),),
    "permits": (Part(tables.permits, tables.permits.c.key, _permit),),
    "loans": (Part(tables.loans, tables.loans.c.key, _loan),),
    "work_permits": (
        Part(tables.work_permits, tables.work_permits.c.id, _work_permit),
        *(
            Part(table, table.c.work_permit_id, _named(column, field))
            for table, column, field in (
                (tables.work_permit_users, "user_id", "users"),
                (tables.work_permit_devices, "device_id", "devices"),
                (tables.work_permit_resources, "resource_id", "resources"),
            )
        ),
    ),
    "resources": (
        Part(tables.resources, tables.resources.c.id, _resource),
        Part(tables.resource_segments, tables.resource_segments.c.resource_id, _segments),
    ),
    "emergencies": (Part(tables.emergencies, tables.emergencies.c.key, _emergency),),
}


_same: Final[Callable[[Any], Any]] = intern  # of a column that has words of a few kinds, or keys of other rows


def _same_or_none(word: str | None) -> Any:
    return None if word is None else intern(word)


class Reader:
    """Makes model values of rows. Equal periods become one object: 16,000 permits share a few.

    So do equal words, which a driver gives anew in each row: a register of 23,000 rows then takes 8 MB less, and the
    next snapshot has no words of its own.
    """

    def __init__(self) -> None:
        self._periods: dict[tuple[datetime | None, datetime | None], Period] = {(None, None): ALWAYS}

    def period(self, starts: datetime | None, ends: datetime | None) -> Period:
        span = (starts, ends)
        return self._periods.get(span) or self._periods.setdefault(span, Period(starts, ends))

    def post(self, row: Sequence[Any]) -> Post:
        return Post(_same(row[1]), self.period(row[2], row[3]))

    def user(self, row: Sequence[Any], posts: tuple[Post, ...]) -> User:
        return User(
            id=_same(row[0]),
            kind=_same(row[1]),
            organisation=_same(row[2]),
            identity_source=_same(row[3]),
            posts=posts,
            roles=row[4],
            employment=self.period(row[5], row[6]),
            status=_same(row[7]),
            name=row[8],
        )

    def device(self, row: Sequence[Any]) -> Device:
        return Device(
            id=_same(row[0]),
            class_=_same(row[1]),
            owner=_same_or_none(row[2]),
            department=_same_or_none(row[3]),
            shared=row[4],
            state=_same(row[5]),
            takeout=_same(row[6]),
            returned_from_outside=row[7],
            certificate_sha256=row[8],
        )

    def posture(self, row: Sequence[Any]) -> PostureReport:
        certificate, disk, edr, risk, av, firewall, lock, tampered, patch, observed_at, source = row[2:]
        return PostureReport(
            certificate=_known(certificate),
            disk_encrypted=_known(disk),
            edr_running=_EDR_RUNNING[edr],
            edr_risk=_same(risk),
            av_current=_known(av),
            firewall=_known(firewall),
            screen_lock=_known(lock),
            tampered=_known(tampered),
            patch_age_days=patch,
            observed_at=observed_at,
            source=_same(source),
        )

    def permit(self, row: Sequence[Any]) -> Permit:
        return Permit(_same(row[1]), _same(row[2]), self.period(row[3], row[4]), row[5])

    def loan(self, row: Sequence[Any]) -> Loan:
        return Loan(_same(row[1]), _same(row[2]), self.period(row[3], row[4]))

    def resource(self, row: Sequence[Any], segments: tuple[SegmentFrom, ...]) -> CatalogueRow:
        return CatalogueRow(
            id=row[0],
            group=row[1],
            segments=segments,
            service=self.period(row[2], row[3]),
            readonly_from=row[4],
            departments=row[5],
            organisations=row[6],
            sensitivity=row[7],
            title_ja=row[8],
            title_en=row[9],
        )

    def emergency(self, row: Sequence[Any]) -> Emergency:
        return Emergency(self.period(row[1], row[2]), row[3])


def _known(fact: bool | None) -> Known:
    return "unknown" if fact is None else fact


_EDR_RUNNING: Final[Mapping[str, Any]] = {
    "true": True,
    "false": False,
    "unknown": "unknown",
    "not_managed": "not_managed",
}
