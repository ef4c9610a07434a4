"""One label for a device: what two sets have in common is a set of its own, and the first label that fits says all."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.netskope_labels import (
    MAX_LABELS,
    by_priority,
    implies,
    joined,
    kept,
    label_of,
    meaning_of,
    overlapping,
)
from pdp.model.rules import Condition, Profile, Words
from tests.spaces import shipped_model

if TYPE_CHECKING:
    from connectors.sase.netskope_labels import Conditions
    from pdp.model.rules import FactValue

Device = dict[str, "FactValue"]


def profile(name: str, **values: tuple[FactValue, ...]) -> Profile:
    conditions = tuple(Condition(fact, asked) for fact, asked in values.items())
    return Profile(name, "device", conditions, Words("", ""))


@cache
def shipped_labels() -> tuple[str, ...]:
    return tuple(sorted({label_of(rule) for rule in shipped_model().rules}))


def meanings(names: tuple[str, ...]) -> dict[str, Conditions]:
    return {name: meaning_of(name, shipped_model().profile) for name in names}


def fits(device: Device, said: Conditions) -> bool:
    return all(device[one.fact] in one.values for one in said)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_first_label_that_fits_a_device_says_every_other_that_fits(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(shipped_labels()), min_size=1, max_size=8, unique=True))
    asked = meanings(tuple(chosen))
    every = joined(asked, shipped_model().profile)
    assert len(every) < MAX_LABELS
    assert asked.keys() <= every.keys()
    values: dict[str, list[FactValue]] = {}
    for said in asked.values():
        for one in said:
            values.setdefault(one.fact, [])
            values[one.fact] += [value for value in one.values if value not in values[one.fact]]
    device = {fact: data.draw(st.sampled_from(of)) for fact, of in sorted(values.items())}
    fitting = [label for label in by_priority(every) if fits(device, every[label])]
    for other in fitting:
        assert implies(every[fitting[0]], every[other])
    assert not [label for label in every if overlapping(label, every, shipped_model().profile)]


def test_sets_of_two_classes_and_sets_that_nothing_is_in_both_of_have_nothing_in_common() -> None:
    known = {
        "device-a": profile("device-a", state=("in_service",)),
        "device-b": profile("device-b", state=("lost",)),
    }
    names = ("managed_pc/device-a", "managed_pc/device-b", "byod_phone/device-a")
    asked = {name: meaning_of(name, known.__getitem__) for name in names}
    assert joined(asked, known.__getitem__).keys() == asked.keys()
    assert not any(overlapping(name, asked, known.__getitem__) for name in names)


def test_there_is_an_end_to_what_sets_have_in_common() -> None:
    facts = [f"f{number}" for number in range(9)]
    known = {f"device-{fact}": profile(f"device-{fact}", **{fact: (True,)}) for fact in facts}
    asked = {f"pc/{name}": meaning_of(f"pc/{name}", known.__getitem__) for name in known}
    found = joined(asked, known.__getitem__)
    assert len(found) == MAX_LABELS
    assert joined(asked, known.__getitem__) == found


def test_what_two_sets_have_in_common_without_a_label_is_told() -> None:
    known = {"device-a": profile("device-a", lent=(True,)), "device-b": profile("device-b", shared=(True,))}
    asked = {name: meaning_of(name, known.__getitem__) for name in ("pc/device-a", "pc/device-b")}
    assert overlapping("pc/device-a", asked, known.__getitem__) == ["pc/device-b"]
    every = joined(asked, known.__getitem__)
    assert list(every) == ["pc/device-a", "pc/device-b", "pc/device-a/device-b"]
    assert not overlapping("pc/device-a", every, known.__getitem__)
    assert by_priority(every)[0] == "pc/device-a/device-b"


def test_a_label_of_another_name_counts_where_it_means_the_same_and_one_of_unknown_sets_does_not() -> None:
    known = {"device-a": profile("device-a", lent=(True,)), "device-b": profile("device-b", shared=(True,))}
    asked = {"pc/device-a/device-b": meaning_of("pc/device-a/device-b", known.__getitem__)}
    ids = {"pc/device-b/device-a": 7, "pc/device-gone": 8}
    assert kept(asked, ids, known.__getitem__) == {"pc/device-a/device-b": 7}
    assert kept(asked, {"pc/device-gone": 8}, known.__getitem__) == {}


def test_implication_is_what_all_devices_say() -> None:
    values: tuple[tuple[FactValue, ...], ...] = ((True,), (False,), (True, False))
    for ours, theirs in product(values, values):
        narrow, wide = (Condition("f", ours),), (Condition("f", theirs),)
        assert implies(narrow, wide) == (set(ours) <= set(theirs))
    assert implies((Condition("f", (True,)), Condition("g", (True,))), (Condition("f", (True,)),))
    assert not implies((Condition("f", (True,)),), (Condition("g", (True,)),))
