"""Which documents of NPA rules Netskope takes: an outside check, written from the vendor's own sources.

Keys, types and words are those of the vendor's OpenAPI (`endpoints/policy/npa_policy.yaml` of netskope-apiv2-oas),
which lets any other key through; here none is. Where the sources disagree, the newest one counts: the vendor's
Terraform provider of 2026 writes `device_classification_id` as numbers (they are read back as texts) and reads
`classification` as a list; the OpenAPI has the first not at all and the second as one text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Known = Mapping[str, Callable[[Any], bool]]

ORDERS: Final = frozenset({"top", "bottom", "before", "after"})
ACTIONS: Final = frozenset({"allow", "block"})
METHODS: Final = frozenset({"Client", "Clientless"})
SWITCH: Final = frozenset({"0", "1"})  # a text, not a boolean


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(_number(one) for one in value)


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _action(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"action_name"} and _one_of(*ACTIONS)(value["action_name"])


def _order(value: Any) -> bool:
    if not isinstance(value, dict) or not _one_of(*ORDERS)(value.get("order")):
        return False
    known = {"order": _text, "rule_name": _text, "rule_id": _text, "position": _number}
    return all(key in known and known[key](one) for key, one in value.items())


def _methods(value: Any) -> bool:
    return isinstance(value, list) and all(_one_of(*METHODS)(one) for one in value)


RULE: Final[Known] = {
    "rule_name": lambda value: _text(value) and value != "",
    "description": _text,
    "enabled": _one_of(*SWITCH),
    "group_name": _text,
    "group_id": _text,
    "rule_order": _order,
    "rule_data": lambda value: isinstance(value, dict),
}
RULE_DATA: Final[Known] = {
    "policy_type": _one_of("private-app"),
    "json_version": _number,
    "version": _number,
    "userType": _one_of("user"),
    "users": _texts,
    "userGroups": _texts,
    "organization_units": _texts,
    "access_method": _methods,
    "privateApps": _texts,
    "privateAppIds": _texts,
    "privateAppTags": _texts,
    "privateAppTagIds": _texts,
    "classification": _texts,
    "device_classification_id": _numbers,
    "net_location_obj": _texts,
    "b_negateNetLocation": _truth,
    "srcCountries": _texts,
    "b_negateSrcCountries": _truth,
    "match_criteria_action": _action,
}
_NEEDED: Final = ("rule_name", "enabled", "rule_data")
_NEEDED_DATA: Final = ("policy_type", "match_criteria_action")


def faults(rule: Any) -> list[str]:
    """What is wrong with a rule; empty where nothing is. Keys that are not known are wrong."""
    if not isinstance(rule, dict):
        return ["a rule is an object"]
    found = list(_faults(rule, RULE, _NEEDED))
    if isinstance(rule.get("rule_data"), dict):
        found += _faults(rule["rule_data"], RULE_DATA, _NEEDED_DATA)
    return found


def _faults(held: Mapping[str, Any], known: Known, needed: Sequence[str]) -> Iterator[str]:
    yield from (f"no `{key}`" for key in needed if key not in held)
    for key, value in held.items():
        if key not in known:
            yield f"key `{key}`"
        elif not known[key](value):
            yield f"{key} `{value}`"
