"""One number for what we hold of a device, 0 to 100, for gateways that can ask for no more than a number. Pure.

The score is the lowest of the caps that apply (docs/posture.md has the same table, and a test compares). There are
no sums: a good fact cannot make up for a bad one, and a threshold has a meaning that can be said in a sentence.

INVARIANT (not knowing is no better than the worst): a fact that is unknown has the cap of its worst value. So a
device whose agent was silenced never scores higher than one whose agent says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.input import Device, Posture

LOWEST: Final = 0
HIGHEST: Final = 100

# cap: what it says of a device that is capped there
CAPS: Final[Mapping[str, int]] = {
    "not_usable": LOWEST,  # not registered, lost, quarantined, retired, or back from outside and not re-checked
    "tampered": LOWEST,
    "edr_risk": 10,
    "stale": 20,
    "edr_running": 30,
    "certificate": 40,
    "screen_lock": 40,
    "disk_encrypted": 50,
    "patch_deny": 60,
    "edr_risk_medium": 70,
    "patch_warn": 80,
    "av_current": 90,
    "firewall": 90,
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of the active policy (`zta.parameters`), so that the score and the decisions agree."""

    stale_hours: int = 24
    patch_warn_days: int = 14
    patch_deny_days: int = 30


def thresholds_of(data: Mapping[str, Any]) -> Thresholds:
    """Those of a bundle's data; the defaults where it has none."""
    zta = data.get("zta")
    parameters = zta.get("parameters") if isinstance(zta, dict) else None
    given = parameters if isinstance(parameters, dict) else {}
    names = {"stale_hours": "posture_stale_hours", "patch_warn_days": "patch_warn_days"}
    names["patch_deny_days"] = "patch_deny_days"
    found = {ours: given[theirs] for ours, theirs in names.items() if type(given.get(theirs)) is int}
    return Thresholds(**found)


def score(device: Device, thresholds: Thresholds) -> int:
    """The lowest cap that applies to the device as the facts of this instant have it."""
    return min((CAPS[name] for name in caps_of(device, thresholds)), default=HIGHEST)


def caps_of(device: Device, thresholds: Thresholds) -> list[str]:
    """The names of the caps that apply, in the order of the table."""
    posture = device.posture
    usable = device.registered and device.state == "in_service" and not device.returned_from_outside
    checks = {
        "not_usable": usable,
        "tampered": posture.tampered is False,
        "stale": posture.age_hours != "unknown" and posture.age_hours <= thresholds.stale_hours,
        **(_private(posture) if device.ownership == "private" else _organisation(posture, thresholds)),
    }
    return [name for name in CAPS if not checks.get(name, True)]


def _private(posture: Posture) -> dict[str, bool]:
    """Access-rules, section 5: of a private device nothing else is asked, and nothing else counts."""
    return {"screen_lock": posture.screen_lock is True}


def _organisation(posture: Posture, thresholds: Thresholds) -> dict[str, bool]:
    age = posture.patch_age_days
    return {
        "edr_risk": posture.edr_risk in ("none", "low", "medium"),
        "edr_running": posture.edr_running is True,
        "certificate": posture.certificate is True,
        "disk_encrypted": posture.disk_encrypted is True,
        "patch_deny": age != "unknown" and age <= thresholds.patch_deny_days,
        "edr_risk_medium": posture.edr_risk in ("none", "low"),
        "patch_warn": age != "unknown" and age <= thresholds.patch_warn_days,
        "av_current": posture.av_current is True,
        "firewall": posture.firewall is True,
    }
