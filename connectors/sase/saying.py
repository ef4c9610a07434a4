"""What of a rule no static rule can say, whichever the vendor; and a condition held against one value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol

from connectors.sase.controls import lacking
from connectors.sase.words import ELSEWHERE, KEEP_CALLOUT, LEFT, NO_ORGANISATION, NO_PAIR
from pdp.model.rules import OF_PAIR, Condition

if TYPE_CHECKING:
    from collections.abc import Collection

    from pdp.model.rules import FactValue, Rule, RuleModel, Words

ACTION: Final = "action.name"
ZONE: Final = "context.zone"
COUNTRY: Final = "context.country"
LEVEL: Final = "subject.auth_level"
ORGANISATION: Final = "organisation"

Unsaid = tuple[str, "Words", "Words"]  # what cannot be said, why, and what to do instead


class Mapped(Protocol):
    """What every mapping says: `enforces` are controls that somebody behind the product carries out."""

    @property
    def leave(self) -> Collection[str]: ...

    @property
    def enforces(self) -> Collection[str]: ...


def unsayable(model: RuleModel, rule: Rule, mapped: Mapped, no_control: Words, *, pairs: bool) -> Unsaid | None:
    """Why a rule is left out, as far as that is the same at every vendor; None where nothing speaks against it.

    `pairs`: conditions of a device and a person together can be said (`one_person_devices`, or sets of sessions).
    """
    if rule.resource in mapped.leave:
        return rule.resource, LEFT, ELSEWHERE
    if missing := lacking(rule.controls, mapped.enforces):
        return missing[0], no_control, KEEP_CALLOUT
    return unsayable_sets(model, rule, pairs=pairs)


def unsayable_sets(model: RuleModel, rule: Rule, *, pairs: bool) -> Unsaid | None:
    """The half of it that is about who and which device."""
    if asks_whose_data(model, rule):
        return ORGANISATION, NO_ORGANISATION, KEEP_CALLOUT
    asked = [one.fact for name in device_sets(rule) for one in model.profile(name).conditions]
    if not pairs and (pair := [fact for fact in asked if fact in OF_PAIR]):
        return pair[0], NO_PAIR, KEEP_CALLOUT
    return None


def asks_whose_data(model: RuleModel, rule: Rule) -> bool:
    """Whether a rule asks for the organisation whose data the *request* asks for: no static rule can say that."""
    if not rule.users:
        return False
    users = model.profile(rule.users)
    return any(one.fact == ORGANISATION for one in users.conditions) and not users.organisations


def of_class(name: str) -> Condition:
    """The condition that a device is of a class."""
    return Condition("device.class", (name,))


def device_sets(rule: Rule) -> list[str]:
    """The profiles that the device of a rule is to be in."""
    return [one for one in (rule.device, rule.posture) if one]


def holds(condition: Condition, value: FactValue) -> bool:
    """Whether a value is among those that a condition asks for: true is not 1."""
    return any(value == one and type(value) is type(one) for one in condition.values)


def value_text(value: FactValue) -> str:
    """A value as text: `2`, `true`, `office`."""
    return value if isinstance(value, str) else json.dumps(value)
