"""People from an LDAP directory: what one run does, read this first.

1. connect, bind                         client.py
2. read who this server is               for Active Directory: its number of changes, and which controller it is
3. read the groups that the rules name   groups.py
4. full or incremental                   full where anything but accounts differs from the last run: the controller,
                                         the settings, a membership
5. read the accounts, page by page       into users, by mapping.py
6. accounts that share an id             suspended, all of them
7. where the next run goes on            from what was read before the accounts were, so that nothing falls between

Everything is read before the first page is handed out: a run that dies half-way has given nothing, and no connection
stays open behind a reader who stops. 50,000 accounts take some 60 MB.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from connectors.identity.ldap import groups, mapping
from connectors.identity.ldap.client import BREATH, Bind, Server, connected
from connectors.identity.ldap.filters import all_of, any_of, at_least, equal
from connectors.identity.ldap.messages import Search
from connectors.identity.ldap.names import parse_name
from connectors.identity.ldap.settings import LdapSettings, checked, tls_context
from connectors.identity.ldap.values import ValueFault, as_generalized_time, generalized_time, number, one
from connectors.port import Cursor, Page, Refused, Run
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from connectors.identity.ldap.client import Client
    from connectors.identity.ldap.mapping import Membership, Person
    from connectors.identity.ldap.messages import Entry
    from connectors.setup import Setup
    from pdp.model.directory import User

MAX_NOTES: Final = 10_000  # beyond it a rule is wrong, and not the accounts
MAX_SKEW: Final = timedelta(minutes=5)  # of the server's clock, as Kerberos allows it
_PAGE: Final = 500  # users in a page that is handed out
_IDS_AT_ONCE: Final = 50  # ids in one filter that looks for their doubles
_VERSION: Final = 1


class _Mark(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the next run goes on. `at`: a number of changes (usn), or a generalized time."""

    v: int
    settings: str
    server: str
    groups: str
    at: str


@dataclass(frozen=True, slots=True)
class _Look:
    """What stands before the accounts are read."""

    membership: Membership
    mark: _Mark
    since: str | None  # None: a full run


def connector(setup: Setup) -> LdapSource:
    """Raises SettingsError. The password and the certificates are read again at each run, so that they can change."""
    return LdapSource(setup, checked(setup.read(LdapSettings)))


class LdapSource:
    """An IdentityConnector."""

    def __init__(self, setup: Setup, settings: LdapSettings) -> None:
        self._setup = setup
        self._settings = settings

    @property
    def name(self) -> str:
        return self._setup.name

    async def run(self, cursor: str | None, now: datetime) -> Run[User]:
        """Reads everything, or what changed since `cursor`. Raises ConnectorError."""
        settings = self._settings
        try:
            server, bind = self._server()
        except SettingsError as fault:
            raise ConnectorError(fault.message, next_step=fault.next_step) from None
        try:
            async with asyncio.timeout(settings.run_timeout_s), connected(server, bind) as client:
                look = await _look(client, settings, cursor, now)
                reading = _Accounts(settings, look.membership, as_generalized_time(now + MAX_SKEW))
                await reading.read(client, look.since)
                references = client.references
        except TimeoutError:
            raise ConnectorError("the run did not end within `run_timeout_s`", fault="timeout") from None
        if references:
            reading.note(Refused("reference", detail=f"{references} references to other servers were not followed"))
        mark = look.mark
        if settings.how == "modify_timestamp":
            mark = msgspec.structs.replace(mark, at=max(mark.at, reading.newest))
        value = None if settings.how == "off" or not mark.at else msgspec.json.encode(mark).decode()
        return Run(reading.pages(), complete=look.since is None, cursor=Cursor(value))

    def _server(self) -> tuple[Server, Bind]:
        settings = self._settings
        host, port = settings.address
        context = tls_context(settings)
        server = Server(host, port, context, settings.start_tls, settings.server_name, settings.timeout_s)
        if settings.bind == "external":
            return server, Bind()
        password = self._setup.read_secret(settings.password_file)
        if not password:
            raise SettingsError("`password_file` is empty")
        return server, Bind(settings.bind_dn, password)


async def _look(client: Client, settings: LdapSettings, cursor: str | None, now: datetime) -> _Look:
    server, at = await _state(client) if settings.how == "usn" else ("", "")
    membership = await groups.read_membership(client, settings)
    mark = _Mark(_VERSION, settings.digest, server, groups.digest(membership), at)
    last = _read_mark(cursor)
    same = last is not None and msgspec.structs.replace(last, at=at) == mark
    if last is None or not same or settings.how == "off" or not _has_been(last.at, at, now):
        return _Look(membership, mark, None)
    return _Look(membership, mark if at else last, last.at)


def _has_been(last: str, at: str, now: datetime) -> bool:
    """The last mark lies behind us: not so after a server was set back without saying so, or its clock."""
    return int(last) <= int(at) if at else last <= as_generalized_time(now + MAX_SKEW)


def _read_mark(cursor: str | None) -> _Mark | None:
    """None where there is none, or one that is not ours: a full run then."""
    if cursor is None:
        return None
    try:
        mark = msgspec.json.decode(cursor, type=_Mark)
    except msgspec.DecodeError:
        return None
    known = mark.at.isdecimal() or generalized_time(mark.at) is not None
    return mark if known and mark.v == _VERSION else None


async def _state(client: Client) -> tuple[str, str]:
    """(which domain controller in which life, how many changes it has seen) ([MS-ADTS] 3.1.1.1.9, 3.1.1.3.2.11).

    A controller that was restored from a backup gets a new invocation id: its numbers mean something else then.
    """
    root = await client.read("", ("highestCommittedUSN", "dsServiceName"))
    try:
        changes = one(root, "highestCommittedUSN") if root else None
        service = one(root, "dsServiceName") if root else None
        life = await client.read(service.decode("utf-8"), ("invocationId",)) if service else None
        invocation = one(life, "invocationId") if life else None
        if changes is None or invocation is None:
            raise ConnectorError("the server does not say which domain controller it is", fault="inconsistent")
        return invocation.hex(), str(number(changes, "highestCommittedUSN"))
    except (ValueFault, UnicodeDecodeError):
        raise ConnectorError("the server's own state cannot be read", fault="malformed") from None


class _Accounts:
    """The accounts of one run: users by id, those who share one, and what was wrong."""

    def __init__(self, settings: LdapSettings, membership: Membership, latest: str) -> None:
        self._settings = settings
        self._membership = membership
        self._latest = latest
        self._people: dict[str, Person] = {}
        self._doubles: set[str] = set()
        self._removed: list[str] = []
        self._refused: list[Refused] = []
        self._skewed = False
        self.newest = ""

    def note(self, refused: Refused) -> None:
        self._refused.append(refused)

    async def read(self, client: Client, since: str | None) -> None:
        settings = self._settings
        wanted = Search(
            settings.base, settings.scope, self._filter(since), mapping.wanted_attributes(settings),
            int(settings.timeout_s) or 1, settings.page_size,
        )  # fmt: skip
        async for page in client.pages(wanted, settings.max_entries):
            for count, entry in enumerate(page, start=1):
                self._take(entry)
                if count % BREATH == 0:
                    await asyncio.sleep(0)
        if since is not None:
            await self._find_doubles(client)
            if settings.read_deleted:
                await self._read_deleted(client, since)

    def _filter(self, since: str | None) -> bytes:
        settings = self._settings
        if since is None:
            return settings.user_filter
        if settings.how == "usn":
            return all_of(settings.user_filter, at_least("uSNChanged", str(int(since) + 1)))
        stamp = generalized_time(since)
        if stamp is None:
            raise ConnectorError("the mark of the last run cannot be read", fault="inconsistent")
        start = as_generalized_time(stamp - timedelta(seconds=settings.overlap_s))
        return all_of(settings.user_filter, at_least("modifyTimestamp", start))

    def _take(self, entry: Entry) -> None:
        for stamp in entry.attributes.get("modifytimestamp", ()):
            self._see(_stamp(stamp))
        found = mapping.person(entry, self._settings, self._membership)
        if isinstance(found, Refused):
            self.note(found)
            return
        held = self._people.get(found.key)
        if held is not None and held.name != found.name:
            self._doubles.add(found.key)
        self._people[found.key] = found  # the same object again, as a server may send it between pages: the later one

    def _see(self, stamp: str) -> None:
        """One stamp of the year 2099, believed, would hide every change until then."""
        if stamp <= self._latest:
            self.newest = max(self.newest, stamp)
        elif not self._skewed:
            self._skewed = True
            self.note(Refused("clock_skew", detail="objects were changed in the future; their stamps do not count"))

    async def _find_doubles(self, client: Client) -> None:
        """A changed account may claim the id of one that did not change, and so is not among these."""
        keys = iter([] if self._settings.user.id_form == "guid" else list(self._people))
        while some := list(islice(keys, _IDS_AT_ONCE)):
            settings = self._settings
            same = any_of(*(equal(settings.id_attribute, key) for key in some))
            wanted = Search(
                settings.base, settings.scope, all_of(settings.user_filter, same), (settings.id_attribute,),
                int(settings.timeout_s) or 1, settings.page_size,
            )  # fmt: skip
            async for page in client.pages(wanted, settings.max_entries):
                for entry in page:
                    self._compare(entry)

    def _compare(self, entry: Entry) -> None:
        try:
            key = mapping.user_id(entry, self._settings)
            name = parse_name(entry.dn)
        except ValueError:
            return
        held = self._people.get(key)
        if held is not None and held.name != name:
            self._doubles.add(key)

    async def _read_deleted(self, client: Client, since: str) -> None:
        """Active Directory keeps a deleted object's id for some months, for who may see it ([MS-ADTS] 3.1.1.5.5)."""
        settings = self._settings
        filter_ = all_of(equal("isDeleted", "TRUE"), at_least("uSNChanged", str(int(since) + 1)))
        wanted = Search(
            settings.base, "subtree", filter_, (settings.id_attribute,), int(settings.timeout_s) or 1,
            settings.page_size, show_deleted=True,
        )  # fmt: skip
        async for page in client.pages(wanted, settings.max_entries):
            for entry in page:
                try:
                    key = mapping.user_id(entry, settings)
                except ValueFault:
                    continue  # a computer, a group: what has no id of a user was none
                if key not in self._people:  # made again under the same id: not gone
                    self._removed.append(key)

    async def pages(self) -> AsyncIterator[Page[User]]:
        people = [mapping.twice(p) if p.key in self._doubles else p for p in self._people.values()]
        notes = [*self._refused, *(note for person in people for note in person.refused)]
        more = len(notes) - MAX_NOTES
        if more > 0:
            notes[MAX_NOTES:] = [Refused("more_notes", detail=f"{more} more notes of this run are not kept")]
        yield Page((), tuple(dict.fromkeys(self._removed)), tuple(notes))
        for at in range(0, len(people), _PAGE):
            yield Page(tuple(person.user for person in people[at : at + _PAGE]))


def _stamp(value: bytes) -> str:
    """A stamp in one form, so that texts compare as times; none where it cannot be read."""
    try:
        found = generalized_time(value.decode("ascii"))
    except ValueError:
        return ""
    return "" if found is None else as_generalized_time(found)
