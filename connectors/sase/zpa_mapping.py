"""The mapping of a ZPA export: the tenant's segments, SCIM groups, posture checks and attributes by our ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from connectors.sase.controls import refuse_controls
from connectors.sase.mapping import (
    OF_TRAFFIC,
    converted,
    given_with_controls,
    refuse_action,
    refuse_given,
    refuse_ids,
    section,
)
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.rules import FactValue

PLATFORMS: Final = frozenset({"mac", "linux", "ios", "windows", "android"})
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)  # 72058304855090129, 490880
_UDID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)  # cfab2ee9-9bf4-4482-9dcc-dadf7311c49b
_ATTRIBUTES: Final = OF_TRAFFIC | {"time", "risk"}  # sections that a session can have


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application segments of a system. `action`: whatever is done there is this action (screen transfer)."""

    segments: tuple[str, ...]
    action: str | None = None


class DeviceClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The check that only devices of this class pass (`posture_udid`), and their platforms; none: any."""

    posture: str
    platforms: tuple[str, ...] = ()


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attribute of the person that carries a fact as text: `2`, `true`. SAML: of the login. SCIM: kept current."""

    kind: Literal["SAML", "SCIM"]
    id: str


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`groups`: our profiles of users to SCIM groups of `idp`. `sets`: our profiles of devices and posture to checks.

    `unsaid`: classes and profiles of devices that no check finds out; their rules are left out. `networks`: zones to
    the trusted networks (network ids) that they are. `given`: what holds of all traffic of the tenant. `enforces`:
    controls that the applications carry out. `attributes`: facts of a session to attributes. `one_person_devices`:
    nobody but its owner, or the one whom it is lent to, can sign in on a device.
    """

    idp: str
    groups: dict[str, str]
    classes: dict[str, DeviceClass]
    sets: dict[str, str]
    resources: dict[str, Place]
    unsaid: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}
    enforces: tuple[str, ...] = ()
    one_person_devices: bool = False
    networks: dict[str, tuple[str, ...]] = {}
    attributes: dict[str, Attribute] = {}

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given everywhere, the controls with it."""
        return given_with_controls(self.given, self.enforces)


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "zpa")
    _refuse_facts(mapped)
    refuse_controls(mapped.enforces)
    refuse_ids("idp", [mapped.idp], _NUMBER)
    refuse_ids("groups", mapped.groups.values(), _NUMBER)
    checks = [*(one.posture for one in mapped.classes.values()), *mapped.sets.values()]
    refuse_ids("classes, sets", checks, _UDID)
    refuse_ids("networks", [one for ids in mapped.networks.values() for one in ids], _UDID)
    refuse_ids("attributes", [one.id for one in mapped.attributes.values()], _NUMBER)
    refuse_ids("resources", [one for place in mapped.resources.values() for one in place.segments], _NUMBER)
    for name, place in mapped.resources.items():
        if not place.segments:
            raise SettingsError(f"`{name}`: a segment is needed")
        refuse_action(name, place.action)
    for name, device in mapped.classes.items():
        if unknown := sorted(set(device.platforms) - PLATFORMS):
            raise SettingsError(f"`{name}`: there is no platform `{unknown[0]}`")
    return mapped


def _refuse_facts(mapped: Mapped) -> None:
    refuse_given(mapped.given, OF_TRAFFIC)
    for name in mapped.attributes:
        if section(name, "attributes") not in _ATTRIBUTES:
            raise SettingsError(f"`attributes`: `{name}` is no fact of a session")
        if name in mapped.given:
            raise SettingsError(f"`attributes`: `{name}` is given")
