"""The mapping of an Entra export: the tenant's applications, groups, locations and strengths by our ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.controls import refuse_controls
from connectors.sase.mapping import converted, given_with_controls, refuse_action, refuse_given, section
from connectors.sase.saying import value_text
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.model.rules import Condition, FactValue, Section

_OF_PEOPLE: Final = frozenset({"user", "risk"})  # sections: what is true of a person, whichever session asks
# Sections that all sign-ins can have in common: nothing of a person, a device or a login.
_GIVEN: Final[frozenset[Section]] = frozenset({"network", "time", "action", "enforcement", "resource"})
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
        return given_with_controls(self.given, self.enforces)

    @property
    def places(self) -> dict[str, dict[str, str]]:
        """Named locations by fact and value."""
        return {"context.zone": self.zones, "context.country": self.countries}


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "entra")
    # Attack: two sets in one group make the members of the wider one members of the narrower one; and the group
    # that every policy excludes must be nobody's way in.
    _refuse_ids("group", [("break_glass", mapped.break_glass), *mapped.groups.items(), *mapped.people.items()])
    _refuse_ids("location", [*mapped.zones.items(), *mapped.countries.items()])
    _refuse_ids("application", [(name, one.id) for name, one in mapped.applications.items()])
    _refuse_ids("strength", [(f"level_{level}", said) for level, said in mapped.strengths.levels.items()])
    for name, one in mapped.applications.items():
        refuse_action(name, one.action)
    if both := sorted(set(mapped.applications) & set(mapped.leave)):
        raise SettingsError(f"`{both[0]}` is mapped and left out")
    if _ATTRIBUTE.fullmatch(mapped.attribute) is None:
        raise SettingsError(f"`{mapped.attribute}`: extensionAttribute1 to extensionAttribute15 are there")
    refuse_given(mapped.given, _GIVEN)
    refuse_controls(mapped.enforces)
    for said in mapped.people:
        if section(said.partition("=")[0], "people") not in _OF_PEOPLE:
            raise SettingsError(f"`people`: `{said}` is not true of a person: it differs from session to session")
    return mapped


def said_of(condition: Condition) -> str:
    """A condition as a key of `people`: `context.risk∋malware_alert=false`, `context.underlay=office|home`."""
    return f"{condition.fact}={'|'.join(value_text(value) for value in condition.values)}"


def _refuse_ids(what: str, named: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, said in named:
        if _ID.fullmatch(said) is None:
            raise SettingsError(f"`{name}`: `{said}` is no id (a GUID in small letters)")
        if said in seen:
            raise SettingsError(f"`{name}` and `{seen[said]}` have one {what}: give each its own")
        seen[said] = name
