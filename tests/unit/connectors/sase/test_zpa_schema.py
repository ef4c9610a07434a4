"""The ZPA export against the vendor's enums and the vendor's SDK; wrong documents are refused.

The SDK's model drops keys that it does not know (the round trip shows it) and takes any word; the tables of the
Terraform provider know the words (sase-export.md, section b).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from connectors.sase.zpa import target
from connectors.sase.zpa_schema import faults
from tests.spaces import shipped_model
from tests.unit.connectors.sase.zpa_tenant import EVERY_CONTROL, allows, exported, few_files, mapping, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable

Rule = dict[str, Any]


def a_rule() -> Rule:
    return copy.deepcopy(allows(rules_of(few_files()))[0])


def block(kind: str, **operand: Any) -> Rule:
    return {"operator": "OR", "operands": [{"objectType": kind, **operand}]}


def pair(left: str, right: str) -> dict[str, Any]:
    return {"entryValues": [{"lhs": left, "rhs": right}]}


def test_every_rule_of_the_shipped_policy_is_one_that_the_vendor_takes() -> None:
    rules = rules_of(exported(target(mapping(enforces=list(EVERY_CONTROL))), shipped_model()))
    assert len(rules) > 100
    assert [fault for rule in rules for fault in faults(rule)] == []


WRONG_RULES: list[tuple[Callable[[Rule], Any], str]] = [
    (lambda rule: rule.update(name="許可"), "name"),
    (lambda rule: rule.update(name="a b"), "name"),
    (lambda rule: rule.update(action="MAYBE"), "action `MAYBE`"),
    (lambda rule: rule.update(operator="NOT"), "operator"),
    (lambda rule: rule.update(defaultAction="ALLOW"), "defaultAction"),
    (lambda rule: rule.pop("description"), "description"),
    (lambda rule: rule["conditions"][0].update(operator="XOR"), "no block"),
    (lambda rule: rule["conditions"][0].update(operands=[]), "no block"),
    (lambda rule: rule["conditions"][0]["operands"].append(rule["conditions"][0]["operands"][0]), "twice in one block"),
]


@pytest.mark.parametrize(("change", "why"), WRONG_RULES)
def test_a_rule_that_the_vendor_does_not_take_is_refused(change: Callable[[Rule], Any], why: str) -> None:
    rule = a_rule()
    change(rule)
    assert any(why in fault for fault in faults(rule))


@pytest.mark.parametrize(
    "wrong",
    [
        block("NONSENSE", values=["1"]),
        block("APP", values=[]),
        block("APP", values=[1]),
        block("APP", **pair("id", "1")),
        block("POSTURE", values=["cfab"]),
        block("POSTURE", **pair("cfab", "yes")),
        block("POSTURE", **pair("", "true")),
        block("POSTURE", entryValues=[]),
        block("POSTURE", entryValues=[{"lhs": "cfab"}]),
        block("TRUSTED_NETWORK", **pair("30e7", "TRUE")),
        block("PLATFORM", **pair("chromeos", "true")),
        block("COUNTRY_CODE", **pair("JPN", "true")),
        block("COUNTRY_CODE", **pair("JP", "false")),
        block("RISK_FACTOR_TYPE", **pair("ZIA", "low")),
        block("SCIM_GROUP", entryValues=[{"lhs": "1", "rhs": 2}]),
        block("TIME", **pair("08:30", "17:15")),
    ],
    ids=str,
)
def test_a_condition_that_the_vendor_does_not_take_is_refused(wrong: Rule) -> None:
    rule = a_rule()
    assert faults(rule) == []
    rule["conditions"].append(wrong)
    assert len(faults(rule)) == 1


# The vendor's SDK.


def round_trip(rule: Rule) -> Any:
    """What the vendor's own model makes of a document, without what it fills in."""
    return _filled(policies().PolicySetControllerV2(copy.deepcopy(rule)).request_format())


def policies() -> Any:
    return pytest.importorskip(
        "zscaler.zpa.models.policyset_controller_v2",
        reason="zscaler-sdk-python is not installed (dependency group dev)",
    )


def _filled(value: Any) -> Any:
    """Without keys that hold nothing: the model writes every key that it knows."""
    if isinstance(value, dict):
        kept = {key: _filled(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in (None, False, [], {})}
    if isinstance(value, list):
        return [_filled(one.request_format() if hasattr(one, "request_format") else one) for one in value]
    return value


def test_the_vendors_sdk_loses_nothing_of_a_rule() -> None:
    for rule in rules_of(few_files()):
        assert round_trip(rule) == rule


def test_the_vendors_sdk_loses_what_it_does_not_know() -> None:
    rule = a_rule()
    rule["defaultAction"] = "ALLOW"
    assert "defaultAction" not in round_trip(rule)
    rule = a_rule()
    rule["conditions"][0]["operands"][0]["object_type"] = rule["conditions"][0]["operands"][0].pop("objectType")
    assert round_trip(rule) != rule
