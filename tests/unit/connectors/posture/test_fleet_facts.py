"""Fleet: encryption, and the administrator's own policies."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.posture.fleet_facts import device_report
from connectors.posture.reading import Options, RecordRefusedError
from pdp.model.directory import PostureReport
from tests.simulators.fleet_server import host

OPTIONS = Options("fleet")
POLICIES: Any = {"1": "edr_running", "Screen locks": "screen_lock", "3": "not_tampered"}


def posture(record: dict[str, Any], policies: Any = POLICIES) -> PostureReport:
    return device_report(record, OPTIONS, policies).posture


def answers(*responses: Any) -> list[dict[str, Any]]:
    names = ((1, "EDR runs"), (2, "Screen locks"), (3, "Boot is intact"))
    return [{"id": n, "name": name, "response": said} for (n, name), said in zip(names, responses, strict=True)]


def test_every_field_that_is_read_stands_in_the_vendors_sample(shared: Path) -> None:
    sample = json.loads((shared / "vectors/posture/fleet-get-host.json").read_text())["body"]["host"]
    read = ("id", "uuid", "hardware_serial", "hostname", "os_version", "detail_updated_at", "policy_updated_at")
    assert {*read, "disk_encryption_enabled", "policies"} <= set(sample)
    assert {"id", "name", "response"} <= set(sample["policies"][0])
    assert {policy["response"] for policy in sample["policies"]} == {"pass", "fail", ""}


def test_the_vendors_own_sample_gives_what_it_says(shared: Path) -> None:
    sample = json.loads((shared / "vectors/posture/fleet-get-host.json").read_text())["body"]["host"]
    found = device_report(sample, OPTIONS, {})
    assert found.posture == PostureReport(
        disk_encrypted=True, observed_at=datetime(2021, 8, 19, 21, 7, 53, tzinfo=UTC), source="fleet"
    )
    assert dict(found.names) == {"udid": "309a4b7d-0000-0000-8e7f-26ae0815ede8", "vendor_id": "1"}


@pytest.mark.parametrize(
    ("said", "fact"), [(True, True), (False, False), (None, "unknown"), ("true", "unknown"), (1, "unknown")]
)
def test_encryption_that_fleet_does_not_find_out_is_not_known(said: Any, fact: Any) -> None:
    assert posture(host(1, disk_encryption_enabled=said)).disk_encrypted == fact
    absent = host(1)
    del absent["disk_encryption_enabled"]
    assert posture(absent).disk_encrypted == "unknown"


@pytest.mark.parametrize(
    ("said", "good", "bad"),
    [
        ("pass", True, False),
        ("fail", False, True),
        ("", "unknown", "unknown"),
        ("PASS", "unknown", "unknown"),
        (None, "unknown", "unknown"),
        (True, "unknown", "unknown"),
        ("error", "unknown", "unknown"),
    ],
)
def test_a_policy_says_pass_or_fail_and_anything_else_is_not_known(said: Any, good: Any, bad: Any) -> None:
    found = posture(host(1, policies=answers(said, said, said)))
    assert (found.edr_running, found.screen_lock, found.tampered) == (good, good, bad)
    assert found.edr_risk == "unknown"


def test_policies_that_are_not_mapped_say_nothing() -> None:
    found = posture(host(1), {})
    assert (found.edr_running, found.screen_lock, found.tampered) == ("unknown",) * 3


def test_of_two_policies_about_one_fact_both_have_to_pass() -> None:
    mapped: Any = {"1": "firewall", "2": "firewall"}
    assert posture(host(1, policies=answers("pass", "pass", "")), mapped).firewall is True
    assert posture(host(1, policies=answers("pass", "", "")), mapped).firewall == "unknown"
    assert posture(host(1, policies=answers("", "fail", "")), mapped).firewall is False


def test_a_policy_cannot_take_a_number_as_its_name_to_pass_for_another() -> None:
    impostor = [{"id": 77, "name": "1", "response": "pass"}]
    assert posture(host(1, policies=impostor)).edr_running == "unknown"


@pytest.mark.parametrize("ran_at", ["2026-11-20T00:00:00Z", "2000-01-01T00:00:00Z", None])
def test_good_answers_much_older_than_the_report_are_known_no_more_and_bad_ones_stay(ran_at: Any) -> None:
    found = posture(host(1, policy_updated_at=ran_at, policies=answers("pass", "fail", "fail")))
    assert (found.edr_running, found.screen_lock, found.tampered) == ("unknown", False, True)


@pytest.mark.parametrize("at", ["2000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", None, ""])
def test_a_host_whose_details_were_never_fetched_has_no_age_whenever_it_was_seen(at: Any) -> None:
    assert posture(host(1, detail_updated_at=at)).observed_at is None


@pytest.mark.parametrize("policies", [None, {}, "pass", [None, 1, [], {}], [{"id": "1", "response": "pass"}]])
def test_policies_of_another_shape_say_nothing(policies: Any) -> None:
    assert posture(host(1, policies=policies)).edr_running == "unknown"


@pytest.mark.parametrize("identifier", [None, "1", True, 1.0])
def test_a_record_without_an_id_is_refused(identifier: Any) -> None:
    with pytest.raises(RecordRefusedError):
        device_report(host(1, id=identifier), OPTIONS, {})


def test_patch_age_comes_from_the_administrators_table() -> None:
    options = Options("fleet", os_releases={"Windows 11 Enterprise 23H2": date(2026, 11, 12)})
    assert device_report(host(1), options, {}).posture.patch_age_days == 11
