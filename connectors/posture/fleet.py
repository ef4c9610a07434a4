"""Fleet, the server of osquery.

Source: fleetdm.com/docs/rest-api/rest-api (`GET /api/v1/fleet/hosts`, `GET /api/v1/fleet/hosts/count`; an API-only
user's token does not expire).

A full run reads hosts in the order of their ids, each page after the last id of the one before (`after`): a host that
is deleted meanwhile moves no other out of sight. What the server then counts must have been seen. An incremental run
reads the hosts that were last updated, the newest first, until they are older than the last run; a host that is updated
meanwhile comes twice rather than never. It sees no deletions.

Needs an API-only user with the role observer.
"""

from __future__ import annotations

from datetime import date  # msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.grants import FixedToken
from connectors.http import LIMITS, Limits, VendorApi, safe_url
from connectors.port import Cursor, DeviceReport, Page, Run
from connectors.posture.cursor import next_cursor, since
from connectors.posture.fleet_facts import device_report, record_key
from connectors.posture.reading import CheckedFact, Options
from connectors.posture.sweep import NewestFirst
from connectors.posture.tally import Tally, records_of
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from connectors.setup import Setup

_HOSTS: Final = "/api/v1/fleet/hosts"
_LARGEST_PAGE: Final = 1000


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`settings` of a source of kind `fleet`. `policies`: a policy's id or name to the fact that it decides."""

    url: str
    api_token_file: str
    policies: dict[str, CheckedFact] = {}
    page_size: int = 250
    host_names: bool = False
    os_releases: dict[str, date] = {}


def connector(setup: Setup) -> Fleet:
    """Raises SettingsError."""
    return Fleet(setup, setup.read(Settings))


class Fleet:
    def __init__(self, setup: Setup, settings: Settings, limits: Limits = LIMITS) -> None:
        if not 1 <= settings.page_size <= _LARGEST_PAGE:
            raise SettingsError(f"`page_size` has to be from 1 to {_LARGEST_PAGE}")
        self._setup = setup
        self._settings = settings
        self._limits = limits
        self._url = safe_url(settings.url, "url")
        self._options = Options(setup.name, host_names=settings.host_names, os_releases=settings.os_releases)
        self._grant = FixedToken(setup.read_secret(settings.api_token_file))

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:
        """Everything, or what was updated since `cursor`. The pages raise ConnectorError."""
        start = since(cursor, now)
        position = Cursor(cursor)
        return Run(self._pages(start, cursor, now, position), complete=start is None, cursor=position)

    async def _pages(
        self, start: datetime | None, cursor: str | None, now: datetime, position: Cursor
    ) -> AsyncIterator[Page[DeviceReport]]:
        latest: list[datetime] = []
        async with VendorApi(self._setup, self._url, self._grant, self._limits) as api:
            for column in ("id",) if start is None else self._columns():
                tally = Tally(record_key, lambda record: device_report(record, self._options, self._settings.policies))
                pages = self._all(api, tally) if start is None else self._updated(api, tally, column, start)
                async for page in pages:
                    yield page
                if tally.latest is not None:
                    latest.append(tally.latest)
        position.value = next_cursor(cursor, max(latest, default=None), now)

    def _columns(self) -> tuple[str, ...]:
        """Details and policies are updated by themselves: one sweep for each. A host in both comes twice, alike."""
        return ("detail_updated_at", "policy_updated_at") if self._settings.policies else ("detail_updated_at",)

    async def _all(self, api: VendorApi, tally: Tally) -> AsyncIterator[Page[DeviceReport]]:
        last = 0
        while True:
            records = await self._hosts(api, [("order_key", "id"), ("order_direction", "asc"), ("after", str(last))])
            if not records:
                break
            keys = [int(key) for record in records if isinstance(record, dict) and (key := record_key(record))]
            if not keys or min(keys) <= last:
                raise ConnectorError("the source did not go on after the last host", fault="inconsistent")
            last = max(keys)
            yield tally.page(records)
        counted = (await api.get(f"{_HOSTS}/count")).get("count")
        if not isinstance(counted, int) or isinstance(counted, bool):
            raise ConnectorError("the source's answer has no `count`", fault="malformed")
        if tally.devices + tally.nameless < counted:
            raise ConnectorError(
                f"the source counts {counted} hosts and showed {tally.devices}; again", fault="inconsistent"
            )

    async def _updated(
        self, api: VendorApi, tally: Tally, column: str, start: datetime
    ) -> AsyncIterator[Page[DeviceReport]]:
        sweep = NewestFirst(column, start)
        number = 0
        while not sweep.done:
            asked = [("order_key", column), ("order_direction", "desc"), ("page", str(number))]
            records = await self._hosts(api, asked)
            if not records:
                break
            sweep.look(records)
            number += 1
            yield tally.page(records)

    async def _hosts(self, api: VendorApi, asked: list[tuple[str, str]]) -> list[Any]:
        params = [*asked, ("per_page", str(self._settings.page_size))]
        if self._settings.policies:
            params.append(("populate_policies", "true"))
        return records_of(await api.get(_HOSTS, params), "hosts", required=False)
