"""Who belongs in the groups and sets of an export, by the registers of the demonstration prefecture."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest

from connectors.sase.entra_filling import meanings
from pdp.export.filling import Meaning, membership
from pdp.model.directory import Device, User, snapshot_of
from pdp.model.rules import Condition
from tests.entra_files import mapping, shipped_files
from tests.spaces import shipped_model
from tests.unit.facts.worlds import NOW

STAFF = Condition("subject.kind", ("staff",))
PC = Condition("device.class", ("managed_pc",))
SNAPSHOT = snapshot_of(
    epoch=1,
    users=[User("taro", "staff", identity_source="federated"), User("jiro", "contractor")],
    devices=[Device("pc", "managed_pc"), Device("phone", "byod_phone")],
)


def test_people_and_devices_are_where_their_facts_are() -> None:
    groups = {"staff": Meaning((STAFF,)), "risk": Meaning((Condition("context.risk∋malware_alert", (False,)),))}
    found = membership(groups, {"managed": Meaning((PC,))}, shipped_model(), SNAPSHOT, NOW)
    assert found.people == {"staff": frozenset({"taro"})}
    assert found.devices == {"pc": ("managed",)}
    assert found.unfilled == ("risk",)


def test_a_group_of_which_nothing_is_said_has_nobody_in_it() -> None:
    found = membership({"g": Meaning()}, {"w": Meaning()}, shipped_model(), SNAPSHOT, NOW)
    assert (found.people, found.devices) == ({"g": frozenset()}, {})


def test_a_profile_that_the_export_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        membership({"g": Meaning(profiles=("users-none",))}, {}, shipped_model(), SNAPSHOT, NOW)


def test_every_group_and_word_of_a_shipped_export_is_understood() -> None:
    groups, words = (msgspec.convert(one, dict[str, Meaning]) for one in meanings(shipped_files()))
    found = membership(groups, words, shipped_model(), SNAPSHOT, NOW)
    kinds = Counter(name in set(mapping()["people"].values()) for name in found.unfilled)
    assert set(kinds) == {True}  # the groups of risk signals, and no other
    assert found.people.keys() | set(found.unfilled) == groups.keys()
    assert json.loads(shipped_files()["sets.json"])["groups"].keys() == groups.keys()
