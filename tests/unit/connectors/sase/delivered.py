"""The three vendors of the delivery suites: tenants with nothing of ours, and what others and hands do in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from tests.entra_files import BREAK_GLASS, JAPAN, LEVEL_2, OFFICE
from tests.entra_files import mapping as entra_mapping
from tests.simulators import cloudflare_account, entra_tenant, zpa_customer
from tests.simulators.cloudflare_account import CloudflareAccount
from tests.simulators.entra_tenant import EntraTenant
from tests.simulators.zpa_customer import ZpaCustomer
from tests.unit.connectors.sase.cloudflare_tenant import mapping as cloudflare_mapping
from tests.unit.connectors.sase.delivering import FIRST, MORE, Files, Vendor
from tests.unit.connectors.sase.zpa_tenant import MAIL
from tests.unit.connectors.sase.zpa_tenant import mapping as zpa_mapping


def _enforces(of: str) -> list[str]:
    return sorted(FIRST if of == "first" else MORE)


# Cloudflare.


def _cloudflare_mapping(of: str) -> dict[str, Any]:
    held = cloudflare_mapping(enforces=_enforces(of))
    held["resources"] = {name: held["resources"][name] for name in ("mail", "soumu-ledger")}
    held["resources"]["mail"]["private"] = []
    return held


def _account() -> CloudflareAccount:
    mapping = _cloudflare_mapping("second")
    account = CloudflareAccount(page=7)
    for name, kept in mapping["sets"].items():
        account.connections[kept["connection"]] = {"id": kept["connection"], "type": "custom_s2s", "name": name}
        asked = {"connection_id": kept["connection"], "operator": ">", "score": 60}
        account.posture[kept["rule"]] = {
            "id": kept["rule"], "name": f"made for {name}", "type": "custom_s2s", "schedule": "1h", "input": asked,
        }  # fmt: skip
    for name, place in mapping["resources"].items():
        account.applications[place["application"]] = {
            "id": place["application"], "name": name, "type": "self_hosted", "domain": place["domain"],
            "logo_url": "https://pref.example.jp/logo.png", "policies": [],
        }  # fmt: skip
    return account


def _cloudflare_held(state: Any, exports: Sequence[Files]) -> dict[str, bytes]:
    """What Access and Gateway hold, with names in the place of the account's ids."""
    sets = {one["connection"]: one for files in exports for one in json.loads(files["sets.json"])}
    names = {one["id"]: one["name"] for one in state["policies"].values()}
    mapped = _applications()
    applications = [
        {"app_id": one["id"], "body": _bare_application(one, names)}
        for one in state["applications"].values()
        if one["policies"] and one["id"] in mapped
    ]
    linked = {link["id"] for one in applications for link in one["body"]["policies"]}
    policies = [_without(one, "id") for one in state["policies"].values() if one["name"] in linked]
    asked = {one["device_posture"]["integration_uid"] for one in _required(policies) if "device_posture" in one}
    posture = [{"rule_id": key, "body": _without(one, "id")} for key, one in state["posture"].items() if key in asked]
    gateway = [_without(one, "id") for one in state["gateway"].values() if one["name"].startswith("zt.")]
    return {
        "access-policies.json": json.dumps(policies).encode(),
        "applications.json": json.dumps(applications).encode(),
        "posture-rules.json": json.dumps(posture).encode(),
        "gateway-rules.json": json.dumps(gateway).encode(),
        "sets.json": json.dumps(list(sets.values())).encode(),
    }


@cache
def _applications() -> frozenset[str]:
    return frozenset(place["application"] for place in _cloudflare_mapping("second")["resources"].values())


def _required(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for policy in policies for one in policy.get("require", ())]


def _bare_application(one: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    links = [{"id": names[link["id"]], "precedence": link["precedence"]} for link in one["policies"]]
    return {**_without(one, "id", "logo_url", "app_launcher_visible", "tags"), "policies": links}


def _cloudflare_drifted(account: CloudflareAccount) -> None:
    """Two posture rules without an end, an allow that asks for less, and a guard that is off."""
    ours = sorted(key for key, one in account.posture.items() if one["name"].startswith("zt-"))
    for rule in ours[:2]:
        account.posture[rule].pop("expiration")
    allow = next(one for one in account.policies.values() if one["name"].startswith("zt.") and "require" in one)
    allow["require"] = allow["require"][:1]
    next(one for one in account.gateway.values() if one["name"].startswith("zt."))["enabled"] = False


def _cloudflare_foreign(account: CloudflareAccount) -> Callable[[], Any]:
    account.policies["p-other"] = {
        "id": "p-other", "name": "staff", "decision": "allow", "include": [{"everyone": {}}],
    }  # fmt: skip
    account.applications["a-other"] = {
        "id": "a-other", "name": "wiki", "type": "self_hosted", "domain": "wiki.example.com",
        "policies": [{"id": "p-other", "precedence": 1}],
    }  # fmt: skip
    account.gateway["g-other"] = {
        "id": "g-other", "name": "printers", "enabled": True, "action": "block", "filters": ["l4"],
        "traffic": "net.dst.ip in {192.0.2.0/24}", "precedence": 9,
    }  # fmt: skip
    account.posture["r-other"] = {"id": "r-other", "name": "disk", "type": "disk_encryption", "input": {}}
    return lambda: copy.deepcopy(
        [account.policies["p-other"], account.applications["a-other"], account.gateway["g-other"],
         account.posture["r-other"]]
    )  # fmt: skip


CLOUDFLARE: Final = Vendor(
    name="cloudflare",
    mapped=_cloudflare_mapping,
    tenant=_account,
    settings={"account": cloudflare_account.ACCOUNT, "token_file": "secret"},
    urls=lambda url: {"url": f"{url}/client/v4"},
    secret=cloudflare_account.TOKEN,
    held=_cloudflare_held,
    drifted=_cloudflare_drifted,
    foreign=_cloudflare_foreign,
)


# Entra.


def _entra_mapping(of: str) -> dict[str, Any]:
    held = entra_mapping(enforces=_enforces(of))
    held["applications"] = {name: held["applications"][name] for name in ("mail",)}
    return held


def _entra() -> EntraTenant:
    there = EntraTenant(page=5)
    there.locations = {
        OFFICE: {"id": OFFICE, "displayName": "office", "isTrusted": True},
        JAPAN: {"id": JAPAN, "displayName": "JP", "includeUnknownCountriesAndRegions": False},
    }
    level_3 = entra_mapping()["strengths"]["level_3"]
    there.strengths = {one: {"id": one, "displayName": one} for one in (LEVEL_2, level_3)}
    return there


def _entra_held(state: Any, exports: Sequence[Files]) -> dict[str, bytes]:
    """The policies that are enabled, each name once; they were exported as report-only."""
    enabled: dict[str, dict[str, Any]] = {}
    for one in state["policies"].values():
        if one["state"] == "enabled" and one["displayName"].startswith("ZT-"):
            name = one["displayName"] if one["displayName"] not in enabled else f"{one['displayName']} {len(enabled)}"
            enabled[name] = {**_without(one, "id"), "displayName": name, "state": "enabledForReportingButNotEnforced"}
    newest, older = (json.loads(files["sets.json"]) for files in exports)
    for part in ("devices", "groups"):
        newest[part] = {**older[part], **newest[part]}
    return {"policies.json": json.dumps(list(enabled.values())).encode(), "sets.json": json.dumps(newest).encode()}


def _entra_drifted(there: EntraTenant) -> None:
    """One policy is switched off, two leave out another group, and one is gone."""
    ours = sorted((one for one in there.policies.values()), key=lambda one: str(one["displayName"]))
    ours[0]["state"] = "disabled"
    for one in ours[1:3]:
        one["conditions"]["users"]["excludeGroups"] = [BREAK_GLASS]
    del there.policies[ours[3]["id"]]


def _entra_foreign(there: EntraTenant) -> Callable[[], Any]:
    there.policies["other"] = {
        "id": "other", "displayName": "MFA for administrators", "state": "enabled", "description": "theirs",
        "conditions": {
            "clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeRoles": ["62e90394-69f5-4237-9190-012177145e10"], "excludeGroups": [BREAK_GLASS]},
        },
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    }  # fmt: skip
    return lambda: copy.deepcopy(there.policies["other"])


ENTRA: Final = Vendor(
    name="entra",
    mapped=_entra_mapping,
    tenant=_entra,
    settings={"tenant": entra_tenant.TENANT, "client_id": "app", "client_secret_file": "secret"},
    urls=lambda url: {"graph_url": f"{url}/v1.0", "login_url": url},
    secret=entra_tenant.SECRET,
    held=_entra_held,
    drifted=_entra_drifted,
    foreign=_entra_foreign,
    systems=("mail",),  # every system has as many policies again
)


# ZPA.


def _zpa_mapping(of: str) -> dict[str, Any]:
    held = zpa_mapping(enforces=_enforces(of))
    held["resources"] = {name: held["resources"][name] for name in ("mail", "soumu-ledger")}
    return held


def _zpa_held(state: Any, exports: Sequence[Files]) -> dict[str, bytes]:
    """Our rules in the order of the policy; one that is disabled does not count."""
    del exports
    ours = [one for one in state if one["name"].startswith("zt.") and one["disabled"] == "0"]
    return {"access-rules.json": json.dumps([_without(one, "id", "disabled") for one in ours]).encode()}


def _zpa_drifted(there: ZpaCustomer) -> None:
    """An allow asks for less, one is disabled, one is gone, and the deny has one segment less."""
    ours = [one for one in there.rules if one["name"].startswith("zt.")]
    ours[0]["conditions"] = ours[0]["conditions"][:2]
    ours[1]["disabled"] = "1"
    there.rules.remove(ours[2])
    ours[-1]["conditions"][0]["operands"][0]["values"].remove(MAIL)


def _zpa_foreign(there: ZpaCustomer) -> Callable[[], Any]:
    elsewhere = [{"operator": "OR", "operands": [{"objectType": "APP", "values": ["72058304855990000"]}]}]
    for name, action, blocks in (("left staff", "DENY", []), ("printers", "ALLOW", elsewhere)):
        rule = {"id": there.new_id(), "name": name, "action": action, "operator": "AND", "disabled": "0"}
        there.rules.append({**rule, "description": "theirs", "conditions": blocks})
    return lambda: copy.deepcopy([one for one in there.rules if not one["name"].startswith("zt.")])


ZPA: Final = Vendor(
    name="zpa",
    mapped=_zpa_mapping,
    tenant=lambda: ZpaCustomer(page=9),
    settings={"customer": zpa_customer.CUSTOMER, "client_id": "app", "client_secret_file": "secret"},
    urls=lambda url: {"url": url, "login_url": url},
    secret=zpa_customer.SECRET,
    held=_zpa_held,
    drifted=_zpa_drifted,
    foreign=_zpa_foreign,
)


def _without(one: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in names}
