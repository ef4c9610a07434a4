"""Microsoft Graph as far as Intune's managed devices are in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.simulators.vendor import Request, Simulator

TENANT = "contoso.example"
SECRET = "s3cret-of-the-app"


def managed_device(number: int, **other: Any) -> dict[str, Any]:
    """A healthy Windows terminal, with the properties of the vendor's schema that a list shows."""
    return {
        "id": f"00000000-1111-2222-3333-{number:012d}",
        "azureADDeviceId": f"AAAAAAAA-1111-2222-3333-{number:012d}",
        "serialNumber": f"SN{number:06d}",
        "udid": None,
        "deviceName": f"PC-{number:05d}",
        "operatingSystem": "Windows",
        "osVersion": "10.0.22631.4460",
        "androidSecurityPatchLevel": None,
        "lastSyncDateTime": "2026-11-23T05:30:00.1234567Z",
        "managementState": "managed",
        "isEncrypted": True,
        "jailBroken": "Unknown",
        "partnerReportedThreatState": "secured",
        "deviceHealthAttestationState": {
            "issuedDateTime": "2026-11-22T00:00:00Z",
            "bitLockerStatus": "enabled",
            "secureBoot": "enabled",
            "codeIntegrity": "enabled",
            "testSigning": "disabled",
            "bootDebugging": "disabled",
            "operatingSystemKernelDebugging": "disabled",
        },
        **other,
    }


def protection_state(**other: Any) -> dict[str, Any]:
    return {
        "lastReportedDateTime": "2026-11-23T04:00:00Z",
        "malwareProtectionEnabled": True,
        "realTimeProtectionEnabled": True,
        "signatureUpdateOverdue": False,
        "deviceState": "clean",
        "productStatus": "noStatusFlagsSet",
        **other,
    }


@dataclass
class Graph(Simulator):
    devices: list[dict[str, Any]] = field(default_factory=list)
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id; those that are absent answer 404
    policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    batch_faults: list[dict[str, Any]] = field(default_factory=list)  # answers in the place of the next batch items
    page: int = 1000
    token_path: str = f"/{TENANT}/oauth2/v2.0/token"

    def admits(self, form: dict[str, str]) -> bool:
        return form.get("client_id") == "app" and form.get("client_secret") == SECRET and "scope" in form

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path == "/v1.0/$batch":
            return 200, {"responses": [self._one(item) for item in json.loads(request.body)["requests"]]}
        if request.path == "/v1.0/deviceManagement/managedDevices":
            return 200, self._list(request)
        return 404, {"error": {"code": "NotFound"}}

    def _list(self, request: Request) -> dict[str, Any]:
        rows = self.devices
        if condition := request.param("$filter"):
            name, operator, bound = condition.split(" ")
            assert (name, operator) == ("lastSyncDateTime", "gt"), "the schema names only lt and gt"
            rows = [row for row in rows if row["lastSyncDateTime"] > bound]
        selected = set(request.param("$select").split(","))
        first = int(request.param("$skiptoken", "0"))
        size = min(self.page, int(request.param("$top", "1000")))
        shown = [{name: value for name, value in row.items() if name in selected} for row in rows[first : first + size]]
        document: dict[str, Any] = {"@odata.context": "…", "@odata.count": len(shown), "value": shown}
        if first + size < len(rows):
            params = dict(request.params) | {"$skiptoken": str(first + size)}
            document["@odata.nextLink"] = f"{self.base_url}{request.path}?{urlencode(params)}"
        return document

    def _one(self, item: dict[str, str]) -> dict[str, Any]:
        assert item["method"] == "GET"
        if self.batch_faults:
            return {"id": item["id"], **self.batch_faults.pop(0)}
        *_, identifier, resource = urlsplit(item["url"]).path.split("/")
        if resource == "windowsProtectionState" and identifier in self.protection:
            return {"id": item["id"], "status": 200, "body": self.protection[identifier]}
        if resource == "deviceCompliancePolicyStates":
            return {"id": item["id"], "status": 200, "body": {"value": self.policies.get(identifier, [])}}
        return {"id": item["id"], "status": 404, "body": {"error": {"code": "ResourceNotFound"}}}
