"""Exported files of Cloudflare Access as things of an account, and back. Pure; the half that speaks: cloudflare_tenant.

posture      inert   a rule for a set of devices; the mapping has the account's id of it
policy       inert   a reusable policy: nothing, until an application links it
application  opens   a system's list of policies: one without any lets nobody in. The account's application is bound by
                     the mapping and is never taken away: where there is none, Access protects nothing
gateway      closes  the guard of the private addresses
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sase.cloudflare_gateway import GATEWAY
from connectors.sase.cloudflare_mapping import Mapped, read_mapping
from connectors.sase.cloudflare_reading import APPLICATIONS, POLICIES, POSTURE, SETS
from connectors.sase.documents import encoded
from connectors.sase.joined_models import joined_model
from pdp.delivery.port import Capabilities, Held, Key, Thing, meaning_of
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

POSTURE_RULE: Final = "posture"
POLICY: Final = "policy"
APPLICATION: Final = "application"
GUARD: Final = "gateway"
MARK: Final = "zt."  # begins the names of our policies and Gateway rules
UNMAPPED: Final = "unmapped:"  # begins the name of an application that is ours by what it links alone
PARKED: Final = "unused-"  # begins the name of a posture rule that no policy of ours asks any more
_WORDS: Final = ("name", "description")
_MODEL: Final = "model.json"


def courier(mapping: Mapping[str, Any]) -> CloudflareCourier:
    """Raises SettingsError for a mapping that it cannot use."""
    return CloudflareCourier(read_mapping(mapping))


class CloudflareCourier:
    """The port `Courier`. `mapped` is for the half that speaks: the ids of the account."""

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped
        self._set_of = {kept.rule: name for name, kept in mapped.sets.items()}
        self._resource_of = {place.application: name for name, place in mapped.resources.items()}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(staging=False, quiet=frozenset({GUARD}))

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """As the port says."""
        try:
            read = {name: json.loads(files[name]) for name in (POSTURE, POLICIES, APPLICATIONS, GATEWAY)}
            found = [self.posture(one["rule_id"], one["body"]) for one in read[POSTURE]]
            found += [self.policy(one["name"], _without(one, "name")) for one in read[POLICIES]]
            found += [self._linked(one["app_id"], one["body"]) for one in read[APPLICATIONS]]
            found += [self.guard(one["name"], _without(one, "name", "enabled")) for one in read[GATEWAY]]
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not an exported Cloudflare Access: {type(fault).__name__}") from None
        return tuple(found)

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """As the port says. A set means what the newest export with its connection says."""
        live = [one.thing for one in held if one.live]

        def of(kind: str) -> list[Thing]:
            return sorted((thing for thing in live if thing.key.kind == kind), key=lambda thing: thing.key)

        linked = of(APPLICATION)
        applications = [{"app_id": self.app_id(thing.key.name), "body": _numbered(thing.body)} for thing in linked]
        return {
            POSTURE: encoded([{"rule_id": self._rule(thing), "body": thing.body} for thing in of(POSTURE_RULE)]),
            POLICIES: encoded([{"name": thing.key.name, **thing.body} for thing in of(POLICY)]),
            APPLICATIONS: encoded(applications),
            GATEWAY: encoded([{"name": thing.key.name, "enabled": True, **thing.body} for thing in of(GUARD)]),
            SETS: encoded(_sets(json.loads(one[SETS]) for one in exports)),
            _MODEL: joined_model([one[_MODEL] for one in exports]),
        }

    def stand_in(self, thing: Thing) -> Thing:
        """As the port says: only the guard closes anything."""
        body = {**thing.body, "precedence": int(thing.body["precedence"]) + 1}
        return self.guard(f"{thing.key.name}.next", body)

    # One thing from a body, whether exported or read; the half that speaks makes things in the same way.

    def posture(self, rule_id: str, body: Mapping[str, Any]) -> Thing:
        """A posture rule of the mapping. Raises KeyError for any other."""
        name = self._set_of[rule_id]
        return Thing(Key(POSTURE_RULE, "", name), dict(body), "inert", meaning_of(body, *_WORDS))

    def policy(self, name: str, body: Mapping[str, Any]) -> Thing:
        """A reusable policy; it names posture rules by the ids of the mapping."""
        asked = [one["device_posture"]["integration_uid"] for one in _selectors(body) if "device_posture" in one]
        needs = sorted({Key(POSTURE_RULE, "", self._set_of[one]) for one in asked if one in self._set_of})
        return Thing(Key(POLICY, "", name), dict(body), "inert", meaning_of(body), tuple(needs))

    def application(self, app_id: str, body: Mapping[str, Any]) -> Thing:
        """An application; `policies` are the names of policies, in their order.

        One that the mapping no longer has, and that still links a policy of ours, is ours to close.
        """
        needs = tuple(sorted({Key(POLICY, "", name) for name in body["policies"]}))
        key = Key(APPLICATION, "", self._resource_of.get(app_id, f"{UNMAPPED}{app_id}"))
        return Thing(key, dict(body), "opens", meaning_of(body, *_WORDS), needs)

    @staticmethod
    def guard(name: str, body: Mapping[str, Any]) -> Thing:
        """A Gateway rule of ours."""
        return Thing(Key(GUARD, "", name), dict(body), "closes", meaning_of(body, *_WORDS))

    def _linked(self, app_id: str, body: Mapping[str, Any]) -> Thing:
        links = sorted(body["policies"], key=lambda link: int(link["precedence"]))
        return self.application(app_id, {**body, "policies": [link["id"] for link in links]})

    def app_id(self, name: str) -> str:
        """The account's id of an application thing. Raises KeyError for a system that the mapping does not have."""
        if name.startswith(UNMAPPED):
            return name.removeprefix(UNMAPPED)
        return self.mapped.resources[name].application

    def _rule(self, thing: Thing) -> str:
        return self.mapped.sets[thing.key.name].rule


def _selectors(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for field in ("include", "require", "exclude") for one in body.get(field, ())]


def _numbered(body: Mapping[str, Any]) -> dict[str, Any]:
    links = [{"id": name, "precedence": at} for at, name in enumerate(body["policies"], 1)]
    return {**body, "policies": links}


def _sets(exports: Iterable[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """What each connection tells, by the newest export that says it."""
    found: dict[str, Mapping[str, Any]] = {}
    for sets in exports:
        for one in sets:
            found.setdefault(one["connection"], one)
    return [found[connection] for connection in sorted(found)]


def _without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
