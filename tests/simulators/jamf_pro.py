"""Jamf Pro's API as far as the inventory is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.vendor import Request, Simulator

SECRET = "s3cret-of-jamf"
_CONDITION = re.compile(r'([A-Za-z.]+)>="([^"]+)"')


def computer(number: int, **other: Any) -> dict[str, Any]:
    """A healthy Mac."""
    return {
        "id": str(number),
        "udid": f"5C3A0000-0000-0000-0000-{number:012d}",
        "general": {
            "name": f"Mac-{number}",
            "assetTag": f"A-{number:05d}",
            "reportDate": "2026-11-23T05:00:00.123Z",
            "lastContactTime": "2026-11-23T05:55:00Z",
            "remoteManagement": {"managed": True},
        },
        "hardware": {"serialNumber": f"C02{number:07d}"},
        "operatingSystem": {"version": "15.1", "fileVault2Status": "ALL_ENCRYPTED"},
        "diskEncryption": {
            "bootPartitionEncryptionDetails": {"partitionFileVault2State": "ENCRYPTED"},
            "individualRecoveryKeyValidityStatus": "VALID",
        },
        "security": {
            "sipStatus": "ENABLED",
            "gatekeeperStatus": "APP_STORE_AND_IDENTIFIED_DEVELOPERS",
            "secureBootLevel": "FULL_SECURITY",
            "externalBootLevel": "DISALLOW_BOOTING_FROM_EXTERNAL_MEDIA",
            "firewallEnabled": True,
        },
        "extensionAttributes": [],
        **other,
    }


def mobile_device(number: int, **other: Any) -> dict[str, Any]:
    return {
        "mobileDeviceId": str(number),
        "deviceType": "iOS",
        "general": {
            "udid": f"0000-{number:012d}",
            "displayName": f"iPhone-{number}",
            "managed": True,
            "osVersion": "18.1",
            "lastInventoryUpdateDate": "2026-11-23T05:10:00Z",
        },
        "hardware": {"serialNumber": f"F2L{number:07d}"},
        "security": {
            "dataProtected": True,
            "passcodePresent": True,
            "passcodeCompliant": True,
            "passcodeCompliantWithProfile": True,
            "jailBreakDetected": False,
        },
        **other,
    }


_SECTIONS = {
    "GENERAL": "general",
    "HARDWARE": "hardware",
    "OPERATING_SYSTEM": "operatingSystem",
    "DISK_ENCRYPTION": "diskEncryption",
    "SECURITY": "security",
    "EXTENSION_ATTRIBUTES": "extensionAttributes",
}


@dataclass
class JamfPro(Simulator):
    computers: list[dict[str, Any]] = field(default_factory=list)
    mobiles: list[dict[str, Any]] = field(default_factory=list)
    token_path: str = "/api/v1/oauth/token"

    def admits(self, form: dict[str, str]) -> bool:
        return form.get("client_id") == "app" and form.get("client_secret") == SECRET

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path == "/api/v3/computers-inventory":
            return 200, _page(request, self.computers, ("id", "udid"), ("general", "reportDate"))
        if request.path == "/api/v2/mobile-devices/detail":
            kept = ("mobileDeviceId", "deviceType")
            return 200, _page(request, self.mobiles, kept, ("general", "lastInventoryUpdateDate"))
        return 404, {"httpStatus": 404, "errors": []}


def _page(
    request: Request, rows: list[dict[str, Any]], kept: tuple[str, ...], changed: tuple[str, str]
) -> dict[str, Any]:
    if condition := request.param("filter"):
        found = _CONDITION.fullmatch(condition)
        assert found is not None and found[1].endswith(changed[1])
        rows = [row for row in rows if row[changed[0]][changed[1]] >= found[2]]
    names = {*kept, *(_SECTIONS[section] for section in request.all("section"))}
    size, number = int(request.param("page-size", "100")), int(request.param("page", "0"))
    shown = [
        {name: value for name, value in row.items() if name in names}
        for row in rows[number * size : (number + 1) * size]
    ]
    return {"totalCount": len(rows), "results": shown}
