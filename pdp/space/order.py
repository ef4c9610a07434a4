"""In which order the facts are asked for, and which of their values people take for granted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.space.facts import RELATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.space.facts import Leaf, Path, Value

_ORDER: Final = (
    # As the shipped policy judges: what decides early stands above, which keeps the diagrams small.
    "subject.kind", "subject.identity_source", "subject.employment", "device.state", "resource.group",
    "resource.status", "resource.segment", "device.class", "device.registered", "context.zone", "device.takeout",
    "action.name", "device.permit", "device.loan", "device.relation", "departments", "subject.roles", "organisation",
    "resource.tenant", "context.work_permit", "context.pep", "context.disaster_mode", "device.posture.tampered",
    "device.posture.edr_running", "device.posture.edr_risk", "device.posture.certificate",
    "device.posture.disk_encrypted", "device.posture.patch_age_days", "device.returned_from_outside",
    "device.posture.age_hours", "device.posture.screen_lock", "context.sources.posture", "context.path_encrypted",
    "context.risk", "context.country", "context.underlay", "subject.auth_level", "device.shared",
    "context.work_permit_until", "context.business_day", "context.business_hours",
)  # fmt: skip
# What a counterexample shows where it could show anything: an access that nobody would stumble over.
EVERYDAY: Final[Mapping[str, Value]] = {
    "subject.kind": "staff", "subject.identity_source": "integrated", "subject.employment": "active",
    "subject.auth_level": 3, "device.class": "managed_pc", "device.registered": True, "device.shared": False,
    "device.state": "in_service", "device.relation": "own", "device.permit": "valid", "device.loan": "valid",
    "device.takeout": "permitted", "device.returned_from_outside": False, "device.posture.certificate": True,
    "device.posture.disk_encrypted": True, "device.posture.edr_running": True, "device.posture.edr_risk": "none",
    "device.posture.screen_lock": True, "device.posture.tampered": False, "resource.group": "communication",
    "resource.segment": "internet", "resource.status": "in_service", "resource.tenant": "own", "action.name": "access",
    "departments": "open", "organisation": "named", "context.zone": "office", "context.underlay": "office",
    "context.path_encrypted": True, "context.country": "JP", "context.business_day": True,
    "context.business_hours": True, "context.work_permit": "valid", "context.disaster_mode": False,
    "context.sources.posture": "ok",
}  # fmt: skip


def order_of(leaves: Mapping[Path, Leaf]) -> dict[str, int]:
    """The place of each fact, without its word: the order of judgement, then what the shipped policy does not read."""
    names = list(_ORDER) + [RELATED.get(path, leaf.name) for path, leaf in leaves.items()]
    return {name: at for at, name in enumerate(dict.fromkeys(names))}
