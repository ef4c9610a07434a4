"""GlobalProtect HIP reports, from a folder or from the gateways' PAN-OS XML API.

The vendor documents two operational commands (PAN-OS XML API guide, "Show and Manage GlobalProtect Users" and the
CLI's `show user hip-report`): who is connected to a gateway, and the report of one of them. Each is a `POST` to
`/api/` with `type=op`, and the key goes into the header `X-PAN-KEY`, because addresses stand in logs. Prisma Access
documents no call that hands out reports; there the agents' own reports are dropped into a folder, or pushed to
`POST /posture/v1/hip`.

Who is not connected is not in the list: a run is never complete, and nothing is gone because it was not seen.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar
from xml.sax.saxutils import escape

import httpx
import msgspec

from connectors.port import DeviceReport, Page, Refused, Run
from connectors.posture.bounded_xml import Bounds, parse_xml
from connectors.posture.hip_facts import BOUNDS, ROOT, Reading, read_hip_report, report_of
from pdp.errors import BadRequestError, ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime
    from xml.etree.ElementTree import Element

    from connectors.setup import Setup

MAX_DEVICES: Final = 20_000  # files, or users of one gateway; the prefecture has 8,430 terminals
MAX_GATEWAYS: Final = 32
PAGE: Final = 32  # users or files of one page
AT_ONCE: Final = 4  # questions to one gateway: its management plane has other work
ATTEMPTS: Final = 3
CALL_S: Final = 60.0  # of one question, with all its attempts
LONGEST_WAIT_S: Final = 30.0  # between attempts, whatever `Retry-After` says; beyond it the run fails and says so
_LIST: Final = Bounds(bytes=32 * 1024 * 1024, elements=1_000_000, depth=16)  # 20,000 users of 1.2 KB
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_FORBIDDEN: Final = frozenset({401, 403})
_NO_OBJECT: Final = frozenset({"7", "17"})  # "object not present", "invalid": the user has gone meanwhile
_USERS: Final = "<show><global-protect-gateway><current-user/></global-protect-gateway></show>"
_FIELDS: Final = ("computer", "ip", "user")
_Item = TypeVar("_Item")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folder`, or `gateways` with `api_key_file`; the others say how the reports are to be read."""

    folder: str = ""
    gateways: list[str] = []  # https://HOST of each; without a path
    api_key_file: str = ""
    ca_file: str = ""
    utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 540
    definitions_age_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 7
    edr_products: list[str] = []
    no_missing_patches_means_current: bool = False

    @property
    def reading(self) -> Reading:
        return Reading(
            utc_offset=timedelta(minutes=self.utc_offset_minutes),
            definitions_age=timedelta(days=self.definitions_age_days),
            edr_products=frozenset(self.edr_products),
            no_missing_patches_means_current=self.no_missing_patches_means_current,
        )


def connector(setup: Setup) -> HipFolder | HipGateways:
    """The one of the two that the settings name. Raises SettingsError."""
    settings = setup.read(Settings)
    if bool(settings.folder) == bool(settings.gateways):
        raise SettingsError(f"`connectors` `{setup.name}`: give `folder` or `gateways`, and not both")
    if settings.folder:
        return HipFolder(setup.name, Path(settings.folder), settings.reading)
    if len(settings.gateways) > MAX_GATEWAYS:
        raise SettingsError(f"`connectors` `{setup.name}`: more than {MAX_GATEWAYS} gateways")
    if not settings.api_key_file:
        raise SettingsError(f"`connectors` `{setup.name}`: `gateways` need `api_key_file`")
    return HipGateways(setup, settings)


class HipFolder:
    """Every `*.xml` in a folder, not below it. A file that cannot be read is one device less, not a failed run."""

    def __init__(self, name: str, folder: Path, reading: Reading) -> None:
        self.name = name
        self._folder = folder
        self._reading = reading

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:  # noqa: ARG002  # as the port has it
        try:
            files = await asyncio.to_thread(self._files)
        except OSError as fault:
            raise ConnectorError(f"the folder cannot be read: {fault.strerror}", fault="unreachable") from None
        if len(files) > MAX_DEVICES:
            raise ConnectorError(f"the folder holds more than {MAX_DEVICES} reports", fault="inconsistent")
        return Run(self._pages(files), complete=False)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.suffix.lower() == ".xml" and path.is_file())

    async def _pages(self, files: list[Path]) -> AsyncIterator[Page[DeviceReport]]:
        for part in _parts(files):
            yield await asyncio.to_thread(self._page, part)

    def _page(self, files: list[Path]) -> Page[DeviceReport]:
        items: list[DeviceReport] = []
        refused: list[Refused] = []
        for path in files:
            try:
                with path.open("rb") as file:
                    text = file.read(BOUNDS.bytes + 1)
                items.append(read_hip_report(text, self.name, self._reading))
            except OSError as fault:
                refused.append(Refused("unreadable", detail=f"{path.name}: {fault.strerror}"))
            except BadRequestError as fault:
                refused.append(Refused("malformed", detail=f"{path.name}: {fault.message}"))
        return Page(tuple(items), refused=tuple(refused))


class _User(NamedTuple):
    computer: str
    ip: str
    user: str


class HipGateways:
    """The reports of everybody who is connected to one of the gateways now."""

    def __init__(self, setup: Setup, settings: Settings) -> None:
        self.name = setup.name
        self._setup = setup
        self._reading = settings.reading
        self._key_file = settings.api_key_file
        self._gateways = [_checked(setup.name, address) for address in settings.gateways]
        self._trust = None if not settings.ca_file else _trust(setup.name, settings.ca_file)

    async def run(self, cursor: str | None, now: datetime) -> Run[DeviceReport]:  # noqa: ARG002  # as the port has it
        return Run(self._pages(), complete=False)

    async def _pages(self) -> AsyncIterator[Page[DeviceReport]]:
        key = self._setup.read_secret(self._key_file)
        for gateway in self._gateways:
            async with self._setup.http(base_url=gateway, verify=self._trust) as client:
                api = _Api(client, key, self._setup)
                for part in _parts(_users(await api.ask(_USERS, _LIST))):
                    yield await self._page(api, part)

    async def _page(self, api: _Api, users: list[_User]) -> Page[DeviceReport]:
        """Some reports at once. The first fault of the gateway ends the others, and the run."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(user: _User) -> DeviceReport | Refused:
            async with turns:
                return await self._report(api, user)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(user)) for user in users]
        except ExceptionGroup as faults:  # every one of the tasks raises only ConnectorError
            raise faults.exceptions[0] from None
        found = [task.result() for task in tasks]
        return Page(
            tuple(item for item in found if isinstance(item, DeviceReport)),
            refused=tuple(item for item in found if isinstance(item, Refused)),
        )

    async def _report(self, api: _Api, user: _User) -> DeviceReport | Refused:
        asked = "".join(f"<{name}>{escape(getattr(user, name))}</{name}>" for name in _FIELDS)
        result = await api.ask(f"<show><user><hip-report>{asked}</hip-report></user></show>", BOUNDS)
        reports = [] if result is None else result.findall(ROOT)
        if len(reports) != 1:
            return Refused("no_report", detail=user.computer[:64])
        try:
            report = report_of(reports[0], self.name, self._reading)
        except BadRequestError as fault:
            return Refused("malformed", detail=f"{user.computer[:64]}: {fault.message}")
        if report.names.get("host_name", "").casefold() != user.computer.casefold():
            return Refused("mismatch", detail=f"{user.computer[:64]}: the report is another computer's")
        return report


class _Api:
    """One gateway's XML API."""

    def __init__(self, client: httpx.AsyncClient, key: str, setup: Setup) -> None:
        self._client = client
        self._key = key
        self._setup = setup

    async def ask(self, command: str, bounds: Bounds) -> Element | None:
        """The `result` of an operational command; None where the gateway knows no such object.

        Raises ConnectorError for everything else that is not an answer.
        """
        try:
            async with asyncio.timeout(CALL_S):
                text = await self._answer(command, bounds)
        except TimeoutError:
            raise ConnectorError("the gateway did not answer in time", fault="timeout") from None
        try:
            root = parse_xml(text, bounds)
        except BadRequestError as fault:
            raise ConnectorError(f"the gateway's answer: {fault.message}", fault="malformed") from None
        if root.tag != "response":
            raise ConnectorError("the gateway's answer is no `response`", fault="malformed")
        if root.get("status") == "success":
            results = root.findall("result")
            if len(results) != 1:
                raise ConnectorError("the gateway's answer has no single `result`", fault="malformed")
            return results[0]
        if root.get("code") in _NO_OBJECT:
            return None
        raise ConnectorError(f"the gateway refuses: code `{root.get('code', '')[:8]}`", fault="refused")

    async def _answer(self, command: str, bounds: Bounds) -> bytes:
        for attempt in range(1, ATTEMPTS + 1):
            wait = 2.0 ** (attempt - 1)
            fault = ConnectorError("the gateway cannot be reached", fault="unreachable")
            try:
                status, after, text = await self._post(command, bounds)
            except httpx.HTTPError:
                pass
            else:
                if status == 200:  # noqa: PLR2004  # OK
                    return text
                if status not in _BUSY:
                    word = "refused" if status in _FORBIDDEN else "malformed"
                    raise ConnectorError(f"the gateway answers with status {status}", fault=word)
                fault = ConnectorError(f"the gateway answers with status {status}", fault="throttled")
                fault.retry_after_s = after
                wait = wait if after is None else after
            if attempt == ATTEMPTS or wait > LONGEST_WAIT_S:
                raise fault
            await self._setup.sleep(wait)
        raise AssertionError

    async def _post(self, command: str, bounds: Bounds) -> tuple[int, float | None, bytes]:
        form = {"type": "op", "cmd": command}
        async with self._client.stream("POST", "/api/", data=form, headers={"X-PAN-KEY": self._key}) as answer:
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > bounds.bytes:
                    raise ConnectorError("the gateway's answer is too large", fault="malformed")
            return answer.status_code, _seconds(answer.headers.get("retry-after")), bytes(body)


def _users(result: Element | None) -> list[_User]:
    if result is None:
        raise ConnectorError("the gateway does not know its own users", fault="malformed")
    found: dict[_User, None] = {}
    for entry in result.findall("entry"):
        user = _User(*((entry.findtext(name) or "").strip() for name in ("computer", "virtual-ip", "username")))
        if not all(user):
            raise ConnectorError("a connected user has no computer, address or name", fault="malformed")
        found[user] = None  # a list that repeats itself asks nothing twice
    if len(found) > MAX_DEVICES:
        raise ConnectorError(f"more than {MAX_DEVICES} users are connected", fault="inconsistent")
    return list(found)


def _parts(items: list[_Item]) -> Iterator[list[_Item]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; a date, or anything else, says nothing here."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else None  # noqa: PLR2004  # a day has five digits


def _checked(name: str, address: str) -> str:
    """Raises SettingsError for an address that is not https (loopback may be http) or has a path, user or query."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise SettingsError(f"`connectors` `{name}`: `{address[:200]}` is no address") from None
    safe = url.scheme == "https" or (url.scheme == "http" and url.host in ("127.0.0.1", "::1"))
    if not safe or not url.host or url.userinfo or url.query or url.fragment or url.path not in ("", "/"):
        raise SettingsError(f"`connectors` `{name}`: a gateway is `https://HOST`, and nothing more")
    return address


def _trust(name: str, ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError(f"`connectors` `{name}`: `ca_file` cannot be used") from None
