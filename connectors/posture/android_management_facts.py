"""What a device of the Android Management API says, as facts. Pure.

Source: developers.google.com/android/management/reference/rest/v1/enterprises.devices, and "Understanding security
posture" beside it.

Fact by fact, and what the API cannot give:

- `policyCompliant` is read by nothing here: it says that a policy was met, not what the policy asked.
- `tampered`: `securityPosture` (Play Integrity). SECURE is "not tampered" only without a risk beside it: with
  HARDWARE_BACKED_EVALUATION_FAILED the hardware did not confirm it. POTENTIALLY_COMPROMISED, or a compromised system,
  is tampering; AT_RISK and an unknown system prove nothing either way.
- `disk_encrypted`: `encryptionStatus`. ACTIVE_DEFAULT_KEY is encrypted with a key that the device gives to anybody who
  switches it on: unknown.
- `screen_lock`: `isDeviceSecure` (a PIN or password is set).
- `patch_age_days`: `securityPatchLevel`.
- `edr_running`, `edr_risk`, `av_current`, `firewall`, `certificate`: not in the report. Play Protect is no EDR.
- Settings and software are there only where the policy's `statusReportingSettings` ask for them.
- The serial number of a personally owned device is not that of the device but an id for the enterprise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport
from connectors.posture.reading import (
    Options,
    RecordRefusedError,
    boolean,
    clean_name,
    day,
    instant,
    member,
    named,
    only_bad_news,
    patch_age,
    text,
    worded,
)
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.input import Known

ENCRYPTION: Final[Mapping[str, Known]] = {
    "ENCRYPTION_STATUS_UNSPECIFIED": "unknown",
    "UNSUPPORTED": False,
    "INACTIVE": False,
    "ACTIVATING": False,
    "ACTIVE": True,
    "ACTIVE_DEFAULT_KEY": "unknown",
    "ACTIVE_PER_USER": True,
}
# Whether the device is known to be tampered with. SECURE counts only where no risk stands beside it.
POSTURES: Final[Mapping[str, Known]] = {
    "POSTURE_UNSPECIFIED": "unknown",
    "SECURE": False,
    "AT_RISK": "unknown",
    "POTENTIALLY_COMPROMISED": True,
}
RISKS: Final[Mapping[str, Known]] = {
    "SECURITY_RISK_UNSPECIFIED": "unknown",
    "UNKNOWN_OS": "unknown",
    "COMPROMISED_OS": True,
    "HARDWARE_BACKED_EVALUATION_FAILED": "unknown",
}
_NAME_PARTS: Final = 4


def device_report(record: Mapping[str, Any], options: Options) -> DeviceReport:
    """One device. Raises RecordRefusedError where it has no name of its own."""
    identifier = record_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(record.get("lastStatusReportTime"))
    report = PostureReport(
        disk_encrypted=_encrypted(record),
        screen_lock=boolean(member(record, "deviceSettings", "isDeviceSecure")),
        tampered=_tampered(record.get("securityPosture")),
        patch_age_days=patch_age(day(member(record, "softwareInfo", "securityPatchLevel")), observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    # DISABLED, LOST, PROVISIONING, one of the states to come: the device is not what the enterprise runs.
    if text(record.get("state")) != "ACTIVE" or text(record.get("appliedState")) != "ACTIVE":
        report = only_bad_news(report)
    return DeviceReport(names=_names(record, identifier, options), posture=report, platform="android")


def record_key(record: Mapping[str, Any]) -> str | None:
    """`enterprises/ID/devices/ID` -> the last `ID`."""
    name = record.get("name")
    parts = name.split("/") if isinstance(name, str) else []
    whole = len(parts) == _NAME_PARTS and parts[0] == "enterprises" and parts[2] == "devices"
    return clean_name(parts[3]) if whole else None


def _names(record: Mapping[str, Any], identifier: str, options: Options) -> dict[Any, str]:
    owned = text(record.get("ownership")) == "COMPANY_OWNED"
    serial = member(record, "hardwareInfo", "serialNumber")
    enterprise_specific = member(record, "hardwareInfo", "enterpriseSpecificId")
    return named(
        (
            ("serial", serial if owned and serial != enterprise_specific else None),
            ("udid", enterprise_specific),
            ("vendor_id", identifier),
        ),
        options,
    )


def _encrypted(record: Mapping[str, Any]) -> Known:
    settings = member(record, "deviceSettings")
    status = worded(member(settings, "encryptionStatus"), ENCRYPTION)
    # `isEncrypted` is the older field: it can only take away what the status says.
    return False if boolean(member(settings, "isEncrypted")) is False else status


def _tampered(posture: object) -> Known:
    said = worded(member(posture, "devicePosture"), POSTURES)
    details = member(posture, "postureDetails")
    if details is None:
        return said
    if not isinstance(details, list):
        return True if said is True else "unknown"
    risks = [worded(member(detail, "securityRisk"), RISKS) for detail in details]
    if said is True or True in risks:
        return True
    return said if not risks else "unknown"
