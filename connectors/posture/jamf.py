"""Jamf Pro: computers, and mobile devices where the settings ask for them.

Sources: developer.jamf.com/jamf-pro/docs/client-credentials (API roles and clients, since 10.49),
/docs/optimizing-your-jamf-pro-instance-for-api (one request after the other, pages rather than single records),
/reference/get_v3-computers-inventory (v1 is deprecated since 2025-06-30), /reference/get_v2-mobile-devices-detail,
/docs/filtering-with-rsql.

A full run reads all pages in the order of the ids: a device that is enrolled meanwhile stands at the end. One that is
deleted moves the others a place forward, so that one of them may be missed: a `totalCount` that falls, or fewer devices
than it says, ends the run with a fault. An incremental run filters by the day of the inventory and sees no deletions.

Needs a role with Read Computers (and Read Mobile Devices), and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from connectors.grants import ClientCredentials
from connectors.http import LIMITS, Limits, VendorApi, safe_url
from connectors.port import Cursor, DeviceReport, Page, Run
from connectors.posture.cursor import next_cursor, since, written
from connectors.posture.jamf_facts import (
    COMPUTER_SECTIONS,
    MOBILE_SECTIONS,
    computer_key,
    computer_report,
    mobile_key,
    mobile_report,
)
from connectors.posture.reading import CheckedFact, Options, Verdicts
from connectors.posture.tally import Tally, records_of
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from connectors.setup import Setup

_TOKEN: Final = "/api/v1/oauth/token"  # noqa: S105  # a path
_LARGEST_PAGE: Final = 2000  # what the list takes


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An extension attribute of the administrator's own: which values speak for the fact, which against it."""

    fact: CheckedFact
    yes: tuple[str, ...]
    no: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`settings` of a source of kind `jamf`. `attributes`: name of an extension attribute to what it decides."""

    url: str
    client_id: str
    client_secret_file: str
    inventory: Literal["v1", "v2", "v3"] = "v3"
    mobile_devices: bool = True
    page_size: int = 200
    attributes: dict[str, Attribute] = {}
    host_names: bool = False
    os_releases: dict[str, date] = {}


@dataclass(frozen=True, slots=True)
class _Inventory:
    path: str
    sections: tuple[str, ...]
    sort: str
    changed: str  # the property by which changes are filtered
    key: Callable[[dict[str, Any]], str | None]
    read: Callable[[dict[str, Any]], DeviceReport]


def connector(setup: Setup) -> Jamf:
    """Raises SettingsError."""
    return Jamf(setup, setup.read(Settings))


class Jamf:
    def __init__(self, setup: Setup, settings: Settings, limits: Limits = LIMITS) -> None:
        if not 1 <= settings.page_size <= _LARGEST_PAGE:
            raise SettingsError(f"`page_size` has to be from 1 to {_LARGEST_PAGE}")
        self._setup = setup
        self._settings = settings
        self._limits = limits
        self._url = safe_url(settings.url, "url")
        self._options = Options(setup.name, host_names=settings.host_names, os_releases=settings.os_releases)
        self._attributes = {
            name: Verdicts(attribute.fact, attribute.yes, attribute.no)
            for name, attribute in settings.attributes.items()
        }
        self._grant = ClientCredentials(
            self._url + _TOKEN,
            settings.client_id,
            setup.read_secret(settings.client_secret_file),
            clock=setup.clock,
        )

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        """Everything, or what brought a new inventory since `cursor`. The pages raise ConnectorError."""
        start = since(cursor, now)
        position = Cursor(cursor)
        return Run(self._pages(start, cursor, now, position), complete=start is None, cursor=position)

    async def _pages(
        self, start: datetime | None, cursor: str | None, now: datetime, position: Cursor
    ) -> AsyncIterator[Page[DeviceReport]]:
        latest: list[datetime] = []
        async with VendorApi(self._setup, self._url, self._grant, self._limits) as api:
            for inventory in self._inventories():
                tally = Tally(inventory.key, inventory.read)
                async for page in self._inventory(api, inventory, start, tally):
                    yield page
                if tally.latest is not None:
                    latest.append(tally.latest)
        position.value = next_cursor(cursor, max(latest, default=None), now)

    async def _inventory(
        self, api: VendorApi, inventory: _Inventory, start: datetime | None, tally: Tally
    ) -> AsyncIterator[Page[DeviceReport]]:
        asked = [("section", section) for section in inventory.sections]
        asked += [("page-size", str(self._settings.page_size)), ("sort", inventory.sort)]
        if start is not None:
            asked.append(("filter", f'{inventory.changed}>="{written(start)}"'))
        total = came = number = 0
        while True:
            document = await api.get(inventory.path, [*asked, ("page", str(number))])
            records = records_of(document, "results", required=True)
            said = _total(document)
            if said < total:
                raise ConnectorError("a device was deleted while the source was read; again", fault="inconsistent")
            total, came, number = said, came + len(records), number + 1
            yield tally.page(records)
            if not records or came >= total:
                break
        if start is None and tally.devices + tally.nameless < total:
            raise ConnectorError(
                f"the source says {total} devices and showed {tally.devices}; again", fault="inconsistent"
            )

    def _inventories(self) -> list[_Inventory]:
        attributes = ("EXTENSION_ATTRIBUTES",) if self._attributes else ()
        inventories = [
            _Inventory(
                path=f"/api/{self._settings.inventory}/computers-inventory",
                sections=(*COMPUTER_SECTIONS, *attributes),
                sort="id:asc",
                changed="general.reportDate",
                key=computer_key,
                read=lambda record: computer_report(record, self._options, self._attributes),
            )
        ]
        if self._settings.mobile_devices:
            inventories.append(
                _Inventory(
                    path="/api/v2/mobile-devices/detail",
                    sections=(*MOBILE_SECTIONS, *attributes),
                    sort="mobileDeviceId:asc",
                    changed="lastInventoryUpdateDate",
                    key=mobile_key,
                    read=lambda record: mobile_report(record, self._options, self._attributes),
                )
            )
        return inventories


def _total(document: dict[str, Any]) -> int:
    total = document.get("totalCount")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise ConnectorError("the source's answer has no `totalCount`", fault="malformed")
    return total
