"""Jamf Pro: each word of its inventory, on computers and on mobile devices."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.posture import jamf_facts
from connectors.posture.jamf_facts import computer_report, mobile_report
from connectors.posture.reading import Options, RecordRefusedError, Verdicts
from pdp.model.directory import PostureReport
from tests.simulators.jamf_pro import computer, mobile_device

OPTIONS = Options("jamf")


def changed(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    target = record
    *holders, last = path.split(".")
    for name in holders:
        target = target[name]
    target[last] = value
    return record


def mac(path: str, value: Any) -> PostureReport:
    return computer_report(changed(computer(1), path, value), OPTIONS).posture


def phone(path: str, value: Any) -> PostureReport:
    return mobile_report(changed(mobile_device(1), path, value), OPTIONS).posture


@pytest.mark.parametrize(
    ("enumeration", "table"),
    [
        ("sipStatus", jamf_facts.SIP),
        ("gatekeeperStatus", jamf_facts.GATEKEEPER),
        ("secureBootLevel", jamf_facts.SECURE_BOOT),
    ],
)
def test_every_word_of_an_enumeration_is_accounted_for_and_no_other(
    shared: Path, enumeration: str, table: dict[str, Any]
) -> None:
    known = json.loads((shared / "vectors/posture/jamf-computer-security-enums.json").read_text())
    assert set(table) == set(known[enumeration])


def test_a_healthy_mac_has_the_facts_that_jamf_gives_and_no_others() -> None:
    assert computer_report(computer(1), OPTIONS).posture == PostureReport(
        disk_encrypted=True,
        firewall=True,
        tampered=False,
        observed_at=datetime(2026, 11, 23, 5, 0, 0, 123000, tzinfo=UTC),
        source="jamf",
    )


def test_a_healthy_phone_has_the_facts_that_jamf_gives_and_no_others() -> None:
    assert mobile_report(mobile_device(1), OPTIONS).posture == PostureReport(
        disk_encrypted=True,
        screen_lock=True,
        tampered=False,
        observed_at=datetime(2026, 11, 23, 5, 10, tzinfo=UTC),
        source="jamf",
    )


@pytest.mark.parametrize(
    ("path", "word", "tampered"),
    [
        ("security.sipStatus", "ENABLED", False),
        ("security.sipStatus", "DISABLED", True),
        ("security.sipStatus", "NOT_COLLECTED", "unknown"),
        ("security.sipStatus", "NOT_AVAILABLE", "unknown"),
        ("security.sipStatus", "enabled", "unknown"),
        ("security.sipStatus", None, "unknown"),
        ("security.secureBootLevel", "NO_SECURITY", True),
        ("security.secureBootLevel", "MEDIUM_SECURITY", False),
        ("security.secureBootLevel", "FULL_SECURITY", False),
        ("security.secureBootLevel", "NOT_SUPPORTED", False),
        ("security.secureBootLevel", "UNKNOWN", "unknown"),
        ("security.secureBootLevel", "NEW_LEVEL", "unknown"),
        ("security.gatekeeperStatus", "DISABLED", "unknown"),
        ("security.gatekeeperStatus", "NOT_COLLECTED", "unknown"),
        ("security.gatekeeperStatus", "APP_STORE", False),
        ("security.externalBootLevel", "ALLOW_BOOTING_FROM_EXTERNAL_MEDIA", False),
        ("security", None, "unknown"),
    ],
)
def test_a_mac_is_intact_only_where_all_three_protections_say_so(path: str, word: Any, tampered: Any) -> None:
    assert mac(path, word).tampered == tampered


@pytest.mark.parametrize(("word", "fact"), [*jamf_facts.PARTITION.items(), ("NEW", "unknown")])
def test_the_boot_partition_counts_by_its_word(word: str, fact: Any) -> None:
    record = changed(computer(1), "operatingSystem.fileVault2Status", "NOT_APPLICABLE")
    record = changed(record, "diskEncryption.bootPartitionEncryptionDetails.partitionFileVault2State", word)
    assert computer_report(record, OPTIONS).posture.disk_encrypted == fact


@pytest.mark.parametrize(("word", "fact"), [*jamf_facts.FILE_VAULT.items(), ("NEW", True), (None, True)])
def test_of_two_words_about_encryption_the_worse_counts(word: Any, fact: Any) -> None:
    expected = True if fact == "unknown" else fact  # the boot partition says ENCRYPTED
    assert mac("operatingSystem.fileVault2Status", word).disk_encrypted == expected


@pytest.mark.parametrize("status", ["VALID", "INVALID", "UNKNOWN", "NOT_APPLICABLE"])
def test_a_recovery_key_is_no_encryption(status: str) -> None:
    record = changed(computer(1), "diskEncryption", {"individualRecoveryKeyValidityStatus": status})
    record = changed(record, "operatingSystem", {})
    assert computer_report(record, OPTIONS).posture.disk_encrypted == "unknown"


def test_a_later_contact_makes_an_old_inventory_no_fresher() -> None:
    record = changed(computer(1), "general.reportDate", "2026-10-01T00:00:00Z")
    assert computer_report(record, OPTIONS).posture.observed_at == datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize("managed", [False, None, "true", 1])
def test_of_a_computer_that_is_not_managed_only_bad_news_is_kept(managed: Any) -> None:
    record = changed(computer(1), "general.remoteManagement", {"managed": managed})
    good = computer_report(record, OPTIONS).posture
    assert (good.disk_encrypted, good.firewall, good.tampered) == ("unknown",) * 3
    bad = computer_report(changed(record, "security.sipStatus", "DISABLED"), OPTIONS).posture
    assert bad.tampered is True


@pytest.mark.parametrize(
    ("path", "value", "screen_lock", "tampered"),
    [
        ("security.passcodePresent", False, False, False),
        ("security.passcodePresent", None, "unknown", False),
        ("security.passcodeCompliant", False, False, False),
        ("security.passcodeCompliantWithProfile", False, False, False),
        ("security.passcodeCompliantWithProfile", None, True, False),
        ("security.jailBreakDetected", True, True, True),
        ("security.jailBreakDetected", None, True, "unknown"),
        ("security", {}, "unknown", "unknown"),
        ("general.managed", False, "unknown", "unknown"),
    ],
)
def test_a_phones_lock_and_integrity(path: str, value: Any, screen_lock: Any, tampered: Any) -> None:
    found = phone(path, value)
    assert (found.screen_lock, found.tampered) == (screen_lock, tampered)


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        (["Running"], True),
        (["Stopped"], False),
        (["running"], "unknown"),
        ([], "unknown"),
        (["Running", "Stopped"], "unknown"),
    ],
)
def test_an_extension_attribute_says_what_the_administrator_lists(values: list[str], fact: Any) -> None:
    verdicts = {"EDR": Verdicts("edr_running", ("Running",), ("Stopped",))}
    record = computer(1, extensionAttributes=[{"name": "EDR", "values": values}, {"name": "Other", "values": ["x"]}, 5])
    assert computer_report(record, OPTIONS, verdicts).posture.edr_running == fact
    shown_elsewhere = computer(1)
    shown_elsewhere["general"]["extensionAttributes"] = [{"name": "EDR", "values": values}]
    assert computer_report(shown_elsewhere, OPTIONS, verdicts).posture.edr_running == fact
    mobile = mobile_device(1, extensionAttributes=[{"name": "EDR", "value": values}])
    assert mobile_report(mobile, OPTIONS, verdicts).posture.edr_running == fact


def test_names_of_computers_and_phones_do_not_meet() -> None:
    options = Options("jamf", host_names=True)
    assert list(computer_report(computer(12), options).names.items()) == [
        ("serial", "C020000012"),
        ("udid", "5C3A0000-0000-0000-0000-000000000012"),
        ("asset_tag", "A-00012"),
        ("vendor_id", "12"),
        ("host_name", "Mac-12"),
    ]
    assert mobile_report(mobile_device(12), options).names["vendor_id"] == "mobile/12"


@pytest.mark.parametrize("identifier", [None, 1, "", "12a", "１２", "9" * 19])
def test_a_record_without_an_id_is_refused(identifier: Any) -> None:
    with pytest.raises(RecordRefusedError):
        computer_report(computer(1, id=identifier), OPTIONS)
    with pytest.raises(RecordRefusedError):
        mobile_report(mobile_device(1, mobileDeviceId=identifier), OPTIONS)


def test_patch_age_comes_from_the_administrators_table() -> None:
    options = Options("jamf", os_releases={"15.1": date(2026, 11, 1), "18.1": date(2026, 11, 20)})
    assert computer_report(computer(1), options).posture.patch_age_days == 22
    assert mobile_report(mobile_device(1), options).posture.patch_age_days == 3
