"""An Entra tenant as far as Conditional Access, its locations and strengths, groups and devices are in it.

By Microsoft's reference of Graph v1.0: POST 201 with the whole policy, PATCH and DELETE 204 with nothing, pages by
`@odata.nextLink`, every property shown with its null or empty list, `error` with `code` and `message`. What was written
is not shown at once (`late` lists): Entra is eventually consistent, and its list is of a replica.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.simulators.tenants import Asked, Said, Tenant

TENANT = "contoso.example"
SECRET = "s3cret-of-the-app"
ROOT = "/v1.0/"
POLICIES = "identity/conditionalAccess/policies"
LOCATIONS = "identity/conditionalAccess/namedLocations"
STRENGTHS = "identity/conditionalAccess/authenticationStrength/policies"
Held = dict[str, dict[str, Any]]


@dataclass
class EntraTenant(Tenant):
    """Objects by their id. `members`: of each group. `late`: so many lists show policies as they were before a write."""

    token_path: str = f"/{TENANT}/oauth2/v2.0/token"
    policies: Held = field(default_factory=dict)
    locations: Held = field(default_factory=dict)
    strengths: Held = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    devices: Held = field(default_factory=dict)
    users: Held = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)  # groups with a rule
    page: int = 20
    late: int = 0
    made: int = 0
    _stale: list[Any] = field(default_factory=list)

    def admits(self, form: dict[str, str]) -> bool:
        return form.get("client_id") == "app" and form.get("client_secret") == SECRET and "scope" in form

    def state(self) -> Any:
        return {"policies": self.policies, "members": self.members, "devices": self.devices}

    def refused(self, status: int) -> Any:
        code = {401: "InvalidAuthenticationToken", 429: "TooManyRequests", 404: "ResourceNotFound"}.get(status, "Fault")
        return {"error": {"code": code, "message": "refused", "innerError": {"request-id": "…"}}}

    def answer(self, asked: Asked) -> Said:
        path = asked.path.removeprefix(ROOT)
        for kind, held in ((POLICIES, self.policies), (LOCATIONS, self.locations), (STRENGTHS, self.strengths)):
            if path == kind or path.startswith(f"{kind}/"):
                return self._object(asked, kind, held, path.removeprefix(kind).lstrip("/"))
        first, identifier, *rest = [*path.split("/"), ""]
        if first == "groups" and identifier in self.members:
            return self._group(asked, identifier, [part for part in rest if part])
        if path == "users" and asked.method == "GET":
            return self._page(asked, list(self.users.values()))
        if first == "devices":
            return self._device(asked, identifier)
        return Said(404, self.refused(404))

    def _object(self, asked: Asked, kind: str, held: Held, identifier: str) -> Said:
        if asked.method == "GET":
            seen = self._seen(held) if kind == POLICIES else held
            if not identifier:
                return self._page(asked, [_whole(one) if kind == POLICIES else one for one in seen.values()])
            one = seen.get(identifier)
            return Said(404, self.refused(404)) if one is None else Said(200, _whole(one))
        if kind != POLICIES:
            return Said(403, self.refused(403))
        return self._write(asked, identifier)

    def _seen(self, held: Held) -> Held:
        """What a replica shows."""
        if self._stale:
            shown: Held = self._stale.pop(0)
            return shown
        return held

    def _write(self, asked: Asked, identifier: str) -> Said:
        before = copy.deepcopy(self.policies) if self.late else {}
        if asked.method == "POST" and not identifier:
            if fault := self._unfit(asked.body):
                return Said(400, {"error": {"code": "BadRequest", "message": fault}})
            self.made += 1
            identifier = str(uuid.UUID(int=0xE0_0000_0000 + self.made))
            self.policies[identifier] = {"id": identifier, **asked.body}
            said = Said(201, _whole(self.policies[identifier]))
        elif identifier not in self.policies:
            return Said(404, self.refused(404))
        elif asked.method == "PATCH":
            self.policies[identifier] = {**self.policies[identifier], **asked.body}
            said = Said(204)
        else:
            del self.policies[identifier]
            said = Said(204)
        self._stale = [before] * self.late
        return said

    def _unfit(self, body: dict[str, Any]) -> str:
        known = {*self.locations, "All", "AllTrusted"}
        named = body["conditions"].get("locations") or {}
        if not {*named.get("includeLocations", ()), *named.get("excludeLocations", ())} <= known:
            return "1034: an unknown location"
        strength = body["grantControls"].get("authenticationStrength")
        if strength is not None and strength["id"] not in self.strengths:
            return "1047: an unknown authentication strength"
        return "1010: too many policies" if len(self.policies) >= 195 else ""

    def _group(self, asked: Asked, identifier: str, rest: list[str]) -> Said:
        held = self.members[identifier]
        if asked.method == "GET" and rest == ["members"]:
            return self._page(asked, [{"id": one} for one in held])
        if asked.method == "GET" and not rest:
            kinds = ["DynamicMembership"] if identifier in self.dynamic else []
            return Said(200, {"id": identifier, "securityEnabled": True, "groupTypes": kinds})
        if asked.method == "PATCH" and not rest:
            new = [one.rpartition("/")[2] for one in asked.body["members@odata.bind"]]
            if len(new) > 20 or set(new) & set(held):
                return Said(400, {"error": {"code": "Request_BadRequest", "message": "references already exist"}})
            held += new
            return Said(204)
        if asked.method == "DELETE" and len(rest) == 3 and rest[1] in held:
            held.remove(rest[1])
            return Said(204)
        return Said(404, self.refused(404))

    def _device(self, asked: Asked, identifier: str) -> Said:
        if asked.method == "GET" and not identifier:
            return self._page(asked, list(self.devices.values()))
        if asked.method == "PATCH" and identifier in self.devices:
            attributes = {**self.devices[identifier]["extensionAttributes"], **asked.body["extensionAttributes"]}
            self.devices[identifier] = {**self.devices[identifier], "extensionAttributes": attributes}
            return Said(204)
        return Said(404, self.refused(404))

    def _page(self, asked: Asked, rows: list[dict[str, Any]]) -> Said:
        first = int(asked.params.get("$skiptoken", "0"))
        size = min(self.page, int(asked.params.get("$top", self.page)))
        document: dict[str, Any] = {"@odata.context": "…", "value": rows[first : first + size]}
        if first + size < len(rows):
            document["@odata.nextLink"] = f"{self.base_url}{asked.path}?$skiptoken={first + size}"
        return Said(200, document)


def _whole(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy as Graph shows it: what was not said stands there as null or as an empty list."""
    if "conditions" not in policy:
        return policy  # a location or a strength
    conditions, shown = dict(policy["conditions"]), dict(policy)
    for name in ("signInRiskLevels", "userRiskLevels", "servicePrincipalRiskLevels"):
        conditions.setdefault(name, [])
    for name in ("platforms", "locations", "devices", "clientApplications", "insiderRiskLevels", "authenticationFlows"):
        conditions.setdefault(name, None)
    if conditions["devices"] is not None:
        conditions["devices"] = {"includeDevices": [], "excludeDevices": [], **conditions["devices"]}
    empty = {"excludeApplications": [], "includeUserActions": [], "includeAuthenticationContextClassReferences": []}
    conditions["applications"] = {**empty, "applicationFilter": None, **conditions["applications"]}
    people = {f"{way}{who}": [] for way in ("include", "exclude") for who in ("Users", "Groups", "Roles")} | {
        f"{way}GuestsOrExternalUsers": None for way in ("include", "exclude")
    }
    conditions["users"] = {**people, **conditions["users"]}
    grant = shown["grantControls"]
    strength = grant.get("authenticationStrength")
    if strength is not None:
        strength = {"displayName": "…", "policyType": "custom", "allowedCombinations": ["fido2"], **strength}
    shown["grantControls"] = {
        "customAuthenticationFactors": [],
        "termsOfUse": [],
        **grant,
        "authenticationStrength": strength,
        "authenticationStrength@odata.context": "…",
    }
    return {"templateId": None, "createdDateTime": "2026-11-23T07:00:00Z", "modifiedDateTime": None,
            "sessionControls": None, **shown, "conditions": conditions}  # fmt: skip
