"""A ZPA customer as far as the access policy is in it, after the recordings in the vendor's SDK.

Rules are sent in the shape of v2 (`values`, `entryValues`) and shown in that of v1 (one operand for each value, `lhs`
and `rhs`, ids and times everywhere); a new rule stands last; PUT, DELETE and `reorder` answer 204 with nothing; totals
are text. The limits are those of the vendor's page: 20 GET and 10 other calls in ten seconds, then 429 with
`retry-after: 13s`. One name for one rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.tenants import Asked, Said, Tenant

CUSTOMER = "216196257331281920"
SET = "216196257331281925"
SECRET = "zpa-s3cret"
V1 = f"/zpa/mgmtconfig/v1/admin/customers/{CUSTOMER}"
V2 = f"/zpa/mgmtconfig/v2/admin/customers/{CUSTOMER}"
WINDOW_S = 10.0
READS = 20
WRITES = 10


@dataclass
class ZpaCustomer(Tenant):
    """`rules` in their order, each in the shape in which it was sent, with its id. `checks`: posture profiles."""

    token_path: str = "/oauth2/v1/token"
    rules: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    page: int = 20
    made: int = 0
    clock: Callable[[], float] = lambda: 0.0
    limited: bool = False
    turned_away: int = 0  # calls beyond the limits
    calls: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})

    def __post_init__(self) -> None:
        self.limit = self._beyond

    def admits(self, form: dict[str, str]) -> bool:
        return form.get("client_id") == "app" and form.get("client_secret") == SECRET

    def state(self) -> Any:
        return self.rules

    def refused(self, status: int) -> Any:
        return {"id": "fault", "reason": f"refused {status}"}

    def listed(self) -> list[dict[str, Any]]:
        """All rules as they are shown."""
        return [_flat(one, at) for at, one in enumerate(self.rules, 1)]

    def new_id(self) -> str:
        self.made += 1
        return str(216196257331394000 + self.made)

    def answer(self, asked: Asked) -> Said:
        rest = f"/policySet/{SET}/"
        if asked.method == "GET":
            return self._shown(asked)
        if asked.method == "POST" and asked.path == f"{V2}{rest}rule":
            return self._add(asked.body)
        if asked.method == "PUT" and asked.path == f"{V1}{rest}reorder":
            return self._reorder(asked.body)
        version = V2 if asked.method == "PUT" else V1
        identifier = asked.path.removeprefix(f"{version}{rest}rule/")
        at = next((n for n, one in enumerate(self.rules) if one["id"] == identifier), None)
        if at is None:
            return Said(404, {"id": "resource.not.found", "reason": "Resource not found"})
        if asked.method == "PUT":
            self.rules[at] = {"disabled": "0", **asked.body, "id": identifier}
        else:
            del self.rules[at]
        return Said(204)

    def _shown(self, asked: Asked) -> Said:
        if asked.path == f"{V1}/policySet/policyType/ACCESS_POLICY":
            return Said(200, {"id": SET, "name": "Global_Policy", "policyType": "1", "sorted": True})
        rows: list[dict[str, Any]]
        if asked.path == f"{V1}/policySet/rules/policyType/ACCESS_POLICY":
            rows = self.listed()
        elif asked.path == f"{V2}/posture":
            rows = self.checks
        else:
            return Said(404, self.refused(404))
        size = min(self.page, int(asked.params.get("pagesize", self.page)))
        at = int(asked.params.get("page", "1"))
        pages = max(1, -(-len(rows) // size))
        part = rows[(at - 1) * size : at * size]
        return Said(200, {"totalPages": str(pages), "totalCount": str(len(rows)), "list": part})

    def _add(self, body: dict[str, Any]) -> Said:
        if any(one["name"] == body["name"] for one in self.rules):
            return Said(400, {"id": "duplicate.name", "reason": "A rule with this name exists"})
        rule = {"disabled": "0", **body, "id": self.new_id()}
        self.rules.append(rule)
        return Said(201, _flat(rule, len(self.rules)))

    def _reorder(self, body: list[str]) -> Said:
        by_id = {one["id"]: one for one in self.rules}
        if sorted(body) != sorted(by_id):
            return Said(400, {"id": "invalid.order", "reason": "not all rules of the policy"})
        self.rules[:] = [by_id[one] for one in body]
        return Said(204)

    def _beyond(self, asked: Asked) -> Said | None:
        if not self.limited:
            return None
        now, calls = self.clock(), self.calls[asked.writes]
        calls[:] = [one for one in calls if now - one < WINDOW_S]
        if len(calls) >= (WRITES if asked.writes else READS):
            self.turned_away += 1
            return Said(429, {"id": "too.many.requests"}, (("retry-after", "13s"),))
        calls.append(now)
        return None


def _flat(rule: dict[str, Any], order: int) -> dict[str, Any]:
    """A rule as it is shown: every value an operand of its own."""
    conditions = [
        {
            "id": f"4163{order}{at}",
            "operator": block["operator"],
            "negated": False,
            "operands": [shown for operand in block["operands"] for shown in _operands(operand)],
            "ruleGid": rule["id"],
        }
        for at, block in enumerate(rule.get("conditions", []))
    ]
    whole = {**rule, "ruleOrder": str(order), "priority": "1", "policyType": "1", "policySetId": SET,
             "modifiedTime": "1764191861", "creationTime": "1764191861", "modifiedBy": "216196257331372705",
             "extranetEnabled": False, "devicePostureFailureNotificationEnabled": False, "defaultRule": False,
             "readOnly": False, "zscalerManaged": rule.get("zscalerManaged", False)}  # fmt: skip
    return {**whole, "conditions": conditions} if conditions else whole


def _operands(operand: dict[str, Any]) -> list[dict[str, Any]]:
    kind = operand["objectType"]
    pairs = [("id", one) for one in operand.get("values", [])]
    pairs += [(one["lhs"], one["rhs"]) for one in operand.get("entryValues", [])]
    return [{"id": "41632549", "objectType": kind, "lhs": left, "rhs": right, "name": "…"} for left, right in pairs]
