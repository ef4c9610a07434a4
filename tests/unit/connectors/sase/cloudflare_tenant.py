"""The mapping of an account that the tests export to, its files, and files that somebody has changed."""

from __future__ import annotations

import json
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

from connectors.sase.cloudflare import CloudflareTarget, target
from pdp.export.checking import MODEL, Report, check
from pdp.model.rules import encode, short_digest
from tests.spaces import shipped_model, shipped_space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVERY_CONTROL = (
    "record_session", "alert", "clipboard", "save", "print", "download", "browser_only", "session_max_minutes",
)  # fmt: skip


def an_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.pref.example.jp"))


def mapping(**changes: Any) -> dict[str, Any]:
    model = shipped_model()
    sets = {f"class-{rule.device_class}" for rule in model.rules}
    sets |= {name for rule in model.rules for name in (rule.device, rule.posture) if name}
    sets |= {
        f"session-{short_digest(risks)}"
        for rule in model.rules
        if (risks := sorted(one for one in rule.conditions if one.fact.startswith("context.risk")))
    }
    return {
        "identity_provider": an_id("entra"),
        "groups": {name: an_id(name) for name in sorted({rule.users for rule in model.rules if rule.users})},
        "sets": {name: {"rule": an_id(f"rule-{name}"), "connection": an_id(f"s2s-{name}")} for name in sorted(sets)},
        "resources": {
            name: {
                "application": an_id(f"app-{name}"),
                "domain": f"{name}.pref.example.jp",
                "private": [f"10.9.{at}.0/24"],
            }
            for at, name in enumerate(sorted({rule.resource for rule in model.rules}))
        },
        "zones": {"office": an_id("office-list")},
        "authentication": [{"level": 2, "auth_method": "mfa"}, {"level": 3, "auth_method": "hwk"}],
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
        "enforces": ["record_session", "alert"],
        "one_person_devices": True,
        **changes,
    }


def exported(made: CloudflareTarget) -> dict[str, bytes]:
    return {**made.export(shipped_model()).files, MODEL: encode(shipped_model())}


@cache
def shipped_files() -> Mapping[str, bytes]:
    return exported(target(mapping()))


def documents(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The vendor's files as what they say, by their names without the ending."""
    return {path.removesuffix(".json"): json.loads(text) for path, text in files.items() if path != MODEL}


def checked(change: Callable[[dict[str, Any]], None]) -> Report:
    """The comparison for files that somebody has changed."""
    held = documents(shipped_files())
    change(held)
    files = {f"{name}.json": json.dumps(said).encode() for name, said in held.items()}
    made = target(mapping())
    return check(shipped_space(), shipped_model(), made.interpreter({**files, MODEL: shipped_files()[MODEL]}))


def allows(held: dict[str, Any]) -> list[dict[str, Any]]:
    """The policies that allow."""
    return [policy for policy in held["access-policies"] if policy["decision"] == "allow"]


def required(policy: dict[str, Any], kind: str) -> list[dict[str, str]]:
    """What a policy requires by selectors of one kind."""
    return [one[kind] for one in policy["require"] if kind in one]
