"""The mapping of a Netskope export: private apps, groups and device classifications of the tenant by our ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

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

_NAME: Final = re.compile(r"[^\s\[\]\x00-\x1f\x7f]([^\[\]\x00-\x1f\x7f]{0,253}[^\s\[\]\x00-\x1f\x7f])?")  # of an object
_LABEL: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)  # the id of a device classification: 21057


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The private apps of a system, without brackets. `action`: whatever is done there is this action."""

    private_apps: tuple[str, ...]
    action: str | None = None


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`groups`: our profiles of users to groups of the tenant. `labels`: sets of devices to device classifications.

    A set of devices is a class and its profiles (`managed_pc/device-94d65bbd/posture-45ad1111`), since a device has one
    label only. `unsaid`: classes, profiles or sets that no label finds out; their rules are left out. `withdrawn`:
    signals of risk that take a person out of every group. `given`: what holds of all traffic of the tenant.
    `enforces`: controls that the applications carry out. `source_ip`: networks and countries count for the client's
    traffic too. `networks`: zones to network locations. `one_person_devices`: nobody but its owner, or the one whom it
    is lent to, can sign in on a device.
    """

    policy_group: str
    groups: dict[str, str]
    labels: dict[str, int]
    resources: dict[str, Place]
    unsaid: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    given: dict[str, str | int | bool] = {}
    enforces: tuple[str, ...] = ()
    one_person_devices: bool = False
    source_ip: bool = False
    networks: dict[str, tuple[str, ...]] = {}

    @property
    def given_here(self) -> Mapping[str, FactValue]:
        """What is given everywhere, the controls with it."""
        return given_with_controls(self.given, self.enforces)


def read_mapping(mapping: Mapping[str, Any]) -> Mapped:
    """Raises SettingsError with the place of what is wrong."""
    mapped = converted(mapping, Mapped, "netskope")
    refuse_controls(mapped.enforces)
    refuse_given(mapped.given, OF_TRAFFIC)
    for name in mapped.withdrawn:
        if section(name, "withdrawn") != "risk" or "∋" not in name:
            raise SettingsError(f"`withdrawn`: `{name}` is no signal of risk")
    refuse_ids("policy_group", [mapped.policy_group], _NAME)
    refuse_ids("groups", mapped.groups.values(), _NAME)
    refuse_ids("labels", map(str, mapped.labels.values()), _LABEL)
    refuse_ids("resources", [one for place in mapped.resources.values() for one in place.private_apps], _NAME)
    refuse_ids("networks", [one for names in mapped.networks.values() for one in names], _NAME)
    for name, place in mapped.resources.items():
        if not place.private_apps:
            raise SettingsError(f"`{name}`: a private app is needed")
        refuse_action(name, place.action)
    if mapped.networks and not mapped.source_ip:
        raise SettingsError("`networks`: only where `source_ip` says that the tenant looks at the client's networks")
    return mapped
