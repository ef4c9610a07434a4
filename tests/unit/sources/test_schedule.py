from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.sources import schedule
from pdp.sources.register import Seen, SourceRow
from tests.unit.sources.simulated import NOW, settings

EVERY = settings(interval_s=300, full_every_s=86_400)
ROW = SourceRow(
    name="mdm",
    kind="intune",
    brings="posture",
    enabled=True,
    required=False,
    cursor="c",
    last_attempt_at=NOW,
    last_success_at=NOW,
    last_full_at=NOW,
    full_tried_at=NOW,
    next_run_at=NOW + timedelta(minutes=5),
    failures=0,
    fault=None,
    fault_text="",
    faults={},
    seen=Seen(),
    lease_holder=None,
    lease_until=None,
    plan=None,
    plan_digest=None,
    plan_state="none",
    plan_until=None,
    plan_by="",
)


@given(st.floats(0, 1, exclude_max=True))
def test_the_next_run_is_never_early_and_at_most_a_tenth_late(chance: float) -> None:
    wait = schedule.next_after_success(EVERY, NOW, chance) - NOW
    assert timedelta(seconds=300) <= wait <= timedelta(seconds=330)


def test_failures_wait_twice_as_long_each_up_to_an_hour() -> None:
    waits = [(schedule.next_after_failure(EVERY, NOW, n, 0.0, None) - NOW).total_seconds() for n in range(1, 12)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def test_a_rare_source_waits_no_longer_than_its_own_interval_and_a_quick_one_starts_with_it() -> None:
    weekly = settings(interval_s=7 * 86_400)
    assert schedule.next_after_failure(weekly, NOW, 99, 0.0, None) - NOW == timedelta(days=7)
    quick = settings(interval_s=5)
    assert schedule.next_after_failure(quick, NOW, 1, 0.0, None) - NOW == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [(None, 30), (0, 30), (-5, 30), (1, 30), (90, 90), (10**9, 86_400), (float("inf"), 86_400)],
)
def test_a_source_that_says_when_is_not_asked_before_and_not_forgotten(asked: float | None, wait_s: int) -> None:
    found = schedule.next_after_failure(EVERY, NOW, 1, 0.0, asked) - NOW
    assert found == timedelta(seconds=wait_s)


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.one_of(st.none(), st.floats(allow_nan=True)))
def test_no_failure_makes_a_source_wait_for_ever(failures: int, chance: float, asked: float | None) -> None:
    wait = schedule.next_after_failure(EVERY, NOW, failures, chance, asked) - NOW
    assert timedelta(seconds=30) <= wait <= timedelta(hours=24)


def test_everything_is_asked_for_first_after_its_time_and_once_a_removal_is_approved() -> None:
    late = NOW + timedelta(days=1)
    assert not schedule.is_full_due(ROW, EVERY, NOW)
    assert schedule.is_full_due(ROW, EVERY, late)
    assert schedule.is_full_due(replace(ROW, cursor=None), EVERY, NOW)
    assert schedule.is_full_due(replace(ROW, full_tried_at=None), EVERY, NOW)
    assert schedule.is_full_due(replace(ROW, plan_state="approved"), EVERY, NOW)
    assert not schedule.is_full_due(replace(ROW, full_tried_at=late), EVERY, late)  # stopped: it waits its turn


def test_an_approval_does_not_wait_for_the_interval() -> None:
    assert schedule.due_at(ROW, NOW) == NOW + timedelta(minutes=5)
    assert schedule.due_at(replace(ROW, plan_state="approved"), NOW) == NOW
    assert schedule.due_at(replace(ROW, next_run_at=None), NOW) == NOW
