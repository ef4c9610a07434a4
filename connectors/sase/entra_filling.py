"""The groups and the device attribute that exported policies name, filled: Microsoft Graph v1.0.

Members are read page by page and held against those who belong there; who does not belong there goes first, then the
attribute of devices is written, and whoever is missing comes last. The attribute is ours alone: a device that is in no
set loses it. A write that nobody heard the end of is not repeated: the next run reads what stands and goes on. Needs
User.Read.All, GroupMember.ReadWrite.All and Device.ReadWrite.All; groups must be security groups with assigned members.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec

from connectors.sase.entra_mapping import read_mapping
from connectors.sase.entra_tenant import TenantSettings, graph_of, rows_of
from connectors.writing import OneApi
from pdp.errors import ConnectorError, ExportError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from connectors.setup import Setup

_SETS: Final = "sets.json"
_TOGETHER: Final = 20  # members that Graph adds in one call
_MAX_PAGES: Final = 1_000
_TOP: Final = "999"  # of a page; Graph's largest for these


class Change(msgspec.Struct, frozen=True):
    """One write. `place`: the group, or the device's object. `names`: for people; `ids`: of objects of the tenant."""

    what: Literal["leave", "attribute", "join"]
    place: str
    names: tuple[str, ...]
    ids: tuple[str, ...] = ()
    value: str = ""


class Found(msgspec.Struct, frozen=True):
    """`held`: memberships and attributes that there are. `absent`: who belongs in a set and is not in the tenant."""

    changes: tuple[Change, ...]
    held: int
    absent: tuple[str, ...] = ()

    @property
    def taken_away(self) -> int:
        """Memberships and attributes that go."""
        return sum(1 for one in self.changes if one.what == "leave" or (one.what == "attribute" and not one.value))


def meanings(files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the groups and the words of the attribute mean, by `sets.json`. Raises ExportError."""
    try:
        held = json.loads(files[_SETS])
        return dict(held["groups"]), dict(held["devices"])
    except (KeyError, ValueError, TypeError):
        raise ExportError("not the sets of exported policies", where=_SETS) from None


def filler(setup: Setup, mapping: Mapping[str, Any]) -> EntraFiller:
    """Raises SettingsError."""
    return EntraFiller(setup, mapping)


class EntraFiller(OneApi):
    """Used as `async with`. Every method raises ConnectorError."""

    def __init__(self, setup: Setup, mapping: Mapping[str, Any]) -> None:
        mapped = read_mapping(mapping)
        settings = setup.read(TenantSettings)
        if not settings.user_domain:
            raise SettingsError("`user_domain` is needed: what stands behind the `@` of our user ids in this tenant")
        self._domain = settings.user_domain
        self._attribute = mapped.attribute
        self._groups = {*mapped.groups.values(), *mapped.people.values()}
        self._api = graph_of(setup, settings)
        self._graph = settings.graph_url.rstrip("/")

    async def look(self, people: Mapping[str, Collection[str]], devices: Mapping[str, Collection[str]]) -> Found:
        """What is to be written. `people`: our user ids by group; `devices`: words by Entra's device id."""
        found = [await self._people(people), await self._devices(devices)]
        changes = sorted((one for each in found for one in each.changes), key=lambda one: _TURNS.index(one.what))
        absent = tuple(sorted({name for each in found for name in each.absent}))
        return Found(tuple(changes), sum(each.held for each in found), absent)

    async def do(self, change: Change) -> None:
        """Write one change."""
        if change.what == "attribute":
            body = {"extensionAttributes": {self._attribute: change.value or None}}
            await self._api.write("PATCH", f"/devices/{quote(change.place)}", body)
        elif change.what == "leave":
            await self._api.write("DELETE", f"/groups/{quote(change.place)}/members/{quote(change.ids[0])}/$ref")
        else:
            bound = [f"{self._graph}/directoryObjects/{quote(one)}" for one in change.ids]
            await self._api.write("PATCH", f"/groups/{quote(change.place)}", {"members@odata.bind": bound})

    async def _people(self, people: Mapping[str, Collection[str]]) -> Found:
        if strangers := sorted(set(people) - self._groups):
            raise ConnectorError(f"the mapping has no group `{strangers[0]}`", fault="refused")
        users = await self._paged("/users", "id,userPrincipalName")
        ids = {str(one.get("userPrincipalName", "")).casefold(): str(one["id"]) for one in users}
        names = {identifier: name for name, identifier in ids.items()}
        changes: list[Change] = []
        absent: set[str] = set()
        held = 0
        for group, members in sorted(people.items()):
            await self._refuse_group(group)
            there = {str(one["id"]) for one in await self._paged(f"/groups/{quote(group)}/members", "id")}
            wanted = {self._principal(user) for user in members}
            absent |= wanted - ids.keys()
            belong = {ids[name] for name in wanted if name in ids}
            changes += [Change("leave", group, (names.get(one, one),), (one,)) for one in sorted(there - belong)]
            missing = sorted(belong - there)
            parts = [missing[at : at + _TOGETHER] for at in range(0, len(missing), _TOGETHER)]
            changes += [Change("join", group, tuple(names[one] for one in part), tuple(part)) for part in parts]
            held += len(there)
        return Found(tuple(changes), held, tuple(absent))

    async def _devices(self, devices: Mapping[str, Collection[str]]) -> Found:
        wanted = {device.casefold(): " ".join(sorted(words)) for device, words in devices.items()}
        changes: list[Change] = []
        held = 0
        for one in await self._paged("/devices", "id,deviceId,extensionAttributes"):
            device = str(one.get("deviceId", "")).casefold()
            now = str((one.get("extensionAttributes") or {}).get(self._attribute) or "")
            words = wanted.pop(device, "")
            held += bool(now)
            if words != now:
                changes.append(Change("attribute", str(one["id"]), (device,), value=words))
        return Found(tuple(changes), held, tuple(wanted))

    async def _refuse_group(self, group: str) -> None:
        """Raises ConnectorError. Attack: a group with a rule is filled by whoever writes what the rule reads."""
        shown = await self._api.get(f"/groups/{quote(group)}", [("$select", "id,securityEnabled,groupTypes")])
        if shown.get("securityEnabled") is not True or "DynamicMembership" in (shown.get("groupTypes") or ()):
            raise ConnectorError(f"`{group}` is no security group with assigned members", fault="inconsistent")

    def _principal(self, user: str) -> str:
        return (user if "@" in user else f"{user}@{self._domain}").casefold()

    async def _paged(self, path: str, members: str) -> list[dict[str, Any]]:
        answer = await self._api.get(path, [("$select", members), ("$top", _TOP)])
        found = rows_of(answer)
        for _ in range(_MAX_PAGES):
            if "@odata.nextLink" not in answer:
                return found
            answer = await self._api.follow(answer["@odata.nextLink"])
            found += rows_of(answer)
        raise ConnectorError(f"`{path}`: more than {_MAX_PAGES} pages", fault="inconsistent")


_TURNS: Final = ("leave", "attribute", "join")
