"""Who has to be in the groups and sets that exported rules lean on, by the registers as they stand. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.facts.horizon import Horizon
from pdp.facts.membership import device_is_in, user_is_in
from pdp.model.rules import Condition, Profile, Words, section_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.directory import Snapshot
    from pdp.model.rules import RuleModel

_NO_WORDS: Final = Words("", "")


class Meaning(msgspec.Struct, frozen=True):
    """What a member is: all of these conditions, and in all of these profiles of the export's rule model."""

    all_of: tuple[Condition, ...] = ()
    profiles: tuple[str, ...] = ()


class Membership(msgspec.Struct, frozen=True):
    """`people`: user ids by group. `devices`: the sets of each device that is in one, in order.

    `unfilled`: groups of what no register holds (risk signals, say); whoever knows the signal fills them.
    """

    people: dict[str, frozenset[str]]
    devices: dict[str, tuple[str, ...]]
    unfilled: tuple[str, ...] = ()


def membership(
    groups: Mapping[str, Meaning], sets: Mapping[str, Meaning], model: RuleModel, snapshot: Snapshot, now: datetime
) -> Membership:
    """Raises KeyError for a profile that the model does not have."""
    of_register = {name: one for name, one in groups.items() if all(_is_of_person(each) for each in one.all_of)}
    people = {
        name: frozenset(user for user in snapshot.users if _is_person(user, one, model, snapshot, now))
        for name, one in of_register.items()
    }
    asked = {
        name: (*one.all_of, *(each for profile in one.profiles for each in model.profile(profile).conditions))
        for name, one in sets.items()
    }
    devices = {
        device: words
        for device in sorted(snapshot.devices)
        if (words := tuple(one for one in sorted(asked) if device_is_in(device, asked[one], snapshot, Horizon(now))))
    }
    return Membership(people, devices, tuple(sorted(groups.keys() - of_register.keys())))


def _is_of_person(condition: Condition) -> bool:
    return section_of(condition.fact) == "user"


def _is_person(user: str, meaning: Meaning, model: RuleModel, snapshot: Snapshot, now: datetime) -> bool:
    profiles = [model.profile(name) for name in meaning.profiles]
    if meaning.all_of:
        profiles.append(Profile("", "user", meaning.all_of, _NO_WORDS))
    return bool(profiles) and all(user_is_in(user, one, snapshot, Horizon(now)) for one in profiles)
