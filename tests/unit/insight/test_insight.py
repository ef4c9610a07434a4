"""Registers, workers, percentiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import NotFoundError
from pdp.insight.percentiles import Buckets, percentile
from pdp.insight.registers import MAX_PAGE, Registers
from pdp.insight.workers import GONE, LATE, Check, WorkerFile, read_workers, workers_json
from pdp.model.directory import Device, Loan, Period, Permit, Post, PostureReport, User, WorkPermit, snapshot_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def registers(within: tuple[str, ...] | None = None) -> Registers:
    past, running = Period(None, NOW - DAY), Period(NOW - DAY, NOW + DAY)
    snapshot = snapshot_of(
        epoch=3,
        users=[
            User("u1", "staff", posts=(Post("tax", running), Post("old", past)), name="田中"),
            User("u2", "contractor", posts=(Post("welfare"),), employment=past, name="鈴木"),
            User("u3", "staff"),
        ],
        devices=[
            Device("d1", "managed_pc", owner="u1", posture=PostureReport(observed_at=NOW - 2 * DAY, source="a")),
            Device("d2", "byod_phone", owner="u2"),
            Device("d3", "section_pc", department="welfare", posture=PostureReport(observed_at=NOW, source="b")),
        ],
        permits=[Permit("d2", "u1", running, held=True)],
        loans=[Loan("d3", "u1", past)],
        work_permits=[WorkPermit("w", frozenset({"u1"}), frozenset({"x"}), frozenset(), running)],
    )
    return Registers(snapshot, NOW, DAY, within)


def test_a_person_has_their_devices_with_the_age_of_what_is_known_of_each() -> None:
    found = registers().user("u1")
    assert [(d["id"], d["age_s"], d["stale"]) for d in found["devices"]] == [
        ("d1", 172_800.0, True), ("d2", None, True), ("d3", 0.0, False),
    ]  # fmt: skip
    assert [(p["department"], p["holds"]) for p in found["posts"]] == [("tax", True), ("old", False)]
    assert found["departments"] == ["tax"]
    assert [(p["held"], p["holds"]) for p in found["permits"]] == [(True, True)]
    assert [one["holds"] for one in found["loans"]] == [False]
    assert found["work_permits"][0]["resources"] == ["x"]
    assert registers().user("u2")["status"] == "ended"


def test_what_each_source_says_stands_beside_what_counts() -> None:
    reports = [PostureReport(edr_running=True, source="b"), PostureReport(edr_running=False, source="a")]
    found = registers().device("d1", reports, ["serial x"])
    assert [(r["source"], r["facts"]["edr_running"]) for r in found["reports"]] == [("a", False), ("b", True)]
    assert found["facts"]["edr_running"] == found["facts"]["patch_age_days"] == "unknown"


def test_whoever_is_bound_sees_people_and_devices_of_his_departments_only() -> None:
    bound = registers(("welfare",))
    assert [u["id"] for u in bound.users("", "", 10, "")["users"]] == ["u2"]
    assert [d["id"] for d in bound.devices("", "", "", 10, "")["devices"]] == ["d2", "d3"]
    nobody = registers(())
    assert nobody.users("", "", 10, "")["users"] == nobody.devices("", "", "", 10, "")["devices"] == []
    for wanted in ("u1", "u3", "u9"):
        with pytest.raises(NotFoundError):
            bound.user(wanted)
    with pytest.raises(NotFoundError):
        bound.device("d1", [], [])


def test_pages_follow_one_another_without_a_gap() -> None:
    ids, after = [], ""
    while True:
        page = registers().users("", "", 1, after)
        ids += [user["id"] for user in page["users"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert ids == ["u1", "u2", "u3"] and MAX_PAGE >= 1
    assert [u["id"] for u in registers().users("田", "", 10, "")["users"]] == ["u1"]
    assert [d["id"] for d in registers().devices("U2", "", "", 10, "")["devices"]] == ["d2"]
    assert [d["id"] for d in registers().devices("", "section_pc", "in_service", 10, "")["devices"]] == ["d3"]


def test_the_summary_counts_what_is_late() -> None:
    posture = registers().summary(timedelta(seconds=4))["posture"]
    assert (posture["fresh"], posture["stale"], posture["unknown"]) == (1, 1, 1)


def test_a_worker_says_how_it_is_and_is_late_when_it_is_silent(tmp_path: Path) -> None:
    file = WorkerFile(tmp_path, "n", NOW)
    assert file.is_due(NOW)
    file.write(NOW, [Check("policy", False, "none")], {"log_unrecorded": 2.0}, Buckets((0.001,), (0, 0)))
    assert not file.is_due(NOW + timedelta(seconds=1)) and file.is_due(NOW + timedelta(seconds=5))
    assert file.is_due(NOW - DAY), "a clock that was set back must not silence a worker"
    (state,) = read_workers(tmp_path, NOW)
    (told,) = workers_json([state], NOW + LATE + timedelta(seconds=1), state.pid)
    assert (told["late"], told["ready"], told["answered_this"]) == (True, False, True)
    file.remove()
    assert read_workers(tmp_path, NOW) == []


def test_files_that_are_none_or_old_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b"{")
    (tmp_path / "2.json").write_bytes(b"\xff" * 10)
    WorkerFile(tmp_path, "n", NOW).write(NOW, [], {}, Buckets((), (0,)))
    assert len(read_workers(tmp_path, NOW)) == 1
    assert read_workers(tmp_path, NOW + GONE + DAY) == []
    assert read_workers(tmp_path / "none", NOW) == []


def test_a_sample_is_of_its_minute_alone(tmp_path: Path) -> None:
    file = WorkerFile(tmp_path, "n", NOW)
    for minute, counts in enumerate(((10, 0, 0), (10, 4, 0), (10, 4, 0))):
        file.write(NOW + timedelta(minutes=minute), [], {}, Buckets((0.001, 0.002), counts))
    samples = read_workers(tmp_path, NOW)[0].samples
    assert [sample.decisions for sample in samples] == [4, 0]
    assert samples[0].p50_ms == pytest.approx(1.5) and samples[1].p50_ms is None


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0.1, 100))
def test_a_percentile_lies_within_the_bounds_and_grows(counts: list[int], percent: float) -> None:
    buckets = Buckets((0.001, 0.01, 0.1), tuple(counts))
    found = percentile(buckets, percent)
    if not sum(counts):
        assert found is None
    else:
        assert found is not None and 0 <= found <= 100
        assert found <= (percentile(buckets, 100) or 0) + 1e-9
