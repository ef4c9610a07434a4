"""A tenant of Strata Cloud Manager over its configuration API: what is ours there, changed one object at a time.

Written to the OpenAPI of pan.dev (Security Services, Objects, Config Operations) over our own HTTP: why not with the
community's SDK says docs/adr/0021. Everything enters the candidate configuration; `push` makes it count for the folders
of the mapping, and only what this service account has changed (`admin`), so that nobody's half-done work goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.grants import ClientCredentials
from connectors.http import safe_url
from connectors.sase.prisma_things import KINDS, OBJECTS, RULES, PrismaCourier
from connectors.writing import OneApi, Pace, WritingApi
from pdp.delivery.port import UNSURE, Held, Key, Standing
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Thing

_PAGE: Final = 200  # the API's own default
_MAX_PAGES: Final = 100
_DESCRIPTION: Final = "Sekisho"
_JOBS: Final = "/config/operations/v1/jobs"
_FINISHED: Final = "FIN"
_GOOD: Final = "OK"


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the tenant. `scope`: `tsg_id:…`. `admin`: the service account's own address; its changes are pushed.

    `per_second` and `burst`: the vendor publishes no limit for these APIs, so that it is a slow one.
    """

    client_id: str
    client_secret_file: str
    scope: str
    admin: str
    url: str = "https://api.strata.paloaltonetworks.com"
    token_url: str = "https://auth.apps.paloaltonetworks.com/oauth2/access_token"  # noqa: S105  # no secret
    per_second: float = 4.0
    burst: int = 8
    poll_s: float = 10.0
    polls: int = 180  # of a push: half an hour


def tenant(setup: Setup, courier: Courier) -> PrismaTenant:
    """Raises SettingsError."""
    if not isinstance(courier, PrismaCourier):
        raise SettingsError("this tenant is one of Prisma Access")
    access = setup.read(Access)
    if not (access.per_second > 0 and access.burst >= 1 and access.poll_s > 0 and access.polls >= 1):
        raise SettingsError("`per_second`, `burst`, `poll_s` and `polls` are more than nothing")
    safe_url(access.token_url, "token_url")
    return PrismaTenant(setup, access, courier)


class PrismaTenant(OneApi):
    """The port `Tenant`."""

    def __init__(self, setup: Setup, access: Access, courier: PrismaCourier) -> None:
        self._access = access
        self._courier = courier
        self._sleep = setup.sleep
        secret = setup.read_secret(access.client_secret_file)
        grant = ClientCredentials(access.token_url, access.client_id, secret, scope=access.scope, clock=setup.clock)
        pace = Pace(access.per_second, access.burst, setup.clock, setup.sleep)
        self._api = WritingApi(setup, access.url, grant, pace, explain=_reason)
        self._ids: dict[Key, str] = {}
        self._named: dict[str, set[str]] = {kind: set() for kind in KINDS}

    # Reading.

    async def read(self) -> Standing:
        """As the port says."""
        documents: dict[str, list[dict[str, Any]]] = {}
        for kind in OBJECTS:
            documents[kind] = await self._all(kind, self._courier.objects_folder)
        rules = {folder: await self._all(RULES, folder) for folder in self._courier.rule_folders}
        documents[RULES] = [one for found in rules.values() for one in found]
        ours = {kind: [one for one in found if self._is_ours(kind, one)] for kind, found in documents.items()}
        self._named = {kind: {one["name"] for one in found} for kind, found in ours.items()}
        held = [self._held(kind, one) for kind in KINDS for one in ours[kind]]
        if len({one.thing.key for one in held}) != len(held):
            raise ConnectorError("the tenant lists two objects of one name", fault="inconsistent")
        return Standing(tuple(held), tuple(pair for found in rules.values() for pair in self._foreign(found)))

    async def look(self, key: Key) -> Held | None:
        """As the port says."""
        params = [("name", key.name), ("folder", key.place)]
        found = await self._api.find(_path(key.kind), [*params, ("position", "pre")] if key.kind == RULES else params)
        listed = found.get("data") if found is not None and "data" in found else [found]
        for document in listed if isinstance(listed, list) else []:
            if isinstance(document, dict) and (document.get("name"), document.get("folder")) == (key.name, key.place):
                self._named[key.kind].add(key.name)
                return self._held(key.kind, document)
        self._named[key.kind].discard(key.name)
        self._ids.pop(key, None)
        return None

    async def order(self, place: str) -> tuple[Key, ...]:
        """As the port says."""
        found = await self._all(RULES, place)
        return tuple(self._held(RULES, one).thing.key for one in found if self._is_ours(RULES, one))

    async def _all(self, kind: str, folder: str) -> list[dict[str, Any]]:
        """Every object of a kind that is seen in a folder, inherited ones too, in the order of the vendor."""
        found: list[dict[str, Any]] = []
        params = [("folder", folder), *([("position", "pre")] if kind == RULES else [])]
        for _ in range(_MAX_PAGES):
            page = await self._api.get(_path(kind), [*params, ("limit", str(_PAGE)), ("offset", str(len(found)))])
            data = page.get("data")
            if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
                raise ConnectorError(f"the list of {kind} is none", fault="malformed")
            found += data
            total = page.get("total")
            if not data or len(data) < _PAGE or (isinstance(total, int) and len(found) >= total):
                return found
        raise ConnectorError(f"more than {_MAX_PAGES} pages of {kind}", fault="inconsistent")

    def _is_ours(self, kind: str, document: dict[str, Any]) -> bool:
        return self._courier.is_ours(kind, document)

    def _held(self, kind: str, document: dict[str, Any]) -> Held:
        try:
            held = self._courier.held_of(kind, document, self._named)
            self._ids[held.thing.key] = str(document["id"])
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConnectorError(f"an object among {kind} cannot be read", fault="malformed") from None
        return held

    def _foreign(self, rules: list[dict[str, Any]]) -> list[tuple[Key, bool]]:
        """Rules of others in one listing; whether one stands before the last of ours."""
        ours = [at for at, one in enumerate(rules) if self._is_ours(RULES, one)]
        last = ours[-1] if ours else -1
        return [
            (Key(RULES, str(one.get("folder", "")), str(one.get("name", ""))), at < last)
            for at, one in enumerate(rules)
            if at not in set(ours)
        ]

    # Writing.

    async def add(self, thing: Thing, *, live: bool) -> None:
        """As the port says. The vendor puts a new rule at the end of its folder's `pre` rules."""
        params = [("position", "pre")] if thing.key.kind == RULES else []
        made = await self._api.write("POST", _path(thing.key.kind), _body(thing, live=live), params)
        self._named[thing.key.kind].add(thing.key.name)
        if isinstance(made.get("id"), str):
            self._ids[thing.key] = made["id"]

    async def change(self, thing: Thing, *, live: bool) -> None:
        """As the port says."""
        await self._api.write("PUT", await self._path_of(thing.key), _body(thing, live=live))

    async def remove(self, key: Key) -> None:
        """As the port says."""
        await self._api.write("DELETE", await self._path_of(key))
        self._named[key.kind].discard(key.name)
        self._ids.pop(key, None)

    async def move(self, key: Key, behind: Key | None) -> None:
        """As the port says."""
        where: dict[str, str] = {"rulebase": "pre", "destination": "top"}
        if behind is not None:
            where |= {"destination": "after", "destination_rule": await self._id_of(behind)}
        await self._api.write("POST", f"{await self._path_of(key)}:move", where)

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """As the port says. A job that failed is not waited for again: the next try is a job of its own."""
        job = note if note and await self._may_end(note) else ""
        if not job:
            folders = sorted({*self._courier.rule_folders, self._courier.objects_folder})
            document = {"folders": folders, "admin": [self._access.admin], "description": _DESCRIPTION}
            made = await self._api.write("POST", "/config/operations/v1/config-versions/candidate:push", document)
            job = str(made.get("job_id", made.get("id", "")))
            if not job.isdecimal():
                raise ConnectorError("the push has no job that could be waited for", fault=UNSURE)
            keep(job)
        for _ in range(self._access.polls):
            status, result = await self._job(job)
            if status == _FINISHED:
                if result != _GOOD:
                    raise ConnectorError(f"the push job {job} ended with `{result}`", fault="refused")
                return
            await self._sleep(self._access.poll_s)
        raise ConnectorError(f"the push job {job} did not end", fault="timeout")

    async def _may_end(self, job: str) -> bool:
        """Whether an earlier push is under way or was done; one that the vendor has forgotten is asked for again."""
        if await self._api.find(f"{_JOBS}/{job}") is None:
            return False
        status, result = await self._job(job)
        return status != _FINISHED or result == _GOOD

    async def _job(self, job: str) -> tuple[str, str]:
        found = await self._api.get(f"{_JOBS}/{job}")
        data = found.get("data", [found])
        if not isinstance(data, list) or not data or not isinstance(data[0], dict):
            raise ConnectorError(f"the push job {job} cannot be read", fault="malformed")
        return str(data[0].get("status_str", "")), str(data[0].get("result_str", ""))

    async def _id_of(self, key: Key) -> str:
        if key not in self._ids and await self.look(key) is None:
            raise ConnectorError(f"`{key}` is gone", fault="inconsistent")
        return self._ids[key]

    async def _path_of(self, key: Key) -> str:
        return f"{_path(key.kind)}/{await self._id_of(key)}"


def _path(kind: str) -> str:
    return f"/config/{'security' if kind == RULES else 'objects'}/v1/{kind}"


def _body(thing: Thing, *, live: bool) -> dict[str, Any]:
    return thing.body if live or thing.key.kind != RULES else {**thing.body, "disabled": True}


def _reason(document: dict[str, Any]) -> str:
    """The vendor's own words (`generic_error` of its OpenAPI)."""
    first = document["_errors"][0]
    details = first.get("details")
    more = details if isinstance(details, str) else ""
    return f"{first.get('message', '')} {more}".strip()
