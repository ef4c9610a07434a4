"""The mapping of an Entra export: the tenant's applications, groups, locations and strengths by our ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import SettingsError
from pdp.model.input import ACTIONS
from pdp.model.rules import section_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.model.rules import Condition, FactValue

CONTROLS: Final = ("clipboard", "print", "save", "download", "browser_only", "record_session")  # words of `context.pep`
_OF_PEOPLE: Final = frozenset({"user", "risk"})  # sections: what is true of a person, whichever session asks
_NEVER_GIVEN: Final = frozenset({"user", "device", "posture", "authentication", "risk"})  # sections
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ATTRIBUTE: Final = re.compile(r"extensionAttribute([1-9]|1[0-5])", re.ASCII)


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The appId of a system. `action`: whatever is done there is this action (a screen-transfer gateway)."""

    id: str
    action: str | None = None


class Strengths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Authentication strengths of the tenant that nobody satisfies below this `subject.auth_level`."""

    level_1: str | None = None
    level_2: str | None = None
    level_3: str | None = None

    @property
    def levels(self) -> dict[int, str]:
        """The ids by level, of those that there are."""
        held = {1: self.level_1, 2: self.level_2, 3: self.level_3}
        return {level: said for level, said in held.items() if said is not None}


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`groups`: profiles of users to groups that this service fills; `people`: other facts (`fact=value|value`).

    `zones` and `countries` are named locations. `attribute` is written by this service alone. `one_person_devices`
    says that nobody but its owner, or the one whom it is lent to, can sign in on a device (Intune enforces it).
    """

    applications: dict[str, Application]
    break_glass: str
    groups: dict[str, str]
    people: dict[str, str] = {}
    zones: dict[str, str] = {}
    countries: dict[str, str] = {}
    strengths: Strengths = Strengths()
    attribute: str = "extensionAttribute1"
    one_person_devices: bool = False
    leave: tuple[str, ...] = ()
    enforces: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given for all sign-ins, the controls with it."""
        return {**{f"context.pep∋{word}": word in self.enforces for word in CONTROLS}, **self.given}

    @property
    def places(self) -> dict[str, dict[str, str]]:
        """Named locations by fact and value."""
        return {"context.zone": self.zones, "context.country": self.countries}


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    try:
        mapped = msgspec.convert(dict(mapping), Mapped)
    except msgspec.ValidationError as fault:
        raise SettingsError(f"the mapping of entra: {fault}") from None
    # Attack: two sets in one group make the members of the wider one members of the narrower one; and the group
    # that every policy excludes must be nobody's way in.
    _refuse_ids("group", [("break_glass", mapped.break_glass), *mapped.groups.items(), *mapped.people.items()])
    _refuse_ids("location", [*mapped.zones.items(), *mapped.countries.items()])
    _refuse_ids("application", [(name, one.id) for name, one in mapped.applications.items()])
    _refuse_ids("strength", [(f"level_{level}", said) for level, said in mapped.strengths.levels.items()])
    for name, one in mapped.applications.items():
        if one.action is not None and one.action not in ACTIONS:
            raise SettingsError(f"`{name}`: there is no action `{one.action}`")
    if both := sorted(set(mapped.applications) & set(mapped.leave)):
        raise SettingsError(f"`{both[0]}` is mapped and left out")
    if _ATTRIBUTE.fullmatch(mapped.attribute) is None:
        raise SettingsError(f"`{mapped.attribute}`: extensionAttribute1 to extensionAttribute15 are there")
    for name in mapped.given:
        if _section("given", name) in _NEVER_GIVEN:
            raise SettingsError(f"`given`: `{name}` differs from person to person and device to device")
    for said in mapped.people:
        if _section("people", said.partition("=")[0]) not in _OF_PEOPLE:
            raise SettingsError(f"`people`: `{said}` is not true of a person: it differs from session to session")
    return mapped


def said_of(condition: Condition) -> str:
    """A condition as a key of `people`: `context.risk∋malware_alert=false`, `context.underlay=office|home`."""
    return f"{condition.fact}={'|'.join(_text(value) for value in condition.values)}"


def holds(condition: Condition, given: FactValue) -> bool:
    """Whether a given value is among those that a condition asks for: true is not 1."""
    return any(given == one and type(given) is type(one) for one in condition.values)


def _text(value: FactValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _section(part: str, name: str) -> str:
    try:
        return section_of(name)
    except KeyError:
        raise SettingsError(f"`{part}`: there is no fact `{name}`") from None


def _refuse_ids(what: str, named: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, said in named:
        if _ID.fullmatch(said) is None:
            raise SettingsError(f"`{name}`: `{said}` is no id (a GUID in small letters)")
        if said in seen:
            raise SettingsError(f"`{name}` and `{seen[said]}` have one {what}: give each its own")
        seen[said] = name
