"""Google Cloud Identity and Android Management: each word of their references."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.posture import android_management_facts, google_facts
from connectors.posture.google_facts import Extras
from connectors.posture.reading import Options, RecordRefusedError
from pdp.model.directory import PostureReport
from tests.simulators.google_apis import ENTERPRISE, android_device, client_state, cloud_device, device_user

OPTIONS = Options("google")


def cloud(record: dict[str, Any], users: Any = (), states: Any = ()) -> PostureReport:
    extras = Extras(users=tuple(users), states=tuple(states))
    return google_facts.device_report(record, extras, OPTIONS).posture


def android(**other: Any) -> PostureReport:
    return android_management_facts.device_report(android_device(1, **other), OPTIONS).posture


# Read from the public reference, and not in the vectors' reduced lists.
BEYOND_CLOUD = {"assetTag", "hostname"}  # cloud.google.com/identity/docs/reference/rest/v1/devices#Device
BEYOND_STATE = {"name", "lastUpdateTime"}  # …/devices.deviceUsers.clientStates#ClientState


def test_every_field_of_cloud_identity_that_is_read_stands_in_the_vendors_list(shared: Path) -> None:
    known = json.loads((shared / "vectors/posture/google-cloud-identity-devices.json").read_text())
    fields = {field.split(" ")[0] for field in known["device_fields"]}
    read = set(cloud_device(1)) | {"endpointVerificationSpecificAttributes"}
    assert read - BEYOND_CLOUD <= fields
    state = known["client_state_fields"]
    assert set(client_state(1)) - BEYOND_STATE <= set(state)
    assert set(google_facts.HEALTH) - {"HEALTH_SCORE_UNSPECIFIED"} == set(state["healthScore"])


def test_every_field_of_android_management_that_is_read_stands_in_the_vendors_list(shared: Path) -> None:
    known = json.loads((shared / "vectors/posture/android-management-api.json").read_text())
    assert set(android_device(1)) <= set(known["device_fields"])
    memory = known["from_memory"]
    assert {"isDeviceSecure", "encryptionStatus"} <= set(memory["deviceSettings"])
    assert "securityPatchLevel" in memory["softwareInfo"]
    seen = {*known["devicePosture_values_seen"], *memory["devicePosture_extra"]}
    assert set(android_management_facts.POSTURES) - {"POSTURE_UNSPECIFIED"} == seen - {"POSTURE_UNSPECIFIED"}
    risks = {detail["securityRisk"] for detail in known["securityPosture_example"]["postureDetails"]}
    assert {*risks, *memory["securityRisk_extra"]} <= set(android_management_facts.RISKS)


def test_a_healthy_phone_has_the_facts_that_google_gives_and_no_others() -> None:
    assert cloud(cloud_device(1), [device_user(1)]) == PostureReport(
        disk_encrypted=True,
        screen_lock=True,
        tampered=False,
        patch_age_days=22,
        observed_at=datetime(2026, 11, 23, 5, 20, 0, 123456, tzinfo=UTC),
        source="google",
    )


@pytest.mark.parametrize(("word", "fact"), [*google_facts.ENCRYPTION.items(), ("NEW", "unknown"), (None, "unknown")])
def test_encryption_by_its_word(word: Any, fact: Any) -> None:
    assert cloud(cloud_device(1, encryptionState=word)).disk_encrypted == fact


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({}, False),
        ({"compromisedState": "COMPROMISED"}, True),
        ({"compromisedState": "COMPROMISED", "deviceType": "IOS"}, True),
        ({"compromisedState": "COMPROMISED_STATE_UNSPECIFIED"}, "unknown"),
        ({"compromisedState": "NEW"}, "unknown"),
        ({"deviceType": "IOS"}, "unknown"),
        ({"deviceType": "WINDOWS"}, "unknown"),
        ({"deviceType": None}, "unknown"),
        ({"androidSpecificAttributes": {"verifiedBoot": False}}, True),
        ({"androidSpecificAttributes": {"ctsProfileMatch": False, "verifiedBoot": True}}, "unknown"),
        ({"androidSpecificAttributes": None}, False),
    ],
)
def test_only_androids_word_that_it_is_not_rooted_counts(changes: dict[str, Any], fact: Any) -> None:
    assert cloud(cloud_device(1, **changes)).tampered == fact


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["PASSWORD_SET"], True),
        (["PASSWORD_SET", "PASSWORD_SET"], True),
        (["PASSWORD_SET", "PASSWORD_NOT_SET"], False),
        (["PASSWORD_SET", "PASSWORD_STATE_UNSPECIFIED"], "unknown"),
        (["NEW"], "unknown"),
        ([None], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_screen_locks_only_where_every_user_has_a_password(words: list[Any], fact: Any) -> None:
    users = [device_user(1, n, passwordState=word) for n, word in enumerate(words)]
    assert cloud(cloud_device(1), users).screen_lock == fact


@pytest.mark.parametrize(("said", "fact"), [(True, True), (False, False), ("true", "unknown"), (None, "unknown")])
def test_the_firewall_of_endpoint_verification(said: Any, fact: Any) -> None:
    signals = {"additionalSignals": {"is_os_native_firewall_enabled": said, "av_enabled": ["x"]}}
    found = cloud(cloud_device(1, endpointVerificationSpecificAttributes=signals))
    assert (found.firewall, found.av_current) == (fact, "unknown")


@pytest.mark.parametrize(
    "state",
    ["MANAGEMENT_STATE_UNSPECIFIED", "BLOCKED", "PENDING", "UNPROVISIONED", "WIPING", "WIPED", "NEW", None, []],
)
def test_of_a_device_that_is_not_approved_only_bad_news_is_kept(state: Any) -> None:
    good = cloud(cloud_device(1, managementState=state), [device_user(1)])
    assert (good.disk_encrypted, good.screen_lock, good.tampered, good.patch_age_days) == (*("unknown",) * 3, None)
    assert cloud(cloud_device(1, managementState=state, compromisedState="COMPROMISED")).tampered is True


@pytest.mark.parametrize(
    ("changes", "running", "risk"),
    [
        ({}, "unknown", "none"),
        ({"healthScore": "GOOD"}, "unknown", "low"),
        ({"healthScore": "NEUTRAL"}, "unknown", "medium"),
        ({"healthScore": "POOR"}, "unknown", "high"),
        ({"healthScore": "VERY_POOR"}, "unknown", "high"),
        ({"healthScore": "HEALTH_SCORE_UNSPECIFIED"}, "unknown", "unknown"),
        ({"healthScore": "EXCELLENT"}, "unknown", "unknown"),
        ({"healthScore": None}, "unknown", "unknown"),
        ({"complianceState": "NON_COMPLIANT"}, "unknown", "medium"),
        ({"complianceState": "NON_COMPLIANT", "healthScore": None}, "unknown", "unknown"),
        ({"managed": "UNMANAGED"}, False, "none"),
        ({"lastUpdateTime": "2026-11-20T00:00:00Z"}, "unknown", "unknown"),
        ({"lastUpdateTime": "2026-11-20T00:00:00Z", "healthScore": "POOR"}, "unknown", "high"),
        ({"lastUpdateTime": None}, "unknown", "unknown"),
    ],
)
def test_the_score_of_the_partner_that_is_the_edr(changes: dict[str, Any], running: Any, risk: str) -> None:
    found = cloud(cloud_device(1), states=[client_state(1, **changes)])
    assert (found.edr_running, found.edr_risk) == (running, risk)


def test_of_several_users_scores_the_worst_counts_and_an_unknown_one_hides_no_high_one() -> None:
    scores = [client_state(1, n, healthScore=word) for n, word in enumerate(("VERY_GOOD", "POOR", "NEW"))]
    assert cloud(cloud_device(1), states=scores).edr_risk == "high"
    assert cloud(cloud_device(1), states=[scores[0], scores[2]]).edr_risk == "unknown"


@pytest.mark.parametrize("name", [None, "", "devices", "devices/", "dev/1", 5, "users/1/devices/2"])
def test_a_cloud_record_without_its_name_is_refused(name: Any) -> None:
    with pytest.raises(RecordRefusedError):
        cloud(cloud_device(1, name=name))


def test_a_healthy_android_device_has_the_facts_that_the_api_gives_and_no_others() -> None:
    assert android() == PostureReport(
        disk_encrypted=True,
        screen_lock=True,
        tampered=False,
        patch_age_days=18,
        observed_at=datetime(2026, 11, 23, 5, 25, 0, 500000, tzinfo=UTC),
        source="google",
    )


@pytest.mark.parametrize(
    ("posture", "fact"),
    [
        ({"devicePosture": "SECURE"}, False),
        ({"devicePosture": "SECURE", "postureDetails": []}, False),
        (
            {"devicePosture": "SECURE", "postureDetails": [{"securityRisk": "HARDWARE_BACKED_EVALUATION_FAILED"}]},
            "unknown",
        ),
        ({"devicePosture": "SECURE", "postureDetails": [{"securityRisk": "UNKNOWN_OS"}]}, "unknown"),
        ({"devicePosture": "SECURE", "postureDetails": [{"securityRisk": "RISK_OF_NEXT_YEAR"}]}, "unknown"),
        ({"devicePosture": "SECURE", "postureDetails": [{"securityRisk": "COMPROMISED_OS"}]}, True),
        ({"devicePosture": "SECURE", "postureDetails": "none"}, "unknown"),
        ({"devicePosture": "SECURE", "postureDetails": [None]}, "unknown"),
        ({"devicePosture": "AT_RISK"}, "unknown"),
        ({"devicePosture": "AT_RISK", "postureDetails": [{"securityRisk": "COMPROMISED_OS"}]}, True),
        ({"devicePosture": "POTENTIALLY_COMPROMISED"}, True),
        ({"devicePosture": "POTENTIALLY_COMPROMISED", "postureDetails": [{"securityRisk": "UNKNOWN_OS"}]}, True),
        ({"devicePosture": "POTENTIALLY_COMPROMISED", "postureDetails": 5}, True),
        ({"devicePosture": "POSTURE_UNSPECIFIED"}, "unknown"),
        ({"devicePosture": "secure"}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
        ("SECURE", "unknown"),
    ],
)
def test_secure_counts_only_without_a_risk_beside_it(posture: Any, fact: Any) -> None:
    assert android(securityPosture=posture).tampered == fact


@pytest.mark.parametrize(
    ("word", "fact"), [*android_management_facts.ENCRYPTION.items(), ("NEW", "unknown"), (None, "unknown")]
)
def test_android_encryption_by_its_word(word: Any, fact: Any) -> None:
    assert android(deviceSettings={"encryptionStatus": word}).disk_encrypted == fact


def test_the_older_field_can_only_take_encryption_away() -> None:
    assert android(deviceSettings={"encryptionStatus": "ACTIVE", "isEncrypted": False}).disk_encrypted is False
    assert android(deviceSettings={"isEncrypted": True}).disk_encrypted == "unknown"


@pytest.mark.parametrize("compliant", [True, False, None])
def test_policy_compliance_changes_no_fact(compliant: Any) -> None:
    assert android(policyCompliant=compliant) == android()


@pytest.mark.parametrize("field", ["state", "appliedState"])
@pytest.mark.parametrize(
    "state",
    [
        "DISABLED",
        "DELETED",
        "PROVISIONING",
        "LOST",
        "PREPARING_FOR_MIGRATION",
        "DEACTIVATED_BY_DEVICE_FINANCE",
        "NEW",
        None,
    ],
)
def test_of_an_android_device_that_is_not_active_only_bad_news_is_kept(field: str, state: Any) -> None:
    good = android(**{field: state})
    assert (good.disk_encrypted, good.screen_lock, good.tampered, good.patch_age_days) == (*("unknown",) * 3, None)


def test_a_personal_device_is_found_by_its_id_for_the_enterprise_and_by_no_serial_number() -> None:
    hardware = {"serialNumber": "ESID-1", "enterpriseSpecificId": "ESID-1"}
    record = android_device(1, ownership="PERSONALLY_OWNED", hardwareInfo=hardware)
    names = android_management_facts.device_report(record, OPTIONS).names
    assert dict(names) == {"udid": "ESID-1", "vendor_id": "and000001"}


@pytest.mark.parametrize("name", [None, f"{ENTERPRISE}/devices/", "devices/1", f"{ENTERPRISE}/policies/1", 1])
def test_an_android_record_without_its_name_is_refused(name: Any) -> None:
    with pytest.raises(RecordRefusedError):
        android(name=name)
