"""The directory of an export: its digest, and how many people and devices a gap can concern by registered facts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.subject import subject_facts
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.model.directory import NOTHING_REPORTED
from pdp.model.rules import section_of
from pdp.space.facts import DEPARTMENTS, ORGANISATION, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from pdp.export.checking import Gap, Report
    from pdp.model.directory import Snapshot
    from pdp.model.input import Device, Subject
    from pdp.model.rules import Condition, Resource, RuleModel
    from pdp.space.space import DecisionSpace

_Facts = TypeVar("_Facts")

# Facts of a device's own entry in the register. Its relation to a user, its permits and its posture are not.
_OF_DEVICE = frozenset({"device.class", "device.registered", "device.shared", "device.takeout", "device.state"})


def digest_of(snapshot: Snapshot) -> str:
    """SHA-256 of the people, devices, permits, loans, systems and declarations of a directory, in hex.

    Reports of posture are not in it: they come all day, and no rule is written from them.
    """
    held = {
        "users": sorted(snapshot.users.values(), key=lambda one: one.id),
        "devices": [
            replace(one, posture=NOTHING_REPORTED) for one in sorted(snapshot.devices.values(), key=lambda one: one.id)
        ],
        "permits": sorted(snapshot.permits.items()),
        "loans": sorted(snapshot.loans.items()),
        "work_permits": sorted(snapshot.work_permits, key=lambda one: one.id),
        "resources": sorted(snapshot.resources.values(), key=lambda one: one.id),
        "emergencies": snapshot.emergencies,
    }
    return hashlib.sha256(msgspec.json.encode(held, order="deterministic")).hexdigest()


def weigher(space: DecisionSpace, model: RuleModel, snapshot: Snapshot, now: datetime) -> Callable[[Report], Report]:
    """What adds to each gap of a report how many users and devices it can concern. An empty directory adds nothing."""
    del space
    subjects = _alike(
        (subject_facts(user.id, user, NOT_AUTHENTICATED, Horizon(now)) for user in snapshot.users.values()),
        lambda one: (one.kind, one.organisation, *one.departments, "", *one.roles, one.employment, one.identity_source),
    )
    devices = _alike(
        (device_facts(one, None, "", snapshot, Horizon(now)) for one in snapshot.devices),
        lambda one: (one.class_, one.registered, one.shared, one.takeout, one.state),
    )

    def weigh(report: Report) -> Report:
        if not subjects and not devices:
            return report
        gaps = tuple(_weighed(gap, model.resource(gap.resource), subjects, devices) for gap in report.gaps)
        return msgspec.structs.replace(report, gaps=gaps)

    return weigh


def _alike(facts: Iterable[_Facts], key: Callable[[_Facts], tuple[object, ...]]) -> list[tuple[_Facts, int]]:
    """One of each kind, and how many there are: a prefecture has some hundred kinds of people and few of devices."""
    found: dict[tuple[object, ...], tuple[_Facts, int]] = {}
    for one in facts:
        said = key(one)
        found[said] = (one, found[said][1] + 1 if said in found else 1)
    return list(found.values())


def _weighed(
    gap: Gap, resource: Resource, subjects: Sequence[tuple[Subject, int]], devices: Sequence[tuple[Device, int]]
) -> Gap:
    of_user = [one for one in gap.conditions if section_of(one.fact) == "user"]
    of_device = [one for one in gap.conditions if one.fact in _OF_DEVICE]
    return msgspec.structs.replace(
        gap,
        users=sum(count for subject, count in subjects if all(_user_has(one, subject, resource) for one in of_user)),
        devices=sum(count for device, count in devices if all(_device_has(one, device) for one in of_device)),
    )


def _user_has(condition: Condition, subject: Subject, resource: Resource) -> bool:
    name, word = split_name(condition.fact)
    if name == DEPARTMENTS:
        return _departments(subject, resource) in condition.values
    if name == ORGANISATION:  # a system that names none: whose data it is depends on the request
        named = "named" if subject.organisation in resource.organisations else "none"
        return not resource.organisations or named in condition.values
    if word is not None:
        return (word in subject.roles) in condition.values
    return getattr(subject, name.partition(".")[2]) in condition.values


def _departments(subject: Subject, resource: Resource) -> str:
    if not resource.departments:
        return "open" if subject.departments else "open-nobody"
    if not subject.departments:
        return "nobody"
    if subject.departments[0] in resource.departments:
        return "first"
    return "later" if set(subject.departments) & set(resource.departments) else "none"


def _device_has(condition: Condition, device: Device) -> bool:
    name = condition.fact.partition(".")[2]
    values: Mapping[str, object] = {"class": device.class_}
    return (values[name] if name in values else getattr(device, name)) in condition.values
