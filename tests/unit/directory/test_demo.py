from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from pdp.directory.changes import change
from pdp.directory.demo import demonstration, write_demonstration
from pdp.directory.demo_places import MUNICIPALITIES, SECTIONS
from pdp.directory.registers import Registers, id_fault, posture_by_device
from pdp.directory.runs import ImportRun, latest_runs, record_run
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import JST, Device, User
from pdp.store.store import Store

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
PRIVATE = ("byod_phone", "byod_tablet", "byod_pc")


@pytest.fixture(scope="module")
def prefecture() -> Registers:
    return demonstration(NOW)


def test_the_numbers_are_those_of_the_specification(prefecture: Registers) -> None:
    kinds = Counter(user.kind for user in prefecture.users.values())
    classes = Counter(device.class_ for device in prefecture.devices.values())
    assert kinds["staff"] == 5_700
    assert kinds["staff"] + kinds["fixed_term_staff"] == 7_500
    assert (classes["managed_pc"], classes["section_pc"], classes["mobile_pc"]) == (5_700, 2_300, 430)
    assert sum(classes[class_] for class_ in PRIVATE) == 6_000
    assert {user.organisation for user in prefecture.users.values() if user.kind == "municipal_staff"} == set(
        MUNICIPALITIES
    )
    assert len(MUNICIPALITIES) == 29
    assert min(kinds[kind] for kind in ("contractor", "emergency_account", "shared_account")) >= 3
    assert min(classes[class_] for class_ in ("maintenance_pc", "municipal_pc", "mynumber_terminal")) >= 20


def test_the_same_seed_and_moment_give_the_same_prefecture(prefecture: Registers) -> None:
    again = demonstration(NOW.astimezone(JST))
    assert again == prefecture
    assert demonstration(NOW, seed=1) != prefecture


def test_staff_move_on_the_first_of_april_and_a_few_hold_two_posts(prefecture: Registers) -> None:
    staff = [user for user in prefecture.users.values() if user.kind == "staff"]
    current = [[post for post in user.posts if post.period.holds(NOW)] for user in staff]
    assert all(current)
    assert 0.02 < mean(len(posts) > 1 for posts in current) < 0.04
    first_of_april = datetime(2023, 3, 31, 15, tzinfo=UTC)
    moved = [
        user for user in staff
        if any(post.period.end == first_of_april for post in user.posts) and any(post.period.start == first_of_april for post in user.posts)
    ]  # fmt: skip
    assert 0.1 < len(moved) / len(staff) < 0.25
    next_april = datetime(2024, 3, 31, 15, tzinfo=UTC)
    assert any(post.period.start == next_april for user in staff for post in user.posts)
    assert any(user.status == "suspended" for user in staff)
    assert any(user.employment.is_over(NOW) for user in staff)


def test_permits_and_loans_are_of_every_kind(prefecture: Registers) -> None:
    permits, loans = prefecture.permits.values(), prefecture.loans.values()
    assert any(permit.held for permit in permits)
    assert any(permit.period.is_over(NOW) for permit in permits)
    assert mean(permit.period.holds(NOW) and not permit.held for permit in permits) > 0.85
    for state in (lambda p: p.holds(NOW), lambda p: p.is_over(NOW), lambda p: p.is_before(NOW)):
        assert any(state(loan.period) for loan in loans)
        assert any(state(permit.period) for permit in prefecture.work_permits.values())


def test_most_terminals_are_well_and_seen_today_and_some_of_each_fault_are_there(prefecture: Registers) -> None:
    pcs = [id_ for id_, device in prefecture.devices.items() if device.class_ == "managed_pc"]
    posture = posture_by_device(prefecture.posture)
    reports = [posture[id_] for id_ in pcs if id_ in posture]
    assert 0 < len(pcs) - len(reports) < 0.02 * len(pcs)
    ages = [NOW - report.observed_at for report in reports if report.observed_at is not None]
    assert len(ages) == len(reports)
    assert min(ages) >= timedelta()
    assert len(set(ages)) > 3_000  # spread, as real reports are
    assert 0.95 < mean(age <= timedelta(hours=24) for age in ages) < 0.99
    assert (
        0.9
        < mean(
            report.edr_running is True and report.edr_risk == "none" and (report.patch_age_days or 0) <= 14
            for report in reports
        )
        < 0.99
    )
    faults = {
        "edr stopped": lambda r: r.edr_running is False,
        "risk medium": lambda r: r.edr_risk == "medium",
        "risk high": lambda r: r.edr_risk == "high",
        "disk": lambda r: r.disk_encrypted is False,
        "certificate": lambda r: r.certificate is False,
        "patch warn": lambda r: r.patch_age_days == 20,
        "patch deny": lambda r: r.patch_age_days == 45,
    }
    assert [name for name, is_there in faults.items() if not any(map(is_there, reports))] == []
    section = [posture[id_] for id_, d in prefecture.devices.items() if d.class_ == "section_pc" and id_ in posture]
    assert 0.2 < mean(report.edr_running == "not_managed" for report in section) < 0.5
    states = Counter(device.state for device in prefecture.devices.values())
    assert set(states) == {"in_service", "lost", "lost_unconfirmed_found", "quarantined", "retired"}


def test_every_reference_and_id_is_good(prefecture: Registers) -> None:
    users, devices = prefecture.users, prefecture.devices
    assert all(d.owner is None or d.owner in users for d in devices.values())
    assert all(
        row.user in users and row.device in devices
        for rows in (prefecture.permits, prefecture.loans)
        for row in rows.values()
    )
    assert all(p.users <= users.keys() and p.devices <= devices.keys() for p in prefecture.work_permits.values())
    assert all(id_fault(id_) is None for id_ in (*users, *devices, *SECTIONS))
    certificates = [d.certificate_sha256 for d in devices.values() if d.certificate_sha256]
    assert len(set(certificates)) == len(certificates)
    prefecture_staff = [u for u in users.values() if u.kind in ("staff", "fixed_term_staff")]
    assert {post.department for user in prefecture_staff for post in user.posts} <= set(SECTIONS)


@pytest.mark.parametrize(
    "now", [datetime(2024, 3, 31, 14, 59, 59, 999_999, tzinfo=UTC), datetime(2028, 2, 29, 23, tzinfo=UTC)]
)
def test_it_can_be_made_at_any_moment(now: datetime) -> None:
    made = demonstration(now)
    assert all(report.observed_at is None or report.observed_at <= now for report in made.posture.values())
    assert made.work_permits["W-DEMO"].period.holds(now)
    assert made.users["u-demo-leaver"].employment.is_over(now)


def test_a_demonstration_is_renewed_by_the_next_start(store: Store, prefecture: Registers) -> None:
    with change(store, NOW) as inside:  # what is left of the demonstration of yesterday
        inside.put_user(User("u-demo-staff", "staff"))
        inside.put_device(Device("d-old", "managed_pc", owner="u-demo-staff"))
        record_run(inside.connection, ImportRun(NOW - timedelta(days=1), "demonstration", "demonstration", 1, (), {}))
    epoch = write_demonstration(store, NOW)
    assert load_snapshot(store) == prefecture.snapshot(epoch)
    assert [(run.mode, run.at) for run in latest_runs(store, 1)] == [("demonstration", NOW)]
