"""Google's Cloud Identity and Android Management APIs as far as devices are in them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.vendor import Request, Simulator

ADMINISTRATOR = "admin@pref.example"
ENTERPRISE = "enterprises/LC00abcdef"
PARTNER = "abcd1234-edr"


def cloud_device(number: int, **other: Any) -> dict[str, Any]:
    """A healthy Android phone."""
    return {
        "name": f"devices/dev{number:06d}",
        "deviceId": f"EF{number:06d}",
        "serialNumber": f"HT{number:06d}",
        "ownerType": "COMPANY",
        "deviceType": "ANDROID",
        "osVersion": "Android 15",
        "lastSyncTime": "2026-11-23T05:20:00.123456789Z",
        "securityPatchTime": "2026-11-01T00:00:00Z",
        "encryptionState": "ENCRYPTED",
        "managementState": "APPROVED",
        "compromisedState": "UNCOMPROMISED",
        "androidSpecificAttributes": {"ctsProfileMatch": True, "verifiedBoot": True},
        **other,
    }


def device_user(device: int, user: int = 1, **other: Any) -> dict[str, Any]:
    return {"name": f"devices/dev{device:06d}/deviceUsers/u{user}", "passwordState": "PASSWORD_SET", **other}


def client_state(device: int, user: int = 1, partner: str = PARTNER, **other: Any) -> dict[str, Any]:
    return {
        "name": f"devices/dev{device:06d}/deviceUsers/u{user}/clientState/{partner}",
        "complianceState": "COMPLIANT",
        "healthScore": "VERY_GOOD",
        "managed": "MANAGED",
        "lastUpdateTime": "2026-11-23T05:00:00Z",
        **other,
    }


def android_device(number: int, **other: Any) -> dict[str, Any]:
    return {
        "name": f"{ENTERPRISE}/devices/and{number:06d}",
        "state": "ACTIVE",
        "appliedState": "ACTIVE",
        "ownership": "COMPANY_OWNED",
        "managementMode": "DEVICE_OWNER",
        "policyCompliant": True,
        "lastStatusReportTime": "2026-11-23T05:25:00.5Z",
        "hardwareInfo": {"serialNumber": f"AND{number:06d}"},
        "softwareInfo": {"androidVersion": "15", "securityPatchLevel": "2026-11-05"},
        "deviceSettings": {"isDeviceSecure": True, "encryptionStatus": "ACTIVE_PER_USER", "isEncrypted": True},
        "securityPosture": {"devicePosture": "SECURE"},
        **other,
    }


@dataclass
class _Google(Simulator):
    subject: str | None = None  # whom the assertion has to act for
    page_size: int = 100

    def admits(self, form: dict[str, str]) -> bool:
        """The claims only: the signature is Authlib's, and tested there and with the real key in test_grants."""
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return False
        part = form["assertion"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims.get("sub") == self.subject and claims["aud"] == self.base_url + self.token_path

    def _paged(self, request: Request, name: str, rows: list[dict[str, Any]], most: int) -> dict[str, Any]:
        size = min(most, int(request.param("pageSize", str(most))))
        first = int(request.param("pageToken", "p0")[1:])
        document: dict[str, Any] = {name: rows[first : first + size]} if rows[first : first + size] else {}
        if first + size < len(rows):
            document["nextPageToken"] = f"p{first + size}"
        return document


@dataclass
class CloudIdentity(_Google):
    devices: list[dict[str, Any]] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    keeps_order: bool = True
    subject: str | None = ADMINISTRATOR

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        assert request.param("customer") == "customers/my_customer"
        parts = request.path.removeprefix("/v1/").split("/")
        if parts == ["devices"]:
            rows = self.devices
            if request.param("orderBy") == "last_sync_time desc" and self.keeps_order:
                rows = sorted(rows, key=lambda row: row["lastSyncTime"], reverse=True)
            return 200, self._paged(request, "devices", rows, self.page_size)
        if len(parts) == 3 and parts[2] == "deviceUsers":
            rows = [row for row in self.users if parts[1] in ("-", row["name"].split("/")[1])]
            return 200, self._paged(request, "deviceUsers", rows, min(20, self.page_size))
        if parts == ["devices", "-", "deviceUsers", "-", "clientStates"]:
            return 200, self._paged(request, "clientStates", self.states, self.page_size)
        return 404, {"error": {"code": 404}}


@dataclass
class AndroidManagement(_Google):
    devices: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path != f"/v1/{ENTERPRISE}/devices":
            return 404, {"error": {"code": 404}}
        return 200, self._paged(request, "devices", self.devices, self.page_size)
