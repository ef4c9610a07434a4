"""The Prisma Access export: sound over the whole space, and refused or refuted where it is tampered with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.prisma import RULES, target
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import check
from pdp.export.exporting import export, verify
from pdp.export.sieves import DocumentSieve, SpaceRegion, SpaceSieve, Truth
from pdp.plain_yaml import load_one
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase.prisma_tenant import (
    EVERY_CONTROL,
    FEW,
    MOBILE,
    allows,
    documents,
    exported,
    few,
    few_files,
    mapping,
)


def test_what_prisma_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    let_through = sum(int(one.exported) for one in finished.report.counts)
    assert 0 < let_through < sum(int(one.permitted) for one in finished.report.counts)
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "session_max_minutes", "organisation"}
    assert all(one.why.ja and one.instead.ja for one in finished.exported.left_out)
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_every_rulebase_cuts_off_first_and_ends_in_a_deny_of_everything() -> None:
    held = documents(few_files())
    for folder in ("Mobile Users", "Remote Networks"):
        rules = [rule for rule in held["security-rules"] if rule["folder"] == folder]
        assert [rule["action"] for rule in rules[:2]] == ["deny", "deny"]
        assert rules[0]["source_user"] == ["zt-cut-off-users"]
        assert rules[1]["source"] == ["zt-cut-off-addresses"]
        assert {rule["action"] for rule in rules[2:-1]} == {"allow"}
        assert (rules[-1]["action"], rules[-1]["source"], rules[-1]["destination"]) == ("deny", ["any"], ["any"])


def test_every_allow_names_one_set_of_sessions_one_group_and_what_the_agent_finds() -> None:
    held = documents(few_files())
    for rule in allows(held):
        assert [len(rule[field]) for field in ("source", "source_user")] == [1, 1]
        assert "any" not in (*rule["source"], *rule["source_user"], *rule["destination"])
    assert any("source_hip" in rule for rule in allows(held))
    assert {one["match"] for one in held["hip-profiles"]} >= {'"zt-edr" and "zt-certificate"'}


def test_jailbreak_and_certificate_are_never_left_to_the_word_of_the_device() -> None:
    with_checks, without = (
        documents(exported(target(mapping(enforces=list(EVERY_CONTROL), checks=checks)), shipped_model()))
        for checks in (mapping()["checks"], {})
    )
    own_word = {"device.posture.tampered", "device.posture.certificate"}
    for held in (with_checks, without):
        told = {one["name"]: {said["fact"] for said in one["all_of"]} for one in held["tagging"]}
        postures = [facts for name, facts in told.items() if name.startswith("zt.posture-")]
        assert postures
        assert all(facts & own_word for facts in postures)
    assert not without["hip-objects"]


def test_names_are_short_ascii_and_unique_and_japanese_stands_in_descriptions() -> None:
    held = documents(few_files())
    for kind, most in {"security-rules": 63, "address-groups": 63, "hip-objects": 31, "hip-profiles": 31}.items():
        names = [one["name"] for one in held[kind]]
        assert len(set(names)) == len(names) > 0
        assert all(re.fullmatch(r"[a-zA-Z0-9_ .-]+", name) and len(name) <= most for name in names)
        assert all(not one["description"].isascii() for one in held[kind])


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    held = documents(exported(target(mapping(enforces=list(EVERY_CONTROL))), shipped_model()))
    groups = {resource.id: resource.group for resource in shipped_model().resources}
    filters = {one["name"]: one["dynamic"]["filter"] for one in held["address-groups"]}
    phone = {name for name, text in filters.items() if "'zt.class-byod_phone'" in text}
    reached = {
        groups[name.removeprefix("app-")]
        for rule in allows(held)
        if not set(rule["source"]).isdisjoint(phone)
        for name in rule["destination"]
    }
    assert reached == {"communication"}
    assert all("'zt.class-" in text for text in filters.values())
    assert any(rule["source_hip"] for rule in allows(held) if set(rule["source"]) <= phone)


def test_where_every_control_is_carried_out_fewer_rules_are_left_to_the_callout() -> None:
    before = target(mapping()).export(shipped_model()).left_out
    held = mapping(enforces=list(EVERY_CONTROL))
    for name in ("home-working", "lgwan-asp"):  # nothing but a screen-transfer gateway stands there
        held["resources"][name]["action"] = "screen_transfer"
    made = target(held)
    assert made.interpreter(few_files()).given["context.pep∋clipboard"] is True
    left_out = made.export(shipped_model()).left_out
    assert len(left_out) < len(before)
    assert not {one.what for one in left_out} & {"clipboard", "save", "browser_only"}


# The mapping.


def test_an_id_that_the_mapping_lacks_is_an_error_and_not_a_rule_less() -> None:
    held = mapping()
    group = next(iter(held["groups"]))
    del held["groups"][group]
    with pytest.raises(ExportError, match=f"no group for `{group}`"):
        target(held).export(shipped_model())
    held = mapping()
    del held["resources"]["mail"]
    with pytest.raises(ExportError, match="no place for `mail`"):
        target(held).export(few())
    left = export(shipped_space(), few(), target({**held, "leave": ["mail"]}))
    assert all(int(one.exported) == 0 for one in left.report.counts if one.resource == "mail")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"folders": {}}, "at least one folder"),
        ({"folders": {"a": {"folder": "X", "given": {}}, "b": {"folder": "X", "given": {}}}}, "twice"),
        ({"folders": {"UPPER": {"folder": "X", "given": {}}}}, "small letters"),
        ({"folders": {"m": {"folder": "庁内", "given": {}}}}, "no name of a folder"),
        ({"folders": {"m": {"folder": "X", "given": {"device.registered": True}}}}, "to the next"),
        ({"given": {"context.pep∋clipboard": True}}, "to the next"),
        ({"given": {"resource.group": "communication"}}, "to the next"),
        ({"given": {"context.risk∋malware_alert": False}}, "to the next"),
        ({"tagged": ["resource.tenant"]}, "no fact of a session"),
        ({"tagged": ["weather"]}, "no fact"),
        ({"folders": {"m": {"folder": "X", "given": {"weather": "fine"}}}}, "no fact"),
        ({"folders": {"m": {"folder": "X", "given": {"resource.tenant": "own"}}}}, "and for all"),
        ({"groups": {"users-a": "cn=a", "users-b": "CN=a "}}, "one group"),
        ({"groups": {"users-a": "any"}}, "no group"),
        ({"resources": {"a": {"destination": ["x"]}, "b": {"destination": ["x", "y"]}}}, "one place"),
        ({"resources": {"a": {"destination": ["any"]}}}, "a destination"),
        ({"resources": {"a": {"destination": ["any", "x"]}}}, "stands alone"),
        ({"resources": {"a": {"destination": ["x"], "action": "fly"}}}, "no action"),
        ({"cut_off": {"url": "http://pdp.example"}}, "https"),
        ({"calendar": {"days": []}}, "one to 370 days"),
        ({"calendar": {"days": ["2026-11-24"], "opens": "18:00", "until": "17:15"}}, "opens before it closes"),
        ({"folder": "x"}, "folder"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("prisma", mapping(**change))


def test_the_mapping_of_the_documentation_is_one_that_is_taken() -> None:
    page = (Path(__file__).parents[4] / "docs" / "export-prisma.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    assert make("prisma", load_one(text)).name == "prisma"


def test_what_no_folder_and_no_tag_can_say_is_left_out() -> None:
    held = mapping(tagged=["context.risk"])
    finished = export(shipped_space(), few(), target(held))
    assert not [rule for rule in json.loads(finished.files[RULES]) if rule["action"] == "allow"]
    assert "subject.auth_level" in {one.what for one in finished.exported.left_out}


@given(
    enforces=st.sets(st.sampled_from(EVERY_CONTROL)),
    tagged=st.sets(
        st.sampled_from(["context.risk", "subject.auth_level", "context.disaster_mode", "context.underlay"])
    ),
    checks=st.sampled_from([{}, {"disk": True}, {"phones": True}, {"certificate_profile": "zt", "disk": True}]),
    zones=st.sets(st.sampled_from(["office", "sase", "public"]), min_size=1),
    level=st.sampled_from([None, 1, 2, 3]),
)
@settings(max_examples=15, deadline=None)
def test_whatever_the_mapping_says_the_export_is_sound(
    enforces: set[str], tagged: set[str], checks: dict[str, Any], zones: set[str], level: int | None
) -> None:
    held = mapping(
        enforces=sorted(enforces),
        tagged=sorted(tagged),
        checks=checks,
        folders={zone: {"folder": zone, "given": {**MOBILE, "context.zone": zone}} for zone in sorted(zones)},
    )
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
            if found is None:
                continue
            vector = dict.fromkeys(space.facts, 0) | dict(found) | fixed
            answer = reading.permitted(resource, DocumentSieve(dict(space.named(vector))))
            assert answer == Truth(wanted == region.root)
