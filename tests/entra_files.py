"""Exported Conditional Access policies of the shipped rules, and what becomes of them when somebody changes them."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from connectors.sase.entra import POLICIES, SETS, EntraTarget, target
from pdp.export.checking import MODEL, Report, check
from pdp.model.rules import encode
from tests.spaces import shipped_model, shipped_space

if TYPE_CHECKING:
    from collections.abc import Callable

BREAK_GLASS = str(UUID(int=1))
OFFICE = str(UUID(int=2))
JAPAN = str(UUID(int=3))
LEVEL_2 = str(UUID(int=4002))
RISKS = ("malware_alert", "impossible_travel", "impersonation", "bulk_download")


def mapping(**changes: Any) -> dict[str, Any]:
    model = shipped_model()
    return {
        "applications": {one.id: {"id": str(UUID(int=1000 + at))} for at, one in enumerate(model.resources)},
        "break_glass": BREAK_GLASS,
        "groups": {
            one.id: str(UUID(int=2000 + at))
            for at, one in enumerate(profile for profile in model.profiles if profile.section == "user")
        },
        "people": {f"context.risk∋{word}=false": str(UUID(int=3000 + at)) for at, word in enumerate(RISKS)},
        "zones": {"office": OFFICE},
        "countries": {"JP": JAPAN},
        "strengths": {"level_2": LEVEL_2, "level_3": str(UUID(int=4003))},
        "one_person_devices": True,
        "enforces": ["record_session", "alert"],
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
        **changes,
    }


@cache
def shipped_files() -> dict[str, bytes]:
    return exported(target(mapping()))


def exported(made: EntraTarget) -> dict[str, bytes]:
    return {**made.export(shipped_model()).files, MODEL: encode(shipped_model())}


def changed(change: Callable[[list[dict[str, Any]], dict[str, Any]], None], **of: Any) -> Report:
    """The comparison for files that somebody has changed."""
    files = dict(shipped_files())
    policies, sets = json.loads(files[POLICIES]), json.loads(files[SETS])
    change(policies, sets)
    files |= {POLICIES: json.dumps(policies).encode(), SETS: json.dumps(sets).encode()}
    return check(shipped_space(), shipped_model(), target(mapping(**of)).interpreter(files))


def policy_with(policies: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """The first that names a filter of devices alone, locations alone, groups alone, asks for a strength, or blocks all."""
    return next(one for one in policies if part in _parts(one))


def _parts(policy: dict[str, Any]) -> set[str]:
    conditions = policy["conditions"]
    if "authenticationStrength" in policy["grantControls"]:
        return {"strength"}
    named = {part for part in ("devices", "locations") if part in conditions}
    if conditions["users"]["excludeGroups"] != [BREAK_GLASS]:
        named.add("groups")
    return named if len(named) == 1 else {"several"} if named else {"everybody"}


def filters(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every device filter."""
    return [one["conditions"]["devices"]["deviceFilter"] for one in policies if "devices" in one["conditions"]]
