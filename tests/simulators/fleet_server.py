"""A Fleet server as far as hosts are in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulators.vendor import Request, Simulator

TOKEN = "fleet-api-only-token"


def host(number: int, **other: Any) -> dict[str, Any]:
    """A healthy host, as the vendor's sample has it."""
    return {
        "id": number,
        "uuid": f"309a4b7d-0000-0000-8e7f-{number:012d}",
        "hostname": f"host-{number}",
        "hardware_serial": f"HW{number:06d}",
        "platform": "windows",
        "os_version": "Windows 11 Enterprise 23H2",
        "detail_updated_at": "2026-11-23T05:07:53Z",
        "policy_updated_at": "2026-11-23T05:09:00Z",
        "seen_time": "2026-11-23T05:59:58Z",
        "disk_encryption_enabled": True,
        "status": "online",
        "policies": [
            {"id": 1, "name": "EDR runs", "response": "pass", "critical": False},
            {"id": 2, "name": "Screen locks", "response": "pass", "critical": False},
            {"id": 3, "name": "Boot is intact", "response": "pass", "critical": False},
        ],
        "issues": {"failing_policies_count": 0, "total_issues_count": 0},
        **other,
    }


@dataclass
class FleetServer(Simulator):
    hosts: list[dict[str, Any]] = field(default_factory=list)
    counted: int | None = None  # what the server says instead of the truth

    def __post_init__(self) -> None:
        self._tokens.add(TOKEN)

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path == "/api/v1/fleet/hosts/count":
            return 200, {"count": len(self.hosts) if self.counted is None else self.counted}
        if request.path != "/api/v1/fleet/hosts":
            return 404, {"message": "Resource Not Found"}
        column, size = request.param("order_key"), int(request.param("per_page", "100"))
        rows = sorted(self.hosts, key=lambda row: row[column], reverse=request.param("order_direction") == "desc")
        if after := request.param("after"):
            rows = [row for row in rows if row[column] > type(row[column])(after)]
        first = int(request.param("page", "0")) * size
        shown = rows[first : first + size]
        if request.param("populate_policies") != "true":
            shown = [{name: value for name, value in row.items() if name != "policies"} for row in shown]
        return 200, {"hosts": shown}
