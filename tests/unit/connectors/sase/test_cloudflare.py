"""The Cloudflare Access export: sound over the whole space, and refused or refuted where it is tampered with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from connectors.sase.cloudflare import target
from connectors.sase.cloudflare_reading import POLICIES
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import check
from pdp.export.exporting import export, verify
from pdp.export.sieves import DocumentSieve, SpaceRegion, SpaceSieve, Truth
from pdp.model.rules import OF_PAIR, Condition
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase.cloudflare_tenant import (
    EVERY_CONTROL,
    allows,
    an_id,
    documents,
    exported,
    mapping,
    required,
    shipped_files,
)

PLACE = {"application": an_id("a"), "domain": "a.example.jp"}


def test_what_is_true_of_device_and_person_together_is_no_check_unless_one_person_signs_in_on_a_device() -> None:
    model, made = shipped_model(), target(mapping(one_person_devices=False))
    left = made.export(model).left_out
    asking = {rule.id for rule in model.rules if OF_PAIR & {one.fact for one in model.conditions_of(rule)}}
    assert {one.rule for one in left if one.what in OF_PAIR}
    assert asking <= {one.rule for one in left}
    sets = documents(exported(made))["sets"]
    assert sets
    assert not OF_PAIR & {one["fact"] for held in sets for one in held["all_of"]}
    with pytest.raises(ExportError, match="a device and a person together"):
        check(shipped_space(), model, made.interpreter(shipped_files()))


def test_what_cloudflare_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    let_through = sum(int(one.exported) for one in finished.report.counts)
    assert 0 < let_through < sum(int(one.permitted) for one in finished.report.counts)
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "session_max_minutes", "organisation"}
    assert all(one.why.ja and one.instead.ja for one in finished.exported.left_out)
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_what_is_let_through_is_exactly_what_the_rules_say_that_are_not_left_out() -> None:
    methods = [{"level": 1, "auth_method": "pwd"}, *mapping()["authentication"]]
    made, model = target(mapping(authentication=methods)), shipped_model()
    left_out = {one.rule for one in made.export(model).left_out}
    reading, sieve = made.interpreter(exported(made)), SpaceSieve(shipped_space())
    here = [Condition(name, (value,)) for name, value in reading.given.items()]
    for resource in model.resources:
        said = sieve.nothing
        for rule in model.rules:
            if rule.resource == resource.id and rule.id not in left_out:
                said |= sieve.holding(model.conditions_of(rule))
        among = sieve.holding((*resource.given, *here))
        region = reading.permitted(resource.id, sieve)
        assert isinstance(region, SpaceRegion)
        assert (region & among).root == (said & among).root


def test_every_allow_includes_one_group_and_requires_sets_that_expire() -> None:
    held = documents(shipped_files())
    assert all([list(one) for one in policy["include"]] == [["azureAD"]] for policy in allows(held))
    assert all(len(required(policy, "device_posture")) >= 3 for policy in allows(held))
    assert {one["body"]["expiration"] for one in held["posture-rules"]} == {"15m"}
    asked = {one["integration_uid"] for policy in allows(held) for one in required(policy, "device_posture")}
    assert asked == {one["rule_id"] for one in held["posture-rules"]}


def test_every_application_ends_in_a_deny_of_everybody() -> None:
    held = documents(shipped_files())
    assert len(held["applications"]) == len(mapping()["resources"])
    for one in held["applications"]:
        links = one["body"]["policies"]
        assert links[-1]["id"] == "zt.deny-the-rest"
        assert [link["precedence"] for link in links] == list(range(1, len(links) + 1))


def test_names_are_short_ascii_and_unique_and_japanese_stands_in_descriptions() -> None:
    held = documents(shipped_files())
    names = [one["name"] for one in held["access-policies"]]
    names += [one["body"]["name"] for one in held["posture-rules"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_.-]{1,63}", name) for name in names)
    assert all(not one["body"]["description"].isascii() for one in held["posture-rules"])


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    held = documents(exported(target(mapping(enforces=list(EVERY_CONTROL)))))
    connections = {one["rule_id"]: one["body"]["input"]["connection_id"] for one in held["posture-rules"]}
    classes = {one["connection"]: one["name"] for one in held["sets"] if one["name"].startswith("class-")}
    groups = {resource.id: resource.group for resource in shipped_model().resources}

    def classes_of(policy: dict[str, Any]) -> set[str]:
        asked = {connections[one["integration_uid"]] for one in required(policy, "device_posture")}
        return {classes[one] for one in asked if one in classes}

    assert all(len(classes_of(policy)) == 1 for policy in allows(held))
    phone = {policy["name"] for policy in allows(held) if classes_of(policy) == {"class-byod_phone"}}
    reached = {
        groups[one["body"]["name"]]
        for one in held["applications"]
        if phone & {link["id"] for link in one["body"]["policies"]}
    }
    assert reached == {"communication"}


def test_where_every_control_is_carried_out_fewer_rules_are_left_to_the_callout() -> None:
    finished = export(shipped_space(), shipped_model(), target(mapping(enforces=list(EVERY_CONTROL))))
    assert finished.certificate.unsound == "0"
    assert len(finished.exported.left_out) < len(target(mapping()).export(shipped_model()).left_out)
    held = documents({path: text for path, text in finished.files.items() if path == POLICIES})
    assert any(policy.get("isolation_required") for policy in allows(held))


def test_a_session_is_no_longer_than_the_policy_allows() -> None:
    long = mapping(session_minutes=480, enforces=list(EVERY_CONTROL))
    durations = {policy["session_duration"] for policy in allows(documents(exported(target(long))))}
    assert durations == {"60m", "480m"}
    assert {policy["session_duration"] for policy in allows(documents(shipped_files()))} == {"60m"}


# The mapping.


def test_ids_that_the_mapping_lacks_are_one_error_that_names_them_all() -> None:
    held = mapping()
    group = next(iter(held["groups"]))
    del held["groups"][group], held["sets"]["class-managed_pc"], held["resources"]["mail"]
    with pytest.raises(ExportError, match="no application for `mail`") as fault:
        target(held).export(shipped_model())
    assert "no posture rule for `class-managed_pc`" in str(fault.value)
    leaving = target(mapping(resources=held["resources"], leave=["mail"]))
    left = export(shipped_space(), shipped_model(), leaving)
    assert all(int(one.exported) == 0 for one in left.report.counts if one.resource == "mail")


def test_more_applications_than_an_account_holds_are_refused() -> None:
    many = {f"more-{n}": {"application": an_id(f"m{n}"), "domain": f"m{n}.example.jp"} for n in range(501)}
    with pytest.raises(ExportError, match="an account has 500"):
        target(mapping(resources={**mapping()["resources"], **many})).export(shipped_model())


def test_what_no_selector_says_is_left_out_and_a_higher_level_stands_for_a_lower_one() -> None:
    finished = target(mapping(authentication=[{"level": 3, "auth_method": "hwk"}])).export(shipped_model())
    held = documents(finished.files)
    assert {one["auth_method"] for policy in allows(held) for one in required(policy, "auth_method")} == {"hwk"}
    nothing = target(mapping(authentication=[])).export(shipped_model())
    assert not allows(documents(nothing.files))
    assert "subject.auth_level" in {one.what for one in nothing.left_out}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"identity_provider": "entra"}, "needs an id"),
        ({"groups": {"a": an_id("x"), "b": an_id("x")}}, "one id"),
        ({"sets": {"a": {"rule": an_id("x"), "connection": "x"}}}, "needs an id"),
        ({"resources": {"a": {"application": an_id("x"), "domain": "*.pref.example.jp"}}}, "host name"),
        ({"resources": {"a": {"application": an_id("x"), "domain": "a.example.jp/x/../y"}}}, "host name"),
        ({"resources": {"a": {"application": an_id("x"), "domain": "a.example.jp", "action": "fly"}}}, "no action"),
        (
            {
                "resources": {
                    "a": {"application": an_id("x"), "domain": "a.example.jp"},
                    "b": {"application": an_id("y"), "domain": "a.example.jp/b"},
                }
            },
            "one place",
        ),
        ({"resources": {"a": {**PLACE, "private": ["10.1.2.3/24"]}}}, "no network"),
        ({"resources": {"a": {**PLACE, "private": ["everywhere"]}}}, "no network"),
        ({"given": {"device.registered": True}}, "to the next"),
        ({"given": {"action.name": "read"}}, "to the next"),
        ({"given": {"weather": "fine"}}, "no fact"),
        ({"tagged": ["weather"]}, "for minutes"),
        ({"tagged": ["context.country"]}, "for minutes"),
        ({"authentication": [{"level": 0, "auth_method": "pwd"}]}, "a level from 1"),
        ({"authentication": [{"level": 2, "auth_method": "mfa"}, {"level": 3, "auth_method": "mfa"}]}, "there once"),
        ({"session_minutes": 0}, "session_minutes"),
        ({"expiration_minutes": 5}, "longer than"),
        ({"expiration_minutes": 61}, "60 at most"),
        ({"colour": "x"}, "colour"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("cloudflare", mapping(**change))


def test_one_document_and_all_vectors_are_read_alike() -> None:
    space = shipped_space()
    reading = target(mapping()).interpreter(shipped_files())
    sieve = SpaceSieve(space)
    given = {
        space.levels[name]: space.facts[space.levels[name]].values.index(held) for name, held in reading.given.items()
    }
    for resource in ("mail", "finance", "data-api"):
        region = reading.permitted(resource, sieve)
        assert isinstance(region, SpaceRegion)
        for wanted in (region.root, space.diagram.negated(region.root)):
            found = space.find(space.diagram.given(wanted, given))
            if found is None:
                continue
            vector = dict.fromkeys(space.facts, 0) | dict(found) | given
            document = DocumentSieve(dict(space.named(vector)))
            assert reading.permitted(resource, document) == Truth(wanted == region.root)
