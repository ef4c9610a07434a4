"""The mapping of a ZPA tenant that the tests export to, its files, and files that somebody has changed."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.zpa import RULES, ZpaTarget, target
from pdp.export.checking import MODEL, Report, check
from pdp.model.rules import encode
from tests.spaces import shipped_model, shipped_space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.model.rules import RuleModel

FEW: Final = ("finance", "mail", "soumu-ledger")  # a business system, communication, and one of a single department
EVERY_CONTROL: Final = ("record_session", "alert", "clipboard", "save", "print", "download", "browser_only")
RISKS: Final = ("bulk_download", "impersonation", "impossible_travel", "malware_alert")
HOME: Final = "30e749f1-57f5-4cbe-b5fa-5bab3c32c468"  # a trusted network: the office
MAIL: Final = "72058304855000000"
Rules = list[dict[str, Any]]


def udid(number: int) -> str:
    return f"cfab2ee9-9bf4-4482-9dcc-{number:012d}"


def mapping(**changes: Any) -> dict[str, Any]:
    model = shipped_model()
    systems = sorted({rule.resource for rule in model.rules} - {"mail"})
    sets = sorted({one for rule in model.rules for one in (rule.device, rule.posture) if one})
    phones = {"byod_phone": ["ios", "android"], "byod_tablet": ["ios", "android"]}
    return {
        "idp": "72058304855015574",
        "groups": {
            name: str(490880 + at) for at, name in enumerate(sorted({rule.users for rule in model.rules if rule.users}))
        },
        "classes": {
            name: {"posture": udid(at), "platforms": phones.get(name, [])}
            for at, name in enumerate(sorted({rule.device_class for rule in model.rules}))
        },
        "sets": {name: udid(100 + at) for at, name in enumerate(sets)},
        "resources": {
            "mail": {"segments": [MAIL, "72058304855009999"]},
            **{name: {"segments": [str(72058304855000001 + at)]} for at, name in enumerate(systems)},
        },
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
        "networks": {"office": [HOME]},
        "attributes": {
            "subject.auth_level": {"kind": "SAML", "id": "72058304855021553"},
            **{f"context.risk∋{word}": {"kind": "SCIM", "id": str(7000 + at)} for at, word in enumerate(RISKS)},
        },
        "enforces": ["record_session", "alert"],
        "one_person_devices": True,
        **changes,
    }


@cache
def few() -> RuleModel:
    """The rules of a few systems: what a test with one changed file needs."""
    model = shipped_model()
    return msgspec.structs.replace(
        model,
        resources=tuple(one for one in model.resources if one.id in FEW),
        rules=tuple(rule for rule in model.rules if rule.resource in FEW),
    )


def exported(made: ZpaTarget, model: RuleModel) -> dict[str, bytes]:
    return {**made.export(model).files, MODEL: encode(model)}


@cache
def few_files() -> Mapping[str, bytes]:
    return exported(target(mapping()), few())


def rules_of(files: Mapping[str, bytes]) -> Rules:
    found: Rules = json.loads(files[RULES])
    return found


def allows(rules: Rules) -> Rules:
    return [rule for rule in rules if rule["action"] == "ALLOW"]


def operands(rule: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for block in rule["conditions"] for one in block["operands"] if one["objectType"] == kind]


def without(rule: dict[str, Any], unwanted: Callable[[dict[str, Any]], bool]) -> None:
    """A rule that asks for no block with such an operand any more."""
    rule["conditions"] = [block for block in rule["conditions"] if not any(map(unwanted, block["operands"]))]


def checked(change: Callable[[Rules], None], model: RuleModel | None = None) -> Report:
    """The comparison for rules that somebody has changed."""
    model = model or few()
    held = rules_of(few_files())
    change(held)
    files = {RULES: json.dumps(held).encode(), MODEL: encode(model)}
    return check(shipped_space(), model, target(mapping()).interpreter(files))
