"""What a device of Microsoft Intune says, as facts. Pure.

Source: Microsoft Graph v1.0, resources managedDevice, windowsProtectionState, deviceHealthAttestationState and
deviceCompliancePolicySettingState (learn.microsoft.com/graph/api/resources/intune-devices-manageddevice and beside it).

Fact by fact, and what Intune cannot give:

- `complianceState` is read by nothing here: it says that a policy was met, not which; a policy that asks nothing is met
  by every device. Single settings can be named by the administrator (`setting_facts`).
- `disk_encrypted`: `isEncrypted`. False counts only on systems that report it: for the others false is what Graph
  writes for "not reported". Where the boot measurement says that BitLocker was off, true is a contradiction: unknown.
- `edr_running`, `edr_risk`: `partnerReportedThreatState`, what the threat defence partner (Defender for Endpoint or
  another) last told Intune.
- `av_current`: `windowsProtectionState` (Defender Antivirus, Windows only).
- `tampered`: `jailBroken` (a text: "True", "False", "Unknown"); on Windows, where that is always "Unknown", the
  measured boot.
- `patch_age_days`: `androidSecurityPatchLevel`; else the administrator's table of versions.
- `certificate`, `firewall`, `screen_lock`: not among these resources, except through single settings of policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport
from connectors.posture.reading import (
    CheckedFact,
    Options,
    RecordRefusedError,
    all_true,
    as_old_as,
    boolean,
    clean_name,
    day,
    instant,
    inverse,
    member,
    named,
    only_bad_news,
    patch_age,
    platform,
    release_age,
    text,
    with_checks,
    worded,
)
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.input import EdrRisk, EdrRunning, Known

# The properties of managedDevice that are asked for ($select); a test finds each in the vendor's schema.
DEVICE_FIELDS: Final = (
    "id",
    "azureADDeviceId",
    "serialNumber",
    "udid",
    "deviceName",
    "operatingSystem",
    "osVersion",
    "androidSecurityPatchLevel",
    "lastSyncDateTime",
    "managementState",
    "isEncrypted",
    "jailBroken",
    "partnerReportedThreatState",
    "deviceHealthAttestationState",
)
PROTECTION_FIELDS: Final = (
    "lastReportedDateTime",
    "malwareProtectionEnabled",
    "realTimeProtectionEnabled",
    "signatureUpdateOverdue",
    "deviceState",
    "productStatus",
)
ATTESTATION_FIELDS: Final = (
    "issuedDateTime",
    "bitLockerStatus",
    "secureBoot",
    "codeIntegrity",
    "testSigning",
    "bootDebugging",
    "operatingSystemKernelDebugging",
)

# Systems whose agent reports encryption, so that false is an answer.
_REPORT_ENCRYPTION: Final = frozenset({"windows", "macos", "android"})
# In these states Intune manages the device and its reports are current; in all others (a wipe under way, found but
# never enrolled, unhealthy, one that we do not know) nothing that it says speaks for the device.
_VOUCHED_FOR: Final = frozenset({"managed", "retireCanceled", "wipeCanceled"})

# managedDevicePartnerReportedHealthState -> (edr_running, edr_risk). A severity is only known from an agent that runs.
# `unresponsive` and `misconfigured` do not say whether it runs; of a device that is `compromised`, neither is believed.
THREAT_STATES: Final[Mapping[str, tuple[EdrRunning, EdrRisk]]] = {
    "unknown": ("unknown", "unknown"),
    "activated": (True, "unknown"),
    "deactivated": (False, "unknown"),
    "secured": (True, "none"),
    "lowSeverity": (True, "low"),
    "mediumSeverity": (True, "medium"),
    "highSeverity": (True, "high"),
    "unresponsive": ("unknown", "unknown"),
    "compromised": ("unknown", "high"),
    "misconfigured": ("unknown", "unknown"),
}
# windowsDefenderProductStatus, flags. False: the protection is not current; True: the flag says nothing against it.
PRODUCT_FLAGS: Final[Mapping[str, Known]] = {
    "noStatus": "unknown",
    "serviceNotRunning": False,
    "serviceStartedWithoutMalwareProtection": False,
    "pendingFullScanDueToThreatAction": True,
    "pendingRebootDueToThreatAction": True,
    "pendingManualStepsDueToThreatAction": True,
    "avSignaturesOutOfDate": False,
    "asSignaturesOutOfDate": False,
    "noQuickScanHappenedForSpecifiedPeriod": True,
    "noFullScanHappenedForSpecifiedPeriod": True,
    "systemInitiatedScanInProgress": True,
    "systemInitiatedCleanInProgress": True,
    "samplesPendingSubmission": True,
    "productRunningInEvaluationMode": "unknown",
    "productRunningInNonGenuineMode": False,
    "productExpired": False,
    "offlineScanRequired": True,
    "serviceShutdownAsPartOfSystemShutdown": "unknown",
    "threatRemediationFailedCritically": False,
    "threatRemediationFailedNonCritically": "unknown",
    "noStatusFlagsSet": True,
    "platformOutOfDate": False,
    "platformUpdateInProgress": True,
    "platformAboutToBeOutdated": True,
    "signatureOrPlatformEndOfLifeIsPastOrIsImpending": False,
    "windowsSModeSignaturesInUseOnNonWin10SInstall": False,
}
# windowsDeviceHealthState, flags.
HEALTH_FLAGS: Final[Mapping[str, Known]] = {
    "clean": True,
    "fullScanPending": True,
    "rebootPending": True,
    "manualStepsPending": True,
    "offlineScanPending": True,
    "critical": False,
}
# complianceStatus of one setting. Only what was judged counts; `notAssigned` and `notApplicable` were not.
SETTING_STATES: Final[Mapping[str, Known]] = {
    "unknown": "unknown",
    "notApplicable": "unknown",
    "compliant": True,
    "remediated": True,
    "nonCompliant": False,
    "error": "unknown",
    "conflict": "unknown",
    "notAssigned": "unknown",
}
_JAILBROKEN: Final[Mapping[str, Known]] = {"True": True, "False": False}
# The schema calls the words of the boot measurement texts and lists none; these are the ones that are understood.
_ON_OFF: Final[Mapping[str, Known]] = {"enabled": True, "on": True, "disabled": False, "off": False}
_DEBUG_DOORS: Final = ("testSigning", "bootDebugging", "operatingSystemKernelDebugging")
# Older than the sync by more than this, protection is known no more: it is how old posture may be (policy's default).
PROTECTION_LAG: Final = timedelta(hours=24)
# Measured at boot and true until the next one; a week without a restart is common, a month without a patch is not.
ATTESTATION_LAG: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Extras:
    """What was looked up for one device beside its record: None where it was not, or is not there."""

    protection: Mapping[str, Any] | None = None
    settings: tuple[Mapping[str, Any], ...] = field(default=())


def device_report(
    record: Mapping[str, Any], extras: Extras, options: Options, setting_facts: Mapping[str, CheckedFact]
) -> DeviceReport:
    """One managedDevice. Raises RecordRefusedError where it has no id."""
    identifier = record_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(record.get("lastSyncDateTime"))
    running, risk = _threat(record)
    report = PostureReport(
        disk_encrypted=_encrypted(record),
        edr_running=running,
        edr_risk=risk,
        av_current=_protected(extras.protection, observed_at),
        tampered=_tampered(record, observed_at),
        patch_age_days=_patch_age(record, options, observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    report = with_checks(report, _checks(extras.settings, setting_facts))
    if text(record.get("managementState")) not in _VOUCHED_FOR:
        report = only_bad_news(report)
    return DeviceReport(
        names=_names(record, identifier, options), posture=report, platform=platform(record.get("operatingSystem"))
    )


def record_key(record: Mapping[str, Any]) -> str | None:
    return clean_name(record.get("id"))


def is_threatened(record: Mapping[str, Any]) -> bool:
    """Whether the threat partner says something that must not wait for the device's next synchronisation."""
    running, risk = _threat(record)
    return running is False or risk in ("medium", "high")


def is_windows(record: Mapping[str, Any]) -> bool:
    return _system(record) == "windows"


def _names(record: Mapping[str, Any], identifier: str, options: Options) -> dict[Any, str]:
    return named(
        (
            ("entra_device_id", _lower(record.get("azureADDeviceId"))),
            ("serial", record.get("serialNumber")),
            ("udid", record.get("udid")),
            ("vendor_id", identifier),
            ("host_name", record.get("deviceName")),
        ),
        options,
    )


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _system(record: Mapping[str, Any]) -> str:
    return (text(record.get("operatingSystem")) or "").strip().casefold()


def _encrypted(record: Mapping[str, Any]) -> Known:
    said = boolean(record.get("isEncrypted"))
    if said is False:
        return False if _system(record) in _REPORT_ENCRYPTION else "unknown"
    if said is True and _attested(record, "bitLockerStatus") is False:
        return "unknown"
    return said


def _threat(record: Mapping[str, Any]) -> tuple[EdrRunning, EdrRisk]:
    state = record.get("partnerReportedThreatState")
    return THREAT_STATES.get(state, ("unknown", "unknown")) if isinstance(state, str) else ("unknown", "unknown")


def _tampered(record: Mapping[str, Any], observed_at: datetime | None) -> Known:
    said = worded(record.get("jailBroken"), _JAILBROKEN)
    if said != "unknown" or not is_windows(record):
        return said
    # Without secure boot nothing is proved, but nothing is broken either: many older terminals have none.
    doors = [inverse(_attested(record, door)) for door in _DEBUG_DOORS]
    intact = all_true((_attested(record, "codeIntegrity"), *doors))
    if intact is True and _attested(record, "secureBoot") is not True:
        intact = "unknown"
    measured_at = instant(member(record, "deviceHealthAttestationState", "issuedDateTime"))
    return inverse(as_old_as(intact, measured_at, observed_at, lag=ATTESTATION_LAG))


def _attested(record: Mapping[str, Any], name: str) -> Known:
    word = member(record, "deviceHealthAttestationState", name)
    return worded(word.strip().casefold(), _ON_OFF) if isinstance(word, str) else "unknown"


def _protected(state: Mapping[str, Any] | None, observed_at: datetime | None) -> Known:
    if state is None:
        return "unknown"
    current = all_true(
        (
            boolean(state.get("malwareProtectionEnabled")),
            boolean(state.get("realTimeProtectionEnabled")),
            inverse(boolean(state.get("signatureUpdateOverdue"))),
            _flags(state.get("productStatus"), PRODUCT_FLAGS),
            _flags(state.get("deviceState"), HEALTH_FLAGS),
        )
    )
    return as_old_as(current, instant(state.get("lastReportedDateTime")), observed_at, lag=PROTECTION_LAG)


def _flags(value: object, table: Mapping[str, Known]) -> Known:
    """A set of flags, written with commas between them; one that the table does not know makes the set unknown."""
    if not isinstance(value, str):
        return "unknown"
    return all_true(table.get(flag.strip(), "unknown") for flag in value.split(","))


def _patch_age(record: Mapping[str, Any], options: Options, observed_at: datetime | None) -> int | None:
    age = patch_age(day(record.get("androidSecurityPatchLevel")), observed_at)
    return release_age(record.get("osVersion"), options, observed_at) if age is None else age


def _checks(
    settings: tuple[Mapping[str, Any], ...], facts: Mapping[str, CheckedFact]
) -> list[tuple[CheckedFact, Known]]:
    """Of several users' and policies' answers about one setting each is a check of its own."""
    found: list[tuple[CheckedFact, Known]] = []
    for setting in settings:
        name = setting.get("setting")
        if isinstance(name, str) and name in facts:
            found.append((facts[name], worded(setting.get("state"), SETTING_STATES)))
    return found
