"""The terminals of the demonstration, with what their management tools last said, permits, loans, work permits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pdp.directory.demo_places import SECTIONS
from pdp.model.directory import (
    NOTHING_REPORTED,
    Device,
    Loan,
    Period,
    Permit,
    PostureReport,
    User,
    WorkPermit,
    period_of_dates,
)

if TYPE_CHECKING:
    from random import Random

    from pdp.directory.demo_people import Cast, FiscalYear
    from pdp.model.input import DeviceClass, DeviceState, Takeout

MANAGED_PCS: Final = 5_700
SECTION_PCS: Final = 2_300  # 8,000 connected terminals less the managed ones
MOBILE_PCS: Final = 430
PRIVATE_DEVICES: Final = 6_000
MAINTENANCE_PCS: Final = 24
MYNUMBER_TERMINALS: Final = 120
WORK_PERMITS: Final = 30

HEALTHY_PC: Final = PostureReport(
    certificate=True,
    disk_encrypted=True,
    edr_running=True,
    edr_risk="none",
    av_current=True,
    firewall=True,
    screen_lock=True,
    tampered=False,
    patch_age_days=3,
    source="asset",
)
HEALTHY_PHONE: Final = PostureReport(screen_lock=True, tampered=False, source="mdm")
# Share of the terminals: what is wrong with them.
_FAULTS: Final[tuple[tuple[float, dict[str, Any]], ...]] = (
    (0.035, {"patch_age_days": 20}),
    (0.010, {"patch_age_days": 45}),
    (0.005, {"edr_running": False}),
    (0.006, {"edr_risk": "medium"}),
    (0.0015, {"edr_risk": "high"}),
    (0.010, {"edr_risk": "low"}),
    (0.008, {"disk_encrypted": False}),
    (0.004, {"certificate": False}),
    (0.004, {"av_current": False}),
    (0.0005, {"tampered": True}),
)
_NOT_SEEN: Final = 0.025  # for days
_NEVER_SEEN: Final = 0.007
_OFF_OVERNIGHT: Final = 0.15
_STATES: Final[tuple[tuple[float, DeviceState], ...]] = (
    (0.003, "lost"),
    (0.001, "lost_unconfirmed_found"),
    (0.002, "quarantined"),
    (0.005, "retired"),
)


@dataclass
class Park:
    """All terminals and what is booked on them."""

    devices: list[Device] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)
    loans: list[Loan] = field(default_factory=list)
    work_permits: list[WorkPermit] = field(default_factory=list)


def terminals(year: FiscalYear, chance: Random, cast: Cast, *, less: dict[DeviceClass, int]) -> Park:
    """The usual numbers of every class, `less` so many that the personas bring."""
    yard = _Yard(year, chance)
    pcs = MANAGED_PCS - less.get("managed_pc", 0)
    for owner in (cast.staff * 2)[:pcs]:  # where the personas have several, some of the crowd have none
        yard.managed_pc(owner)
    for _ in range(SECTION_PCS - less.get("section_pc", 0)):
        yard.section_pc()
    borrowers = [user for user in cast.staff if user.status == "active"]
    for _ in range(MOBILE_PCS - less.get("mobile_pc", 0)):
        yard.mobile_pc(borrowers)
    for class_, share in (("byod_phone", 0.72), ("byod_tablet", 0.18), ("byod_pc", 0.10)):
        for _ in range(round(PRIVATE_DEVICES * share) - less.get(class_, 0)):  # type: ignore[call-overload]
            yard.private(class_, chance.choice(cast.staff))  # type: ignore[arg-type]  # the three classes above
    for user in cast.municipal:
        yard.plain("municipal_pc", owner=user.id)
    kits = [yard.plain("maintenance_pc", owner=user.id) for user in chance.sample(cast.contractors, MAINTENANCE_PCS)]
    for number in range(1, WORK_PERMITS + 1):
        yard.work_permit(f"W-{number:04d}", chance.choice(kits))
    for _ in range(MYNUMBER_TERMINALS - less.get("mynumber_terminal", 0)):
        yard.plain("mynumber_terminal", department=chance.choice(("zeimu", "fukushi", "kodomo")))
    return yard.park


def certificate_of(device_id: str) -> str:
    """An enrolled certificate's digest that anybody can compute: this is a demonstration."""
    return sha256(f"sekisho demonstration {device_id}".encode()).hexdigest()


class _Yard:
    def __init__(self, year: FiscalYear, chance: Random) -> None:
        self._now = year.now.replace(microsecond=0)
        self._year = year
        self._chance = chance
        self._made = 0
        self.park = Park()

    def _id(self) -> str:
        self._made += 1
        return f"d-{self._made:06d}"

    def _section(self) -> str:
        return self._chance.choice(tuple(SECTIONS))

    def _state(self) -> DeviceState:
        draw = self._chance.random()
        for share, state in _STATES:
            if draw < share:
                return state
            draw -= share
        return "in_service"

    def _reported(self, healthy: PostureReport) -> PostureReport:
        """What the tool last said: mostly well and fresh, sometimes not, sometimes nothing."""
        draw = self._chance.random()
        if draw < _NEVER_SEEN:
            return NOTHING_REPORTED
        if draw < _NEVER_SEEN + _NOT_SEEN:
            return replace(healthy, observed_at=self._now - timedelta(hours=self._chance.randint(25, 480)))
        minutes = self._chance.randint(60, 20 * 60) if draw > 1 - _OFF_OVERNIGHT else self._chance.randint(0, 55)
        fault: dict[str, Any] = {}
        draw = self._chance.random()
        for share, found in _FAULTS:
            if draw < share:
                fault = found if found.keys() <= _asked_of(healthy) else {}
                break
            draw -= share
        seen = self._now - timedelta(minutes=minutes, seconds=self._chance.randint(0, 59))
        patch = healthy.patch_age_days if healthy.patch_age_days is None else self._chance.randint(0, 13)
        return replace(healthy, **{"observed_at": seen, "patch_age_days": patch, **fault})

    def _keep(self, device: Device) -> Device:
        self.park.devices.append(device)
        return device

    def managed_pc(self, owner: User) -> None:
        id_, draw = self._id(), self._chance.random()
        takeout: Takeout = "permitted" if draw < 0.92 else "not_permitted" if draw < 0.98 else "unknown"  # noqa: PLR2004
        gone = owner.employment.is_over(self._now)
        self._keep(
            Device(
                id=id_,
                class_="managed_pc",
                owner=owner.id,
                department=owner.posts[-1].department,
                state="retired" if gone else self._state(),
                takeout=takeout,
                returned_from_outside=self._chance.random() < 0.01,  # noqa: PLR2004  # one in a hundred
                certificate_sha256=certificate_of(id_),
                posture=self._reported(HEALTHY_PC),
            )
        )

    def section_pc(self) -> None:
        """Bought by a section: half of them shared, a third without an EDR agent, many facts unknown."""
        id_ = self._id()
        healthy = HEALTHY_PC
        if self._chance.random() < 0.35:  # noqa: PLR2004
            healthy = replace(healthy, edr_running="not_managed", edr_risk="unknown")
        if self._chance.random() < 0.2:  # noqa: PLR2004
            healthy = replace(healthy, disk_encrypted="unknown", firewall="unknown", screen_lock="unknown")
        self._keep(
            Device(
                id=id_,
                class_="section_pc",
                department=self._section(),
                shared=self._chance.random() < 0.55,  # noqa: PLR2004
                state=self._state(),
                takeout="not_permitted",
                certificate_sha256=certificate_of(id_),
                posture=self._reported(healthy),
            )
        )

    def mobile_pc(self, borrowers: list[User]) -> None:
        device = self.plain("mobile_pc", department=self._section())
        draw, today = self._chance.random(), self._year.today
        if draw < 0.6:  # noqa: PLR2004  # lent today
            span = (
                today - timedelta(days=self._chance.randint(0, 4)),
                today + timedelta(days=self._chance.randint(0, 5)),
            )
        elif draw < 0.75:  # noqa: PLR2004  # came back, or should have
            span = (today - timedelta(days=12), today - timedelta(days=self._chance.randint(2, 9)))
        elif draw < 0.85:  # noqa: PLR2004  # booked ahead
            span = (today + timedelta(days=2), today + timedelta(days=self._chance.randint(3, 9)))
        else:
            return
        self.park.loans.append(Loan(device.id, self._chance.choice(borrowers).id, period_of_dates(*span)))

    def private(self, class_: DeviceClass, owner: User) -> None:
        id_ = self._id()
        self._keep(
            Device(id=id_, class_=class_, owner=owner.id, state=self._state(), posture=self._reported(HEALTHY_PHONE))
        )
        draw = self._chance.random()
        if draw < 0.02:  # noqa: PLR2004  # registered, not permitted yet
            return
        expired = draw < 0.07  # noqa: PLR2004
        held = not expired and draw < 0.10  # noqa: PLR2004
        until = self._year.last_end if expired else self._year.end
        period = period_of_dates(self._year.april(1 if expired else 0), until)
        self.park.permits.append(Permit(id_, owner.id, period, held=held))

    def plain(self, class_: DeviceClass, *, owner: str | None = None, department: str | None = None) -> Device:
        id_ = self._id()
        return self._keep(
            Device(
                id=id_,
                class_=class_,
                owner=owner,
                department=department,
                state=self._state(),
                takeout="permitted" if class_ == "mobile_pc" else "unknown",
                certificate_sha256=certificate_of(id_),
                posture=self._reported(HEALTHY_PC),
            )
        )

    def work_permit(self, id_: str, kit: Device) -> None:
        """A window of five hours: some are open now, most are planned for a night or over."""
        hours = self._chance.choice((-2, -1, *range(-240, 240, 12)))
        start = self._now.replace(minute=0, second=0) + timedelta(hours=hours)
        systems = ("consolidated-server-x", "consolidated-server-y", "remote-maintenance", "network-equipment")
        self.park.work_permits.append(
            WorkPermit(
                id=id_,
                users=frozenset((kit.owner or "",)),
                resources=frozenset(self._chance.sample(systems, self._chance.randint(1, 2))),
                devices=frozenset((kit.id,)),
                period=Period(start, start + timedelta(hours=5)),
            )
        )


def _asked_of(healthy: PostureReport) -> frozenset[str]:
    """The facts that this kind of terminal reports: a phone says nothing of its patches."""
    phone = frozenset(("tampered", "screen_lock"))
    if healthy.certificate == "unknown":
        return phone
    everything = phone | {"patch_age_days", "disk_encrypted", "certificate", "av_current"}
    return everything | {"edr_running", "edr_risk"} if healthy.edr_running is True else everything
