"""The Netskope export against the vendor's words; wrong documents are refused.

The table is ours, written from the vendor's sources. Where the vendor's OpenAPI stands beside the project, the files are
held to it as well, with every key that it does not know refused.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.netskope import target
from connectors.sase.netskope_reading import RULES
from connectors.sase.netskope_schema import ACTIONS, ORDERS, RULE, RULE_DATA, faults
from pdp.errors import ExportError
from tests.spaces import shipped_model
from tests.unit.connectors.sase.netskope_tenant import exported, few_files, mapping, rules_of
from tests.unit.connectors.sase.zpa_tenant import EVERY_CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OPENAPI = "netskope_npa_policy.yaml"  # endpoints/policy/npa_policy.yaml of netskopeoss/netskope-apiv2-oas
Rule = dict[str, Any]
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "1", "allow", "Client"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*RULE, *RULE_DATA, "order", "action_name"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@cache
def shipped_rules() -> list[Rule]:
    return rules_of(exported(target(mapping(enforces=list(EVERY_CONTROL))), shipped_model()))


def a_rule(**data: Any) -> Rule:
    rule = copy.deepcopy(rules_of(few_files())[0])
    rule["rule_data"] |= data
    return rule


def test_every_rule_of_the_shipped_policy_is_one_that_the_vendor_takes() -> None:
    assert len(shipped_rules()) > 20
    assert [fault for rule in shipped_rules() for fault in faults(rule)] == []


WRONG: list[tuple[Callable[[Rule], Any], str]] = [
    (lambda rule: rule.update(enabled=True), "enabled"),
    (lambda rule: rule.update(enabled="yes"), "enabled"),
    (lambda rule: rule.update(rule_name=""), "rule_name"),
    (lambda rule: rule.pop("rule_name"), "no `rule_name`"),
    (lambda rule: rule.update(rule_order={"order": "first"}), "rule_order"),
    (lambda rule: rule.update(rule_order="bottom"), "rule_order"),
    (lambda rule: rule.update(schedule="office-hours"), "key `schedule`"),
    (lambda rule: rule.pop("rule_data"), "no `rule_data`"),
    (lambda rule: rule["rule_data"].update(match_criteria_action={"action_name": "deny"}), "match_criteria_action"),
    (lambda rule: rule["rule_data"].update(match_criteria_action="allow"), "match_criteria_action"),
    (lambda rule: rule["rule_data"].pop("match_criteria_action"), "no `match_criteria_action`"),
    (lambda rule: rule["rule_data"].update(policy_type="web"), "policy_type"),
    (lambda rule: rule["rule_data"].update(user_groups=["hr"]), "key `user_groups`"),
    (lambda rule: rule["rule_data"].update(userGroups="hr"), "userGroups"),
    (lambda rule: rule["rule_data"].update(userType="service"), "userType"),
    (lambda rule: rule["rule_data"].update(access_method="Client"), "access_method"),
    (lambda rule: rule["rule_data"].update(access_method=["Browser"]), "access_method"),
    (lambda rule: rule["rule_data"].update(device_classification_id=["21057"]), "device_classification_id"),
    (lambda rule: rule["rule_data"].update(device_classification_id=[True]), "device_classification_id"),
    (lambda rule: rule["rule_data"].update(classification="managed"), "classification"),
    (lambda rule: rule["rule_data"].update(b_negateSrcCountries="false"), "b_negateSrcCountries"),
    (lambda rule: rule["rule_data"].update(json_version="3"), "json_version"),
    (lambda rule: rule["rule_data"].update(os=["windows"]), "key `os`"),
]


@pytest.mark.parametrize(("change", "why"), WRONG)
def test_a_rule_that_the_vendor_does_not_take_is_refused(change: Callable[[Rule], Any], why: str) -> None:
    rule = a_rule()
    assert faults(rule) == []
    change(rule)
    assert any(why in fault for fault in faults(rule))


@settings(max_examples=150, deadline=None)
@given(_json)
def test_whatever_stands_in_a_file_is_rules_or_refused(document: Any) -> None:
    assert faults(document) or isinstance(document, dict)
    text = json.dumps([{**a_rule(), "rule_data": document}, document])
    with pytest.raises(ExportError):
        target(mapping()).interpreter({**few_files(), RULES: text.encode()})


# The vendor's OpenAPI.


@pytest.fixture
def openapi(shared: Path) -> Rule:
    path = shared / "vendor-schemas" / _OPENAPI
    if not path.is_file():
        pytest.skip(f"absent: ../shared/vendor-schemas/{_OPENAPI}")
    return strict_schema(path)


def strict_schema(path: Path) -> Rule:
    """The schema of a rule: closed, and amended where the vendor's Terraform provider, which is newer, disagrees."""
    schemas = yaml.safe_load(path.read_text(encoding="utf-8"))["components"]["schemas"]
    data = schemas["npa_policy_rule_data"]["properties"]
    data["device_classification_id"] = {"type": "array", "items": {"type": "integer"}}
    if data["access_method"]["type"] == "string":
        data["access_method"] = {"type": "array", "items": data["access_method"]}
    return {**_closed(schemas["npa_policy_request"]), "components": {"schemas": _closed(schemas)}}


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    held = {key: _closed(one) for key, one in part.items()}
    if part.get("type") == "object" and isinstance(part.get("properties"), dict):
        held["additionalProperties"] = False
    return held


def test_the_vendors_openapi_takes_every_rule(openapi: Rule) -> None:
    validator = jsonschema.Draft202012Validator(openapi)
    assert [fault.message for rule in shipped_rules() for fault in validator.iter_errors(rule)] == []


def test_the_vendors_openapi_refuses_wrong_words_and_keys(openapi: Rule) -> None:
    validator = jsonschema.Draft202012Validator(openapi)
    for change, why in WRONG:
        if why.startswith(("key ", "policy_type", "match_", "rule_order")):
            rule = a_rule()
            change(rule)
            assert list(validator.iter_errors(rule)), why


def test_our_table_knows_no_key_and_no_word_that_the_vendor_does_not(openapi: Rule) -> None:
    schemas = openapi["components"]["schemas"]
    request, data = schemas["npa_policy_request"]["properties"], schemas["npa_policy_rule_data"]["properties"]
    assert set(RULE) <= set(request)
    assert set(RULE_DATA) <= set(data)
    assert set(request["rule_order"]["properties"]["order"]["enum"]) == ORDERS
    assert set(data["match_criteria_action"]["properties"]["action_name"]["enum"]) == ACTIONS
