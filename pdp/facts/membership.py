"""Who is in a set that exported rules lean on (`pdp.model.rules.Profile`), by the registers as they stand. Pure.

A set is conditions on facts. A device is in one where all of them hold for **everybody** who can be using it: its
owner, whoever it is lent to now, whoever has a permit for it now; for nobody, where there is no such person. So a
second borrower or a permit that is held takes a device out, and nothing of somebody else's puts one in.

INVARIANT (not known is not in): a condition on a fact that no register has (risk, network, time, the action) holds for
nobody, and neither does one that this text cannot read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.facts.context import source_states
from pdp.facts.device import device_facts
from pdp.facts.subject import subject_facts
from pdp.model.authentication import NOT_AUTHENTICATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.facts.horizon import Horizon
    from pdp.model.directory import Device, Snapshot
    from pdp.model.rules import Condition, FactValue, Profile

_NOBODY: Final = ""
_DEPARTMENTS: Final = "departments"
_ORGANISATION: Final = "organisation"
_PIECE: Final = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9})|(?P<open>\+))?", re.ASCII)
_OF_SESSION: Final = frozenset({"subject.auth_level", "subject.auth_age_min"})  # not of the person, whoever asks
_ABSENT: Final = object()


def device_is_in(device_id: str, conditions: Sequence[Condition], snapshot: Snapshot, horizon: Horizon) -> bool:
    """Whether a device is in the set of these conditions."""
    held = snapshot.devices.get(device_id)
    if held is None or not conditions:
        return False
    sources = {"posture": source_states(snapshot, horizon).posture}
    for person in sorted(_people_of(held, snapshot, horizon)) or [_NOBODY]:
        device = msgspec.to_builtins(device_facts(device_id, None, person, snapshot, horizon))
        if not all(holds(one, {"device": device, "context": {"sources": sources}}) for one in conditions):
            return False
    return True


def user_is_in(user_id: str, profile: Profile, snapshot: Snapshot, horizon: Horizon) -> bool:
    """Whether a person is in the group of a profile of users."""
    user = snapshot.users.get(user_id)
    if user is None or not profile.conditions:
        return False
    subject = msgspec.to_builtins(subject_facts(user_id, user, NOT_AUTHENTICATED, horizon))
    return all(_is_so_of(one, profile, subject) for one in profile.conditions)


def _people_of(device: Device, snapshot: Snapshot, horizon: Horizon) -> set[str]:
    loans = {one.user for one in snapshot.loans.get(device.id, ()) if horizon.of("device.loan", one.period)}
    permits = {one.user for one in snapshot.permits.get(device.id, ()) if horizon.of("device.permit", one.period)}
    return {*loans, *permits, *([] if device.owner is None else [device.owner])}


def _is_so_of(condition: Condition, profile: Profile, subject: Mapping[str, Any]) -> bool:
    if condition.fact == _DEPARTMENTS:
        return _standing(subject["departments"], profile.departments) in condition.values
    if condition.fact == _ORGANISATION:  # of a profile that names none, each request says whose data it asks for
        named = "named" if subject["organisation"] in profile.organisations else "none"
        return bool(profile.organisations) and named in condition.values
    return condition.fact not in _OF_SESSION and holds(condition, {"subject": subject})


def _standing(departments: Sequence[str], named: Iterable[str]) -> str:
    """The fact `departments` of a person for a system that is for these."""
    asked = set(named)
    if not asked:
        return "open" if departments else "open-nobody"
    if not departments:
        return "nobody"
    if departments[0] in asked:
        return "first"
    return "later" if asked & set(departments) else "none"


def holds(condition: Condition, document: Mapping[str, Any]) -> bool:
    """Whether a condition holds for parts of a `pdp.input/v1` document; never for a part that is not there.

    Not for `departments` and `organisation`, which are about a person and a system together.
    """
    place, mark, word = condition.fact.partition("∋")
    held = _value(document, place)
    if held is _ABSENT:
        return False
    if mark:
        return isinstance(held, list) and _is_one_of(word in held, condition.values)
    if isinstance(held, int) and not isinstance(held, bool):
        return any(_lies_in(held, value) for value in condition.values)
    return _is_one_of(held, condition.values)


def _value(document: Mapping[str, Any], place: str) -> Any:
    held: Any = document
    for part in place.split("."):
        if not isinstance(held, dict) or part not in held:
            return _ABSENT
        held = held[part]
    return held


def _lies_in(number: int, value: FactValue) -> bool:
    """Whether a number is this value, or lies in this piece of numbers (`0-23`, `24`, `25+`)."""
    if isinstance(value, int):
        return number == value and not isinstance(value, bool)
    found = _PIECE.fullmatch(value)
    if found is None:
        return False
    first = int(found["first"])
    last = number if found["open"] else int(found["last"] or first)
    return first <= number <= last


def _is_one_of(held: Any, values: Sequence[FactValue]) -> bool:
    return any(held == one and type(held) is type(one) for one in values)  # true is not 1
