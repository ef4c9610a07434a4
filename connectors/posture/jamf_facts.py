"""What a Mac or a mobile device of Jamf Pro says, as facts. Pure.

Sources: Jamf Pro API, schemas ComputerInventory (sections GENERAL, HARDWARE, OPERATING_SYSTEM, DISK_ENCRYPTION,
SECURITY) and MobileDeviceInventory (GENERAL, HARDWARE, SECURITY), developer.jamf.com/jamf-pro/reference.

Fact by fact, and what Jamf cannot give:

- All facts are as old as the inventory: `reportDate`, on mobile devices `lastInventoryUpdateDate`. `lastContactTime` is
  later and says only that the agent asked for work; it makes nothing fresher.
- `disk_encrypted`: FileVault on the boot partition and on all of them; the worse of the two. A valid recovery key is no
  encryption. On mobile devices `dataProtected`.
- `firewall`: `firewallEnabled`, the application firewall of macOS.
- `screen_lock`: mobile devices only, `passcodePresent` and its compliance. Jamf knows the lock of a Mac through
  profiles or extension attributes only.
- `tampered`: System Integrity Protection and the level of secure boot; Gatekeeper may be off by choice, and then
  nothing is proved. On mobile devices `jailBreakDetected`, which only Self Service on the device finds out.
- `patch_age_days`: the administrator's table of versions; Jamf lists updates without dates.
- `edr_running`, `edr_risk`, `av_current`, `certificate`: not in these sections (Jamf Protect is a product of its own);
  an extension attribute that the administrator maps can say the first, third and fourth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport
from connectors.posture.reading import (
    Options,
    RecordRefusedError,
    all_true,
    any_known,
    boolean,
    instant,
    inverse,
    member,
    named,
    only_bad_news,
    platform,
    release_age,
    with_checks,
    worded,
)
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.posture.reading import CheckedFact, Verdicts
    from pdp.model.input import Known

_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)
COMPUTER_SECTIONS: Final = ("GENERAL", "HARDWARE", "OPERATING_SYSTEM", "DISK_ENCRYPTION", "SECURITY")
MOBILE_SECTIONS: Final = ("GENERAL", "HARDWARE", "SECURITY")

SIP: Final[Mapping[str, Known]] = {
    "NOT_COLLECTED": "unknown",
    "NOT_AVAILABLE": "unknown",
    "DISABLED": False,
    "ENABLED": True,
}
# NOT_SUPPORTED: a Mac older than secure boot, whose integrity is what SIP says.
SECURE_BOOT: Final[Mapping[str, Known]] = {
    "NO_SECURITY": False,
    "MEDIUM_SECURITY": True,
    "FULL_SECURITY": True,
    "NOT_SUPPORTED": True,
    "UNKNOWN": "unknown",
}
# Off is a setting of the administrator at times, so it is no sign of tampering; it takes the proof away.
GATEKEEPER: Final[Mapping[str, Known]] = {
    "NOT_COLLECTED": "unknown",
    "DISABLED": "unknown",
    "APP_STORE_AND_IDENTIFIED_DEVELOPERS": True,
    "APP_STORE": True,
}
# Of the boot partition. While it is being encrypted, or decrypted, a part of it is open.
PARTITION: Final[Mapping[str, Known]] = {
    "UNKNOWN": "unknown",
    "UNENCRYPTED": False,
    "INELIGIBLE": "unknown",
    "DECRYPTED": False,
    "DECRYPTING": False,
    "ENCRYPTED": True,
    "ENCRYPTING": False,
    "RESTART_NEEDED": False,
    "OPTIMIZING": "unknown",
    "DECRYPTING_PAUSED": False,
    "ENCRYPTING_PAUSED": False,
}
FILE_VAULT: Final[Mapping[str, Known]] = {
    "NOT_APPLICABLE": "unknown",
    "NOT_ENCRYPTED": False,
    "BOOT_ENCRYPTED": True,
    "SOME_ENCRYPTED": False,
    "ALL_ENCRYPTED": True,
}


def computer_report(
    record: Mapping[str, Any], options: Options, attributes: Mapping[str, Verdicts] | None = None
) -> DeviceReport:
    """One computer. Raises RecordRefusedError where it has no id."""
    identifier = computer_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(member(record, "general", "reportDate"))
    report = PostureReport(
        disk_encrypted=_encrypted(record),
        firewall=boolean(member(record, "security", "firewallEnabled")),
        tampered=_tampered(record),
        patch_age_days=release_age(member(record, "operatingSystem", "version"), options, observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    report = with_checks(report, _checks(_computer_attributes(record), attributes or {}))
    if boolean(member(record, "general", "remoteManagement", "managed")) is not True:
        report = only_bad_news(report)
    names = named(
        (
            ("serial", member(record, "hardware", "serialNumber")),
            ("udid", record.get("udid")),
            ("asset_tag", member(record, "general", "assetTag")),
            ("vendor_id", identifier),
            ("host_name", member(record, "general", "name")),
        ),
        options,
    )
    return DeviceReport(names=names, posture=report, platform="macos")


def mobile_report(
    record: Mapping[str, Any], options: Options, attributes: Mapping[str, Verdicts] | None = None
) -> DeviceReport:
    """One mobile device. Raises RecordRefusedError where it has no id."""
    identifier = mobile_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(member(record, "general", "lastInventoryUpdateDate"))
    report = PostureReport(
        disk_encrypted=boolean(member(record, "security", "dataProtected")),
        screen_lock=_passcode(record),
        tampered=boolean(member(record, "security", "jailBreakDetected")),
        patch_age_days=release_age(member(record, "general", "osVersion"), options, observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    report = with_checks(report, _checks(_mobile_attributes(record), attributes or {}))
    if boolean(member(record, "general", "managed")) is not True:
        report = only_bad_news(report)
    names = named(
        (
            ("serial", member(record, "hardware", "serialNumber")),
            ("udid", member(record, "general", "udid")),
            ("asset_tag", member(record, "general", "assetTag")),
            ("vendor_id", f"mobile/{identifier}"),  # computers are numbered from 1 as well
            ("host_name", member(record, "general", "displayName")),
        ),
        options,
    )
    return DeviceReport(names=names, posture=report, platform=platform(record.get("deviceType")))


def computer_key(record: Mapping[str, Any]) -> str | None:
    return _number(record.get("id"))


def mobile_key(record: Mapping[str, Any]) -> str | None:
    return _number(record.get("mobileDeviceId"))


def _number(value: object) -> str | None:
    """Jamf writes ids as texts of digits."""
    return value if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _encrypted(record: Mapping[str, Any]) -> Known:
    boot = member(record, "diskEncryption", "bootPartitionEncryptionDetails", "partitionFileVault2State")
    whole = member(record, "operatingSystem", "fileVault2Status")
    return any_known((worded(boot, PARTITION), worded(whole, FILE_VAULT)))


def _tampered(record: Mapping[str, Any]) -> Known:
    security = member(record, "security")
    return inverse(
        all_true(
            (
                worded(member(security, "sipStatus"), SIP),
                worded(member(security, "secureBootLevel"), SECURE_BOOT),
                worded(member(security, "gatekeeperStatus"), GATEKEEPER),
            )
        )
    )


def _passcode(record: Mapping[str, Any]) -> Known:
    """A passcode that breaks a rule of the profile is a lock that the organisation did not ask for."""
    security = member(record, "security")
    present = boolean(member(security, "passcodePresent"))
    ruled = [boolean(member(security, name)) for name in ("passcodeCompliant", "passcodeCompliantWithProfile")]
    return False if False in ruled else present


def _computer_attributes(record: Mapping[str, Any]) -> Iterable[tuple[object, object]]:
    """Name and values of each extension attribute; Jamf lists them in the section where they are shown."""
    for holder in (record, *(member(record, name) for name in ("general", "hardware", "operatingSystem"))):
        for attribute in _list(member(holder, "extensionAttributes")):
            yield member(attribute, "name"), member(attribute, "values")


def _mobile_attributes(record: Mapping[str, Any]) -> Iterable[tuple[object, object]]:
    for holder in (record, *(member(record, name) for name in ("general", "hardware"))):
        for attribute in _list(member(holder, "extensionAttributes")):
            yield member(attribute, "name"), member(attribute, "value")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _checks(
    attributes: Iterable[tuple[object, object]], verdicts: Mapping[str, Verdicts]
) -> list[tuple[CheckedFact, Known]]:
    """An attribute says yes or no by exactly one value that the administrator listed."""
    found: list[tuple[CheckedFact, Known]] = []
    for name, values in attributes:
        if isinstance(name, str) and name in verdicts:
            value = values[0] if isinstance(values, list) and len(values) == 1 else None
            found.append((verdicts[name].fact, verdicts[name].of(value)))
    return found
