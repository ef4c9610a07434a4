"""Microsoft Intune by way of Microsoft Graph v1.0.

Sources: learn.microsoft.com/graph/api/intune-devices-manageddevice-list, /graph/paging, /graph/json-batching,
/graph/throttling, /graph/throttling-limits (Intune: 2,000 requests in 20 s for an application in a tenant).

A full run reads all managed devices, page by page. An incremental one filters by `lastSyncDateTime gt`: v1.0 has no
delta query for managed devices, and of this property only `lt` and `gt` can be filtered (the schema's own words). So it
does not see deletions; full runs do. Because the threat partner speaks to Intune by itself, without the device, an
incremental run then looks through the whole list for devices with a threat (16 requests for 16,000; `threats`).

Graph gives no count that can be relied on: `@odata.count` of this list is that of the page.

What stands in other resources is asked for in batches of 20 (`$batch`): the state of Defender Antivirus on Windows
terminals, and the single settings of compliance policies where the administrator maps some to facts.

Needs the application permission DeviceManagementManagedDevices.Read.All, and no other.
"""

from __future__ import annotations

import re
from datetime import date  # msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from connectors.grants import ClientCredentials
from connectors.http import LIMITS, Limits, VendorApi, retry_after_s, safe_url
from connectors.port import Cursor, DeviceReport, Page, Run
from connectors.posture.cursor import next_cursor, since, written
from connectors.posture.intune_facts import (
    DEVICE_FIELDS,
    PROTECTION_FIELDS,
    Extras,
    device_report,
    is_threatened,
    is_windows,
    record_key,
)
from connectors.posture.reading import CheckedFact, Options
from connectors.posture.tally import Tally, records_of
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from datetime import datetime

    from connectors.setup import Setup

_DEVICES: Final = "/deviceManagement/managedDevices"
_BATCH: Final = 20  # Graph takes no more requests in one
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)
_OK: Final = 200
_ABSENT: Final = frozenset({400, 404})  # this device has no such state: Graph answers either
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`settings` of a source of kind `intune`. `setting_facts`: name of a policy's setting to the fact it decides."""

    tenant: str
    client_id: str
    client_secret_file: str
    graph_url: str = "https://graph.microsoft.com/v1.0"
    login_url: str = "https://login.microsoftonline.com"
    page_size: int = 1000
    protection_state: bool = True
    threats: bool = True  # in incremental runs too: a threat that is reported between two synchronisations
    setting_facts: dict[str, CheckedFact] = {}
    host_names: bool = False
    os_releases: dict[str, date] = {}


def connector(setup: Setup) -> Intune:
    """Raises SettingsError."""
    return Intune(setup, setup.read(Settings))


class _Looked(Tally):
    """A tally that knows what was looked up beside the records of the page."""

    def __init__(self, options: Options, setting_facts: Mapping[str, CheckedFact]) -> None:
        super().__init__(record_key, self._with_extras)
        self.extras: Mapping[str, Extras] = {}
        self._options = options
        self._setting_facts = setting_facts

    def _with_extras(self, record: dict[str, Any]) -> DeviceReport:
        extra = self.extras.get(record_key(record) or "", Extras())
        return device_report(record, extra, self._options, self._setting_facts)


class Intune:
    def __init__(self, setup: Setup, settings: Settings, limits: Limits = LIMITS) -> None:
        if not _TENANT.fullmatch(settings.tenant):
            raise SettingsError("`tenant` has to be the tenant's id or one of its domains")
        if not 1 <= settings.page_size <= 1000:  # noqa: PLR2004  # what the list takes
            raise SettingsError("`page_size` has to be from 1 to 1000")
        self._setup = setup
        self._settings = settings
        self._limits = limits
        self._options = Options(setup.name, host_names=settings.host_names, os_releases=settings.os_releases)
        self._graph = safe_url(settings.graph_url, "graph_url")
        login = safe_url(settings.login_url, "login_url")
        audience = self._graph.rpartition("/")[0]  # without the version
        self._grant = ClientCredentials(
            f"{login}/{settings.tenant}/oauth2/v2.0/token",
            settings.client_id,
            setup.read_secret(settings.client_secret_file),
            scope=f"{audience}/.default",
            clock=setup.clock,
        )

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        """Everything, or what synchronised since `cursor`. The pages raise ConnectorError."""
        start = since(cursor, now)
        position = Cursor(cursor)
        return Run(self._pages(start, cursor, now, position), complete=start is None, cursor=position)

    async def _pages(
        self, start: datetime | None, cursor: str | None, now: datetime, position: Cursor
    ) -> AsyncIterator[Page[DeviceReport]]:
        tally = self._tally()
        async with VendorApi(self._setup, self._graph, self._grant, self._limits) as api:
            async for page in self._list(api, tally, [] if start is None else [_changed_since(start)]):
                yield page
            if start is not None and self._settings.threats:
                async for page in self._list(api, self._tally(), [], only=is_threatened):
                    yield page
        position.value = next_cursor(cursor, tally.latest, now)

    async def _list(
        self,
        api: VendorApi,
        tally: _Looked,
        asked: list[tuple[str, str]],
        *,
        only: Callable[[dict[str, Any]], bool] | None = None,
    ) -> AsyncIterator[Page[DeviceReport]]:
        params = [("$select", ",".join(DEVICE_FIELDS)), ("$top", str(self._settings.page_size)), *asked]
        document = await api.get(_DEVICES, params)
        while True:
            records = records_of(document, "value", required=True)
            if only is not None:
                records = [record for record in records if isinstance(record, dict) and only(record)]
            tally.extras = await self._extras(api, records)
            yield tally.page(records)
            link = document.get("@odata.nextLink")
            if link is None:
                break
            document = await api.follow(tally.follow(link) if isinstance(link, str) else link)

    def _tally(self) -> _Looked:
        return _Looked(self._options, self._settings.setting_facts)

    async def _extras(self, api: VendorApi, records: list[Any]) -> dict[str, Extras]:
        devices = [record for record in records if isinstance(record, dict)]
        identifiers = [key for record in devices if (key := record_key(record)) is not None]
        windows = [key for record in devices if is_windows(record) and (key := record_key(record)) is not None]
        protection: Mapping[str, Mapping[str, Any]] = {}
        if self._settings.protection_state:
            path = "windowsProtectionState?$select=" + ",".join(PROTECTION_FIELDS)
            protection = await self._looked_up(api, windows, path)
        policies: Mapping[str, Mapping[str, Any]] = {}
        if self._settings.setting_facts:
            policies = await self._looked_up(api, identifiers, "deviceCompliancePolicyStates")
        return {
            key: Extras(protection=protection.get(key), settings=tuple(_settings_of(policies.get(key))))
            for key in identifiers
        }

    async def _looked_up(self, api: VendorApi, identifiers: list[str], path: str) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for first in range(0, len(identifiers), _BATCH):
            found.update(await self._batch(api, identifiers[first : first + _BATCH], path))
        return found

    async def _batch(self, api: VendorApi, identifiers: list[str], path: str) -> dict[str, Mapping[str, Any]]:
        """The answers about these devices; what Graph was too busy for is asked again, and in the end is a fault."""
        found: dict[str, Mapping[str, Any]] = {}
        waiting = dict(enumerate(dict.fromkeys(identifiers)))
        turn = 0
        while waiting:
            document = await api.post("/$batch", {"requests": [_request(n, key, path) for n, key in waiting.items()]})
            answers = _answers(document)
            pause: float | None = None
            for number, key in list(waiting.items()):
                status, headers, body = answers.get(str(number), (503, {}, None))
                if status == _OK and isinstance(body, dict):
                    found[key] = body
                elif status in _PASSING:
                    asked = retry_after_s(_header(headers, "retry-after"), self._setup.clock())
                    pause = asked if pause is None or (asked is not None and asked > pause) else pause
                    continue
                elif status not in _ABSENT:
                    raise ConnectorError(f"`{path.partition('?')[0]}`: answered {status}", fault="refused")
                del waiting[number]
            if waiting:
                why = ConnectorError("Graph is too busy for a batch", fault="throttled", retry_after_s=pause)
                await api.pause(pause, turn, why)
                turn += 1
        return found


def _changed_since(start: datetime) -> tuple[str, str]:
    return ("$filter", f"lastSyncDateTime gt {written(start)}")


def _request(number: int, identifier: str, path: str) -> dict[str, str]:
    return {"id": str(number), "method": "GET", "url": f"{_DEVICES}/{quote(identifier, safe='')}/{path}"}


def _answers(document: dict[str, Any]) -> dict[str, tuple[int, Any, Any]]:
    answers: dict[str, tuple[int, Any, Any]] = {}
    for answer in records_of(document, "responses", required=True):
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise ConnectorError("a batch holds an answer that belongs to no question", fault="malformed")
        status = answer.get("status")
        if not isinstance(status, int) or isinstance(status, bool) or answer["id"] in answers:
            raise ConnectorError("a batch holds an answer that is none", fault="malformed")
        answers[answer["id"]] = (status, answer.get("headers"), answer.get("body"))
    return answers


def _header(headers: object, name: str) -> str | None:
    if not isinstance(headers, dict):
        return None
    return next((value for key, value in headers.items() if key.lower() == name and isinstance(value, str)), None)


def _settings_of(policies: Mapping[str, Any] | None) -> Iterable[Mapping[str, Any]]:
    """The single settings in the answer about one device's policies."""
    if policies is None:
        return
    for policy in records_of(dict(policies), "value", required=True):
        states = policy.get("settingStates") if isinstance(policy, dict) else None
        for state in states if isinstance(states, list) else []:
            if isinstance(state, dict):
                yield state
