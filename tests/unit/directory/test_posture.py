"""Several sources, one device: what they together say (docs/adr/0013)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdp.directory.changes import change
from pdp.directory.posture import CONFLICT_WINDOW, FACTS, knows, latest, merged, restricted, worse
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.model.directory import NOTHING_REPORTED, Device, PostureReport
from pdp.store.store import Store

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def said(source: str, hours: float | None, **facts: Any) -> PostureReport:
    return PostureReport(source=source, observed_at=None if hours is None else NOW - hours * HOUR, **facts)


def test_a_single_report_is_taken_as_it_is() -> None:
    for report in (said("mdm", 3, tampered=False), said("mdm", None), said("mdm", 1)):
        assert merged([report]) is report


def test_facts_of_different_sources_stand_beside_one_another_and_are_as_old_as_the_oldest() -> None:
    assert merged(
        [said("mdm", 1, disk_encrypted=True), said("edr", 2, edr_risk="low"), said("asset", 20, patch_age_days=3)]
    ) == PostureReport(
        disk_encrypted=True,
        edr_risk="low",
        patch_age_days=3,
        observed_at=NOW - 20 * HOUR,
        source="asset+edr+mdm",
    )


def test_a_fresh_source_that_knows_little_does_not_freshen_the_others_facts() -> None:
    stale = said("mdm", 30, disk_encrypted=True, tampered=False)
    beside = said("agent", 0, tampered=False)
    assert merged([stale, beside]).observed_at == stale.observed_at


def test_a_fresh_source_that_knows_every_fact_takes_the_place_of_an_old_one() -> None:
    old = said("mdm", 100, tampered=False, disk_encrypted=False)
    new = said("agent", 1, tampered=False, disk_encrypted=True)
    assert merged([old, new]) == new


@pytest.mark.parametrize("hours", [0, 1, CONFLICT_WINDOW / HOUR])
def test_within_the_window_the_worse_of_two_words_stands(hours: float) -> None:
    good, bad = said("mdm", 1, tampered=False), said("edr", 1 + hours, tampered=True)
    assert merged([good, bad]).tampered is True
    assert merged([bad, good]).tampered is True


def test_after_the_window_the_newest_word_stands() -> None:
    good, bad = said("mdm", 1, tampered=False), said("edr", 26, tampered=True)
    assert merged([bad, good]) == good


def test_a_newer_bad_word_goes_before_an_older_good_one() -> None:
    assert merged([said("mdm", 9, edr_risk="none"), said("edr", 1, edr_risk="high")]).edr_risk == "high"


def test_a_report_without_a_time_speaks_only_where_no_dated_one_does_and_takes_the_age_away() -> None:
    dated = said("mdm", 1, tampered=False)
    assert merged([dated, said("csv", None, tampered=True)]) == dated
    beside = merged([dated, said("csv", None, patch_age_days=2)])
    assert (beside.patch_age_days, beside.observed_at) == (2, None)
    assert merged([said("a", None, firewall=True), said("b", None, firewall=False)]).firewall is False


def test_sources_that_know_nothing_leave_no_fact_and_no_name_but_the_last_lookers() -> None:
    seen = merged([said("a", 5), said("b", 2)])
    assert seen == said("b", 2)
    assert merged([said("a", None), said("b", None)]) == said("a", None)
    assert merged([said("a", 5, tampered=False), said("b", 2)]) == said("a", 5, tampered=False)


@pytest.mark.parametrize(
    ("fact", "one", "other", "stands"),
    [
        *((fact, True, False, False) for fact in FACTS if fact not in ("tampered", "edr_risk", "patch_age_days")),
        ("tampered", True, False, True),
        ("edr_running", "not_managed", False, False),
        ("edr_running", "not_managed", True, "unknown"),
        ("edr_risk", "none", "low", "low"),
        ("edr_risk", "low", "medium", "medium"),
        ("edr_risk", "medium", "high", "high"),
        ("edr_risk", "none", "high", "high"),
        ("patch_age_days", 3, 40, 40),
        ("patch_age_days", 0, 1, 1),
    ],
)
def test_the_worse_value_is_the_one_that_helps_less_whoever_says_it_first(
    fact: Any, one: Any, other: Any, stands: Any
) -> None:
    assert worse(fact, one, other) == worse(fact, other, one) == stands
    assert worse(fact, one, one) == one


def test_three_voices_on_one_agent_do_not_cancel_out() -> None:
    voices = [said("a", 1, edr_running=True), said("b", 1, edr_running="not_managed"), said("c", 1, edr_running=True)]
    assert merged(voices).edr_running == "unknown"
    assert merged([*voices, said("d", 1, edr_running=False)]).edr_running is False


def test_a_source_that_is_bounded_to_some_facts_says_no_others() -> None:
    whole = PostureReport(
        certificate=True, edr_risk="low", patch_age_days=3, tampered=False, observed_at=NOW, source="edr"
    )
    assert restricted(whole, None) is whole
    bounded = restricted(whole, ["edr_risk"])
    assert bounded == PostureReport(edr_risk="low", observed_at=NOW, source="edr")
    assert [fact for fact in FACTS if knows(restricted(whole, []), fact)] == []
    assert restricted(NOTHING_REPORTED, ["edr_risk"]) == NOTHING_REPORTED


def test_of_two_reports_of_one_source_the_newest_counts_and_of_equally_new_ones_the_worse() -> None:
    old, new = said("mdm", 2, tampered=True), said("mdm", 1, tampered=False)
    assert latest([old, new]) == latest([new, old]) == new
    assert latest([new, replace(new, tampered=True)]) == replace(new, tampered=True)
    assert latest([said("mdm", None, tampered=True), new]) == new


def test_the_directory_keeps_what_each_source_said_and_serves_them_together(store: Store) -> None:
    with change(store, NOW) as inside:
        inside.put_device(Device("d-1", "managed_pc", posture=said("asset", 5, patch_age_days=3, tampered=False)))
        inside.report_posture("d-1", said("edr", 1, edr_risk="low"))
    held = load_snapshot(store)
    assert held.devices["d-1"].posture == PostureReport(
        patch_age_days=3, tampered=False, edr_risk="low", observed_at=NOW - 5 * HOUR, source="asset+edr"
    )
    with change(store, NOW) as inside:
        assert not inside.report_posture("d-1", said("edr", 2, edr_risk="none"))  # older than the edr's own
        assert inside.report_posture("d-1", said("edr", 0, edr_risk="high"))
    caught_up = refresh_snapshot(store, held)
    assert caught_up.devices["d-1"].posture.edr_risk == "high"
    assert caught_up.devices == load_snapshot(store).devices
