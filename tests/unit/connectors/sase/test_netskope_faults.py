"""Netskope rules that somebody has changed: wider ones have a counterexample, unknown ones are refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from connectors.sase.netskope import target
from connectors.sase.netskope_reading import RULES
from pdp.errors import ExportError
from pdp.export.checking import MODEL
from pdp.model.rules import encode
from tests.spaces import shipped_model
from tests.unit.connectors.sase.netskope_tenant import MAIL, checked, data_of, mapping
from tests.unit.connectors.sase.zpa_tenant import few

if TYPE_CHECKING:
    from collections.abc import Callable

Rules = list[dict[str, Any]]


def test_rules_that_nobody_has_changed_are_sound_in_whatever_order() -> None:
    unchanged = checked(lambda rules: None)
    assert unchanged.sound
    assert checked(lambda rules: rules.reverse()).counts == unchanged.counts


def dropped(key: str) -> Callable[[Rules], None]:
    def change(rules: Rules) -> None:
        for data in data_of(rules):
            data.pop(key, None)

    change.__name__ = f"no_{key}"
    return change


def emptied(key: str) -> Callable[[Rules], None]:
    def change(rules: Rules) -> None:
        for data in data_of(rules):
            data[key] = []

    change.__name__ = f"empty_{key}"
    return change


def away_from_the_office(rules: Rules) -> None:
    for data in data_of(rules):
        if "net_location_obj" in data:
            data["b_negateNetLocation"] = True


def any_country_but_this(rules: Rules) -> None:
    for data in data_of(rules):
        if "srcCountries" in data:
            data["b_negateSrcCountries"] = True


def another_country(rules: Rules) -> None:
    for data in data_of(rules):
        if "srcCountries" in data:
            data["srcCountries"].append("KP")


def by_browser_too(rules: Rules) -> None:
    """Nobody classifies a device that comes by browser."""
    for data in data_of(rules):
        data["access_method"].append("Clientless")


def every_label(rules: Rules) -> None:
    for data in data_of(rules):
        data["device_classification_id"] = sorted(mapping()["labels"].values())


def a_phone_for_a_managed_pc(rules: Rules) -> None:
    """One number in all the files."""
    labels = mapping()["labels"]
    phone = next(number for name, number in sorted(labels.items()) if name.startswith("byod_phone/"))
    for rule in rules:
        if rule["rule_name"].startswith("zt-managed_pc-"):
            rule["rule_data"]["device_classification_id"][0] = phone


def wider_group(rules: Rules) -> None:
    for data in data_of(rules):
        data["userGroups"] = sorted(mapping()["groups"].values())


def group_of_all_departments(rules: Rules) -> None:
    """The system of one department for the staff of all."""
    groups = mapping()["groups"]
    used = {rule.users: shipped_model().profile(rule.users) for rule in few().rules if rule.users}
    single = {groups[name] for name, one in used.items() if one.departments}
    everybody = next(groups[n] for n, one in used.items() if not one.departments and "正規職員" in one.title.ja)
    assert any(single & set(data["userGroups"]) for data in data_of(rules))
    for data in data_of(rules):
        data["userGroups"] = [everybody if name in single else name for name in data["userGroups"]]


def another_system(rules: Rules) -> None:
    (finance,) = mapping()["resources"]["finance"]["private_apps"]
    for data in data_of(rules):
        if MAIL in data["privateApps"]:
            data["privateApps"].append(f"[{finance}]")


def other_letters(rules: Rules) -> None:
    """The same private app in capitals, for everybody."""
    rules.append(wide(rules, privateApps=[MAIL.upper()]))


def a_block_below_and_above(rules: Rules) -> None:
    """A wide allow is not taken back by a block, wherever the block stands."""
    block = wide(rules, match_criteria_action={"action_name": "block"})
    rules[:] = [{**block, "rule_name": "first"}, *rules, wide(rules), {**block, "rule_name": "last"}]


def a_wide_allow_that_is_off(rules: Rules) -> None:
    rules.append({**wide(rules), "enabled": "0"})


def wide(rules: Rules, **data: Any) -> dict[str, Any]:
    """A rule of the tenant's own: everybody, on any device."""
    rule = copy.deepcopy(rules[0])
    for key in ("userGroups", "device_classification_id", "net_location_obj", "srcCountries"):
        rule["rule_data"].pop(key, None)
    rule["rule_data"] |= data
    return {**rule, "rule_name": "own"}


@pytest.mark.parametrize(
    "change",
    [
        dropped("userGroups"),
        dropped("device_classification_id"),
        dropped("net_location_obj"),
        dropped("srcCountries"),
        dropped("privateApps"),
        dropped("access_method"),
        emptied("userGroups"),
        emptied("device_classification_id"),
        emptied("privateApps"),
        away_from_the_office,
        any_country_but_this,
        another_country,
        by_browser_too,
        every_label,
        a_phone_for_a_managed_pc,
        wider_group,
        group_of_all_departments,
        another_system,
        other_letters,
        a_block_below_and_above,
        a_wide_allow_that_is_off,
    ],
    ids=lambda one: one.__name__,
)
def test_a_planted_fault_is_found_with_a_counterexample(change: Callable[[Rules], None]) -> None:
    report = checked(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja
    assert report.counterexamples[0].words.en


def test_a_group_that_nobody_is_withdrawn_from_is_wider_than_the_rules() -> None:
    """The files are the same: only what the groups mean has changed."""
    assert not checked(lambda rules: None, withdrawn=[]).sound
    assert checked(lambda rules: None).sound


def test_a_block_closes_nothing_and_opens_nothing() -> None:
    def blocked(rules: Rules) -> None:
        block = wide(rules, match_criteria_action={"action_name": "block"})
        rules.insert(0, block)

    assert checked(blocked).counts == checked(lambda rules: None).counts


def test_a_group_of_one_department_says_nothing_at_the_system_of_another() -> None:
    model = few()
    moved = [
        msgspec.structs.replace(one, departments=("kikaku",)) if one.departments else one for one in model.resources
    ]
    assert not checked(lambda rules: None, msgspec.structs.replace(model, resources=tuple(moved))).sound


# What the reading does not know, and what the vendor does not take.


def with_data(**data: Any) -> Callable[[Rules], None]:
    def change(rules: Rules) -> None:
        rules[0]["rule_data"] |= data

    change.__name__ = next(iter(data))
    return change


def twice(rules: Rules) -> None:
    rules.append(dict(rules[0]))


def no_rule(rules: Rules) -> None:
    rules.append("allow")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        with_data(device_classification_id=[999]),
        with_data(userGroups=["sekisho/nobody"]),
        with_data(users=["hanako@pref.example.jp"]),
        with_data(organization_units=["kikaku"]),
        with_data(classification=["managed"]),
        with_data(privateAppTags=["all"]),
        with_data(privateAppIds=["1"]),
        with_data(net_location_obj=["elsewhere"]),
        with_data(match_criteria_action={"action_name": "periodic_reauth"}),
        with_data(schedule=[]),
        twice,
        no_rule,
    ],
    ids=lambda one: one.__name__,
)
def test_what_the_reading_does_not_know_is_refused(change: Callable[[Rules], None]) -> None:
    with pytest.raises(ExportError):
        checked(change)


@pytest.mark.parametrize("text", [b"{", b"{}", b"[{}]", b'{"rules": []}', b"null"])
def test_files_that_are_no_rules_are_refused(text: bytes) -> None:
    with pytest.raises(ExportError):
        target(mapping()).interpreter({RULES: text, MODEL: encode(few())})


def test_a_profile_that_the_model_does_not_have_is_refused() -> None:
    bare = msgspec.structs.replace(few(), profiles=())
    with pytest.raises(ExportError, match="nobody says who is in"):
        checked(lambda rules: None, bare)


def test_a_counterexample_says_which_system_and_why_the_policy_denies() -> None:
    report = checked(dropped("device_classification_id"))
    assert {one.resource for one in report.counterexamples} <= {one.id for one in few().resources}
    for one in report.counterexamples:
        assert one.policy == "deny" or one.controls
        assert one.codes
        assert "利用者の区分" in one.words.ja
