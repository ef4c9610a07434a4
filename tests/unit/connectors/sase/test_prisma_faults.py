"""Prisma Access files that somebody has changed: wider ones have a counterexample, unknown ones are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.errors import ExportError
from tests.unit.connectors.sase.prisma_tenant import allows, checked, few

if TYPE_CHECKING:
    from collections.abc import Callable

Documents = dict[str, Any]


def drop_the_sessions(held: Documents) -> None:
    for rule in allows(held):
        rule["source"] = ["any"]


def drop_the_agent(held: Documents) -> None:
    for rule in allows(held):
        rule.pop("source_hip", None)


def another_product(held: Documents) -> None:
    edr = next(one for one in held["hip-objects"] if one["name"] == "zt-edr")
    edr["anti_malware"]["vendor"] = [{"name": "Another"}]


def unencrypted(held: Documents) -> None:
    disk = next(one for one in held["hip-objects"] if one["name"] == "zt-disk")
    disk["disk_encryption"]["criteria"]["encrypted_locations"][0]["encryption_state"] = {"is_not": "encrypted"}


def not_installed(held: Documents) -> None:
    edr = next(one for one in held["hip-objects"] if one["name"] == "zt-edr")
    edr["anti_malware"]["criteria"]["is_installed"] = False


def people_by_tag(held: Documents) -> None:
    """A tag on people in place of the tags on sessions: it says nothing of the device that they use now."""
    for rule in allows(held):
        rule["source"] = ["any"]
        rule["source_user"] = ["zt-cut-off-users"]


def late_deny(held: Documents) -> None:
    """A deny of a group above an allow without one: the group may be filled late."""
    for rule in allows(held):
        deny = {**rule, "action": "deny", "name": f"{rule['name']}-deny"}
        held["security-rules"].insert(held["security-rules"].index(rule), deny)
        rule["source"] = ["any"]


def two_sources(held: Documents) -> None:
    """A country beside the sessions: the vendor takes either."""
    for rule in allows(held):
        rule["source"].append("JP")


def wider_group(held: Documents) -> None:
    for rule in allows(held):
        rule["source_user"] = ["known-user"]


def group_of_all_departments(held: Documents) -> None:
    """The system of one department for the staff of all."""
    groups = {one["name"]: one for one in held["tagging"] if one["of"] == "group"}
    everybody = next(name for name, one in groups.items() if not one["departments"] and "正規職員" in one["ja"])
    for rule in allows(held):
        if groups[rule["source_user"][0]]["departments"]:
            rule["source_user"] = [everybody]


def wider_tag(held: Documents) -> None:
    tag = next(one for one in held["tagging"] if one["name"].startswith("zt.device-"))
    tag["all_of"] = [one for one in tag["all_of"] if one["fact"] != "device.state"]


def another_class(held: Documents) -> None:
    for group in held["address-groups"]:
        text = group["dynamic"]["filter"]
        group["dynamic"]["filter"] = text.replace("zt.class-managed_pc", "zt.class-section_pc")


def no_last_deny(held: Documents) -> None:
    held["security-rules"] = [rule for rule in held["security-rules"] if not rule["name"].endswith("deny-the-rest")]


def swapped_order(held: Documents) -> None:
    """The deny of everything becomes an allow below the allows: an order that only a first match can tell."""
    rules = held["security-rules"]
    last = next(rule for rule in rules if rule["name"].endswith("deny-the-rest"))
    rules.insert(rules.index(last), {**last, "name": "temporary", "action": "allow"})


@pytest.mark.parametrize(
    "change",
    [
        drop_the_sessions,
        drop_the_agent,
        another_product,
        unencrypted,
        not_installed,
        people_by_tag,
        late_deny,
        two_sources,
        wider_group,
        group_of_all_departments,
        wider_tag,
        another_class,
        no_last_deny,
        swapped_order,
    ],
    ids=lambda one: one.__name__,
)
def test_a_planted_fault_is_found_with_a_counterexample(change: Callable[[Documents], None]) -> None:
    report = checked(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja
    assert report.counterexamples[0].words.en


@given(st.integers(min_value=0), st.integers(min_value=0))
@settings(max_examples=15, deadline=None)
def test_no_tag_of_a_rule_can_be_spared(rule_number: int, tag_number: int) -> None:
    def drop(held: Documents) -> None:
        rule = allows(held)[rule_number % len(allows(held))]
        group = next(one for one in held["address-groups"] if one["name"] == rule["source"][0])
        tags = group["dynamic"]["filter"].split(" and ")
        del tags[tag_number % len(tags)]
        held["address-groups"].append({**group, "name": "fewer", "dynamic": {"filter": " and ".join(tags)}})
        rule["source"] = ["fewer"]

    assert not checked(drop).sound


def test_a_group_of_one_department_says_nothing_at_the_system_of_another() -> None:
    model = few()
    moved = [
        msgspec.structs.replace(one, departments=("kikaku",)) if one.departments else one for one in model.resources
    ]
    assert checked(lambda held: None, model).sound
    assert not checked(lambda held: None, msgspec.structs.replace(model, resources=tuple(moved))).sound


def test_an_order_that_denies_first_lets_nothing_through() -> None:
    def turn(held: Documents) -> None:
        held["security-rules"].reverse()

    report = checked(turn)
    assert report.sound
    assert all(one.exported == "0" for one in report.counts)


# What the reading does not know.


def negated(held: Documents) -> None:
    allows(held)[0]["negate_source"] = True


def odd_action(held: Documents) -> None:
    allows(held)[0]["action"] = "permit"


def odd_source(held: Documents) -> None:
    allows(held)[0]["source"] = ["10.0.0.0/8"]


def odd_group(held: Documents) -> None:
    allows(held)[0]["source_user"] = ["cn=everybody"]


def odd_filter(held: Documents) -> None:
    held["address-groups"][0]["dynamic"]["filter"] += " or 'zt.class-byod_phone'"


def odd_tag(held: Documents) -> None:
    held["tagging"] = [one for one in held["tagging"] if not one["name"].startswith("zt.posture-")]


def odd_match(held: Documents) -> None:
    held["hip-profiles"][0]["match"] = 'not "zt-edr"'


def odd_folder(held: Documents) -> None:
    allows(held)[0]["folder"] = "Shared"


def odd_schedule(held: Documents) -> None:
    allows(held)[0]["schedule"] = "never-written"


def static_group(held: Documents) -> None:
    held["address-groups"][0]["static"] = [held["address-groups"][0].pop("dynamic")]


def two_of_a_name(held: Documents) -> None:
    held["address-groups"].append(dict(held["address-groups"][0]))


def no_field(held: Documents) -> None:
    del allows(held)[0]["source_user"]


def no_name(held: Documents) -> None:
    allows(held)[0]["source_user"] = []


@pytest.mark.parametrize(
    "change",
    [
        negated,
        odd_action,
        odd_source,
        odd_group,
        odd_filter,
        odd_tag,
        odd_match,
        odd_folder,
        odd_schedule,
        static_group,
        two_of_a_name,
        no_field,
        no_name,
    ],
    ids=lambda one: one.__name__,
)
def test_what_the_reading_does_not_know_is_refused(change: Callable[[Documents], None]) -> None:
    with pytest.raises(ExportError):
        checked(change)
