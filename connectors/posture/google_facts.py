"""What a device of Google Cloud Identity says, as facts. Pure.

Source: Cloud Identity API v1, resources devices, devices.deviceUsers, devices.deviceUsers.clientStates
(cloud.google.com/identity/docs/reference/rest/v1/devices), and "Device attributes collected by Endpoint Verification"
(cloud.google.com/endpoint-verification/docs/device-information).

Fact by fact, and what Google cannot give:

- `disk_encrypted`: `encryptionState`; a device that cannot encrypt is not encrypted.
- `screen_lock`: `passwordState` of every user of the device. One without a password is no lock.
- `tampered`: `compromisedState`, which by its own description speaks of rooted Android devices only: UNCOMPROMISED of
  another system says nothing. A boot that is not verified is tampering; a failed CTS profile or unknown verification
  takes the proof away.
- `firewall`: `is_os_native_firewall_enabled` of Endpoint Verification. `av_enabled` there names products, not whether
  they are current.
- `patch_age_days`: `securityPatchTime`; else the administrator's table of versions.
- `edr_risk`: only where the administrator names the partner that is the EDR: its `healthScore`, rounded to the worse.
  `edr_running` is never made true by it: MANAGED does not say that an agent runs.
- `complianceState`, `managed` and scores of other partners, `av_current`, `certificate`: give no fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport
from connectors.posture.reading import (
    Options,
    RecordRefusedError,
    all_true,
    as_old_as,
    boolean,
    clean_name,
    instant,
    member,
    named,
    only_bad_news,
    patch_age,
    platform,
    release_age,
    text,
    worded,
)
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.input import EdrRisk, EdrRunning, Known

ENCRYPTION: Final[Mapping[str, Known]] = {
    "ENCRYPTION_STATE_UNSPECIFIED": "unknown",
    "UNSUPPORTED_BY_DEVICE": False,
    "ENCRYPTED": True,
    "NOT_ENCRYPTED": False,
}
COMPROMISED: Final[Mapping[str, Known]] = {
    "COMPROMISED_STATE_UNSPECIFIED": "unknown",
    "COMPROMISED": True,
    "UNCOMPROMISED": False,
}
PASSWORD: Final[Mapping[str, Known]] = {
    "PASSWORD_STATE_UNSPECIFIED": "unknown",
    "PASSWORD_SET": True,
    "PASSWORD_NOT_SET": False,
}
# A score is "as the caller specifies": five steps, of which only the best says that nothing was found.
HEALTH: Final[Mapping[str, EdrRisk]] = {
    "HEALTH_SCORE_UNSPECIFIED": "unknown",
    "VERY_POOR": "high",
    "POOR": "high",
    "NEUTRAL": "medium",
    "GOOD": "low",
    "VERY_GOOD": "none",
}
# BLOCKED, PENDING, UNPROVISIONED, WIPING, WIPED and what comes after them: nobody vouches for the device.
_VOUCHED_FOR: Final = "APPROVED"
_RISKS: Final = ("none", "low", "medium", "unknown", "high")  # from better to worse
PARTNER_LAG: Final = timedelta(hours=24)  # how old posture may be (the policy's default)


@dataclass(frozen=True, slots=True)
class Extras:
    """What the lists of users and client states hold about one device."""

    users: tuple[Mapping[str, Any], ...] = ()
    states: tuple[Mapping[str, Any], ...] = ()  # of the partner that is the EDR


def device_report(record: Mapping[str, Any], extras: Extras, options: Options) -> DeviceReport:
    """One device. Raises RecordRefusedError where it has no name of its own."""
    identifier = record_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(record.get("lastSyncTime"))
    running, risk = _partner(extras.states, observed_at)
    report = PostureReport(
        disk_encrypted=worded(record.get("encryptionState"), ENCRYPTION),
        edr_running=running,
        edr_risk=risk,
        firewall=_firewall(record),
        screen_lock=all_true(worded(user.get("passwordState"), PASSWORD) for user in extras.users),
        tampered=_tampered(record),
        patch_age_days=_patch_age(record, options, observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    if text(record.get("managementState")) != _VOUCHED_FOR:
        report = only_bad_news(report)
    names = named(
        (
            ("serial", record.get("serialNumber")),
            ("asset_tag", record.get("assetTag")),
            ("vendor_id", identifier),
            ("host_name", record.get("hostname")),
        ),
        options,
    )
    return DeviceReport(names=names, posture=report, platform=platform(record.get("deviceType")))


def record_key(record: Mapping[str, Any]) -> str | None:
    """`devices/ID` -> `ID`."""
    return resource_id(record.get("name"))


def resource_id(name: object) -> str | None:
    """The device in a resource name, of the device itself or of what belongs to it."""
    parts = name.split("/") if isinstance(name, str) else []
    return clean_name(parts[1]) if len(parts) > 1 and parts[0] == "devices" else None


def partner_of(state: Mapping[str, Any]) -> str | None:
    """`devices/ID/deviceUsers/ID/clientState/PARTNER` -> `PARTNER`; the reference writes both `State` and `States`."""
    name = state.get("name")
    parts = name.split("/") if isinstance(name, str) else []
    whole = len(parts) == _STATE_PARTS and parts[2] == "deviceUsers" and parts[4] in ("clientState", "clientStates")
    return parts[5] if whole else None


_STATE_PARTS: Final = 6


def _tampered(record: Mapping[str, Any]) -> Known:
    android = member(record, "androidSpecificAttributes")
    rooted = worded(record.get("compromisedState"), COMPROMISED)
    verified = boolean(member(android, "verifiedBoot"))
    if rooted is True or verified is False:
        return True
    if text(record.get("deviceType")) != "ANDROID" or rooted == "unknown":
        return "unknown"
    return "unknown" if boolean(member(android, "ctsProfileMatch")) is False else rooted


def _firewall(record: Mapping[str, Any]) -> Known:
    signals = member(record, "endpointVerificationSpecificAttributes", "additionalSignals")
    return boolean(member(signals, "is_os_native_firewall_enabled"))


def _patch_age(record: Mapping[str, Any], options: Options, observed_at: datetime | None) -> int | None:
    level = instant(record.get("securityPatchTime"))
    age = patch_age(None if level is None else level.date(), observed_at)
    return release_age(record.get("osVersion"), options, observed_at) if age is None else age


def _partner(states: tuple[Mapping[str, Any], ...], observed_at: datetime | None) -> tuple[EdrRunning, EdrRisk]:
    """The worst of what the partner says for the device's users."""
    risks = [_risk(state, observed_at) for state in states]
    unmanaged = any(text(state.get("managed")) == "UNMANAGED" for state in states)
    return (False if unmanaged else "unknown", max(risks, key=_RISKS.index, default="unknown"))


def _risk(state: Mapping[str, Any], observed_at: datetime | None) -> EdrRisk:
    risk = HEALTH.get(text(state.get("healthScore")) or "", "unknown")
    fresh = as_old_as(True, instant(state.get("lastUpdateTime")), observed_at, lag=PARTNER_LAG)
    if fresh is not True and risk in ("none", "low", "medium"):
        risk = "unknown"
    if text(state.get("complianceState")) == "NON_COMPLIANT" and risk in ("none", "low"):
        return "medium"
    return risk
