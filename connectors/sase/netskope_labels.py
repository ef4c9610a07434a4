"""Device classifications: one label for each set of devices that a rule asks for, and which label says another one too.

A device has one label of the tenant's own (the client reports one `device_classification_custom_status_id`): of those
that fit, the one whose priority comes first. So checks cannot be joined by AND in a rule, and a label stands for all of
them: the class of device, its set in the register and its posture. A device with a narrower label meets the wider one
as well, and a rule lists both. What devices of two sets have in common is a set of its own (`joined`): with a label for
it, a device that is in both has what either allows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from connectors.sase.saying import device_sets, of_class
from pdp.model.rules import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.model.rules import FactValue, Profile, Rule

MAX_LABELS: Final = 200  # that one export asks for; nobody keeps more in order by hand

Conditions = tuple[Condition, ...]


def label_of(rule: Rule) -> str:
    """The set of devices that a rule asks for: `managed_pc/device-94d65bbd/posture-45ad1111`."""
    return "/".join([rule.device_class, *device_sets(rule)])


def meaning_of(label: str, profile: Callable[[str], Profile]) -> Conditions:
    """All that is true of a device with this label, each fact once; without a value where nothing is in all profiles.

    Raises what `profile` raises for one that is not known.
    """
    device_class, *profiles = label.split("/")
    found: dict[str, Condition] = {}
    for one in (of_class(device_class), *(one for name in profiles for one in profile(name).conditions)):
        before = found.get(one.fact, one).values
        found[one.fact] = Condition(one.fact, tuple(value for value in before if value in one.values))
    return tuple(found.values())


def implies(narrow: Conditions, wide: Conditions) -> bool:
    """Whether every device that meets the narrow conditions meets the wide ones."""
    of = _values(narrow)
    return all(fact in of and of[fact] <= values for fact, values in _values(wide).items())


def joined(labels: Mapping[str, Conditions], profile: Callable[[str], Profile]) -> dict[str, Conditions]:
    """These, and what several of them have in common: each meaning once, up to MAX_LABELS, in a fixed order."""
    found = dict(sorted(labels.items()))
    known = {_meaning(said) for said in found.values()}
    waiting = list(found)
    while waiting:
        label = waiting.pop(0)
        for both in [name for other in found if (name := _both(label, other)) is not None]:
            said = meaning_of(both, profile)
            if _meaning(said) in known or not all(one.values for one in said):
                continue
            if len(found) >= MAX_LABELS:
                return found
            found[both] = said
            known.add(_meaning(said))
            waiting.append(both)
    return found


def kept(labels: Mapping[str, Conditions], ids: Mapping[str, int], profile: Callable[[str], Profile]) -> dict[str, int]:
    """The tenant's labels for these sets: by the name of the set, or by one that means the same."""
    same: dict[frozenset[tuple[str, frozenset[FactValue]]], int] = {}
    for name, number in sorted(ids.items()):
        with suppress(KeyError):  # a set of an earlier policy: it is not asked for any more
            same.setdefault(_meaning(meaning_of(name, profile)), number)
    found = {label: ids.get(label, same.get(_meaning(said))) for label, said in labels.items()}
    return {label: number for label, number in found.items() if number is not None}


def overlapping(label: str, meanings: Mapping[str, Conditions], profile: Callable[[str], Profile]) -> list[str]:
    """The sets of which a device of this one can be, too, where no label says both."""
    known = {_meaning(said) for said in meanings.values()}
    both = {other: _both(label, other) for other in meanings}
    said = {other: meaning_of(name, profile) for other, name in both.items() if name is not None}
    return [other for other, one in said.items() if all(part.values for part in one) and _meaning(one) not in known]


def by_priority(meanings: Mapping[str, Conditions]) -> list[str]:
    """Labels, narrower ones first: a device that fits both has to get the narrower one."""
    wider = {name: sum(implies(said, other) for other in meanings.values()) for name, said in meanings.items()}
    return sorted(meanings, key=lambda name: (-wider[name], name))


def _both(one: str, other: str) -> str | None:
    """The set of the devices that are in two sets; None where they are of two classes."""
    (ours, *first), (theirs, *second) = one.split("/"), other.split("/")
    return "/".join([ours, *sorted({*first, *second})]) if ours == theirs else None


def _values(conditions: Sequence[Condition]) -> dict[str, frozenset[FactValue]]:
    return {one.fact: frozenset(one.values) for one in conditions}


def _meaning(conditions: Sequence[Condition]) -> frozenset[tuple[str, frozenset[FactValue]]]:
    return frozenset(_values(conditions).items())
