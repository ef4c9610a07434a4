"""Android Management API: the devices of an enterprise.

Sources: developers.google.com/android/management/reference/rest/v1/enterprises.devices/list (pages of at most 100; no
filter, no order, deleted devices are left out), developers.google.com/identity/protocols/oauth2/service-account.

Every run reads everything: the list can neither be filtered nor sorted, and has no count to compare with. 16,000
devices are 160 requests.

Needs a service account with the role Android Management User in the project of the enterprise. The only scope that the
API has, androidmanagement, may also change devices: give this account to nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.grants import SignedAssertion, service_account
from connectors.http import LIMITS, Limits, VendorApi, safe_url
from connectors.port import DeviceReport, Page, Run
from connectors.posture.android_management_facts import device_report, record_key
from connectors.posture.google_pages import pages_of
from connectors.posture.reading import Options
from connectors.posture.tally import Tally
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from connectors.setup import Setup

_SCOPE: Final = "https://www.googleapis.com/auth/androidmanagement"
_ENTERPRISE: Final = re.compile(r"enterprises/[A-Za-z0-9_-]{1,64}", re.ASCII)
_DEVICES_A_PAGE: Final = 100


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`settings` of a source of kind `android_management`."""

    key_file: str
    enterprise: str
    url: str = "https://androidmanagement.googleapis.com"


def connector(setup: Setup) -> AndroidManagement:
    """Raises SettingsError."""
    return AndroidManagement(setup, setup.read(Settings))


class AndroidManagement:
    def __init__(self, setup: Setup, settings: Settings, limits: Limits = LIMITS) -> None:
        if not _ENTERPRISE.fullmatch(settings.enterprise):
            raise SettingsError("`enterprise` has to be `enterprises/ID`")
        self._setup = setup
        self._settings = settings
        self._limits = limits
        self._url = safe_url(settings.url, "url")
        self._options = Options(setup.name)
        account = service_account(setup.read_secret(settings.key_file))
        safe_url(account.token_url, "token_uri")
        self._grant = SignedAssertion(account, scope=_SCOPE, clock=setup.clock)

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:  # noqa: ARG002  # as the port has it
        """Everything, whatever the cursor. The pages raise ConnectorError."""
        return Run(self._pages(), complete=True)

    async def _pages(self) -> AsyncIterator[Page[DeviceReport]]:
        tally = Tally(record_key, lambda record: device_report(record, self._options))
        path = f"/v1/{self._settings.enterprise}/devices"
        async with VendorApi(self._setup, self._url, self._grant, self._limits) as api:
            async for records in pages_of(api, path, "devices", [("pageSize", str(_DEVICES_A_PAGE))]):
                yield tally.page(records)
