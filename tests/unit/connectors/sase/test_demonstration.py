"""The demonstration prefecture, exported with invented tenants: sound, and no organisation within another's reach.

Some systems of each kind; `python -m bench.exports` does it with all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from connectors.sase.envoy import SETS, claims_of
from connectors.sase.example_tenants import EXAMPLES, example_mapping
from connectors.sase.registry import MODULES, make
from pdp.bundle.bundle import read_bundle
from pdp.directory.demo_places import SECTIONS
from pdp.directory.demo_systems import demo_systems
from pdp.errors import SettingsError
from pdp.export.catalogue import listed_resources
from pdp.export.checking import MODEL, Report, check
from pdp.export.exporting import Finished, export
from pdp.model.directory import snapshot_of
from pdp.model.rules import RuleModel, encode
from tests.spaces import DAY, POLICIES, demonstration_model, shipped_space

OWN, OTHER = "data-tsu", "data-yokkaichi"  # two municipalities, each with data of its own
SYSTEMS = (
    "mail",
    "personnel-payroll",
    "field-inspection",
    "e-contract",
    "prefectural-tax",
    "lgwan-documents",
    OWN,
    OTHER,
)
EACH = [name for name in EXAMPLES if name not in ("entra", "cloudflare")]  # those two leave such data to others


@cache
def model() -> RuleModel:
    return demonstration_model(*SYSTEMS)


@cache
def finished(name: str) -> Finished:
    return export(shipped_space(), model(), make(name, example_mapping(name, model())))


def test_there_is_an_example_for_every_target() -> None:
    assert set(EXAMPLES) == set(MODULES)
    with pytest.raises(SettingsError, match="no example"):
        example_mapping("matrix", model())


@pytest.mark.parametrize("day", [DAY, datetime(2026, 11, 24, tzinfo=UTC)])
def test_fifty_systems_are_in_service_besides_what_municipalities_have(day: datetime) -> None:
    prefecture = snapshot_of(epoch=1, resources=demo_systems())
    listed = listed_resources(read_bundle(POLICIES), prefecture, day)
    systems = [one for row, one in listed if not (one.group == "data" and row.organisations)]
    assert sum(one.status == "in_service" for one in systems) == 50
    assert {one.segment for one in systems} == {"cloud", "internet", "lgwan", "mynumber"}
    assert all(row.title_ja and row.title_en for row, _ in listed)
    assert {department for one in systems for department in one.departments} <= set(SECTIONS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_of_system_is_exported_soundly_and_only_to_whom_it_is_for(name: str) -> None:
    done = finished(name)
    assert done.certificate.unsound == "0"
    let_through = {one.resource for one in done.report.counts if one.exported != "0"}
    assert {"mail", "personnel-payroll", "field-inspection", "e-contract"} <= let_through
    left = {one.rule for one in done.exported.left_out}
    said = {(model().resource(rule.resource).group, rule.device_class) for rule in model().rules if rule.id not in left}
    assert {device for group, device in said if group == "mynumber"} <= {"mynumber_terminal"}
    assert {group for group, device in said if device == "byod_phone"} <= {"communication"}


def swapped(mapping: dict[str, Any], key: str, one: str, other: str) -> dict[str, Any]:
    held = dict(mapping[key])
    held[one], held[other] = held[other], held[one]
    return {**mapping, key: held}


def groups_of(resource: str) -> list[str]:
    """The groups of the people of this municipality, in an order that is the same for every municipality."""
    place = model().resource(resource).organisations
    found = [one for one in model().profiles if one.section == "user" and one.organisations == place]
    return [one.id for one in sorted(found, key=lambda one: one.conditions)]


def mixed(name: str, mapping: dict[str, Any]) -> Report:
    """What the files let through at a tenant that has this mapping."""
    files = {**finished(name).exported.files, MODEL: encode(model())}
    return check(shipped_space(), model(), make(name, mapping).interpreter(files))


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in EACH for key in ("resources", "groups") if (name, key) != ("envoy", "groups")],
)
def test_the_people_of_one_municipality_never_reach_anothers_data(name: str, key: str) -> None:
    """Attack: the places, or the groups, of two municipalities are swapped between the files and the tenant."""
    mapping = example_mapping(name, model())
    ours, theirs = ([OWN], [OTHER]) if key == "resources" else (groups_of(OWN), groups_of(OTHER))
    assert ours
    assert not set(ours) & set(theirs)
    for one, other in zip(ours, theirs, strict=True):
        mapping = swapped(mapping, key, one, other)
    report = mixed(name, mapping)
    assert {one.resource for one in report.counterexamples} == {OWN, OTHER}
    assert all(one.facts.get("organisation") == "none" for one in report.counterexamples)


def test_a_token_of_one_municipality_is_in_no_set_of_another() -> None:
    facts: dict[str, Any] = {fact.name: fact.values[0] for fact in model().facts}
    for profile in model().profiles:
        if profile.id in groups_of(OWN):
            met = {**facts, **{one.fact: one.values[0] for one in profile.conditions}}
            ours = claims_of(model(), met, {}, departments=["soumu"], organisation="tsu")
            theirs = claims_of(model(), met, {}, departments=["soumu"], organisation="yokkaichi")
            assert profile.id in ours[SETS]
            assert profile.id not in theirs[SETS]
