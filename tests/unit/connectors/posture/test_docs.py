"""The page of facts names every field that is read, and every kind has its way through the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import registry
from connectors.posture import intune_facts
from tests.simulators.worlds import world

DOCS = Path(__file__).resolve().parents[4] / "docs"
CLOUDS = ("intune", "jamf", "fleet", "google", "android_management")
READ_ELSEWHERE = [
    "partnerReportedThreatState",
    "settingStates",
    "partitionFileVault2State",
    "fileVault2Status",
    "firewallEnabled",
    "sipStatus",
    "secureBootLevel",
    "gatekeeperStatus",
    "reportDate",
    "assetTag",
    "dataProtected",
    "passcodePresent",
    "passcodeCompliant",
    "passcodeCompliantWithProfile",
    "jailBreakDetected",
    "lastInventoryUpdateDate",
    "disk_encryption_enabled",
    "policy_updated_at",
    "detail_updated_at",
    "os_version",
    "hardware_serial",
    "uuid",
    "encryptionState",
    "passwordState",
    "compromisedState",
    "verifiedBoot",
    "ctsProfileMatch",
    "is_os_native_firewall_enabled",
    "securityPatchTime",
    "healthScore",
    "complianceState",
    "lastUpdateTime",
    "lastSyncTime",
    "managementState",
    "devicePosture",
    "securityRisk",
    "encryptionStatus",
    "isEncrypted",
    "isDeviceSecure",
    "securityPatchLevel",
    "lastStatusReportTime",
    "appliedState",
    "enterpriseSpecificId",
    "ownership",
]


@pytest.mark.parametrize(
    "field",
    sorted(
        {
            *intune_facts.DEVICE_FIELDS,
            *intune_facts.PROTECTION_FIELDS,
            *intune_facts.ATTESTATION_FIELDS,
            *READ_ELSEWHERE,
        }
        - {"deviceHealthAttestationState"}
    ),
)
def test_the_page_of_facts_names_every_field_that_a_mapping_reads(field: str) -> None:
    page = (DOCS / "posture-facts.md").read_text(encoding="utf-8")
    assert any(field in part.split(".")[-1] for part in page.split("`")[1::2])


@pytest.mark.parametrize("kind", CLOUDS)
def test_every_cloud_has_its_section_with_an_example(kind: str) -> None:
    page = (DOCS / "connectors.md").read_text(encoding="utf-8")
    assert f'kind = "{kind}"' in page


@pytest.mark.parametrize("kind", CLOUDS)
def test_the_registry_makes_every_cloud_from_its_settings(kind: str) -> None:
    with world(kind) as made:
        setup = made.connector()._setup  # type: ignore[attr-defined]
    connector = registry.make(kind, setup)
    assert registry.brings(kind) == "posture"
    assert connector.name == kind
