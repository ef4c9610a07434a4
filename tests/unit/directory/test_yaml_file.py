from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pdp.bundle.bundle import read_bundle
from pdp.directory.snapshot import load_snapshot
from pdp.facts.reference import read_reference
from pdp.model.directory import (
    ALWAYS,
    CatalogueRow,
    Device,
    Emergency,
    Period,
    Permit,
    Post,
    PostureReport,
    SegmentFrom,
    User,
    period_of_dates,
)
from pdp.plain_yaml import load_documents
from pdp.scenario.files import read_scenarios
from pdp.scenario.format import RequestEntry
from pdp.scenario.world import world_at
from pdp.store.store import Store
from tests.unit.directory.imports import NOW, bring, brought, places, says

WHOLE = """
users:
  - id: u-1
    kind: staff
    name: 三重 花子
    roles: [disaster_response]
    posts: [{department: soumu, from: 2022-04-01, until: 2024-03-31}, {department: kankyo, from: 令和6年4月1日}]
    employment: {from: 2020-04-01, until: 2030-03-31, status: suspended}
    contract_until: 2025-03-31
  - {id: m-1, kind: municipal_staff, organisation: tsu, identity_source: federated}
devices:
  - {id: d-1, class: managed_pc, owner: u-1, takeout: permitted, posture: healthy}
  - {id: d-2, class: byod_phone, owner: u-1, posture: {tampered: false, screen_lock: true, age_hours: 2, source: mdm}}
  - {id: d-3, class: section_pc, department: soumu, shared: true, posture: ~}
permits: [{device: d-2, user: u-1, from: 2023-04-01, until: 2024-03-31, held: true}]
resources:
  - {id: data-tsu, group: data, organisations: [tsu]}
  - {id: ledger, group: business, segments: [{segment: lgwan}, {segment: internet, from: 2023-02-01}], sensitivity: 3}
  - {id: old, group: legacy, segment: lgwan, ja: 旧システム, until: 2024-03-31}
disaster: {from: '2023-08-01T06:00:00+09:00', until: '2023-08-04T06:00:00+09:00'}
"""


def test_a_whole_directory_in_the_form_of_the_scenarios(store: Store) -> None:
    brought(store, {"directory.yaml": WHOLE})
    found = load_snapshot(store)
    assert found.users["u-1"] == User(
        "u-1",
        "staff",
        posts=(
            Post("soumu", period_of_dates(date(2022, 4, 1), date(2024, 3, 31))),
            Post("kankyo", period_of_dates(date(2024, 4, 1), None)),
        ),
        roles=("disaster_response",),
        employment=period_of_dates(date(2020, 4, 1), date(2025, 3, 31)),
        status="suspended",
        name="三重 花子",
    )
    healthy = found.devices["d-1"].posture
    assert (healthy.edr_running, healthy.patch_age_days, healthy.observed_at) == (True, 3, NOW - timedelta(hours=1))
    assert found.devices["d-2"].posture == PostureReport(
        tampered=False, screen_lock=True, observed_at=NOW - timedelta(hours=2), source="mdm"
    )
    assert found.devices["d-3"] == Device("d-3", "section_pc", department="soumu", shared=True)
    assert found.permits["d-2"] == (
        Permit("d-2", "u-1", period_of_dates(date(2023, 4, 1), date(2024, 3, 31)), held=True),
    )
    assert found.resources["data-tsu"] == CatalogueRow(
        "data-tsu", "data", (SegmentFrom("cloud"),), organisations=("tsu",)
    )
    assert found.resources["ledger"].segments == (
        SegmentFrom("lgwan"),
        SegmentFrom("internet", datetime(2023, 1, 31, 15, tzinfo=UTC)),
    )
    assert found.resources["old"].service == period_of_dates(None, date(2024, 3, 31))
    disaster = Period(datetime(2023, 7, 31, 21, tzinfo=UTC), datetime(2023, 8, 3, 21, tzinfo=UTC))
    assert found.emergencies == (Emergency(disaster),)


def test_a_key_that_is_absent_keeps_and_one_without_a_value_clears(store: Store) -> None:
    brought(store, {"directory.yaml": WHOLE})
    brought(store, {"directory.yaml": "users: [{id: u-1, roles: , contract_until: 2026-03-31, posts: []}]"})
    user = load_snapshot(store).users["u-1"]
    assert (user.roles, user.posts, user.status, user.name) == ((), (), "suspended", "三重 花子")
    assert user.employment == period_of_dates(date(2020, 4, 1), date(2026, 3, 31))


def test_devices_replaced_in_yaml_keep_the_posture_that_the_file_does_not_say(store: Store) -> None:
    brought(store, {"directory.yaml": WHOLE})
    text = "devices: [{id: d-1, class: managed_pc}, {id: d-2}, {id: d-3, state: lost}]"
    report = brought(store, {"directory.yaml": text}, mode="replace")
    assert set(report.differences) == {"devices"}
    assert load_snapshot(store).devices["d-1"].posture.edr_running is True


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("users: [{id: u-1, kind: boss}]", (1, "kind"), "not one of the words"),
        ("users:\n  - id: u-1\n    kind: staff\n    posts:\n      - {department: a, from: 2023-13-01}\n", (5, "from"), "does not exist"),
        ("users:\n  - {id: u-1, kind: staff, rolls: [a]}\n", (2, "rolls"), "write `roles`"),
        ("users:\n  - {id: u-1, kind: staff, employment: {begin: 2023-04-01}}\n", (2, "begin"), "not known"),
        ("users: [{kind: staff}]", (1, "id"), "missing"),
        ("users: [{id: 17, kind: staff}]", (1, "id"), "write the id in quotes"),
        ("users: [{id: u-1, kind: staff, id: u-2}]", (1, "id"), "stands twice"),
        ("users: [{id: u-1, kind: staff, roles: a}]\nusers: []", (2, "users"), "stands twice"),
        ("users: [{id: u-1, kind: staff, contract_until: 20230401}]", (1, "contract_until"), "in quotes"),
        ("users: [u-1]", (1, None), "not a mapping"),
        ("users: u-1", (1, "users"), "not a list"),
        ("people: []", (1, "people"), "not known"),
        ("", (1, None), "empty"),
        ("devices: [{id: d-1, class: managed_pc, posture: fine}]", (1, "posture"), "no posture"),
        ("devices:\n- {id: d-1, class: managed_pc, posture: {edr_running: maybe}}", (2, "edr_running"), "not a fact"),
        ("resources: [{id: r, group: data, segments: [{segment: moon}]}]", (1, "segments"), "not one of the words"),
        ("resources: [{id: r, group: data, segments: [{from: 2023-01-01}]}]", (1, "segments"), "not a segment"),
        ("resources: [{id: r, group: data, segments: []}]", (1, "segments"), "no segment"),
        ("resources: [{id: r, group: data, sensitivity: true}]", (1, "sensitivity"), "whole number"),
        ("work_permits: [{id: w, users: [1], resources: [], devices: [], from: 2023-08-01, until: 2023-08-02}]", (1, "users"), "in quotes"),
        ("users: [*a]", (None, None), "anchors"),
        ("users: [{id: u-1", (None, None), "line"),
        ("a: 1\n---\nb: 2", (None, None), "one YAML document"),
        ("users: " + "[" * 100_000, (None, None), "nested deeper"),
        ("users: [{id: u-1, kind: staff, x: " + "9" * 5_000 + "}]", (1, "x"), "not known"),
        ("\x00", (None, None), "YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_found_at_its_line_and_key(
    store: Store, text: str, place: tuple[int | None, str | None], message: str
) -> None:
    report = bring(store, {"directory.yaml": text})
    assert places(report) == [("directory.yaml", *place)], says(report)
    assert message in says(report)[0]


POLICIES = Path(__file__).resolve().parents[3] / "policies"
EMPTY = "{users: [], devices: [], permits: [], loans: [], work_permits: [], emergencies: []}"


def test_every_scenarios_directory_can_be_imported_and_means_the_same(store: Store, shared: Path) -> None:
    """The importer and the scenario runner read one form; this holds them together."""
    reference = read_reference(read_bundle(POLICIES).data)
    request = RequestEntry(user="u", auth_level=0, resource="r", action="read", zone="office")
    seen = 0
    for file in sorted((shared / "scenarios").glob("*.yaml")):
        for document, scenario in zip(load_documents(file.read_text()), read_scenarios([file]), strict=True):
            directory = document.get("directory")
            if not directory or "resources" in directory:  # a scenario lays its rows over the bundle's catalogue
                continue
            want = world_at([scenario.directory], request, reference, NOW)
            brought(store, {"empty.yaml": EMPTY}, mode="replace", allow_removals=100)
            brought(store, {"directory.yaml": msgspec.json.encode({"directory": directory})})  # JSON is YAML too
            found = load_snapshot(store)
            for part in ("users", "devices", "permits", "loans", "work_permits", "emergencies"):
                assert getattr(found, part) == getattr(want, part), (scenario.id, part)
            seen += 1
    assert seen > 20


def test_nothing_is_said_where_nothing_is_changed(store: Store) -> None:
    brought(store, {"directory.yaml": WHOLE})
    assert brought(store, {"directory.yaml": WHOLE}).outcome == "unchanged"
    assert load_snapshot(store).users["m-1"].employment is ALWAYS
