"""Which documents of access rules ZPA takes (API v2): an outside check, written from the vendor's Terraform provider.

`ValidatePolicyRuleConditions` of zscaler/terraform-provider-zpa knows the object types, which of them take `values`
and which `entryValues`, and the words on both sides of an entry; names are of help.zscaler.com. The vendor's SDK
takes any word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACTIONS: Final = frozenset({"ALLOW", "DENY", "REQUIRE_APPROVAL"})
OPERATORS: Final = frozenset({"AND", "OR"})
LISTED: Final = frozenset(
    {
        "APP", "APP_GROUP", "LOCATION", "IDP", "CLIENT_TYPE", "BRANCH_CONNECTOR_GROUP", "EDGE_CONNECTOR_GROUP",
        "MACHINE_GRP", "CHROME_POSTURE_PROFILE", "WORKLOAD_TAG_GROUP",
    }
)  # fmt: skip
TRUTH: Final = frozenset({"true", "false"})
PAIRED: Final[Mapping[str, tuple[frozenset[str] | re.Pattern[str] | None, frozenset[str] | None]]] = {
    "SAML": (None, None),
    "SCIM": (None, None),
    "SCIM_GROUP": (None, None),
    "POSTURE": (None, TRUTH),
    "TRUSTED_NETWORK": (None, TRUTH),
    "COUNTRY_CODE": (re.compile("[A-Z]{2}", re.ASCII), frozenset({"true"})),
    "PLATFORM": (frozenset({"mac", "linux", "ios", "windows", "android"}), TRUTH),
    "RISK_FACTOR_TYPE": (frozenset({"ZIA"}), frozenset({"UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"})),
    "CHROME_ENTERPRISE": (frozenset({"managed"}), TRUTH),
}
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_RULE: Final = {"name", "description", "action", "operator", "conditions"}


def faults(rule: Any) -> list[str]:
    """What is wrong with a rule; empty where nothing is. Keys that are not known are wrong."""
    if not isinstance(rule, dict):
        return ["a rule is an object"]
    return list(_rule_faults(rule))


def _rule_faults(rule: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"key `{key}`" for key in sorted(_RULE ^ set(rule)))
    if _NAME.fullmatch(str(rule.get("name"))) is None:
        yield f"name `{rule.get('name')}`"
    if rule.get("action") not in ACTIONS:
        yield f"action `{rule.get('action')}`"
    if rule.get("operator") not in OPERATORS:
        yield f"operator `{rule.get('operator')}`"
    for block in rule.get("conditions", ()):
        if set(block) != {"operator", "operands"} or block["operator"] not in OPERATORS or not block["operands"]:
            yield "a condition that is no block of operands"
            continue
        types = [operand.get("objectType") for operand in block["operands"]]
        if len(set(types)) < len(types):
            yield "an object type twice in one block"
        for operand in block["operands"]:
            yield from _operand_faults(operand)


def _operand_faults(operand: Mapping[str, Any]) -> Iterator[str]:
    kind = str(operand.get("objectType"))
    if kind in LISTED:
        values = operand.get("values")
        texts = isinstance(values, list) and values and all(isinstance(one, str) and one for one in values)
        if set(operand) != {"objectType", "values"} or not texts:
            yield f"{kind} without `values` of its own"
    elif kind in PAIRED:
        entries = operand.get("entryValues")
        if set(operand) != {"objectType", "entryValues"} or not isinstance(entries, list) or not entries:
            yield f"{kind} without `entryValues` of its own"
            return
        for entry in entries:
            if set(entry) != {"lhs", "rhs"} or not _fits(entry["lhs"], PAIRED[kind][0], entry["rhs"], PAIRED[kind][1]):
                yield f"{kind} with `{entry}`"
    else:
        yield f"object type `{kind}`"


def _fits(left: Any, lefts: Any, right: Any, rights: frozenset[str] | None) -> bool:
    if not (isinstance(left, str) and left and isinstance(right, str) and right):
        return False
    known = lefts.fullmatch(left) is not None if isinstance(lefts, re.Pattern) else lefts is None or left in lefts
    return known and (rights is None or right in rights)
