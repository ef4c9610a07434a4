"""The mapping of a Cloudflare Access export: applications, groups, posture rules and lists of an account by our ids."""

from __future__ import annotations

import re
from ipaddress import ip_network
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.controls import SESSION_MAX, refuse_controls
from connectors.sase.mapping import converted, given_with_controls, refuse_action, refuse_given
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.model.rules import FactValue, Section

MAX_EXPIRATION_MINUTES: Final = 60  # what is no longer true must not be held for true longer than an hour
MAX_SESSION_MINUTES: Final = 24 * 60  # groups are looked at when a session begins: a day is the longest delay
_GIVEN: Final[frozenset[Section]] = frozenset(
    {"network", "resource", "enforcement"}
)  # sections that can be so of all traffic to a system
_TAGGED: Final = frozenset({"context.risk", "context.disaster_mode", "context.work_permit"})
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_METHOD: Final = re.compile(r"[a-z]{2,16}", re.ASCII)  # RFC 8176, section 2
_DOMAIN: Final = re.compile(r"([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}(/[a-zA-Z0-9._~-]+)*", re.ASCII)


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system's Access application. `action`: whatever is done there is this action (a screen-transfer gateway).

    `private`: its networks behind a tunnel of the account, which enrolled devices could reach past Access.
    """

    application: str
    domain: str
    action: str | None = None
    private: tuple[str, ...] = ()


class KeptSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A posture rule of the account, and the connection (custom service provider) that tells who is in the set."""

    rule: str
    connection: str


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has logged in by this method (`amr` of the identity provider) has at least this level."""

    level: int
    auth_method: str


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`groups`: our profiles of users to groups of Entra. `zones`: to IP lists of the account.

    `tagged`: facts of a session that the service tells with the posture of its device. `given`: what holds of all
    traffic to these systems. `enforces`: controls that the applications, or Browser Isolation, carry out there.
    `one_person_devices`: nobody but its owner, or the one whom it is lent to, can sign in on a device.
    """

    identity_provider: str
    groups: dict[str, str]
    sets: dict[str, KeptSet]
    resources: dict[str, Place]
    zones: dict[str, str] = {}
    authentication: tuple[Method, ...] = ()
    leave: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}
    tagged: tuple[str, ...] = ("context.risk",)
    enforces: tuple[str, ...] = ()
    one_person_devices: bool = False
    session_minutes: int = 60
    schedule_minutes: int = 5
    expiration_minutes: int = 15

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given everywhere, the controls with it."""
        return given_with_controls(self.given, self.enforces)


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "cloudflare")
    _refuse_ids("identity_provider", [("identity_provider", mapped.identity_provider)])
    _refuse_ids("groups", mapped.groups.items())
    _refuse_ids("zones", mapped.zones.items())
    _refuse_ids("sets", [(name, one.rule) for name, one in mapped.sets.items()])
    _refuse_ids("sets", [(name, one.connection) for name, one in mapped.sets.items()])
    _refuse_ids("resources", [(name, one.application) for name, one in mapped.resources.items()])
    _refuse_places(mapped)
    _refuse_facts(mapped)
    _refuse_methods(mapped)
    _refuse_times(mapped)
    refuse_controls(mapped.enforces, valued_by_files=(SESSION_MAX,))
    return mapped


def _refuse_ids(where: str, ids: Iterable[tuple[str, str]]) -> None:
    """Attack: two sets in one group or list make the members of the wider one members of the narrower one."""
    seen: dict[str, str] = {}
    for name, one in sorted(ids):
        if _UUID.fullmatch(one) is None:
            raise SettingsError(f"`{where}`: `{name}` needs an id such as 699d9864-2c55-4d2e-855e-9661899b7252")
        if one in seen:
            raise SettingsError(f"`{where}`: `{name}` and `{seen[one]}` have one id: give each its own")
        seen[one] = name


def _refuse_places(mapped: Mapped) -> None:
    """Attack: what is allowed for one system must not reach another that stands below the same address."""
    for name, place in mapped.resources.items():
        if _DOMAIN.fullmatch(place.domain) is None or "/." in place.domain:
            raise SettingsError(f"`{name}`: a host name in small letters, with a path or not, is needed")
        refuse_action(name, place.action)
        for address in place.private:
            _refuse_network(name, address)
    for (name, one), (other_name, other) in combinations(sorted(mapped.resources.items()), 2):
        ours, theirs = one.domain + "/", other.domain + "/"
        if ours.startswith(theirs) or theirs.startswith(ours):
            raise SettingsError(f"`{name}` and `{other_name}` have one place: tell them apart")


def _refuse_network(name: str, address: str) -> None:
    try:
        said = str(ip_network(address))
    except ValueError:
        said = ""
    if said != address:
        raise SettingsError(f"`{name}`: `{address}` is no network such as 10.1.2.0/24")


def _refuse_facts(mapped: Mapped) -> None:
    refuse_given(mapped.given, _GIVEN)
    for name in mapped.tagged:
        if name.partition("∋")[0] not in _TAGGED:
            raise SettingsError(f"`tagged`: `{name}` is nothing that a device has for minutes")


def _refuse_methods(mapped: Mapped) -> None:
    levels = [one.level for one in mapped.authentication]
    methods = [one.auth_method for one in mapped.authentication]
    if len(set(levels)) != len(levels) or len(set(methods)) != len(methods):
        raise SettingsError("`authentication`: every level and every method stands there once")
    for one in mapped.authentication:
        if one.level < 1 or _METHOD.fullmatch(one.auth_method) is None:
            raise SettingsError("`authentication`: a level from 1 and a word of RFC 8176 are needed")


def _refuse_times(mapped: Mapped) -> None:
    if not 1 <= mapped.session_minutes <= MAX_SESSION_MINUTES:
        raise SettingsError(f"`session_minutes`: 1 to {MAX_SESSION_MINUTES}")
    if not 1 <= mapped.schedule_minutes < mapped.expiration_minutes <= MAX_EXPIRATION_MINUTES:
        raise SettingsError(
            f"`expiration_minutes`: longer than `schedule_minutes`, {MAX_EXPIRATION_MINUTES} at most: "
            "without an end, the last answer about a silent device stands for ever"
        )
