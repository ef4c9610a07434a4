"""Mappings of invented tenants: every system, group and set of a rule model, with ids that nobody has.

What an administrator begins with (`pdp export example`): each id is replaced by the tenant's own, each system that is
not reached through the product goes into `leave`. The demonstration prefecture is exported with them as they stand.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.netskope_labels import joined, label_of, meaning_of
from pdp.errors import SettingsError
from pdp.model.rules import short_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.model.rules import RuleModel

_DOMAIN: Final = "pref.example.jp"
_BY_SCREEN: Final = frozenset({"lgwan", "home_working"})  # groups of systems that are reached by screen transfer alone
_ENFORCES: Final = ("record_session", "alert")
_RISKS: Final = ("bulk_download", "impersonation", "impossible_travel", "malware_alert")
_PHONES: Final = frozenset({"byod_phone", "byod_tablet"})
_NETWORKS: Final = 256  # of the second half of a private address: one for each system that is behind a tunnel
_FIRST_SEGMENT: Final = 72058304855000001
_FIRST_ATTRIBUTE: Final = 72058304855021553
_FIRST_LABEL: Final = 21001


def example_mapping(name: str, model: RuleModel) -> dict[str, Any]:
    """The mapping of an invented tenant for one target. Raises SettingsError for a target that has none."""
    make = _EXAMPLES.get(name)
    if make is None:
        raise SettingsError(f"there is no example of a mapping for `{name}`; there is for {', '.join(EXAMPLES)}")
    return make(model)


def _envoy(model: RuleModel) -> dict[str, Any]:
    return {
        "issuer": f"https://idp.{_DOMAIN}",
        "audiences": ["gateway"],
        "jwks_file": "/etc/envoy/jwks.json",
        "listen": "127.0.0.1:8443",
        "resources": {
            name: {"host": f"{name}.{_DOMAIN}", "upstream": f"{name}.internal.{_DOMAIN}:8080", **_action(model, name)}
            for name in _systems(model)
        },
        "enforces": list(_ENFORCES),
    }


def _prisma(model: RuleModel) -> dict[str, Any]:
    mobile = {"context.zone": "sase", "context.path_encrypted": True, "context.country": "JP"}
    return {
        "folders": {
            "mobile": {"folder": "Mobile Users", "given": mobile},
            "office": {"folder": "Remote Networks", "given": {"context.zone": "office"}},
        },
        "groups": {name: f"cn={name},ou=sekisho,dc=pref,dc=example,dc=jp" for name in _users(model)},
        "resources": {name: {"destination": [f"app-{name}"], **_action(model, name)} for name in _systems(model)},
        "given": {"resource.tenant": "own"},
        "tagged": ["context.risk", "subject.auth_level"],
        "enforces": list(_ENFORCES),
        "checks": {
            "edr": {"vendor": "Example EDR", "product": ["Sensor"]},
            "certificate_profile": "zt-devices",
            "disk": True,
            "phones": True,
        },
        "cut_off": {"url": f"https://pdp.{_DOMAIN}/edl/cut-off"},
    }


def _entra(model: RuleModel) -> dict[str, Any]:
    elsewhere = _of_others(model)  # 195 policies have to do for a tenant: each organisation's data asks for its own
    return {
        "break_glass": _guid("break-glass"),
        "applications": {
            one.id: {"id": _guid(f"app {one.id}"), **_action(model, one.id)}
            for one in model.resources
            if one.id not in elsewhere
        },
        "leave": elsewhere,
        "groups": {name: _guid(f"group {name}") for name in _users(model)},
        "people": {f"context.risk∋{word}=false": _guid(f"people {word}") for word in _RISKS},
        "zones": {"office": _guid("office")},
        "countries": {"JP": _guid("Japan")},
        "strengths": {"level_2": _guid("level 2"), "level_3": _guid("level 3")},
        "one_person_devices": True,
        "enforces": list(_ENFORCES),
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
    }


def _cloudflare(model: RuleModel) -> dict[str, Any]:
    elsewhere = _of_others(model)  # 500 policies have to do for an account
    sets = {f"class-{rule.device_class}" for rule in model.rules} | _sets(model)
    for rule in model.rules:
        if risks := sorted(one for one in rule.conditions if one.fact.startswith("context.risk")):
            sets.add(f"session-{short_digest(risks)}")
    return {
        "identity_provider": _guid("identity provider"),
        "groups": {name: _guid(f"group {name}") for name in _users(model)},
        "sets": {
            name: {"rule": _guid(f"rule {name}"), "connection": _guid(f"connection {name}")} for name in sorted(sets)
        },
        "resources": {
            name: {
                "application": _guid(f"app {name}"),
                "domain": f"{name}.{_DOMAIN}",
                "private": [f"10.{9 + at // _NETWORKS}.{at % _NETWORKS}.0/24"],
                **_action(model, name),
            }
            for at, name in enumerate(name for name in _systems(model) if name not in elsewhere)
        },
        "leave": elsewhere,
        "zones": {"office": _guid("office")},
        "authentication": [{"level": 2, "auth_method": "mfa"}, {"level": 3, "auth_method": "hwk"}],
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
        "enforces": list(_ENFORCES),
        "one_person_devices": True,
    }


def _zpa(model: RuleModel) -> dict[str, Any]:
    attributes = {"subject.auth_level": {"kind": "SAML", "id": str(_FIRST_ATTRIBUTE)}}
    for at, word in enumerate(_RISKS, 1):
        attributes[f"context.risk∋{word}"] = {"kind": "SCIM", "id": str(_FIRST_ATTRIBUTE + at)}
    return {
        "idp": "72058304855015574",
        "groups": {name: str(490880 + at) for at, name in enumerate(_users(model))},
        "classes": {
            name: {
                "posture": _guid(f"class {name}"),
                "platforms": ["android", "ios"] if name in _PHONES else [],
            }
            for name in sorted({rule.device_class for rule in model.rules})
        },
        "sets": {name: _guid(f"set {name}") for name in sorted(_sets(model))},
        "resources": {
            name: {"segments": [str(_FIRST_SEGMENT + at)], **_action(model, name)}
            for at, name in enumerate(_systems(model))
        },
        "given": {"resource.tenant": "own", "context.path_encrypted": True},
        "networks": {"office": [_guid("office")]},
        "attributes": attributes,
        "enforces": list(_ENFORCES),
        "one_person_devices": True,
    }


def _netskope(model: RuleModel) -> dict[str, Any]:
    return {
        "policy_group": "zt-export",
        "groups": {name: f"sekisho/{name}" for name in _users(model)},
        "labels": {name: _FIRST_LABEL + at for at, name in enumerate(sorted(_labels(model)))},
        "resources": {name: {"private_apps": [f"zt-{name}"], **_action(model, name)} for name in _systems(model)},
        "withdrawn": [f"context.risk∋{word}" for word in _RISKS],
        "given": {"resource.tenant": "own", "context.path_encrypted": True, "subject.auth_level": 2},
        "source_ip": True,
        "networks": {"office": ["pref-hq"]},
        "enforces": list(_ENFORCES),
        "one_person_devices": True,
    }


_EXAMPLES: Final[Mapping[str, Callable[[RuleModel], dict[str, Any]]]] = {
    "cloudflare": _cloudflare,
    "entra": _entra,
    "envoy": _envoy,
    "netskope": _netskope,
    "prisma": _prisma,
    "zpa": _zpa,
}
EXAMPLES: Final = tuple(_EXAMPLES)  # the targets that have one


def _systems(model: RuleModel) -> list[str]:
    """Those of which there is a rule."""
    return sorted({rule.resource for rule in model.rules})


def _of_others(model: RuleModel) -> list[str]:
    """Data of organisations of their own: whose people sign in at their own organisation's tenant."""
    return sorted(one.id for one in model.resources if one.group == "data" and one.organisations)


def _users(model: RuleModel) -> list[str]:
    return sorted({rule.users for rule in model.rules if rule.users})


def _sets(model: RuleModel) -> set[str]:
    return {name for rule in model.rules for name in (rule.device, rule.posture) if name}


def _labels(model: RuleModel) -> set[str]:
    asked = {label_of(rule) for rule in model.rules}
    return asked | set(joined({name: meaning_of(name, model.profile) for name in asked}, model.profile))


def _action(model: RuleModel, name: str) -> dict[str, str]:
    return {"action": "screen_transfer"} if model.resource(name).group in _BY_SCREEN else {}


def _guid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{_DOMAIN}"))
