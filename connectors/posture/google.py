"""Google Cloud Identity: devices, their users, and what a partner wrote about them.

Sources: cloud.google.com/identity/docs/reference/rest/v1/devices/list (pages of at most 100),
/devices.deviceUsers/list (at most 20), /devices.deviceUsers.clientStates/list,
developers.google.com/identity/protocols/oauth2/service-account (an assertion signed with the account's key, for an
administrator on whose behalf it acts), cloud.google.com/identity/docs/quotas.

A full run reads all users, then all devices. An incremental one reads devices by `lastSyncTime`, the newest first,
until they are older than the last run, and the users of each; it sees no deletions. Where a partner is named as the EDR
every run is a full one, because partners write on a clock of their own. Google gives no count to compare with.

Needs domain-wide delegation of the scope cloud-identity.devices.readonly, and no other.
"""

from __future__ import annotations

from datetime import date  # msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from connectors.grants import SignedAssertion, service_account
from connectors.http import LIMITS, Limits, VendorApi, safe_url
from connectors.port import Cursor, DeviceReport, Page, Run
from connectors.posture.cursor import next_cursor, since
from connectors.posture.google_facts import Extras, device_report, partner_of, record_key, resource_id
from connectors.posture.google_pages import pages_of
from connectors.posture.reading import Options
from connectors.posture.sweep import NewestFirst
from connectors.posture.tally import MAX_DEVICES, Tally
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from connectors.setup import Setup

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-identity.devices.readonly"
_DEVICES_A_PAGE: Final = 100
_USERS_A_PAGE: Final = 20
_MAX_BELONGING: Final = 4 * MAX_DEVICES  # users and states of devices; most have one


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`settings` of a source of kind `google`. `edr_partner`: the id by which the EDR writes client states."""

    key_file: str
    administrator: str
    customer: str = "customers/my_customer"
    url: str = "https://cloudidentity.googleapis.com"
    device_users: bool = True
    edr_partner: str = ""
    host_names: bool = False
    os_releases: dict[str, date] = {}


def connector(setup: Setup) -> Google:
    """Raises SettingsError."""
    return Google(setup, setup.read(Settings))


class Google:
    def __init__(self, setup: Setup, settings: Settings, limits: Limits = LIMITS) -> None:
        if "@" not in settings.administrator:
            raise SettingsError("`administrator` has to be the mail address of the administrator to act for")
        if not settings.customer.startswith("customers/"):
            raise SettingsError("`customer` has to be `customers/ID`")
        self._setup = setup
        self._settings = settings
        self._limits = limits
        self._url = safe_url(settings.url, "url")
        self._options = Options(setup.name, host_names=settings.host_names, os_releases=settings.os_releases)
        account = service_account(setup.read_secret(settings.key_file))
        safe_url(account.token_url, "token_uri")
        self._grant = SignedAssertion(account, scope=_SCOPE, subject=settings.administrator, clock=setup.clock)

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        """Everything, or what synchronised since `cursor`. The pages raise ConnectorError."""
        start = None if self._settings.edr_partner else since(cursor, now)
        position = Cursor(cursor)
        return Run(self._pages(start, cursor, now, position), complete=start is None, cursor=position)

    async def _pages(
        self, start: datetime | None, cursor: str | None, now: datetime, position: Cursor
    ) -> AsyncIterator[Page[DeviceReport]]:
        users: dict[str, list[dict[str, Any]]] = {}
        states: dict[str, list[dict[str, Any]]] = {}

        def read(record: dict[str, Any]) -> DeviceReport:
            key = record_key(record) or ""
            extras = Extras(users=tuple(users.get(key, ())), states=tuple(states.get(key, ())))
            return device_report(record, extras, self._options)

        tally = Tally(record_key, read)
        sweep = None if start is None else NewestFirst("lastSyncTime", start)
        asked = [("pageSize", str(_DEVICES_A_PAGE)), ("view", "USER_ASSIGNED_DEVICES")]
        async with VendorApi(self._setup, self._url, self._grant, self._limits) as api:
            if sweep is None:
                await self._belonging(api, users, states)
            else:
                asked.append(("orderBy", "last_sync_time desc"))
            async for records in pages_of(api, "/v1/devices", "devices", self._asked(asked)):
                if sweep is not None:
                    sweep.look(records)
                    users.clear()
                    await self._users_of(api, records, users)
                yield tally.page(records)
                if sweep is not None and sweep.done:
                    break
        position.value = next_cursor(cursor, tally.latest, now)

    async def _belonging(
        self, api: VendorApi, users: dict[str, list[dict[str, Any]]], states: dict[str, list[dict[str, Any]]]
    ) -> None:
        if self._settings.device_users:
            await self._gather_users(api, "-", users)
        if not self._settings.edr_partner:
            return
        path = "/v1/devices/-/deviceUsers/-/clientStates"
        count = 0
        async for records in pages_of(api, path, "clientStates", self._asked([])):
            for record in records:
                if isinstance(record, dict) and partner_of(record) == self._settings.edr_partner:
                    count = _gathered(states, record, count)

    async def _users_of(self, api: VendorApi, records: list[Any], users: dict[str, list[dict[str, Any]]]) -> None:
        if not self._settings.device_users:
            return
        for record in records:
            key = record_key(record) if isinstance(record, dict) else None
            if key is not None:
                await self._gather_users(api, key, users)

    async def _gather_users(self, api: VendorApi, device: str, users: dict[str, list[dict[str, Any]]]) -> None:
        path = f"/v1/devices/{quote(device, safe='')}/deviceUsers"
        count = 0
        async for records in pages_of(api, path, "deviceUsers", self._asked([("pageSize", str(_USERS_A_PAGE))])):
            for record in records:
                if isinstance(record, dict):
                    count = _gathered(users, record, count)

    def _asked(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [("customer", self._settings.customer), *params]


def _gathered(held: dict[str, list[dict[str, Any]]], record: dict[str, Any], count: int) -> int:
    """Hold what belongs to a device with the device; what names none is left out, so that the fact stays unknown."""
    if count >= _MAX_BELONGING:
        raise ConnectorError(f"the source has more than {_MAX_BELONGING} users of devices", fault="inconsistent")
    key = resource_id(record.get("name"))
    if key is not None:
        held.setdefault(key, []).append(record)
    return count + 1
