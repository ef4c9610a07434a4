"""People and devices with stable ids, for the README, the documentation and the console's first look.

Each line of `STORIES` is one access and the reason that it is answered with, under the shipped policy at
10:00 on a business day; `tests/unit/directory/test_personas.py` holds them against the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.directory.demo_terminals import HEALTHY_PC, HEALTHY_PHONE, Park, certificate_of
from pdp.model.directory import Device, Loan, Period, Permit, Post, User, WorkPermit, period_of_dates

if TYPE_CHECKING:
    from pdp.directory.demo_people import FiscalYear
    from pdp.model.directory import PostureReport
    from pdp.model.input import DeviceClass


@dataclass(frozen=True, slots=True)
class Story:
    """This user on this device asks for this system from this zone; the primary reason, and what it shows."""

    user: str
    device: str
    resource: str
    reason: str
    ja: str
    en: str
    zone: str = "office"
    action: str = "access"
    auth_level: int = 2


STORIES: Final = (
    Story("u-demo-staff", "d-demo-pc", "mail", "OK", "庁内の業務端末", "a managed PC in the office"),
    Story("u-demo-staff", "d-demo-pc", "mail", "OK_REMOTE", "持ち出した業務端末", "the same PC at home", zone="sase"),
    Story("u-demo-staff", "d-demo-pc", "soumu-ledger", "OK", "所属の業務システム", "the own section's system"),
    Story("u-demo-staff", "d-demo-phone", "mail", "OK_BYOD_COMMUNICATION", "許可済みの個人所有端末", "a private phone",
          zone="sase"),
    Story("u-demo-staff", "d-demo-phone", "finance", "BYOD_SCOPE", "個人所有端末は対象外", "nothing else from it",
          zone="sase"),
    Story("u-demo-staff", "d-demo-tablet", "mail", "PERMIT_EXPIRED", "利用許可の期限切れ", "an expired permit",
          zone="sase"),
    Story("u-demo-staff", "d-demo-phone-held", "mail", "PERMIT_HELD", "利用許可の保留", "a held permit", zone="sase"),
    Story("u-demo-staff", "d-demo-mobile", "mail", "OK_LOAN", "貸出中のモバイル端末", "a booked terminal", zone="sase"),
    Story("u-demo-staff", "d-demo-patch-pc", "mail", "PATCH_OVERDUE_DENY", "更新の期限超過", "patches overdue"),
    Story("u-demo-staff", "d-demo-edr-pc", "mail", "EDR_NOT_RUNNING", "EDRの停止", "a stopped EDR"),
    Story("u-demo-staff", "d-demo-stale-pc", "mail", "POSTURE_STALE", "10日間未接続の端末", "not seen for ten days"),
    Story("u-demo-staff", "d-demo-lost-pc", "mail", "DEVICE_LOST", "紛失届のある端末", "a lost PC", zone="sase"),
    Story("u-demo-concurrent", "d-demo-concurrent-pc", "soumu-ledger", "OK_CONCURRENT_POST", "併任先のシステム",
          "the system of a concurrent post"),
    Story("u-demo-transferred", "d-demo-transferred-pc", "soumu-ledger", "NOT_IN_SECTION", "異動前の所属のシステム",
          "the system of the section before the transfer"),
    Story("u-demo-leave", "d-demo-leave-pc", "mail", "ACCOUNT_SUSPENDED", "休職中の職員", "on leave"),
    Story("u-demo-leaver", "d-demo-leaver-pc", "mail", "ACCOUNT_EXPIRED", "退職した職員", "a leaver"),
    Story("u-demo-fixed-term", "d-demo-section-pc", "mail", "OK_SHARED_TERMINAL", "会計年度任用職員の共用端末",
          "fixed-term staff on a shared terminal"),
    Story("u-demo-contractor", "d-demo-maintenance-pc", "consolidated-server-x", "OK_MAINTENANCE",
          "作業申請どおりの保守", "maintenance in its window", zone="ip_vpn", action="administer", auth_level=3),
    Story("u-demo-contractor-late", "d-demo-maintenance-late-pc", "consolidated-server-x", "OUT_OF_WINDOW",
          "作業時間帯の後", "after the window", zone="ip_vpn", action="administer", auth_level=3),
    Story("u-demo-municipal", "d-demo-municipal-pc", "data-tsu", "OK_FEDERATED", "市町職員の自団体データ",
          "municipal staff and their own data", zone="security_cloud", action="read"),
    Story("u-demo-admin", "d-demo-admin-pc", "pdp-console", "OK", "管理者", "an administrator", auth_level=3),
    Story("u-demo-disaster", "d-demo-disaster-pc", "disaster-system", "OK", "災害対応の職員", "disaster response"),
    Story("u-demo-emergency", "d-demo-admin-pc", "mail", "DEVICE_OF_OTHER_USER", "他人の端末での緊急用アカウント",
          "a break-glass account on somebody's PC"),
    Story("u-demo-shared", "d-demo-section-pc", "mail", "SHARED_ACCOUNT", "共用アカウント", "a shared account"),
)  # fmt: skip


def personas(year: FiscalYear) -> tuple[tuple[User, ...], Park]:
    """The people, and the park of their own terminals."""
    park = Park()
    _pcs(year, park)
    _private_and_lent(year, park)
    _maintenance(year, park)
    return _users(year), park


def _users(year: FiscalYear) -> tuple[User, ...]:
    career = period_of_dates(year.april(8), None)
    here = period_of_dates(year.april(1), None)
    soumu, kankyo = Post("soumu", here), Post("kankyo", here)
    moved = (Post("soumu", period_of_dates(year.april(2), year.last_end)), Post("kankyo", year_on(year)))
    ended = period_of_dates(year.april(30), year.last_end)
    contract = period_of_dates(year.april(1), max(date(2028, 3, 31), year.end))

    def staff(id_: str, name: str, *posts: Post, **more: Any) -> User:
        return User(id=id_, kind="staff", posts=posts, name=name, **({"employment": career} | more))

    def outsider(id_: str, kind: Any, organisation: str, name: str, **more: Any) -> User:
        return User(id=id_, kind=kind, organisation=organisation, identity_source="federated", name=name, **more)

    worker: dict[str, Any] = {"roles": ("server_admin",), "employment": contract}
    return (
        staff("u-demo-staff", "三重 花子", soumu),
        staff("u-demo-concurrent", "三重 一郎", kankyo, soumu),
        staff("u-demo-transferred", "三重 二郎", *moved),
        staff("u-demo-leave", "三重 三郎", soumu, status="suspended"),
        staff("u-demo-leaver", "三重 四郎", soumu, employment=ended),
        staff("u-demo-admin", "三重 五郎", Post("digital", here), roles=("account_admin", "data_user", "server_admin")),
        staff("u-demo-disaster", "三重 六郎", Post("bousai", here), roles=("disaster_response",)),
        User(
            id="u-demo-fixed-term",
            kind="fixed_term_staff",
            posts=(Post("soumu", year.whole),),
            employment=year.whole,
            name="三重 七子",
        ),
        outsider("u-demo-contractor", "contractor", "vendor-a", "架空 太郎", **worker),
        outsider("u-demo-contractor-late", "contractor", "vendor-a", "架空 次郎", **worker),
        outsider("u-demo-municipal", "municipal_staff", "tsu", "津 花子", posts=(Post("kikaku", here),)),
        User(id="u-demo-emergency", kind="emergency_account", posts=(Post("digital"),), name="緊急用アカウント"),
        User(id="u-demo-shared", kind="shared_account", posts=(Post("soumu"),), name="総務課共用"),
    )


def year_on(year: FiscalYear) -> Period:
    return period_of_dates(year.start, None)


def _device(
    year: FiscalYear,
    id_: str,
    class_: DeviceClass,
    owner: str | None,
    posture: PostureReport | None = None,
    **more: Any,
) -> Device:
    private = class_.startswith("byod_")
    report = posture or (HEALTHY_PHONE if private else HEALTHY_PC)
    if report.observed_at is None:
        report = replace(report, observed_at=year.now.replace(microsecond=0) - timedelta(minutes=20))
    certificate = None if private else certificate_of(id_)
    return Device(id=id_, class_=class_, owner=owner, certificate_sha256=certificate, posture=report, **more)


def _pcs(year: FiscalYear, park: Park) -> None:
    def pc(name: str, owner: str, posture: PostureReport | None = None, **more: Any) -> Device:
        return _device(year, f"d-demo-{name}", "managed_pc", owner, posture, **({"takeout": "permitted"} | more))

    ten_days_ago = year.now.replace(microsecond=0) - timedelta(days=10)
    park.devices += (
        pc("pc", "u-demo-staff"),
        pc("patch-pc", "u-demo-staff", replace(HEALTHY_PC, patch_age_days=45)),
        pc("edr-pc", "u-demo-staff", replace(HEALTHY_PC, edr_running=False)),
        pc("stale-pc", "u-demo-staff", replace(HEALTHY_PC, observed_at=ten_days_ago)),
        pc("lost-pc", "u-demo-staff", state="lost"),
        pc("concurrent-pc", "u-demo-concurrent"),
        pc("transferred-pc", "u-demo-transferred"),
        pc("leave-pc", "u-demo-leave"),
        pc("leaver-pc", "u-demo-leaver"),
        pc("admin-pc", "u-demo-admin"),
        pc("disaster-pc", "u-demo-disaster"),
        _device(
            year, "d-demo-section-pc", "section_pc", None, department="soumu", shared=True, takeout="not_permitted"
        ),
        _device(year, "d-demo-municipal-pc", "municipal_pc", "u-demo-municipal"),
        _device(year, "d-demo-mynumber", "mynumber_terminal", None, department="zeimu"),
    )


def _private_and_lent(year: FiscalYear, park: Park) -> None:
    staff = "u-demo-staff"
    park.devices += (
        _device(year, "d-demo-phone", "byod_phone", staff),
        _device(year, "d-demo-phone-held", "byod_phone", staff),
        _device(year, "d-demo-tablet", "byod_tablet", staff),
        _device(year, "d-demo-mobile", "mobile_pc", None, department="soumu", takeout="permitted"),
    )
    park.permits += (
        Permit("d-demo-phone", staff, year.whole),
        Permit("d-demo-phone-held", staff, year.whole, held=True),
        Permit("d-demo-tablet", staff, period_of_dates(year.april(1), year.last_end)),
    )
    days = period_of_dates(year.today - timedelta(days=1), year.today + timedelta(days=3))
    park.loans.append(Loan("d-demo-mobile", staff, days))


def _maintenance(year: FiscalYear, park: Park) -> None:
    hour = year.now.replace(minute=0, second=0, microsecond=0)
    for suffix, opens, closes in (("", -1, 8), ("-late", -9, -1)):
        user, device = f"u-demo-contractor{suffix}", f"d-demo-maintenance{suffix}-pc"
        park.devices.append(_device(year, device, "maintenance_pc", user))
        park.work_permits.append(
            WorkPermit(
                id=f"W-DEMO{suffix.upper()}",
                users=frozenset((user,)),
                resources=frozenset(("consolidated-server-x",)),
                devices=frozenset((device,)),
                period=Period(hour + timedelta(hours=opens), hour + timedelta(hours=closes)),
            )
        )
