from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.port import DeviceReport, Refused
from pdp.model.directory import Device, PostureReport
from pdp.sources.matching import KnownNames
from pdp.sources.posture_plan import Found, PosturePlan, find_devices, plan_posture
from tests.unit.sources.simulated import GOOD, NOW, gathered, report, settings

KNOWN = KnownNames(
    ids={"d-1", "d-2"},
    certificates={},
    aliases={"serial sn-1": "d-1", "serial sn-2": "d-2", "vendor_id mdm:v-2": "d-2"},
)


def planned(items: Any, held: dict[str, PostureReport] | None = None, **rest: Any) -> tuple[Found, PosturePlan]:
    given = {name: rest.pop(name) for name in ("removed", "refused", "complete") if name in rest}
    run = gathered(items, **given)
    found = find_devices(run, KNOWN, settings(**rest), NOW)
    return found, plan_posture(run, found, held or {}, KNOWN, "mdm")


def test_the_source_of_a_report_is_the_configured_name_whatever_the_connector_wrote() -> None:
    _, plan = planned([report({"serial": "SN-1"}, source="asset")])
    assert plan.add["d-1 mdm"].source == "mdm"


def test_a_device_that_stands_twice_in_a_run_counts_with_its_newest_record() -> None:
    old = report({"serial": "sn-1"}, age=timedelta(hours=5), tampered=True)
    new = report({"serial": "sn-1"}, tampered=False)
    for items in ([old, new], [new, old]):
        found, plan = planned(items)
        assert plan.add["d-1 mdm"].tampered is False
        assert found.counts["twice"] == 1


def test_equally_new_records_of_one_device_count_with_the_worse_facts() -> None:
    _, plan = planned([report({"serial": "sn-1"}, tampered=True), report({"id": "d-1"}, tampered=False)])
    assert plan.add["d-1 mdm"].tampered is True


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"observed_at": NOW + timedelta(minutes=6)}, "future"),
        ({"observed_at": datetime(2023, 8, 1)}, "malformed"),
        ({"edr_risk": "severe"}, "malformed"),
        ({"edr_running": "maybe"}, "malformed"),
        ({"tampered": "no"}, "malformed"),
        ({"tampered": 0}, "malformed"),
        ({"disk_encrypted": None}, "malformed"),
        ({"patch_age_days": -1}, "malformed"),
        ({"patch_age_days": 1.5}, "malformed"),
        ({"patch_age_days": True}, "malformed"),
        ({"patch_age_days": 10**9}, "malformed"),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_itself_and_counted(facts: dict[str, Any], fault: str) -> None:
    found, plan = planned([report({"serial": "sn-1"}, **facts), report({"serial": "sn-2"})], {"d-1 mdm": GOOD})
    assert found.counts[f"refused_{fault}"] == 1
    assert found.samples[f"refused_{fault}"] == ["d-1"]
    assert set(plan.add) == {"d-2 mdm"}
    assert not plan.change
    assert not plan.remove  # its device is still there


def test_a_clock_that_is_a_little_fast_is_forgiven() -> None:
    _, plan = planned([report({"serial": "sn-1"}, observed_at=NOW + timedelta(minutes=4))])
    assert set(plan.add) == {"d-1 mdm"}


def test_a_device_that_nobody_knows_is_counted_and_never_created() -> None:
    found, plan = planned([report({"serial": f"sn-{n}", "host_name": "x"}) for n in range(100, 140)])
    assert (plan.add, plan.change, found.devices) == ({}, {}, {})
    assert found.counts["unknown"] == 40
    assert len(found.samples["unknown"]) == 20
    assert found.samples["unknown"][0] == "serial=sn-100, host_name=x"


def test_an_older_report_never_takes_the_place_of_a_newer_one() -> None:
    held = replace(GOOD, observed_at=NOW)
    _, plan = planned(
        [report({"serial": "sn-1"}), report({"serial": "sn-2"}, observed_at=None)], {"d-1 mdm": held, "d-2 mdm": held}
    )
    assert (plan.change, plan.add, plan.remove) == ({}, {}, {})
    assert plan.counts["kept_newer"] == 2


def test_what_is_as_it_was_is_not_written() -> None:
    _, plan = planned([DeviceReport({"serial": "sn-1"}, GOOD)], {"d-1 mdm": GOOD})
    assert (plan.change, plan.add, plan.counts["unchanged"]) == ({}, {}, 1)


def test_a_complete_run_takes_away_what_the_source_no_longer_says_and_another_does_not() -> None:
    held = {"d-1 mdm": GOOD, "d-2 mdm": GOOD}
    for complete in (True, False):
        _, plan = planned([report({"serial": "sn-1"})], held, complete=complete)
        assert set(plan.remove) == ({"d-2 mdm"} if complete else set())
        assert plan.removals == ({"d-2": "gone"} if complete else {})


@pytest.mark.parametrize("name", ["v-2", "d-2"])
def test_an_incremental_run_takes_away_what_the_source_says_is_gone(name: str) -> None:
    held = {"d-1 mdm": GOOD, "d-2 mdm": GOOD}
    _, plan = planned([], held, complete=False, removed=(name, "v-404"))
    assert set(plan.remove) == {"d-2 mdm"}


def test_a_device_that_is_gone_and_there_in_one_run_is_there() -> None:
    _, plan = planned([report({"serial": "sn-2"})], {"d-2 mdm": GOOD}, complete=False, removed=("v-2",))
    assert not plan.remove


def test_a_device_whose_names_have_become_doubtful_keeps_its_report_until_it_is_stale() -> None:
    found, plan = planned([report({"serial": "sn-1", "id": "d-2"})], {"d-1 mdm": GOOD})
    assert found.counts["ambiguous"] == 1
    assert not plan.remove


def test_a_record_that_the_connector_refused_keeps_its_device() -> None:
    _, plan = planned([], {"d-1 mdm": GOOD}, refused=(Refused("bad_date", "d-1"),))
    assert not plan.remove
    assert plan.counts["refused_bad_date"] == 1


def test_a_source_gives_only_the_facts_that_it_is_bounded_to() -> None:
    _, plan = planned([DeviceReport({"serial": "sn-1"}, GOOD)], facts=["patch_age_days"])
    assert plan.add["d-1 mdm"] == PostureReport(patch_age_days=3, observed_at=GOOD.observed_at, source="mdm")


def test_names_are_learnt_only_of_the_kinds_that_the_settings_name() -> None:
    item = report({"serial": "sn-1", "vendor_id": "V-1", "host_name": "PC-9"})
    assert planned([item])[0].aliases == {}
    found, _ = planned([item], learn_aliases=["vendor_id"])
    assert {key: alias.device for key, alias in found.aliases.items()} == {"vendor_id mdm:v-1": "d-1"}


def test_a_name_that_two_devices_claim_teaches_nothing_new() -> None:
    items = [report({"serial": f"sn-{n}", "asset_tag": "A-1"}) for n in (1, 2)]
    found, _ = planned(items, learn_aliases=["asset_tag"])
    assert found.aliases == {}
    assert found.counts["name_of_two"] == 1


def test_a_source_that_may_register_does_so_for_the_platforms_that_it_has_a_class_for() -> None:
    items = [
        report({"serial": "NEW-1", "host_name": "pc-new"}, platform="ios"),
        report({"id": "d-new"}, platform="ios"),
        report({"id": "d new"}, platform="ios"),
        report({"serial": "new-2"}, platform="android"),
        report({"serial": "none"}, platform="ios"),
    ]
    found, plan = planned(items, may_register=True, classes={"ios": "byod_phone"})
    assert found.devices == {
        "mdm-new-1": Device("mdm-new-1", "byod_phone"),
        "d-new": Device("d-new", "byod_phone"),
    }
    assert {key: alias.device for key, alias in found.aliases.items()} == {
        "serial new-1": "mdm-new-1",
        "host_name pc-new": "mdm-new-1",
    }
    assert set(plan.add) == {"mdm-new-1 mdm", "d-new mdm"}
    assert (found.counts["unknown"], found.counts["nameless"]) == (2, 1)
