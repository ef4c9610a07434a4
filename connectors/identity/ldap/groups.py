"""Who is in the groups that the settings name, directly or through other groups.

A membership changes the group and not the account (Active Directory and OpenLDAP alike), so an incremental run by the
accounts' own stamps would keep a role that was taken away. Hence every run reads the named groups, and a membership
that differs from the last run's makes the run a full one.
"""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from connectors.identity.ldap.client import BREATH
from connectors.identity.ldap.filters import all_of, matching
from connectors.identity.ldap.mapping import Membership, name_key
from connectors.identity.ldap.messages import NO_ATTRIBUTES, Search
from connectors.identity.ldap.names import NameFault, parse_name
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from connectors.identity.ldap.client import Client
    from connectors.identity.ldap.messages import Entry
    from connectors.identity.ldap.names import Name
    from connectors.identity.ldap.settings import LdapSettings

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"  # LDAP_MATCHING_RULE_IN_CHAIN, [MS-ADTS] 3.1.1.3.4.4.3
MAX_GROUPS: Final = 20_000  # in the directory; ours to walk are some dozens
MAX_MEMBERS: Final = 500_000  # of all groups that are walked
_MAX_RANGES: Final = 1_000
_RANGE: Final = re.compile(r";range=(\d{1,9})-(\d{1,9}|\*)\Z")


def named_groups(settings: LdapSettings) -> tuple[str, ...]:
    """The groups that a rule asks for, each once."""
    rules = [group.dn for group in settings.user.groups] + [rule.group or "" for rule in settings.user.kinds]
    return tuple({parse_name(dn): dn for dn in rules if dn}.values())


def digest(membership: Membership) -> str:
    """The same for the same people in the same groups."""
    lines = sorted(f"{key} {sorted(groups)}" for key, groups in membership.groups.items())
    return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:32]


async def read_membership(client: Client, settings: LdapSettings) -> Membership:
    """Raises ConnectorError; also where a named group does not exist: a rule would silently stop to hold."""
    wanted = named_groups(settings)
    if not wanted or settings.groups.how == "member_of":
        return Membership()
    found: dict[str, set[Name]] = {}
    walk = _Walk(client, settings)
    for dn in wanted:
        members = await (walk.chain(dn) if settings.groups.how == "in_chain" else walk.members(dn))
        group = parse_name(dn)
        for key in members:
            found.setdefault(key, set()).add(group)
    return Membership({key: frozenset(groups) for key, groups in found.items()})


class _Walk:
    """Each group is read once a run, however many others hold it; a circle of groups ends by itself."""

    def __init__(self, client: Client, settings: LdapSettings) -> None:
        self._client = client
        self._settings = settings
        self._known: dict[str, str] | None = None  # every group of the directory: key and DN as the server writes it
        self._direct: dict[str, tuple[str, ...]] = {}
        self._members = 0

    async def members(self, dn: str) -> set[str]:
        """The keys of all members, through any number of groups."""
        found: set[str] = set()
        seen = {name_key(parse_name(dn))}
        waiting = [dn]
        while waiting:
            for key in await self._read(waiting.pop()):
                found.add(key)
                inner = (await self._groups()).get(key)
                if inner is not None and key not in seen:
                    seen.add(key)
                    waiting.append(inner)
        return found

    async def chain(self, dn: str) -> set[str]:
        """As the server works it out, Active Directory only."""
        if await self._client.read(dn, (NO_ATTRIBUTES,)) is None:
            raise _absent(dn)
        settings = self._settings
        filter_ = all_of(settings.user_filter, matching("memberOf", IN_CHAIN, dn))
        return {key async for key in self._keys(settings.base, filter_, settings.max_entries)}

    async def _groups(self) -> dict[str, str]:
        if self._known is None:
            settings = self._settings
            self._known = {}
            if settings.groups.members_are == "names":
                wanted = self._search(settings.groups.base or settings.base, settings.group_filter)
                async for page in self._client.pages(wanted, MAX_GROUPS):
                    self._known.update((key, entry.dn) for entry in page if (key := _key(entry.dn)))
        return self._known

    async def _keys(self, base: str, filter_: bytes, most: int) -> AsyncIterator[str]:
        async for page in self._client.pages(self._search(base, filter_), most):
            for entry in page:
                if key := _key(entry.dn):
                    yield key

    def _search(self, base: str, filter_: bytes) -> Search:
        settings = self._settings
        return Search(base, "subtree", filter_, (NO_ATTRIBUTES,), int(settings.timeout_s) or 1, settings.page_size)

    async def _read(self, dn: str) -> tuple[str, ...]:
        key = name_key(parse_name(dn))
        if key not in self._direct:
            values = await self._values(dn)
            as_key = _key if self._settings.groups.members_are == "names" else _id
            keys = []
            for count, value in enumerate(values, start=1):
                keys.append(as_key(value))
                if count % BREATH == 0:
                    await asyncio.sleep(0)
            self._direct[key] = tuple(key for key in keys if key)
        return self._direct[key]

    async def _values(self, dn: str) -> list[str]:
        """All members of one group; Active Directory gives 1,500 at a time ([MS-ADTS] 3.1.1.3.1.3.3)."""
        attribute = self._settings.groups.member
        entry = await self._client.read(dn, (attribute,))
        if entry is None:
            raise _absent(dn)
        values: list[str] = []
        for _ in range(_MAX_RANGES):
            name, part = _part(entry, attribute)
            values += _texts(part)
            self._members += len(part)
            if self._members > MAX_MEMBERS:
                raise ConnectorError(f"the groups have more than {MAX_MEMBERS} members", fault="too_large")
            found = _RANGE.search(name)
            if found is None or found[2] == "*":
                return values
            start = int(found[2]) + 1
            entry = await self._client.read(dn, (f"{attribute};range={start}-*",))
            if entry is None or not _follows(entry, attribute, start):
                raise ConnectorError("a group changed while it was read", fault="inconsistent")
        raise ConnectorError("a group's members come in parts without end", fault="malformed")


def _part(entry: Entry, attribute: str) -> tuple[str, tuple[bytes, ...]]:
    """(name with its options, values) of the part that the server sent; an empty group has none."""
    plain = attribute.lower()
    ranged = [(name, v) for name, v in entry.attributes.items() if name.startswith(f"{plain};range=")]
    if len(ranged) > 1 or any(_RANGE.search(name) is None for name, _ in ranged):
        raise ConnectorError("a group's members come in parts that cannot be read", fault="malformed")
    return ranged[0] if ranged else (plain, entry.attributes.get(plain, ()))


def _follows(entry: Entry, attribute: str, start: int) -> bool:
    found = _RANGE.search(_part(entry, attribute)[0])
    return found is not None and int(found[1]) == start


def _texts(values: Iterable[bytes]) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values]


def _key(dn: str) -> str | None:
    """None for a name that cannot be read: it is nobody's."""
    try:
        return name_key(parse_name(dn))
    except NameFault:
        return None


def _id(value: str) -> str | None:
    return value or None


def _absent(dn: str) -> ConnectorError:
    return ConnectorError(
        f"the group `{dn[:200]}` does not exist, or our account may not read it",
        fault="inconsistent",
        next_step="correct the group's name in the source's settings, or our account's rights",
    )
