"""The mapping of a ZPA export: the tenant's segments, SCIM groups, posture checks and attributes by our ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.errors import SettingsError
from pdp.model.input import ACTIONS
from pdp.model.rules import section_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.model.rules import FactValue

CONTROLS: Final = ("clipboard", "print", "save", "download", "browser_only", "record_session")  # words of `context.pep`
PLATFORMS: Final = frozenset({"mac", "linux", "ios", "windows", "android"})
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)  # 72058304855090129, 490880
_UDID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)  # cfab2ee9-9bf4-4482-9dcc-dadf7311c49b
_GIVEN: Final = frozenset({"network", "authentication"})  # sections that a tenant's traffic can have in common
_ATTRIBUTES: Final = frozenset({"network", "authentication", "time", "risk"})  # and those that a session can have
_TENANT: Final = "resource.tenant"  # the one fact of requests that a whole tenant can rule out


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
        return {**{f"context.pep∋{word}": word in self.enforces for word in CONTROLS}, **self.given}


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    try:
        mapped = msgspec.convert(dict(mapping), Mapped)
    except msgspec.ValidationError as fault:
        raise SettingsError(f"the mapping of zpa: {fault}") from None
    _refuse_facts(mapped)
    _refuse_ids("idp", [mapped.idp], _NUMBER)
    _refuse_ids("groups", mapped.groups.values(), _NUMBER)
    checks = [*(one.posture for one in mapped.classes.values()), *mapped.sets.values()]
    _refuse_ids("classes, sets", checks, _UDID)
    _refuse_ids("networks", [one for ids in mapped.networks.values() for one in ids], _UDID)
    _refuse_ids("attributes", [one.id for one in mapped.attributes.values()], _NUMBER)
    _refuse_ids("resources", [one for place in mapped.resources.values() for one in place.segments], _NUMBER)
    for name, place in mapped.resources.items():
        if not place.segments:
            raise SettingsError(f"`{name}`: a segment is needed")
        if place.action is not None and place.action not in ACTIONS:
            raise SettingsError(f"`{name}`: there is no action `{place.action}`")
    for name, device in mapped.classes.items():
        if unknown := sorted(set(device.platforms) - PLATFORMS):
            raise SettingsError(f"`{name}`: there is no platform `{unknown[0]}`")
    return mapped


def _refuse_ids(key: str, ids: Iterable[str], form: re.Pattern[str]) -> None:
    """Attack: two sets with one id make the members of the wider one members of the narrower one."""
    seen: set[str] = set()
    for one in ids:
        if form.fullmatch(one) is None:
            raise SettingsError(f"`{key}`: `{one}` is no id of the tenant")
        if one.casefold() in seen:
            raise SettingsError(f"`{key}`: `{one}` stands for two things")
        seen.add(one.casefold())


def _refuse_facts(mapped: Mapped) -> None:
    for name in mapped.given:
        if name != _TENANT and _section(name, "given") not in _GIVEN:
            raise SettingsError(f"`given`: `{name}` differs from one access to the next")
    for name in mapped.attributes:
        if _section(name, "attributes") not in _ATTRIBUTES:
            raise SettingsError(f"`attributes`: `{name}` is no fact of a session")
        if name in mapped.given:
            raise SettingsError(f"`attributes`: `{name}` is given")


def _section(name: str, key: str) -> str:
    try:
        return section_of(name)
    except KeyError:
        raise SettingsError(f"`{key}`: there is no fact `{name}`") from None
