"""The ZPA export: sound over the whole space, and with a mapping that cannot be meant refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.registry import make
from connectors.sase.zpa import LAST, MEANINGS, target
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import MODEL, check
from pdp.export.exporting import export, verify
from pdp.export.sieves import DocumentSieve, SpaceRegion, SpaceSieve, Truth
from pdp.model.rules import OF_PAIR, encode
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase.zpa_tenant import (
    EVERY_CONTROL,
    FEW,
    HOME,
    MAIL,
    allows,
    exported,
    few,
    few_files,
    mapping,
    operands,
    rules_of,
    udid,
)


def test_what_is_true_of_device_and_person_together_is_no_check_unless_one_person_signs_in_on_a_device() -> None:
    made = target(mapping(one_person_devices=False))
    told = made.export(few())
    left = {one.rule for one in told.left_out if one.what in OF_PAIR}
    asking = {rule.id for rule in few().rules if OF_PAIR & {one.fact for one in few().conditions_of(rule)}}
    assert left
    assert asking <= {one.rule for one in told.left_out}
    assert check(shipped_space(), few(), made.interpreter({**told.files, MODEL: encode(few())})).sound
    with pytest.raises(ExportError, match="a device and a person together"):
        check(shipped_space(), few(), made.interpreter(few_files()))


def test_what_zpa_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    let_through = sum(int(one.exported) for one in finished.report.counts)
    assert 0 < let_through < sum(int(one.permitted) for one in finished.report.counts)
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "session_max_minutes", "organisation"}
    assert all(one.why.ja and one.instead.ja for one in finished.exported.left_out)
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_every_allow_asks_for_segments_an_agent_and_checks_each_in_a_block_of_its_own() -> None:
    for rule in allows(rules_of(few_files())):
        assert rule["operator"] == "AND"
        assert all(len(block["operands"]) == 1 for block in rule["conditions"])
        assert operands(rule, "CLIENT_TYPE")[0]["values"] == ["zpn_client_type_zapp"]
        assert len(operands(rule, "APP")) == len(operands(rule, "SCIM_GROUP")) == 1
        postures = [one["entryValues"] for one in operands(rule, "POSTURE")]
        assert len(postures) >= 2
        assert all(len(entries) == 1 and entries[0]["rhs"] == "true" for entries in postures)


def test_the_last_rule_denies_every_segment_to_the_rest_of_the_tenants_rules() -> None:
    rules = rules_of(few_files())
    assert [rule["name"] for rule in rules if rule["action"] == "DENY"] == [LAST] == [rules[-1]["name"]]
    named = {one for rule in allows(rules) for one in operands(rule, "APP")[0]["values"]}
    assert named <= set(operands(rules[-1], "APP")[0]["values"])
    assert MAIL in operands(rules[-1], "APP")[0]["values"]


def test_zone_country_and_session_stand_in_blocks_that_the_vendor_has_for_them() -> None:
    found = [
        (kind, one["entryValues"])
        for rule in allows(rules_of(few_files()))
        for kind in ("TRUSTED_NETWORK", "COUNTRY_CODE", "SCIM", "SAML")
        for one in operands(rule, kind)
    ]
    assert ("TRUSTED_NETWORK", [{"lhs": HOME, "rhs": "true"}]) in found
    assert ("SCIM", [{"lhs": "7003", "rhs": "false"}]) in found
    assert ("SAML", [{"lhs": "72058304855021553", "rhs": level} for level in ("2", "3")]) in found
    assert ("COUNTRY_CODE", [{"lhs": "JP", "rhs": "true"}]) in found


def test_names_are_ascii_and_unique_and_japanese_stands_in_descriptions() -> None:
    rules = rules_of(exported(target(mapping()), shipped_model()))
    names = [rule["name"] for rule in rules]
    assert len(set(names)) == len(names) > 2
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)
    assert all(not rule["description"].isascii() and len(rule["description"]) <= 1000 for rule in rules)


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    held = mapping(enforces=list(EVERY_CONTROL))
    phone = held["classes"]["byod_phone"]["posture"]
    system_of = {segment: name for name, place in held["resources"].items() for segment in place["segments"]}
    groups = {resource.id: resource.group for resource in shipped_model().resources}
    rules = allows(rules_of(exported(target(held), shipped_model())))
    of_phones = [
        rule for rule in rules if any(one["entryValues"][0]["lhs"] == phone for one in operands(rule, "POSTURE"))
    ]
    reached = {groups[system_of[one]] for rule in of_phones for one in operands(rule, "APP")[0]["values"]}
    assert reached == {"communication"}
    assert {one["lhs"] for rule in of_phones for one in operands(rule, "PLATFORM")[0]["entryValues"]} == {
        "android",
        "ios",
    }
    classes = {device["posture"] for device in held["classes"].values()}
    asked = [{one["entryValues"][0]["lhs"] for one in operands(rule, "POSTURE")} for rule in rules]
    assert all(len(checks & classes) == 1 for checks in asked)


def test_meanings_tell_whoever_makes_the_checks_what_each_has_to_find_out() -> None:
    held = mapping()
    told = json.loads(few_files()[MEANINGS])
    by_id = {(one["kind"], one["id"]): one for one in told}
    assert len(by_id) == len(told)
    one = by_id["POSTURE", held["classes"]["managed_pc"]["posture"]]
    assert one["all_of"] == [{"fact": "device.class", "values": ["managed_pc"]}]
    used = {
        entry["lhs"]
        for rule in rules_of(few_files())
        for operand in operands(rule, "POSTURE")
        for entry in operand["entryValues"]
    }
    assert used <= {of for kind, of in by_id if kind == "POSTURE"}


def test_with_every_control_carried_out_fewer_rules_are_left_to_the_callout() -> None:
    before = target(mapping()).export(shipped_model()).left_out
    held = mapping(enforces=[*EVERY_CONTROL, "screen_transfer_only"])
    for name in ("home-working", "lgwan-asp"):  # nothing but a screen-transfer gateway stands there
        held["resources"][name]["action"] = "screen_transfer"
    finished = export(shipped_space(), shipped_model(), target(held))
    left_out = finished.exported.left_out
    assert len(left_out) < len(before)
    assert not {one.what for one in left_out} & {"clipboard", "save", "browser_only"}
    assert any(int(one.exported) for one in finished.report.counts if one.resource == "home-working")


# The mapping.


@pytest.mark.parametrize(
    ("key", "name", "what"),
    [
        ("groups", "users-", "group"),
        ("classes", "managed_pc", "class of device"),
        ("sets", "posture-", "set"),
        ("resources", "mail", "segment"),
    ],
)
def test_an_id_that_the_mapping_lacks_is_an_error_and_not_a_rule_less(key: str, name: str, what: str) -> None:
    held = mapping()
    for found in [one for one in held[key] if one.startswith(name)]:
        del held[key][found]
    with pytest.raises(ExportError, match=f"no {what} for `{name}"):
        target(held).export(few())


def test_a_system_or_a_set_that_is_left_out_by_name_is_denied_and_told() -> None:
    held = mapping(leave=["mail"], unsaid=["byod_pc"])
    del held["resources"]["mail"], held["classes"]["byod_pc"]
    finished = export(shipped_space(), few(), target(held))
    assert all(int(one.exported) == 0 for one in finished.report.counts if one.resource == "mail")
    assert {one.what for one in finished.exported.left_out} >= {"mail"}
    assert not [rule for rule in rules_of(finished.files) if rule["name"].startswith("zt.byod_pc.")]


def test_what_no_attribute_and_no_network_says_is_left_out() -> None:
    finished = export(shipped_space(), few(), target(mapping(attributes={}, networks={})))
    assert not allows(rules_of(finished.files))
    assert {one.what.partition("∋")[0] for one in finished.exported.left_out} >= {"context.risk"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"idp": "okta"}, "no id of the tenant"),
        ({"groups": {"users-a": "1", "users-b": "1"}}, "stands for two things"),
        ({"groups": {"users-a": "staff"}}, "no id of the tenant"),
        ({"classes": {"managed_pc": {"posture": "zt edr"}}}, "no id of the tenant"),
        ({"classes": {"managed_pc": {"posture": udid(100)}}}, "stands for two things"),
        ({"classes": {"managed_pc": {"posture": "a", "platforms": ["chromeos"]}}}, "no platform"),
        ({"networks": {"office": [HOME], "public": [HOME.upper()]}}, "stands for two things"),
        ({"resources": {"a": {"segments": ["1"]}, "b": {"segments": ["1", "2"]}}}, "stands for two things"),
        ({"resources": {"a": {"segments": []}}}, "a segment is needed"),
        ({"resources": {"a": {"segments": ["1"], "action": "fly"}}}, "no action"),
        ({"given": {"device.registered": True}}, "to the next"),
        ({"given": {"weather": "fine"}}, "no fact"),
        ({"attributes": {"device.registered": {"kind": "SCIM", "id": "1"}}}, "no fact of a session"),
        ({"attributes": {"context.zone": {"kind": "LDAP", "id": "1"}}}, "Invalid enum value"),
        ({"given": {"context.zone": "sase"}, "attributes": {"context.zone": {"kind": "SAML", "id": "1"}}}, "is given"),
        ({"segment": "x"}, "segment"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("zpa", mapping(**change))


def test_the_mapping_of_the_page_is_one_that_the_target_takes() -> None:
    page = (Path(__file__).parents[4] / "docs" / "export-zpa.md").read_text(encoding="utf-8")
    held = yaml.safe_load(page.split("```yaml")[1].split("```")[0])
    assert make("zpa", held).name == "zpa"


@given(
    enforces=st.sets(st.sampled_from(EVERY_CONTROL)),
    zone=st.sampled_from([None, "office", "sase", "public"]),
    level=st.sampled_from([None, 1, 2, 3]),
    encrypted=st.sampled_from([True, False]),
    networks=st.sampled_from([{}, {"office": [HOME]}, {"office": [HOME], "public": ["x-1", "x-2"]}]),
)
@settings(max_examples=8, deadline=None)
def test_whatever_the_mapping_says_the_export_is_sound(
    enforces: set[str], zone: str | None, level: int | None, encrypted: bool, networks: dict[str, Any]
) -> None:
    held = mapping(enforces=sorted(enforces), networks=networks)
    held["given"]["context.path_encrypted"] = encrypted
    if zone is not None:
        held["given"]["context.zone"] = zone
    if level is not None:
        held["given"]["subject.auth_level"] = level
        del held["attributes"]["subject.auth_level"]
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
