"""What a look costs: only what moved, or whose time has come, is judged; and times do not pile up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pdp.model.directory import Device, PostureReport, Snapshot, User, snapshot_of
from pdp.posture.score import Thresholds
from pdp.ssf.sending.watching import Watch

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
HEALTHY = PostureReport(
    certificate=True, disk_encrypted=True, edr_running=True, edr_risk="none", av_current=True, firewall=True,
    screen_lock=True, tampered=False, patch_age_days=20, observed_at=NOW, source="fleet",
)  # fmt: skip
PC = Device("pc", "managed_pc", owner="alice", posture=HEALTHY)
HOUR = timedelta(hours=1)


def ground(epoch: int, *devices: Device) -> Snapshot:
    return snapshot_of(epoch=epoch, users=[User("alice", "staff")], devices=devices)


def begun(snapshot: Snapshot) -> Watch:
    watch = Watch({})
    rows = watch.look(snapshot, Thresholds(), NOW)
    assert {(row.key, row.state) for row in rows} == {("alice", "active"), ("pc", "compliant")}
    assert all(row.happenings == () for row in rows)
    watch.keep(rows)
    return watch


def test_a_policy_that_asks_for_more_judges_everything_anew() -> None:
    snapshot = ground(1, PC)
    watch = begun(snapshot)
    assert watch.look(snapshot, Thresholds(), NOW) == []
    [row] = watch.look(snapshot, Thresholds(patch_deny_days=10), NOW)
    assert (row.key, row.state) == ("pc", "not-compliant")


def test_what_is_not_kept_as_told_is_asked_of_a_new_watch_again() -> None:
    watch = begun(ground(1, PC))
    later = ground(2, replace(PC, state="lost"))
    [row] = watch.look(later, Thresholds(), NOW)
    assert [one.type.rpartition("/")[2] for one in row.happenings] == ["device-compliance-change", "session-revoked"]
    again = Watch({("user", "alice"): "active", ("device", "pc"): "compliant"})
    assert again.look(later, Thresholds(), NOW) == [row]


def test_the_times_of_devices_that_report_again_and_again_do_not_pile_up() -> None:
    watch = begun(ground(1, PC))
    for n in range(1, 25_000):
        report = replace(HEALTHY, observed_at=NOW + timedelta(milliseconds=n))
        assert watch.look(ground(n + 1, replace(PC, posture=report)), Thresholds(), NOW + timedelta(seconds=26)) == []
    assert len(watch._due) <= 10_100
    assert watch.look(ground(30_000, replace(PC, posture=report)), Thresholds(), NOW + 24 * HOUR) == []
    [row] = watch.look(ground(30_001, replace(PC, posture=report)), Thresholds(), NOW + 25 * HOUR)
    assert row.state == "not-compliant"


def test_a_device_that_goes_takes_its_time_along_and_may_come_back() -> None:
    snapshot = ground(1, PC)
    watch = begun(snapshot)
    [row] = watch.look(ground(2), Thresholds(), NOW)
    assert (row.state, len(row.happenings)) == ("withdrawn", 2)
    watch.keep([row])
    assert watch.look(ground(3), Thresholds(), NOW + 48 * HOUR) == []
    [row] = watch.look(ground(4, PC), Thresholds(), NOW + HOUR)
    assert (row.state, len(row.happenings)) == ("compliant", 1)
