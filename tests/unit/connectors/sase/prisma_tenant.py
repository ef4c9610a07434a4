"""The mapping of a tenant that the tests export to, its files, and files that somebody has changed."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.prisma import PrismaTarget, target
from pdp.export.checking import MODEL, Report, check
from pdp.model.rules import encode
from tests.spaces import shipped_model, shipped_space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.model.rules import RuleModel

FEW: Final = ("finance", "mail", "soumu-ledger")  # a business system, communication, and one of a single department
EVERY_CONTROL = ("record_session", "alert", "clipboard", "save", "print", "download", "browser_only")
MOBILE = {"context.zone": "sase", "context.path_encrypted": True, "context.country": "JP"}


def mapping(model: RuleModel | None = None, **changes: Any) -> dict[str, Any]:
    """For all systems, or for those of this model."""
    model = model or shipped_model()
    groups = sorted({rule.users for rule in model.rules if rule.users})
    return {
        "folders": {
            "mobile": {"folder": "Mobile Users", "given": dict(MOBILE)},
            "office": {"folder": "Remote Networks", "given": {"context.zone": "office"}},
        },
        "groups": {name: f"cn={name},ou=sekisho,dc=pref,dc=example,dc=jp" for name in groups},
        "resources": {
            name: {"destination": [f"app-{name}"]} for name in sorted({rule.resource for rule in model.rules})
        },
        "given": {"resource.tenant": "own"},
        "tagged": ["context.risk", "subject.auth_level"],
        "enforces": ["record_session", "alert"],
        "checks": {
            "edr": {"vendor": "Example EDR", "product": ["Sensor"]},
            "certificate_profile": "zt-devices",
            "disk": True,
            "phones": True,
        },
        "cut_off": {"url": "https://pdp.pref.example.jp/edl/cut-off"},
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


def exported(made: PrismaTarget, model: RuleModel) -> dict[str, bytes]:
    return {**made.export(model).files, MODEL: encode(model)}


@cache
def few_files() -> Mapping[str, bytes]:
    return exported(target(mapping()), few())


def documents(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The vendor's files as what they say, by their names without the ending."""
    return {path.removesuffix(".json"): json.loads(text) for path, text in files.items() if path != MODEL}


def allows(held: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in held["security-rules"] if rule["action"] == "allow"]


def checked(change: Callable[[dict[str, Any]], None], model: RuleModel | None = None) -> Report:
    """The comparison for files that somebody has changed."""
    model = model or few()
    held = documents(few_files())
    change(held)
    files = {f"{name}.json": json.dumps(said).encode() for name, said in held.items()}
    return check(shipped_space(), model, target(mapping()).interpreter({**files, MODEL: encode(model)}))
