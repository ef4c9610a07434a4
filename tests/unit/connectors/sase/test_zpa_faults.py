"""ZPA rules that somebody has changed: wider ones have a counterexample, unknown ones are refused."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from connectors.sase.zpa import RULES, target
from pdp.errors import ExportError
from pdp.export.checking import MODEL
from pdp.model.rules import encode
from tests.spaces import shipped_model
from tests.unit.connectors.sase.zpa_tenant import MAIL, allows, checked, few, mapping, operands, udid, without

if TYPE_CHECKING:
    from collections.abc import Callable

Rules = list[dict[str, Any]]


def drop_the_checks(rules: Rules) -> None:
    for rule in allows(rules):
        without(rule, lambda one: one["objectType"] == "POSTURE")


def drop_the_posture(rules: Rules) -> None:
    """The class and the register stay: what the device is in stays unasked."""
    model = few()
    checks = {mapping()["sets"][one.posture] for one in model.rules if one.posture}
    for rule in allows(rules):
        without(rule, lambda one: one.get("entryValues", [{}])[0].get("lhs") in checks)


def drop_the_group(rules: Rules) -> None:
    for rule in allows(rules):
        without(rule, lambda one: one["objectType"] == "SCIM_GROUP")


def drop_the_risks(rules: Rules) -> None:
    for rule in allows(rules):
        without(rule, lambda one: one["objectType"] == "SCIM")


def drop_the_zone_and_the_country(rules: Rules) -> None:
    for rule in allows(rules):
        without(rule, lambda one: one["objectType"] in ("TRUSTED_NETWORK", "COUNTRY_CODE"))


def another_country(rules: Rules) -> None:
    for rule in allows(rules):
        for operand in operands(rule, "COUNTRY_CODE"):
            operand["entryValues"].append({"lhs": "KP", "rhs": "true"})


def away_from_the_office(rules: Rules) -> None:
    for rule in allows(rules):
        for operand in operands(rule, "TRUSTED_NETWORK"):
            operand["entryValues"][0]["rhs"] = "false"


def failed_checks(rules: Rules) -> None:
    for rule in allows(rules):
        for operand in operands(rule, "POSTURE"):
            operand["entryValues"][0]["rhs"] = "false"


def any_block_will_do(rules: Rules) -> None:
    allows(rules)[0]["operator"] = "OR"


def one_list_of_checks(rules: Rules) -> None:
    """All checks as entries of one operand: alternatives."""
    for rule in allows(rules):
        entries = [entry for one in operands(rule, "POSTURE") for entry in one["entryValues"]]
        without(rule, lambda one: one["objectType"] == "POSTURE")
        operand = {"objectType": "POSTURE", "entryValues": entries}
        rule["conditions"].append({"operator": "OR", "operands": [operand]})


def a_group_beside_the_check(rules: Rules) -> None:
    """Two kinds in one block that is joined by OR."""
    for rule in allows(rules):
        (group,) = operands(rule, "SCIM_GROUP")
        for block in rule["conditions"]:
            if block["operands"][0]["objectType"] == "POSTURE":
                block["operands"].append(group)


def wider_group(rules: Rules) -> None:
    for rule in allows(rules):
        entries = [{"lhs": mapping()["idp"], "rhs": group} for group in mapping()["groups"].values()]
        operands(rule, "SCIM_GROUP")[0]["entryValues"] = entries


def group_of_all_departments(rules: Rules) -> None:
    """The system of one department for the staff of all."""
    groups = mapping()["groups"]
    used = {rule.users: shipped_model().profile(rule.users) for rule in few().rules if rule.users}
    single = {groups[name] for name, one in used.items() if one.departments}
    everybody = next(groups[n] for n, one in used.items() if not one.departments and "正規職員" in one.title.ja)
    for rule in allows(rules):
        for entry in operands(rule, "SCIM_GROUP")[0]["entryValues"]:
            entry["rhs"] = everybody if entry["rhs"] in single else entry["rhs"]


def another_class(rules: Rules) -> None:
    """A rule of managed PCs for private phones: one word in half a megabyte."""
    classes = mapping()["classes"]
    text = json.dumps(rules).replace(classes["managed_pc"]["posture"], classes["byod_phone"]["posture"])
    rules[:] = json.loads(text)


def another_system(rules: Rules) -> None:
    finance = mapping()["resources"]["finance"]["segments"][0]
    for rule in allows(rules):
        values = operands(rule, "APP")[0]["values"]
        values += [finance] if MAIL in values and finance not in values else []


def any_system(rules: Rules) -> None:
    for rule in allows(rules):
        without(rule, lambda one: one["objectType"] == "APP")


def everybody_before_the_last(rules: Rules) -> None:
    rules.insert(-1, {**rules[-1], "name": "temporary", "action": "ALLOW"})


def the_last_allows(rules: Rules) -> None:
    """The complement block itself, turned round."""
    rules[-1]["action"] = "ALLOW"


def swapped_order(rules: Rules) -> None:
    """An allow of the tenant's own that stood below the complement block and now stands above it."""
    rules[:] = [own_allow(rules), *rules]


@pytest.mark.parametrize(
    "change",
    [
        drop_the_checks,
        drop_the_posture,
        drop_the_group,
        drop_the_risks,
        drop_the_zone_and_the_country,
        another_country,
        away_from_the_office,
        failed_checks,
        any_block_will_do,
        one_list_of_checks,
        a_group_beside_the_check,
        wider_group,
        group_of_all_departments,
        another_class,
        another_system,
        any_system,
        everybody_before_the_last,
        the_last_allows,
        swapped_order,
    ],
    ids=lambda one: one.__name__,
)
def test_a_planted_fault_is_found_with_a_counterexample(change: Callable[[Rules], None]) -> None:
    report = checked(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja
    assert report.counterexamples[0].words.en


def own_allow(rules: Rules) -> dict[str, Any]:
    return {**copy.deepcopy(rules[-1]), "name": "own-allow", "action": "ALLOW"}


def test_the_complement_block_keeps_the_tenants_own_allows_away_and_without_it_they_count() -> None:
    def below(rules: Rules) -> None:
        rules.append(own_allow(rules))

    def instead(rules: Rules) -> None:
        rules[-1] = own_allow(rules)

    assert checked(below).sound
    assert not checked(instead).sound


def test_a_deny_that_leans_on_a_group_or_on_half_of_a_system_denies_nobody_for_certain() -> None:
    def some_of_them(rules: Rules) -> None:
        group = next(block for block in rules[0]["conditions"] if block["operands"][0]["objectType"] == "SCIM_GROUP")
        own = own_allow(rules)
        rules[-1]["conditions"].append(group)
        rules.append(own)

    def half_of_mail(rules: Rules) -> None:
        own = own_allow(rules)
        operands(rules[-1], "APP")[0]["values"] = [MAIL]
        rules.append(own)

    assert not checked(some_of_them).sound
    assert {one.resource for one in checked(half_of_mail).counterexamples} == {"finance", "mail", "soumu-ledger"}


def test_an_order_that_denies_first_lets_nothing_through() -> None:
    report = checked(lambda rules: rules.reverse())
    assert report.sound
    assert all(one.exported == "0" for one in report.counts)


def test_a_group_of_one_department_says_nothing_at_the_system_of_another() -> None:
    model = few()
    moved = [
        msgspec.structs.replace(one, departments=("kikaku",)) if one.departments else one for one in model.resources
    ]
    assert not checked(lambda rules: None, msgspec.structs.replace(model, resources=tuple(moved))).sound


# What the reading does not know, and what the vendor does not take.


def unknown_check(rules: Rules) -> None:
    operands(allows(rules)[0], "POSTURE")[0]["entryValues"][0]["lhs"] = udid(999)


def unknown_group(rules: Rules) -> None:
    operands(allows(rules)[0], "SCIM_GROUP")[0]["entryValues"][0]["rhs"] = "1"


def group_of_another_directory(rules: Rules) -> None:
    operands(allows(rules)[0], "SCIM_GROUP")[0]["entryValues"][0]["lhs"] = "1"


def group_of_segments(rules: Rules) -> None:
    operands(allows(rules)[0], "APP")[0]["objectType"] = "APP_GROUP"


def approval(rules: Rules) -> None:
    allows(rules)[0]["action"] = "REQUIRE_APPROVAL"


def disabled(rules: Rules) -> None:
    rules[-1]["disabled"] = "1"


def twice(rules: Rules) -> None:
    rules.append(dict(rules[0]))


def negated(rules: Rules) -> None:
    allows(rules)[0]["conditions"][0]["negated"] = True


def no_rule(rules: Rules) -> None:
    rules.append("ALLOW")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        unknown_check,
        unknown_group,
        group_of_another_directory,
        group_of_segments,
        approval,
        disabled,
        twice,
        negated,
        no_rule,
    ],
    ids=lambda one: one.__name__,
)
def test_what_the_reading_does_not_know_is_refused(change: Callable[[Rules], None]) -> None:
    with pytest.raises(ExportError):
        checked(change)


@pytest.mark.parametrize("text", [b"{", b"{}", b"[{}]", b'{"rules": []}', b"null"])
def test_files_that_are_no_rules_are_refused_or_let_nothing_through(text: bytes) -> None:
    made = target(mapping())
    try:
        reading = made.interpreter({RULES: text, MODEL: encode(few())})
    except ExportError:
        return
    assert text == b"{}"
    assert reading.given
