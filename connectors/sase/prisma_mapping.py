"""The mapping of a Prisma Access export: folders of the tenant, its groups, addresses and checks by our ids."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.controls import refuse_controls
from connectors.sase.mapping import OF_TRAFFIC, converted, given_with_controls, refuse_action, refuse_given, section
from connectors.sase.prisma_calendar import Calendar, refuse_calendar
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.model.rules import FactValue

ANY: Final = "any"
APPLICATION_DEFAULT: Final = "application-default"
RESERVED_USERS: Final = frozenset({ANY, "pre-login", "known-user", "unknown"})  # pan.dev OpenAPI, base-rule-properties
CONTAINER: Final = re.compile(r"[a-zA-Z\d\-_. ]{1,64}", re.ASCII)  # folders: objects of the same OpenAPI
_KEY: Final = re.compile(r"[a-z0-9-]{1,16}", re.ASCII)
_MAX_URL: Final = 255
_TAGGED: Final = OF_TRAFFIC | {"time", "risk"}  # sections that a session can have


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"zones": "from"}):
    """A folder with a rulebase: whose traffic comes there (`from`), and what is true of all of it (`given`)."""

    folder: str
    given: dict[str, str | int | bool]
    zones: tuple[str, ...] = ("trust",)


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a system is, by the tenant's names. `action`: whatever is done there is this action (screen transfer)."""

    destination: tuple[str, ...]
    application: tuple[str, ...] = (ANY,)
    service: tuple[str, ...] = (APPLICATION_DEFAULT,)
    category: tuple[str, ...] = (ANY,)
    to: tuple[str, ...] = (ANY,)
    action: str | None = None


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vendor as GlobalProtect names it, and its products; none: all of them."""

    vendor: str
    product: tuple[str, ...] = ()


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What GlobalProtect finds out on the devices here. What it does not stands in a tag that this service sets."""

    edr: Product | None = None
    certificate_profile: str | None = None
    disk: bool = False
    phones: bool = False  # jailbreak and passcode of phones and tablets


class CutOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of addresses that are cut off at once, fetched every five minutes."""

    url: str
    certificate_profile: str | None = None


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`groups`: our profiles of users to the tenant's groups. `given`: what holds of all traffic of the tenant.

    `tagged`: facts of a session that this service keeps as tags of its address, besides device and posture.
    `enforces`: controls that the applications, or the browser in front of them, carry out for all of these systems.
    """

    folders: dict[str, Folder]
    groups: dict[str, str]
    resources: dict[str, Place]
    objects_folder: str = "Prisma Access"
    leave: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}
    tagged: tuple[str, ...] = ("context.risk",)
    enforces: tuple[str, ...] = ()
    checks: Checks = Checks()
    cut_off: CutOff | None = None
    calendar: Calendar | None = None
    log_setting: str | None = None

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given everywhere, the controls with it."""
        return given_with_controls(self.given, self.enforces)


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "prisma")
    for key, folder in mapped.folders.items():
        if _KEY.fullmatch(key) is None:
            raise SettingsError(f"`{key}`: a folder's key is 16 small letters and digits at most")
        _refuse_folder(folder.folder)
        refuse_given({**mapped.given, **folder.given}, OF_TRAFFIC, key)
        if shared := sorted(set(folder.given) & set(mapped.given_here)):
            raise SettingsError(f"`{key}`: `{shared[0]}` is given for the folder and for all")
    if len({folder.folder for folder in mapped.folders.values()}) < len(mapped.folders):
        raise SettingsError("a folder is named twice")
    for name in mapped.tagged:
        if section(name, "tagged") not in _TAGGED:
            raise SettingsError(f"`tagged`: `{name}` is no fact of a session")
    if not mapped.folders:
        raise SettingsError("a mapping of prisma names at least one folder")
    _refuse_folder(mapped.objects_folder)
    _refuse_groups(mapped)
    _refuse_places(mapped)
    refuse_calendar(mapped.calendar)
    refuse_controls(mapped.enforces)
    if mapped.cut_off and not (mapped.cut_off.url.startswith("https://") and len(mapped.cut_off.url) <= _MAX_URL):
        raise SettingsError(f"`cut_off`: an https address of {_MAX_URL} characters at most is needed")
    return mapped


def _refuse_folder(name: str) -> None:
    if CONTAINER.fullmatch(name) is None:
        raise SettingsError(f"`{name}` is no name of a folder")


def _refuse_groups(mapped: Mapped) -> None:
    """Attack: two sets in one group make the members of the wider one members of the narrower one."""
    seen: dict[str, str] = {}
    for profile, group in sorted(mapped.groups.items()):
        name = group.strip().casefold()
        if name in RESERVED_USERS or not name or len(group) > _MAX_URL:
            raise SettingsError(f"`{profile}`: `{group}` is no group")
        if name in seen:
            raise SettingsError(f"`{profile}` and `{seen[name]}` have one group: give each a group of its own")
        seen[name] = profile


def _refuse_places(mapped: Mapped) -> None:
    """Attack: what is allowed for one system must not reach another that stands in the same place."""
    for name, place in mapped.resources.items():
        refuse_action(name, place.action)
        for said in (place.destination, place.application, place.service, place.category, place.to):
            if not said or len(set(said)) != len(said) or (ANY in said and len(said) > 1):
                raise SettingsError(f"`{name}`: every list names something, once; `any` stands alone")
        if place.destination == (ANY,) and place.category == (ANY,) and place.application == (ANY,):
            raise SettingsError(f"`{name}`: a destination, a category or an application is needed")
    for (name, place), (other_name, other) in combinations(sorted(mapped.resources.items()), 2):
        if all(
            meets(ours, theirs)
            for ours, theirs in (
                (place.destination, other.destination),
                (place.application, other.application),
                (place.category, other.category),
                (place.service, other.service),
                (place.to, other.to),
            )
        ):
            raise SettingsError(f"`{name}` and `{other_name}` have one place: tell them apart")


def meets(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether something can be in both. The default ports of an application may be any service's."""
    wild = {ANY, APPLICATION_DEFAULT}
    return bool(wild & set(ours) or wild & set(theirs) or set(ours) & set(theirs))


def covers(rule: Sequence[str], place: Sequence[str]) -> bool:
    """Whether all of a place is in what a rule names."""
    return ANY in rule or (ANY not in place and set(place) <= set(rule))
