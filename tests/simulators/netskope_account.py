"""A Netskope tenant as far as NPA rules are in it, after the vendor's OpenAPI and its Terraform provider's notes.

Answers stand in `{"status", "data"}`; what is gone is answered 200 with `status: error`. Rules are shown with numbers as
texts, without empty lists, and with what the tenant adds by itself. Whatever is written is staged: `running` are the
rules that count, and somebody applies the changes (`apply_after` questions about the state). Limits: 4 requests in a
second, 1,000 in an hour, then 429.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.tenants import Asked, Said, Tenant

TOKEN = "ns-api-t0ken"
RULES = "/api/v2/policy/npa/rules"
STATUS = "/api/v2/policy/apply/status"
PER_SECOND = 4
PER_HOUR = 1000


@dataclass
class NetskopeAccount(Tenant):
    """`rules`: staged, in their order, as they were sent, with their ids. `forgets`: keys that an old tenant drops."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    forgets: frozenset[str] = frozenset()
    apply_after: int = 1
    broken: bool = False
    silent: bool = False  # a write is answered without the rule
    made: int = 0
    page: int = 500
    clock: Callable[[], float] = lambda: 0.0
    limited: bool = False
    _questions: int = 0
    _calls: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = {TOKEN}
        self.limit = self._beyond

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        names = {b"netskope-api-token": b"authorization"}
        headers = [(names.get(name.lower(), name), value) for name, value in scope["headers"]]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def admits(self, form: dict[str, str]) -> bool:
        return False

    def state(self) -> Any:
        return self.rules

    def refused(self, status: int) -> Any:
        return {"status": status, "result": f"refused {status}"}

    def answer(self, asked: Asked) -> Said:
        if asked.path == STATUS:
            return self._status()
        if asked.path == RULES:
            return self._add(asked.body) if asked.method == "POST" else self._listed(asked)
        identifier = asked.path.removeprefix(f"{RULES}/")
        rule = next((one for one in self.rules if one["rule_id"] == identifier), None)
        if rule is None:
            return Said(200, {"status": "error", "message": f"No rule with id '{identifier}' is found."})
        if asked.method == "PATCH":
            rule.update(self._kept(asked.body))
        elif asked.method == "DELETE":
            self.rules.remove(rule)
        return self._done(rule, asked)

    def put(self, rule: dict[str, Any]) -> dict[str, Any]:
        """A rule that stands there, written by somebody else."""
        self.made += 1
        kept = {**self._kept(rule), "rule_id": str(self.made)}
        self.rules.append(kept)
        return kept

    def _add(self, body: dict[str, Any]) -> Said:
        if any(one["rule_name"] == body["rule_name"] for one in self.rules):
            return Said(400, {"status": 400, "result": f"Rule name {body['rule_name']} already exists"})
        return self._done(self.put(body), None)

    def _done(self, rule: dict[str, Any], asked: Asked | None) -> Said:
        reads = asked is not None and not asked.writes
        return Said(
            200, {"status": "success"} if self.silent and not reads else {"status": "success", "data": shown(rule)}
        )

    def _kept(self, body: dict[str, Any]) -> dict[str, Any]:
        data = {name: value for name, value in body["rule_data"].items() if name not in self.forgets}
        rest = {name: value for name, value in body.items() if name not in ("rule_order", "rule_id")}
        return copy.deepcopy({**rest, "rule_data": data})

    def _listed(self, asked: Asked) -> Said:
        at = int(asked.params.get("offset", "0"))
        size = min(self.page, int(asked.params.get("limit", str(self.page))))
        return Said(200, {"status": "success", "data": [shown(one) for one in self.rules[at : at + size]]})

    def _status(self) -> Said:
        if self.running == self.rules:
            return Said(200, [])
        self._questions += 1
        if self.broken:
            return Said(200, [{"status": "error", "error": "deployment failed"}])
        if self._questions > self.apply_after:
            self.apply()
            return Said(200, [])
        return Said(200, [{"status": "pending"}])

    def apply(self) -> None:
        """Somebody presses Apply Changes."""
        self.running = copy.deepcopy(self.rules)
        self._questions = 0

    def _beyond(self, asked: Asked) -> Said | None:
        if not self.limited:
            return None
        now = self.clock()
        self._calls[:] = [one for one in self._calls if now - one < 3600.0]
        if len(self._calls) >= PER_HOUR or sum(now - one < 1.0 for one in self._calls) >= PER_SECOND:
            return Said(429, {"status": 429, "result": "rate limit"}, (("retry-after", "1"),))
        self._calls.append(now)
        return None


def shown(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as the API shows it."""
    data = {name: value for name, value in rule["rule_data"].items() if value != []}
    if "device_classification_id" in data:
        data["device_classification_id"] = [str(one) for one in data["device_classification_id"]]
    apps = [{"appName": one, "activities": [{"activity": "any"}]} for one in data.get("privateApps", [])]
    added = {"privateAppsWithActivities": apps, "external_dlp": False, "dlp_actions": [], "privateAppTags": []}
    return {
        **rule,
        "rule_data": {**added, **data},
        "group_id": "12",
        "modify_by": "api",
        "modify_time": "2026-11-23 06:00:00",
    }
