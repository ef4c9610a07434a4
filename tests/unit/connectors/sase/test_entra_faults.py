"""Faults planted into exported Conditional Access policies: found with a counterexample, or refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from connectors.sase.entra import target
from pdp.errors import ExportError
from pdp.export.checking import MODEL, check
from pdp.model.rules import encode
from tests.entra_files import BREAK_GLASS, JAPAN, LEVEL_2, OFFICE, changed, filters, mapping, policy_with, shipped_files
from tests.spaces import shipped_model, shipped_space


def no_complement(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies.remove(policy_with(policies, "everybody"))


def no_block_of_other_people(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies.remove(policy_with(policies, "groups"))


def a_system_less(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policy_with(policies, "strength")["conditions"]["applications"]["includeApplications"].pop()


def an_included_filter(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    """The trap of unknown devices: a filter that includes misses those whose attributes are null."""
    for held in filters(policies):
        held["mode"] = "include"


def any_private_phone(policies: list[dict[str, Any]], sets: dict[str, Any]) -> None:
    """One word more in the filters, for a set of devices that no rule has."""
    phone = [{"fact": "device.class", "values": ["byod_phone"]}]
    sets["devices"]["byod_phone.00000000"] = {"all_of": phone, "profiles": [], "ja": "私物スマートフォン"}
    for held in filters(policies):
        held["rule"] += ' -or device.extensionAttribute1 -contains "byod_phone.00000000"'


def an_office_in_the_world(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policy_with(policies, "locations")["conditions"]["locations"]["excludeLocations"] = [OFFICE, JAPAN]


def a_weaker_strength(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    for policy in policies:
        if "authenticationStrength" in policy["grantControls"]:
            policy["grantControls"]["authenticationStrength"]["id"] = LEVEL_2


def a_widened_group(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    """People of one more group are excluded from a block."""
    everybody = mapping()["people"]["context.risk∋bulk_download=false"]
    policy_with(policies, "groups")["conditions"]["users"]["excludeGroups"].append(everybody)


def a_set_without_posture(_: list[dict[str, Any]], sets: dict[str, Any]) -> None:
    for meaning in sets["devices"].values():
        meaning["profiles"] = [name for name in meaning["profiles"] if not name.startswith("posture-")]


def a_block_of_some_groups_only(policies: list[dict[str, Any]], sets: dict[str, Any]) -> None:
    users = policy_with(policies, "everybody")["conditions"]["users"]
    users |= {"includeUsers": [], "includeGroups": [min(sets["groups"])]}


@pytest.mark.parametrize(
    "change",
    [
        no_complement,
        no_block_of_other_people,
        a_system_less,
        an_included_filter,
        any_private_phone,
        an_office_in_the_world,
        a_weaker_strength,
        a_widened_group,
        a_set_without_posture,
        a_block_of_some_groups_only,
    ],
    ids=lambda one: one.__name__,
)
def test_a_planted_fault_is_found_with_a_counterexample(change: Any) -> None:
    report = changed(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja


def test_the_order_of_policies_means_nothing() -> None:
    assert changed(lambda policies, _: policies.reverse()) == changed(lambda _, __: None)


def switched_on(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["state"] = "enabled"


def switched_off(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["state"] = "disabled"


def no_break_glass(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["conditions"]["users"]["excludeGroups"].remove(BREAK_GLASS)


def browsers_only(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["conditions"]["clientAppTypes"] = ["browser"]


def an_operator(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["grantControls"]["operator"] = "XOR"


def another_control(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["grantControls"]["builtInControls"] = ["mfa"]


def a_platform(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    """What a client says of itself."""
    policies[0]["conditions"]["platforms"] = {"includePlatforms": ["windows"]}


def a_strange_group(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[0]["conditions"]["users"]["excludeGroups"].append(str(UUID(int=9)))


def a_strange_location(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policy_with(policies, "locations")["conditions"]["locations"]["excludeLocations"] = ["AllTrusted"]


def a_strange_strength(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policy_with(policies, "strength")["grantControls"]["authenticationStrength"]["id"] = str(UUID(int=9))


def a_negative_operator(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    held = policy_with(policies, "devices")["conditions"]["devices"]["deviceFilter"]
    held["rule"] = held["rule"].replace("-contains", "-notContains")


def a_word_within_another(_: list[dict[str, Any]], sets: dict[str, Any]) -> None:
    word = min(sets["devices"])
    sets["devices"][word[:-1]] = sets["devices"][word]


def one_name_twice(policies: list[dict[str, Any]], _: dict[str, Any]) -> None:
    policies[1]["displayName"] = policies[0]["displayName"]


def a_group_of_other_departments(policies: list[dict[str, Any]], sets: dict[str, Any]) -> None:
    of = {profile.id for profile in shipped_model().profiles if profile.departments}
    group = next(key for key, meaning in sets["groups"].items() if of & set(meaning["profiles"]))
    policy_with(policies, "everybody")["conditions"]["users"]["excludeGroups"].append(group)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (switched_on, "report-only"),
        (switched_off, "report-only"),
        (no_break_glass, "break-glass"),
        (browsers_only, "kinds of clients"),
        (an_operator, "operator"),
        (another_control, "one strength"),
        (a_platform, "platforms"),
        (a_strange_group, "nobody fills"),
        (a_strange_location, "no location"),
        (a_strange_strength, "no strength"),
        (a_negative_operator, "device filter"),
        (a_word_within_another, "within another"),
        (one_name_twice, "name of its own"),
        (a_group_of_other_departments, "other departments"),
    ],
    ids=lambda one: one.__name__ if callable(one) else "",
)
def test_what_the_reading_does_not_know_is_refused(change: Any, why: str) -> None:
    with pytest.raises(ExportError, match=why):
        changed(change)


def test_a_group_of_other_organisations_is_refused() -> None:
    model = shipped_model()
    used = next(rule.users for rule in model.rules if rule.users and model.profile(rule.users).departments)
    profiles = tuple(
        msgspec.structs.replace(one, organisations=("tsu",)) if one.id == used else one for one in model.profiles
    )
    files = {**shipped_files(), MODEL: encode(msgspec.structs.replace(model, profiles=profiles))}
    with pytest.raises(ExportError, match="other organisations"):
        check(shipped_space(), model, target(mapping()).interpreter(files))
