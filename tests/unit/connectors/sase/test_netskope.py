"""The Netskope export: sound over the whole space, and with a mapping that cannot be meant refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.netskope import MEANINGS, target
from connectors.sase.netskope_labels import label_of
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import MODEL, check
from pdp.export.exporting import export, verify
from pdp.export.sieves import DocumentSieve, SpaceRegion, SpaceSieve, Truth
from pdp.model.rules import OF_PAIR, Condition, encode
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase.netskope_tenant import data_of, exported, few_files, mapping, rules_of
from tests.unit.connectors.sase.zpa_tenant import EVERY_CONTROL, FEW, few


def test_what_netskope_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    let_through = sum(int(one.exported) for one in finished.report.counts)
    assert 0 < let_through < sum(int(one.permitted) for one in finished.report.counts)
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "session_max_minutes", "organisation"}
    assert all(one.why.ja and one.instead.ja for one in finished.exported.left_out)
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_every_rule_is_an_allow_for_one_group_one_kind_of_device_and_the_client() -> None:
    rules = rules_of(exported(target(mapping()), shipped_model()))
    assert rules
    for data in data_of(rules):
        assert data["match_criteria_action"] == {"action_name": "allow"}
        assert data["access_method"] == ["Client"]
        assert len(data["userGroups"]) == 1
        assert data["device_classification_id"]
        assert data["privateApps"]
        assert not {"users", "organization_units", "classification", "privateAppTags", "os"} & set(data)


def test_names_are_ascii_and_unique_and_japanese_stands_in_descriptions() -> None:
    rules = rules_of(exported(target(mapping()), shipped_model()))
    names = [rule["rule_name"] for rule in rules]
    assert len(set(names)) == len(names) > 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)
    assert all(not rule["description"].isascii() and len(rule["description"]) <= 500 for rule in rules)


def test_networks_and_countries_are_conditions_where_the_tenant_looks_at_them() -> None:
    found = data_of(rules_of(few_files()))
    assert any(data.get("net_location_obj") == ["pref-hq"] for data in found)
    assert any(data.get("srcCountries") == ["JP"] for data in found)
    assert not any(data.get("b_negateSrcCountries") or data.get("b_negateNetLocation") for data in found)
    told = target(mapping(source_ip=False, networks={})).export(few()).left_out
    assert {one.what for one in told} >= {"context.zone", "context.country"}


def test_a_condition_on_the_source_counts_for_nothing_where_the_tenant_does_not_look_at_it() -> None:
    """The client's traffic: the vendor names these criteria for access by browser only."""
    reading = target(mapping(source_ip=False, networks={})).interpreter(few_files())
    assert not check(shipped_space(), few(), reading).sound


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    held = mapping(enforces=list(EVERY_CONTROL))
    phones = {number for name, number in held["labels"].items() if name.startswith("byod_phone/")}
    system_of = {f"[{app}]": name for name, place in held["resources"].items() for app in place["private_apps"]}
    groups = {resource.id: resource.group for resource in shipped_model().resources}
    rules = data_of(rules_of(exported(target(held), shipped_model())))
    of_phones = [data for data in rules if phones & set(data["device_classification_id"])]
    assert {groups[system_of[app]] for data in of_phones for app in data["privateApps"]} == {"communication"}
    class_of = {number: name.partition("/")[0] for name, number in held["labels"].items()}
    assert all(len({class_of[number] for number in data["device_classification_id"]}) == 1 for data in rules)


def test_a_device_with_a_narrower_label_has_what_the_wider_one_allows() -> None:
    """A device has one label: where the narrower one were not listed, whoever is better off would reach less."""
    held = mapping()
    told = [one for one in json.loads(few_files()[MEANINGS]) if one["kind"] == "device_classification"]
    asked = {one["id"]: {said["fact"]: set(said["values"]) for said in one["all_of"]} for one in told}
    listed = [data["device_classification_id"] for data in data_of(rules_of(few_files()))]
    several = [numbers for numbers in listed if len(numbers) > 1]
    assert several
    place = {one["id"]: one["priority"] for one in told}
    for numbers in several:
        widest = max(numbers, key=lambda number: place[number])
        for number in numbers:
            assert all(asked[number][fact] <= values for fact, values in asked[widest].items())
    assert set(asked) <= set(held["labels"].values())


def test_what_two_sets_of_devices_have_in_common_is_asked_for_and_told_where_there_is_no_label() -> None:
    def labels_of(held: dict[str, Any]) -> list[dict[str, Any]]:
        told = json.loads(target(held).export(shipped_model()).files[MEANINGS])
        return [one for one in told if one["kind"] == "device_classification"]

    every = labels_of(mapping())
    assert not [one for one in every if one["overlaps"] or one["id"] is None]
    asked = {label_of(rule) for rule in shipped_model().rules}
    held = mapping(labels={name: number for name, number in mapping()["labels"].items() if name in asked})
    fewer = labels_of(held)
    assert {one["set"] for one in fewer if one["id"] is None} == {one["set"] for one in every} - asked
    assert [one for one in fewer if one["overlaps"]]
    made = target(held)
    assert check(shipped_space(), few(), made.interpreter(exported(made, few()))).sound


def test_meanings_tell_whoever_makes_labels_and_groups_what_each_has_to_be() -> None:
    held = mapping()
    told = json.loads(few_files()[MEANINGS])
    by_id = {(one["kind"], one["id"]): one for one in told}
    assert len(by_id) == len(told)
    for data in data_of(rules_of(few_files())):
        assert {("device_classification", number) for number in data["device_classification_id"]} <= by_id.keys()
        assert {("userGroups", name) for name in data["userGroups"]} <= by_id.keys()
    group = next(one for one in told if one["kind"] == "userGroups")
    assert set(held["withdrawn"]) <= {one["fact"] for one in group["all_of"]}
    names = [one["name"] for one in told if one["kind"] == "device_classification"]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9 -]{1,80}", name) for name in names)


def test_what_is_true_of_device_and_person_together_is_no_label_unless_one_person_signs_in_on_a_device() -> None:
    made = target(mapping(one_person_devices=False))
    told = made.export(few())
    asking = {rule.id for rule in few().rules if OF_PAIR & {one.fact for one in few().conditions_of(rule)}}
    assert {one.rule for one in told.left_out if one.what in OF_PAIR}
    assert asking <= {one.rule for one in told.left_out}
    assert check(shipped_space(), few(), made.interpreter({**told.files, MODEL: encode(few())})).sound
    with pytest.raises(ExportError, match="a device and a person together"):
        check(shipped_space(), few(), made.interpreter(few_files()))


def test_with_every_control_carried_out_fewer_rules_are_left_to_the_callout() -> None:
    before = target(mapping()).export(shipped_model()).left_out
    held = mapping(enforces=[*EVERY_CONTROL, "screen_transfer_only"])
    finished = export(shipped_space(), shipped_model(), target(held))
    assert len(finished.exported.left_out) < len(before)
    assert held["resources"]["home-working"]["action"] == "screen_transfer"  # and nothing else is let through there
    assert any(int(one.exported) for one in finished.report.counts if one.resource == "home-working")
    assert not {one.what for one in finished.exported.left_out} & {"clipboard", "save", "browser_only"}


# The mapping.


@pytest.mark.parametrize(
    ("key", "name", "what"),
    [("groups", "users-", "group"), ("labels", "managed_pc/", "label"), ("resources", "mail", "private app")],
)
def test_an_id_that_the_mapping_lacks_is_an_error_and_not_a_rule_less(key: str, name: str, what: str) -> None:
    held = mapping()
    for found in [one for one in held[key] if one.startswith(name)]:
        del held[key][found]
    with pytest.raises(ExportError, match=f"no {what} for `{name}"):
        target(held).export(few())


def test_a_system_or_a_set_that_is_left_out_by_name_is_denied_and_told() -> None:
    held = mapping(leave=["mail"], unsaid=["managed_pc"])
    del held["resources"]["mail"]
    finished = export(shipped_space(), few(), target(held))
    assert all(int(one.exported) == 0 for one in finished.report.counts if one.resource == "mail")
    assert {one.what for one in finished.exported.left_out} >= {"mail"}
    assert not [rule for rule in rules_of(finished.files) if rule["rule_name"].startswith("zt-managed_pc-")]


def test_a_signal_that_nobody_withdraws_people_for_leaves_the_rules_out() -> None:
    finished = export(shipped_space(), few(), target(mapping(withdrawn=[])))
    assert not rules_of(finished.files)
    assert {one.what.partition("∋")[0] for one in finished.exported.left_out} >= {"context.risk"}


def test_a_rule_for_people_with_a_signal_is_no_rule_of_a_group_that_they_are_taken_out_of() -> None:
    signal = Condition(mapping()["withdrawn"][0], (True,))
    rules = tuple(msgspec.structs.replace(rule, conditions=(signal,), controls={}) for rule in few().rules)
    told = target(mapping()).export(msgspec.structs.replace(few(), rules=rules))
    assert rules_of(told.files) == []
    assert signal.fact in {one.what for one in told.left_out}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"policy_group": ""}, "no id of the tenant"),
        ({"groups": {"users-a": "g", "users-b": "G"}}, "stands for two things"),
        ({"groups": {"users-a": "[staff]"}}, "no id of the tenant"),
        ({"labels": {"managed_pc": 1, "section_pc": 1}}, "stands for two things"),
        ({"labels": {"managed_pc": 0}}, "no id of the tenant"),
        ({"labels": {"managed_pc": "managed"}}, "Expected `int`"),
        ({"networks": {"office": ["hq"], "public": ["HQ"]}}, "stands for two things"),
        ({"source_ip": False}, "only where `source_ip`"),
        ({"resources": {"a": {"private_apps": ["x"]}, "b": {"private_apps": ["X", "y"]}}}, "stands for two things"),
        ({"resources": {"a": {"private_apps": ["[x]"]}}}, "no id of the tenant"),
        ({"resources": {"a": {"private_apps": []}}}, "a private app is needed"),
        ({"resources": {"a": {"private_apps": ["x"], "action": "fly"}}}, "no action"),
        ({"withdrawn": ["context.zone"]}, "no signal of risk"),
        ({"withdrawn": ["weather"]}, "no fact"),
        ({"given": {"device.registered": True}}, "to the next"),
        ({"given": {"weather": "fine"}}, "no fact"),
        ({"segment": "x"}, "segment"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("netskope", mapping(**change))


def test_the_mapping_of_the_page_is_one_that_the_target_takes() -> None:
    page = (Path(__file__).parents[4] / "docs" / "export-netskope.md").read_text(encoding="utf-8")
    held = yaml.safe_load(page.split("```yaml")[1].split("```")[0])
    assert make("netskope", held).name == "netskope"


@given(
    enforces=st.sets(st.sampled_from(EVERY_CONTROL)),
    zone=st.sampled_from([None, "office", "sase", "public"]),
    level=st.sampled_from([None, 1, 2, 3]),
    source_ip=st.booleans(),
    one_person=st.booleans(),
    withdrawn=st.deferred(lambda: st.sets(st.sampled_from(mapping()["withdrawn"]))),  # seconds, for the first
)
@settings(max_examples=10, deadline=None)
def test_whatever_the_mapping_says_the_export_is_sound(
    enforces: set[str], zone: str | None, level: int | None, source_ip: bool, one_person: bool, withdrawn: set[str]
) -> None:
    held = mapping(
        enforces=sorted(enforces),
        source_ip=source_ip,
        networks=mapping()["networks"] if source_ip else {},
        one_person_devices=one_person,
        withdrawn=sorted(withdrawn),
        given={"resource.tenant": "own", "context.path_encrypted": True},
    )
    if zone is not None:
        held["given"]["context.zone"] = zone
    if level is not None:
        held["given"]["subject.auth_level"] = level
    made = target(held)
    assert check(shipped_space(), few(), made.interpreter(exported(made, few()))).sound


def test_one_document_and_all_vectors_are_read_alike() -> None:
    space = shipped_space()
    reading = target(mapping()).interpreter(few_files())
    sieve = SpaceSieve(space)
    fixed = {
        space.levels[name]: space.facts[space.levels[name]].values.index(held) for name, held in reading.given.items()
    }
    for resource in FEW:
        region = reading.permitted(resource, sieve)
        assert isinstance(region, SpaceRegion)
        for wanted in (region.root, space.diagram.negated(region.root)):
            found = space.find(space.diagram.given(wanted, fixed))
            assert found is not None
            vector = dict.fromkeys(space.facts, 0) | dict(found) | fixed
            answer = reading.permitted(resource, DocumentSieve(dict(space.named(vector))))
            assert answer == Truth(wanted == region.root)
