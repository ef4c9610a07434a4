"""What the prefecture's registers say, as immutable values with effective dates.

All times are aware; an interval is half open, [start, end). A date without a time in a register is
00:00 JST as a start and 24:00 JST of that day as an end (`period_of_dates`). Nothing here knows `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.model.input import (
        DeviceClass,
        DeviceState,
        EdrRisk,
        EdrRunning,
        Employment,
        IdentitySource,
        Known,
        ResourceGroup,
        Segment,
        SourceState,
        SubjectKind,
        Takeout,
    )
    from pdp.model.source import SourceHealth

JST: Final = timezone(timedelta(hours=9), "JST")


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `start` (included) to `end` (excluded); None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return not self.is_before(now) and not self.is_over(now)

    def is_before(self, now: datetime) -> bool:
        """`now` lies before the period: it has not begun."""
        return self.start is not None and now < self.start

    def is_over(self, now: datetime) -> bool:
        return self.end is not None and now >= self.end

    def next_change(self, now: datetime) -> datetime | None:
        """The first instant after `now` at which `holds` can change, or None."""
        if self.is_before(now):
            return self.start
        return None if self.is_over(now) else self.end


ALWAYS: Final = Period()


def period_of_dates(start: date | datetime | None, until: date | datetime | None) -> Period:
    """A register's `from` and `until` as a period: bare dates are whole days in Japan.

    A `datetime` must be aware. The calendar's first and last day stand for no border, as registers write
    them. Raises ValueError where a time is naive or the period ends before it starts.
    """
    begin = None if start is None else _instant(start, at_end=False)
    end = None if until is None else _instant(until, at_end=True)
    if begin is not None and end is not None and end < begin:
        raise ValueError("the period ends before it starts")
    return Period(begin, end)


def _instant(value: date | datetime, *, at_end: bool) -> datetime | None:
    if value.year == (MAXYEAR if at_end else MINYEAR):
        return None  # 9999-12-31: nobody means that day
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs its offset, for example +09:00")
        return _in_utc(value)
    midnight = datetime(value.year, value.month, value.day, tzinfo=JST)
    return _in_utc(midnight + timedelta(days=1) if at_end else midnight)


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the calendar") from None


@dataclass(frozen=True, slots=True)
class Post:
    """One appointment to a department. The first post that is current is the main one."""

    department: str
    period: Period = ALWAYS


@dataclass(frozen=True, slots=True)
class User:
    id: str
    kind: SubjectKind
    organisation: str = "mie"
    identity_source: IdentitySource = "integrated"
    posts: tuple[Post, ...] = ()
    roles: tuple[str, ...] = ()
    employment: Period = ALWAYS  # employed, appointed or under contract; several dates: the narrowest
    status: Employment = "active"  # what the register says apart from its dates, for example 休職
    name: str = ""


@dataclass(frozen=True, slots=True)
class PostureReport:
    """The last thing a source said about a device. A fact that it did not give is "unknown".

    `observed_at` None: the age is not known. `patch_age_days` is the age at the time of observation.
    """

    certificate: Known = "unknown"
    disk_encrypted: Known = "unknown"
    edr_running: EdrRunning = "unknown"
    edr_risk: EdrRisk = "unknown"
    av_current: Known = "unknown"
    firewall: Known = "unknown"
    screen_lock: Known = "unknown"
    tampered: Known = "unknown"
    patch_age_days: int | None = None
    observed_at: datetime | None = None
    source: str = "unknown"


NOTHING_REPORTED: Final = PostureReport()


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    class_: DeviceClass
    owner: str | None = None
    department: str | None = None
    shared: bool = False
    state: DeviceState = "in_service"
    takeout: Takeout = "unknown"
    returned_from_outside: bool = False
    certificate_sha256: str | None = None  # lower-case hex of the enrolled client certificate
    posture: PostureReport = NOTHING_REPORTED


@dataclass(frozen=True, slots=True)
class Permit:
    """利用許可: this user may use this private device."""

    device: str
    user: str
    period: Period
    held: bool = False


@dataclass(frozen=True, slots=True)
class Loan:
    """貸出登録: this lent terminal is booked by this user."""

    device: str
    user: str
    period: Period


@dataclass(frozen=True, slots=True)
class WorkPermit:
    """作業申請: these named people may work on these systems from these devices in this window."""

    id: str
    users: frozenset[str]
    resources: frozenset[str]
    devices: frozenset[str]
    period: Period


@dataclass(frozen=True, slots=True)
class SegmentFrom:
    """From `start` on (None: always) the system stands in this segment."""

    segment: Segment
    start: datetime | None = None


# The segment of a system whose row names none. A business system stays behind screen transfer until somebody says
# that it has moved; in a bundle's catalogue `business_cut_over` says so.
DEFAULT_SEGMENT: Final[Mapping[str, Segment]] = MappingProxyType(
    {
        "communication": "cloud",
        "no_code": "cloud",
        "internet": "internet",
        "business": "lgwan",
        "data": "cloud",
        "lgwan": "lgwan",
        "mynumber": "mynumber",
        "server_admin": "internet",
        "account_admin": "internet",
        "home_working": "internet",
        "legacy": "lgwan",
        "disaster": "internet",
        "remediation": "internet",
    }
)


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One system. `segments` in ascending order of `start`; status follows from the dates."""

    id: str
    group: ResourceGroup
    segments: tuple[SegmentFrom, ...]
    service: Period = ALWAYS
    readonly_from: datetime | None = None
    departments: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()  # () names none: the request may say whose data it asks for
    sensitivity: int = 2
    title_ja: str = ""
    title_en: str = ""


@dataclass(frozen=True, slots=True)
class Emergency:
    """災害時運用: a declaration with its end. It counts only within its period."""

    period: Period
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole directory at one epoch, indexed for one look-up per question. Never changed.

    `resources` are rows of the directory itself: they override or add to the bundle's catalogue.
    """

    epoch: int
    users: Mapping[str, User]
    devices: Mapping[str, Device]
    permits: Mapping[str, tuple[Permit, ...]]  # by device
    loans: Mapping[str, tuple[Loan, ...]]  # by device
    work_permits: tuple[WorkPermit, ...]
    resources: Mapping[str, CatalogueRow]
    emergencies: tuple[Emergency, ...]
    posture_source: SourceState = "ok"
    identity_source: SourceState = "ok"
    loaded_at: datetime | None = None
    devices_by_certificate: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceHealth, ...] = ()
    posture_missing: bool = False  # a required source of posture never brought any
    identity_missing: bool = False
    posture_until: datetime | None = None  # from then on a required source of posture is down; None: never
    identity_until: datetime | None = None


def snapshot_of(  # noqa: PLR0913  # the registers are many, and each has its name
    *,
    epoch: int,
    users: Iterable[User] = (),
    devices: Iterable[Device] = (),
    permits: Iterable[Permit] = (),
    loans: Iterable[Loan] = (),
    work_permits: Iterable[WorkPermit] = (),
    resources: Iterable[CatalogueRow] = (),
    emergencies: Iterable[Emergency] = (),
    posture_source: SourceState = "ok",
    identity_source: SourceState = "ok",
    loaded_at: datetime | None = None,
) -> Snapshot:
    """Index the registers. Later rows with the same id replace earlier ones."""
    permits_by_device: dict[str, tuple[Permit, ...]] = {}
    for permit in permits:
        permits_by_device[permit.device] = (*permits_by_device.get(permit.device, ()), permit)
    loans_by_device: dict[str, tuple[Loan, ...]] = {}
    for loan in loans:
        loans_by_device[loan.device] = (*loans_by_device.get(loan.device, ()), loan)
    by_id = {device.id: device for device in devices}
    return Snapshot(
        epoch=epoch,
        users=MappingProxyType({user.id: user for user in users}),
        devices=MappingProxyType(by_id),
        permits=MappingProxyType(permits_by_device),
        loans=MappingProxyType(loans_by_device),
        work_permits=tuple(work_permits),
        resources=MappingProxyType({row.id: row for row in resources}),
        emergencies=tuple(emergencies),
        posture_source=posture_source,
        identity_source=identity_source,
        loaded_at=loaded_at,
        devices_by_certificate=MappingProxyType(_by_certificate(by_id.values())),
    )


def _by_certificate(devices: Iterable[Device]) -> dict[str, str]:
    """A certificate that two devices claim names neither of them."""
    found: dict[str, str | None] = {}
    for device in devices:
        if device.certificate_sha256:
            found[device.certificate_sha256] = None if device.certificate_sha256 in found else device.id
    return {certificate: device for certificate, device in found.items() if device is not None}
