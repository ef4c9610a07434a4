"""A Cloudflare account as far as Access, Gateway and posture rules are in it, by the vendor's API documents.

Envelope `{success, errors, messages, result, result_info}`; `page` and `per_page` for Access, single pages for posture
and Gateway rules; reusable policies get their id from the account; PUT replaces the whole object. Stricter than the
vendor says it is in two things, so that nobody leans on them: a policy that an application has cannot be deleted, and
two Gateway rules cannot have one precedence.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.tenants import Asked, Said, Tenant

ACCOUNT = "699d98642c564d2e855e9661899b7252"
TOKEN = "cf-t0ken-of-the-account"
ROOT = f"/client/v4/accounts/{ACCOUNT}"
Held = dict[str, dict[str, Any]]


@dataclass
class CloudflareAccount(Tenant):
    """Objects by their id. `lists` and `connections` are only read."""

    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    policies: Held = field(default_factory=dict)
    applications: Held = field(default_factory=dict)
    posture: Held = field(default_factory=dict)
    gateway: Held = field(default_factory=dict)
    lists: Held = field(default_factory=dict)
    connections: Held = field(default_factory=dict)
    page: int = 25
    made: int = 0

    def state(self) -> Any:
        return {
            "policies": self.policies,
            "applications": self.applications,
            "posture": self.posture,
            "gateway": self.gateway,
        }

    def refused(self, status: int) -> Any:
        code = 10000 if status in (401, 403) else 10001
        return {"success": False, "errors": [{"code": code, "message": "refused"}], "messages": [], "result": None}

    def new_id(self) -> str:
        self.made += 1
        return str(uuid.UUID(int=0xC10D_0000_0000 + self.made))

    def answer(self, asked: Asked) -> Said:
        if not asked.path.startswith(ROOT + "/"):
            return self._missing()
        kind, _, identifier = self._kind(asked.path.removeprefix(ROOT + "/"))
        held: dict[str, Held] = {
            "access/policies": self.policies,
            "access/apps": self.applications,
            "devices/posture": self.posture,
            "gateway/rules": self.gateway,
            "gateway/lists": self.lists,
            "devices/posture/integration": self.connections,
        }
        if kind not in held:
            return self._missing()
        if asked.method == "GET" and not identifier:
            return self._page(asked, kind, list(held[kind].values()))
        if asked.method == "GET":
            one = held[kind].get(identifier)
            return self._missing() if one is None else _ok(self._shown(kind, one))
        if kind in ("gateway/lists", "devices/posture/integration"):
            return self._wrong("these are not written here")
        return self._write(asked, kind, held[kind], identifier)

    @staticmethod
    def _kind(path: str) -> tuple[str, str, str]:
        for kind in ("devices/posture/integration", "devices/posture"):
            if path == kind or path.startswith(f"{kind}/"):
                return kind, "/", path.removeprefix(kind).lstrip("/")
        first, second, *rest = [*path.split("/"), "", ""]
        return f"{first}/{second}", "/", rest[0]

    def _page(self, asked: Asked, kind: str, rows: list[dict[str, Any]]) -> Said:
        shown = [self._shown(kind, one) for one in rows]
        if not kind.startswith("access/"):
            return _ok(shown, {"page": 1, "per_page": len(shown), "count": len(shown), "total_count": len(shown)})
        size = min(int(asked.params.get("per_page", self.page)), self.page)
        at = int(asked.params.get("page", "1"))
        part = shown[(at - 1) * size : at * size]
        pages = max(1, -(-len(shown) // size))
        info = {"page": at, "per_page": size, "count": len(part), "total_count": len(shown), "total_pages": pages}
        return _ok(part, info)

    def _shown(self, kind: str, one: dict[str, Any]) -> dict[str, Any]:
        """With what the account adds: defaults, times, the policies of an application written out."""
        if kind == "access/policies":
            used = sum(
                1 for app in self.applications.values() if any(link["id"] == one["id"] for link in app["policies"])
            )
            return {"exclude": [], "require": [], **one, **_TIMES, "app_count": used, "reusable": True}
        if kind == "access/apps":
            links = [
                {**self._shown("access/policies", self.policies[link["id"]]), "precedence": link["precedence"]}
                for link in one["policies"]
            ]
            whole = {"app_launcher_visible": True, "tags": [], "aud": "0" * 64, **one, **_TIMES, "uid": one["id"]}
            return {
                **whole,
                "policies": links,
                "self_hosted_domains": one.get("self_hosted_domains", [one["domain"]]),
                "destinations": one.get("destinations", [{"type": "public", "uri": one["domain"]}]),
            }
        if kind == "gateway/rules":
            return {"identity": "", "device_posture": "", "schedule": None, **one, **_TIMES, "version": 1}
        if kind == "devices/posture":
            return {"enabled": True, "match": [], **one}
        return one

    def _write(self, asked: Asked, kind: str, held: Held, identifier: str) -> Said:
        if asked.method == "POST" and not identifier:
            identifier = self.new_id()
        elif identifier not in held or asked.method not in ("PUT", "DELETE"):
            return self._missing()
        elif asked.method == "DELETE":
            return self._delete(kind, held, identifier)
        body = dict(asked.body)
        if wrong := self._unfit(kind, body, identifier):
            return self._wrong(wrong)
        held[identifier] = {**body, "id": identifier}
        return Said(201 if asked.method == "POST" else 200, _ok(self._shown(kind, held[identifier])).document)

    def _unfit(self, kind: str, body: dict[str, Any], identifier: str) -> str:
        if kind == "access/policies" and (not body.get("include") or body.get("decision") not in _DECISIONS):
            return "access.api.error.invalid_request"
        if kind == "access/apps":
            order = [link["precedence"] for link in body.get("policies", [])]
            if any(link["id"] not in self.policies for link in body["policies"]) or len(set(order)) < len(order):
                return "access.api.error.policy_not_found"
        if kind == "gateway/rules" and any(
            one["precedence"] == body["precedence"] and one["id"] != identifier for one in self.gateway.values()
        ):
            return "precedence is taken"
        if kind == "devices/posture" and body["input"].get("connection_id", "") not in {*self.connections, ""}:
            return "no such connection"
        return ""

    def _delete(self, kind: str, held: Held, identifier: str) -> Said:
        linked = any(link["id"] == identifier for app in self.applications.values() for link in app["policies"])
        if kind == "access/policies" and linked:
            return self._wrong("access.api.error.policy_in_use")
        del held[identifier]
        return Said(202, _ok({"id": identifier}).document)

    def _missing(self) -> Said:
        return Said(404, self.refused(404))

    def _wrong(self, message: str) -> Said:
        fault = {"success": False, "errors": [{"code": 12130, "message": message}], "messages": [], "result": None}
        return Said(400, fault)


_DECISIONS = ("allow", "deny", "non_identity", "bypass")
_TIMES = {"created_at": "2026-11-23T07:00:00Z", "updated_at": "2026-11-23T07:00:00Z"}


def _ok(result: Any, info: dict[str, int] | None = None) -> Said:
    document = {"success": True, "errors": [], "messages": [], "result": result}
    return Said(200, document if info is None else {**document, "result_info": info})
