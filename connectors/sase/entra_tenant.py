"""Conditional Access of an Entra tenant as deliveries write it: Microsoft Graph v1.0.

POST gives a policy its id, PATCH replaces `conditions` and `grantControls` whole and answers 204, DELETE moves it to
the deleted items for 30 days. A state is a member of the policy: it is created report-only, and enabled by a PATCH of
the whole. Entra is eventually consistent: a list may not yet show what was just written, so what this half has written,
or may have written, is waited for before anything is said about it (`_SETTLING`).

Before anything is planned, what the policies name has to be there: locations, strengths, and no location of countries
that takes in unknown ones. Needs Policy.Read.All, Policy.ReadWrite.ConditionalAccess and Application.Read.All.

httpx and not the vendor's SDK: msgraph-sdk has 392 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from connectors.grants import ClientCredentials
from connectors.http import safe_url
from connectors.sase.entra_things import ENABLED, MARK, REPORT_ONLY, EntraCourier
from connectors.writing import OneApi, Pace, WritingApi
from pdp.delivery.port import Held, Key, Standing
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Thing

_PER_SECOND: Final = 2.0  # Microsoft names no limit for this resource
_BURST: Final = 20
_SETTLING: Final = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between looks at what was just written
_MAX_PAGES: Final = 50  # 240 policies are all that a tenant has
_POLICIES: Final = "/identity/conditionalAccess/policies"
_LOCATIONS: Final = "/identity/conditionalAccess/namedLocations"
_STRENGTHS: Final = "/identity/conditionalAccess/authenticationStrength/policies"
_ADDED: Final = frozenset(
    {"id", "displayName", "state", "createdDateTime", "modifiedDateTime", "deletedDateTime", "templateId"}
)


class TenantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tenant and an application of it with a secret. `user_domain`: what stands behind the `@` of our user ids."""

    tenant: str
    client_id: str
    client_secret_file: str
    graph_url: str = "https://graph.microsoft.com/v1.0"
    login_url: str = "https://login.microsoftonline.com"
    user_domain: str = ""


def tenant(setup: Setup, courier: Courier) -> EntraTenant:
    """Raises SettingsError."""
    if not isinstance(courier, EntraCourier):
        raise SettingsError("this tenant is written with things of `entra`")
    return EntraTenant(setup, courier)


def graph_of(setup: Setup, settings: TenantSettings) -> WritingApi:
    """Graph, as this application. Raises SettingsError."""
    login = safe_url(settings.login_url, "login_url")
    url = f"{login}/{quote(settings.tenant, safe='.-')}/oauth2/v2.0/token"
    scope = f"{_origin(settings.graph_url)}/.default"
    secret = setup.read_secret(settings.client_secret_file)
    grant = ClientCredentials(url, settings.client_id, secret, scope=scope, clock=setup.clock)
    return WritingApi(setup, settings.graph_url, grant, Pace(_PER_SECOND, _BURST, setup.clock, setup.sleep), _reason)


class EntraTenant(OneApi):
    """The port `Tenant`."""

    def __init__(self, setup: Setup, courier: EntraCourier) -> None:
        self._sleep = setup.sleep
        self._api = graph_of(setup, setup.read(TenantSettings))
        self._courier = courier
        self._ids: dict[str, list[str]] = {}  # of policies by name: two after an answer that was lost
        self._awaited: dict[Key, Held | None] = {}  # written, and not seen yet

    # Reading.

    async def read(self) -> Standing:
        """As the port says. Policies of others only ever take away: none of them stands before ours."""
        await self._refuse_places()
        return Standing(tuple((await self._settled()).values()))

    async def look(self, key: Key) -> Held | None:
        """As the port says."""
        return (await self._settled()).get(key)

    async def order(self, place: str) -> tuple[Key, ...]:
        """As the port says: order means nothing here."""
        del place
        return ()

    async def _settled(self) -> dict[Key, Held]:
        """Our policies, once the list shows what was written. After that long it is as the list has it."""
        found = await self._policies()
        for pause in _SETTLING:
            if all(_alike(found.get(key), held) for key, held in self._awaited.items()):
                break
            await self._sleep(pause)
            found = await self._policies()
        self._awaited.clear()
        return found

    async def _policies(self) -> dict[Key, Held]:
        self._ids.clear()
        found: dict[Key, Held] = {}
        for one in await self._paged(_POLICIES):
            name = str(one.get("displayName"))
            if not name.startswith(MARK):
                continue
            held = Held(self._courier.policy(name, _told(one)), live=one.get("state") == ENABLED)
            self._ids.setdefault(name, []).append(str(one["id"]))
            if held.thing.key not in found or (held.live and not found[held.thing.key].live):
                found[held.thing.key] = held  # of two with one name, the one that counts
                self._ids[name].insert(0, self._ids[name].pop())
        return found

    async def _paged(self, path: str) -> list[dict[str, Any]]:
        answer = await self._api.get(path)
        found = rows_of(answer)
        for _ in range(_MAX_PAGES):
            if "@odata.nextLink" not in answer:
                return found
            answer = await self._api.follow(answer["@odata.nextLink"])
            found += rows_of(answer)
        raise ConnectorError(f"`{path}`: more than {_MAX_PAGES} pages", fault="inconsistent")

    async def _refuse_places(self) -> None:
        """Raises ConnectorError. Attack: `JP` that takes in unknown places lets in whoever hides where they are."""
        mapped = self._courier.mapped
        locations = {one["id"]: one for one in await self._paged(_LOCATIONS)}
        strengths = {one["id"] for one in await self._paged(_STRENGTHS)}
        named = {**mapped.zones, **mapped.countries}
        if lacking := sorted(name for name, said in named.items() if said not in locations):
            raise ConnectorError(f"the tenant has no named location for `{lacking[0]}`", fault="inconsistent")
        for name, said in mapped.countries.items():
            if locations[said].get("includeUnknownCountriesAndRegions") is not False:
                raise ConnectorError(f"the location of `{name}` takes in unknown countries", fault="inconsistent")
        if lacking := sorted(
            f"level_{level}" for level, said in mapped.strengths.levels.items() if said not in strengths
        ):
            raise ConnectorError(f"the tenant has no strength for `{lacking[0]}`", fault="inconsistent")

    # Writing.

    async def add(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        await self._write("POST", _POLICIES, thing, live=live)

    async def change(self, thing: Thing, *, live: bool) -> None:
        """As the port says: contents and state in one."""
        for identifier in self._named(thing.key):
            await self._write("PATCH", f"{_POLICIES}/{identifier}", thing, live=live)

    async def remove(self, key: Key) -> None:
        """As the port says."""
        for identifier in self._named(key):
            self._awaited[key] = None
            await self._api.write("DELETE", f"{_POLICIES}/{identifier}")

    async def move(self, key: Key, behind: Key | None) -> None:
        """As the port says: never asked for."""
        del behind
        raise ConnectorError(f"`{key}` has no place among others", fault="refused")

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """As the port says: what is written counts."""

    async def _write(self, method: str, path: str, thing: Thing, *, live: bool) -> None:
        if not self._courier.spares_break_glass(thing.body):  # the last look before it is sent
            raise ConnectorError(f"`{thing.key}` does not exclude the break-glass group", fault="refused")
        state = ENABLED if live else REPORT_ONLY
        self._awaited[thing.key] = Held(thing, live)
        await self._api.write(method, path, {"displayName": thing.key.name, "state": state, **thing.body})

    def _named(self, key: Key) -> list[str]:
        if key.name not in self._ids:
            raise ConnectorError(f"`{key}` is not in the tenant", fault="inconsistent")
        return list(self._ids[key.name])


def _alike(found: Held | None, awaited: Held | None) -> bool:
    if found is None or awaited is None:
        return found is awaited
    return (found.thing.body, found.live) == (awaited.thing.body, awaited.live)


def _told(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody said of a policy: Graph shows every property, with null and empty lists for what was not said."""
    told: dict[str, Any] = {"description": shown.get("description") or ""}
    told |= {name: _said(one) for name, one in shown.items() if name not in _ADDED and _said(one) not in (None, {}, [])}
    grant = shown.get("grantControls") or {}
    strength = grant.get("authenticationStrength")
    said = {name: one for name, one in _said(grant).items() if name != "authenticationStrength"}
    told["grantControls"] = {**said, "builtInControls": list(grant.get("builtInControls") or ())}
    if strength is not None:
        told["grantControls"]["authenticationStrength"] = {"id": strength["id"]}
    users = told.get("conditions", {}).setdefault("users", {})
    users.setdefault("excludeGroups", [])
    return told


def _said(value: Any) -> Any:
    """Without nulls, empty lists, empty objects and annotations."""
    if not isinstance(value, dict):
        return value
    held = {name: _said(one) for name, one in value.items() if "@odata" not in name}
    return {name: one for name, one in held.items() if one is not None and one not in ([], {})}


def _reason(refusal: dict[str, Any]) -> str:
    return f"{refusal['error']['code']}: {refusal['error']['message']}"


def rows_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = answer.get("value")
    if not isinstance(rows, list) or not all(isinstance(one, dict) and "id" in one for one in rows):
        raise ConnectorError("Graph answered something else than a list", fault="malformed")
    return list(rows)


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
