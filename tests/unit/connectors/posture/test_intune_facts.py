"""Intune: each word of the vendor's schema, and the traps beside it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.posture import intune_facts
from connectors.posture.intune_facts import Extras, device_report
from connectors.posture.reading import Options, RecordRefusedError
from pdp.model.directory import PostureReport
from tests.simulators.graph import managed_device, protection_state

OPTIONS = Options("intune")


def posture(record: dict[str, Any], **extras: Any) -> PostureReport:
    return device_report(record, Extras(**extras), OPTIONS, {}).posture


@pytest.fixture
def schema(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "vectors/posture/ms-graph-v1.0-intune-schema.json").read_text())
    return found


def test_every_field_that_is_read_stands_in_the_vendors_schema(schema: dict[str, Any]) -> None:
    for fields, known in (
        (intune_facts.DEVICE_FIELDS, schema["entities"]["managedDevice"]),
        (intune_facts.PROTECTION_FIELDS, schema["entities"]["windowsProtectionState"]),
        (intune_facts.ATTESTATION_FIELDS, schema["complex"]["deviceHealthAttestationState"]),
    ):
        assert set(fields) <= {"id", *(entry["name"] for entry in known)}  # `id` is graph.entity's
    assert "settingStates" in {entry["name"] for entry in schema["entities"]["deviceCompliancePolicyState"]}


@pytest.mark.parametrize(
    ("enumeration", "table"),
    [
        ("managedDevicePartnerReportedHealthState", intune_facts.THREAT_STATES),
        ("windowsDefenderProductStatus", intune_facts.PRODUCT_FLAGS),
        ("windowsDeviceHealthState", intune_facts.HEALTH_FLAGS),
        ("complianceStatus", intune_facts.SETTING_STATES),
    ],
)
def test_every_word_of_an_enumeration_is_accounted_for_and_no_other(
    schema: dict[str, Any], enumeration: str, table: dict[str, Any]
) -> None:
    assert set(table) == set(schema["enums"][enumeration])


def test_a_healthy_windows_terminal_has_the_facts_that_intune_gives_and_no_others() -> None:
    found = posture(managed_device(1), protection=protection_state())
    assert found == PostureReport(
        certificate="unknown",
        disk_encrypted=True,
        edr_running=True,
        edr_risk="none",
        av_current=True,
        firewall="unknown",
        screen_lock="unknown",
        tampered=False,
        patch_age_days=None,
        observed_at=datetime(2026, 11, 23, 5, 30, 0, 123456, tzinfo=UTC),
        source="intune",
    )


@pytest.mark.parametrize(
    ("state", "running", "risk"),
    [
        ("unknown", "unknown", "unknown"),
        ("activated", True, "unknown"),
        ("deactivated", False, "unknown"),
        ("secured", True, "none"),
        ("lowSeverity", True, "low"),
        ("mediumSeverity", True, "medium"),
        ("highSeverity", True, "high"),
        ("unresponsive", "unknown", "unknown"),
        ("compromised", "unknown", "high"),
        ("misconfigured", "unknown", "unknown"),
        ("unknownFutureValue", "unknown", "unknown"),
        ("Secured", "unknown", "unknown"),
        (None, "unknown", "unknown"),
        (3, "unknown", "unknown"),
        (["secured"], "unknown", "unknown"),
    ],
)
def test_the_threat_partners_word_is_taken_as_it_is(state: Any, running: Any, risk: str) -> None:
    found = posture(managed_device(1, partnerReportedThreatState=state))
    assert (found.edr_running, found.edr_risk) == (running, risk)


@pytest.mark.parametrize(
    "state",
    [
        "unknown",
        "compliant",
        "noncompliant",
        "conflict",
        "error",
        "inGracePeriod",
        "configManager",
        "unknownFutureValue",
    ],
)
def test_compliance_alone_changes_no_fact(state: str) -> None:
    nothing = {"id": "d", "serialNumber": "S-1", "managementState": "managed", "operatingSystem": "Windows"}
    found = posture({**nothing, "complianceState": state})
    assert found == PostureReport(source="intune")


@pytest.mark.parametrize(
    ("system", "said", "fact"),
    [
        ("Windows", True, True),
        ("Windows", False, False),
        ("macOS", False, False),
        ("Android", False, False),
        ("iOS", False, "unknown"),
        ("Linux", False, "unknown"),
        ("ChromeOS", False, "unknown"),
        (None, False, "unknown"),
        ("iOS", True, True),
        ("Windows", "true", "unknown"),
        ("Windows", None, "unknown"),
        ("Windows", 1, "unknown"),
    ],
)
def test_no_encryption_is_believed_only_of_systems_that_report_it(system: Any, said: Any, fact: Any) -> None:
    record = managed_device(1, operatingSystem=system, isEncrypted=said)
    assert posture(record).disk_encrypted == fact


def test_an_encryption_that_the_measured_boot_denies_is_not_known() -> None:
    record = managed_device(1)
    record["deviceHealthAttestationState"]["bitLockerStatus"] = "disabled"
    assert posture(record).disk_encrypted == "unknown"


@pytest.mark.parametrize(
    ("word", "fact"),
    [("True", True), ("False", False), ("Unknown", "unknown"), ("", "unknown"), (False, "unknown"), (None, "unknown")],
)
def test_jail_broken_is_a_text_and_only_its_two_words_count(word: Any, fact: Any) -> None:
    assert posture(managed_device(1, operatingSystem="iOS", jailBroken=word)).tampered == fact


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({}, False),
        ({"testSigning": "enabled"}, True),
        ({"bootDebugging": "enabled"}, True),
        ({"operatingSystemKernelDebugging": "on"}, True),
        ({"codeIntegrity": "disabled"}, True),
        ({"secureBoot": "disabled"}, "unknown"),
        ({"secureBoot": "disabled", "testSigning": "enabled"}, True),
        ({"secureBoot": "maybe"}, "unknown"),
        ({"codeIntegrity": None}, "unknown"),
        ({"testSigning": 0}, "unknown"),
        ({"issuedDateTime": "2026-11-01T00:00:00Z"}, "unknown"),
        ({"issuedDateTime": "0001-01-01T00:00:00Z"}, "unknown"),
        ({"issuedDateTime": "2026-11-01T00:00:00Z", "testSigning": "enabled"}, True),
    ],
)
def test_on_windows_the_measured_boot_says_whether_the_system_is_intact(changes: dict[str, Any], fact: Any) -> None:
    record = managed_device(1)
    record["deviceHealthAttestationState"].update(changes)
    assert posture(record).tampered == fact


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({}, True),
        ({"realTimeProtectionEnabled": False}, False),
        ({"malwareProtectionEnabled": False}, False),
        ({"signatureUpdateOverdue": True}, False),
        ({"signatureUpdateOverdue": None}, "unknown"),
        ({"productStatus": "noStatus"}, "unknown"),
        ({"productStatus": "avSignaturesOutOfDate,platformOutOfDate"}, False),
        ({"productStatus": "pendingFullScanDueToThreatAction, samplesPendingSubmission"}, True),
        ({"productStatus": "noStatusFlagsSet,someFlagOfNextYear"}, "unknown"),
        ({"productStatus": 524288}, "unknown"),
        ({"deviceState": "critical"}, False),
        ({"deviceState": "rebootPending"}, True),
        ({"deviceState": ""}, "unknown"),
        ({"lastReportedDateTime": "2026-11-20T00:00:00Z"}, "unknown"),
        ({"lastReportedDateTime": "0001-01-01T00:00:00Z"}, "unknown"),
        ({"lastReportedDateTime": "2026-11-20T00:00:00Z", "signatureUpdateOverdue": True}, False),
    ],
)
def test_protection_is_current_only_where_all_of_it_says_so_and_lately(changes: dict[str, Any], fact: Any) -> None:
    assert posture(managed_device(1), protection=protection_state(**changes)).av_current == fact


def test_protection_that_was_not_looked_up_is_not_known() -> None:
    assert posture(managed_device(1)).av_current == "unknown"


@pytest.mark.parametrize("state", ["managed", "retireCanceled", "wipeCanceled"])
def test_a_managed_device_is_vouched_for(state: str) -> None:
    assert posture(managed_device(1, managementState=state)).disk_encrypted is True


def test_of_a_device_in_every_other_state_only_bad_news_is_kept(schema: dict[str, Any]) -> None:
    others = set(schema["enums"]["managementState"]) - {"managed", "retireCanceled", "wipeCanceled"}
    for state in (*others, "stateOfNextYear", None, [], {}):
        good = posture(managed_device(1, managementState=state))
        assert (good.disk_encrypted, good.edr_running, good.edr_risk, good.tampered) == ("unknown",) * 4
        bad = managed_device(1, managementState=state, isEncrypted=False, partnerReportedThreatState="compromised")
        assert (posture(bad).disk_encrypted, posture(bad).edr_risk) == (False, "high")


@pytest.mark.parametrize(
    ("level", "age"),
    [
        ("2026-11-05", 18),
        ("2026-12-01", 0),
        ("2027-11-05", None),
        ("1999-01-01", None),
        ("2026-02-30", None),
        ("20261105", None),
        ("2026-11", None),
        ("", None),
        (20261105, None),
    ],
)
def test_the_age_of_an_android_patch_level_is_counted_at_the_observation(level: Any, age: int | None) -> None:
    assert posture(managed_device(1, operatingSystem="Android", androidSecurityPatchLevel=level)).patch_age_days == age


def test_the_age_of_another_systems_patches_comes_from_the_administrators_table_and_is_never_guessed() -> None:
    options = Options("intune", os_releases={"10.0.22631.4460": date(2026, 11, 12)})
    assert device_report(managed_device(1), Extras(), options, {}).posture.patch_age_days == 11
    newer = managed_device(1, osVersion="10.0.22631.4461")
    assert device_report(newer, Extras(), options, {}).posture.patch_age_days is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", None, "", "yesterday", 0, "2026-13-01T00:00:00Z"])
def test_a_device_that_never_synchronised_has_no_age_and_nothing_that_hangs_on_it(at: Any) -> None:
    found = posture(managed_device(1, lastSyncDateTime=at), protection=protection_state())
    assert found.observed_at is None
    assert (found.av_current, found.tampered) == ("unknown", "unknown")


def test_names_come_in_the_order_of_trust_and_the_host_name_only_where_it_is_trusted() -> None:
    record = managed_device(7, udid="UD-7")
    names = device_report(record, Extras(), OPTIONS, {}).names
    assert list(names.items()) == [
        ("entra_device_id", "aaaaaaaa-1111-2222-3333-000000000007"),
        ("serial", "SN000007"),
        ("udid", "UD-7"),
        ("vendor_id", "00000000-1111-2222-3333-000000000007"),
    ]
    trusting = device_report(record, Extras(), Options("intune", host_names=True), {}).names
    assert list(trusting)[-1] == "host_name"


@pytest.mark.parametrize(
    "serial",
    [
        "",
        "0",
        "000000",
        "None",
        "To be filled by O.E.M.",
        "System Serial Number",
        "xxxxxxxx",
        "Default string",
        " ",
        "S" * 129,
        "SN\x00",
        "SN\n1",
        None,
        12345,
    ],
)
def test_a_placeholder_is_no_serial_number(serial: Any) -> None:
    assert "serial" not in device_report(managed_device(1, serialNumber=serial), Extras(), OPTIONS, {}).names


def test_a_device_that_entra_does_not_know_has_no_entra_id() -> None:
    record = managed_device(1, azureADDeviceId="00000000-0000-0000-0000-000000000000")
    assert "entra_device_id" not in device_report(record, Extras(), OPTIONS, {}).names


@pytest.mark.parametrize("identifier", [None, "", "  ", 5, ["x"]])
def test_a_record_without_an_id_is_refused(identifier: Any) -> None:
    with pytest.raises(RecordRefusedError) as caught:
        device_report(managed_device(1, id=identifier), Extras(), OPTIONS, {})
    assert caught.value.code == "no_id"


@pytest.mark.parametrize(
    ("states", "fact"),
    [
        (["compliant"], True),
        (["remediated"], True),
        (["compliant", "compliant"], True),
        (["compliant", "nonCompliant"], False),
        (["compliant", "error"], "unknown"),
        (["notApplicable"], "unknown"),
        (["notAssigned"], "unknown"),
        (["stateOfNextYear"], "unknown"),
        ([None], "unknown"),
        ([], "unknown"),
    ],
)
def test_single_settings_decide_the_fact_that_the_administrator_maps(states: list[Any], fact: Any) -> None:
    settings = tuple(
        {"setting": "Windows10CompliancePolicy.ActiveFirewallRequired", "state": state} for state in states
    )
    mapped = {"Windows10CompliancePolicy.ActiveFirewallRequired": "firewall"}
    found = device_report(managed_device(1), Extras(settings=settings), OPTIONS, mapped)  # type: ignore[arg-type]
    assert found.posture.firewall == fact
    assert posture(managed_device(1), settings=settings).firewall == "unknown"


def test_a_setting_can_take_away_what_another_field_gives_and_not_the_other_way_round() -> None:
    mapped: Any = {"a": "not_tampered", "b": "disk_encrypted"}
    bad = Extras(settings=({"setting": "a", "state": "nonCompliant"}, {"setting": "b", "state": "nonCompliant"}))
    found = device_report(managed_device(1), bad, OPTIONS, mapped).posture
    assert (found.tampered, found.disk_encrypted) == (True, False)
    good = Extras(settings=({"setting": "a", "state": "compliant"}, {"setting": "b", "state": "compliant"}))
    rooted = managed_device(1, jailBroken="True", isEncrypted=False)
    found = device_report(rooted, good, OPTIONS, mapped).posture
    assert (found.tampered, found.disk_encrypted) == (True, False)
