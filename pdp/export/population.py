"""How many people and devices of the directory a gap can concern: those whose registered facts it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.subject import subject_facts
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.model.rules import section_of
from pdp.space.facts import DEPARTMENTS, ORGANISATION, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.export.checking import Gap, Report
    from pdp.model.directory import Snapshot
    from pdp.model.input import Device, Subject
    from pdp.model.rules import Condition, Resource, RuleModel
    from pdp.space.space import DecisionSpace

# Facts of a device's own entry in the register. Its relation to a user, its permits and its posture are not.
_OF_DEVICE = frozenset({"device.class", "device.registered", "device.shared", "device.takeout", "device.state"})


def weigher(space: DecisionSpace, model: RuleModel, snapshot: Snapshot, now: datetime) -> Callable[[Report], Report]:
    """What adds to each gap of a report how many users and devices it can concern. An empty directory adds nothing."""
    del space
    subjects = [subject_facts(user.id, user, NOT_AUTHENTICATED, Horizon(now)) for user in snapshot.users.values()]
    devices = [device_facts(one, None, "", snapshot, Horizon(now)) for one in snapshot.devices]

    def weigh(report: Report) -> Report:
        if not subjects and not devices:
            return report
        gaps = tuple(_weighed(gap, model.resource(gap.resource), subjects, devices) for gap in report.gaps)
        return msgspec.structs.replace(report, gaps=gaps)

    return weigh


def _weighed(gap: Gap, resource: Resource, subjects: Sequence[Subject], devices: Sequence[Device]) -> Gap:
    of_user = [one for one in gap.conditions if section_of(one.fact) == "user"]
    of_device = [one for one in gap.conditions if one.fact in _OF_DEVICE]
    return msgspec.structs.replace(
        gap,
        users=sum(1 for subject in subjects if all(_user_has(one, subject, resource) for one in of_user)),
        devices=sum(1 for device in devices if all(_device_has(one, device) for one in of_device)),
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
