"""The Entra export: sound over the whole space although Entra allows by default, and refused where tampered with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.sase.entra import POLICIES, target
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.exporting import export, verify
from pdp.export.sieves import DocumentSieve, SpaceRegion, SpaceSieve, Truth
from tests.entra_files import (
    BREAK_GLASS,
    JAPAN,
    OFFICE,
    changed,
    exported,
    filters,
    mapping,
    policy_with,
    shipped_files,
)
from tests.graph_schema import schema
from tests.spaces import every_control, shipped_model, shipped_space


def test_what_entra_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    assert sum(int(one.exported) for one in finished.report.counts) > 0
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "organisation", "degraded", "disaster"}
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_a_set_of_device_and_person_is_refused_where_several_people_use_a_device() -> None:
    with pytest.raises(ExportError, match="a device and a person together"):
        changed(lambda _, __: None, one_person_devices=False)
    left = target(mapping(one_person_devices=False)).export(shipped_model()).left_out
    assert {"device.relation", "device.loan"} & {one.what for one in left}


def test_a_device_that_entra_does_not_know_reaches_nothing() -> None:
    space = shipped_space()
    sieve = SpaceSieve(space)
    reading = target(mapping()).interpreter(shipped_files())
    unknown = sieve.where(["device.registered"], lambda value: value is False)
    for resource in shipped_model().resources:
        both = reading.permitted(resource.id, sieve) & unknown
        assert isinstance(both, SpaceRegion)
        assert both.root == space.diagram.false


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    """Of the filters that stand alone before a system, every one must name a set of phones for a phone to pass."""
    policies = json.loads(exported(target(mapping(enforces=every_control())))[POLICIES])
    applications = mapping()["applications"]
    reached = set()
    for resource in shipped_model().resources:
        application = applications[resource.id]["id"]
        before = [
            one["conditions"]
            for one in policies
            if application in one["conditions"]["applications"]["includeApplications"]
            and one["conditions"]["users"]["excludeGroups"] == [BREAK_GLASS]
            and "locations" not in one["conditions"]
            and one["grantControls"]["builtInControls"] == ["block"]
        ]
        assert before, f"nothing stands before `{resource.id}`"
        if all("byod_phone." in one.get("devices", {}).get("deviceFilter", {}).get("rule", "") for one in before):
            reached.add(resource.group)
    assert reached == {"communication"}


def test_one_document_and_all_vectors_are_read_alike() -> None:
    space, reading = shipped_space(), target(mapping()).interpreter(shipped_files())
    sieve = SpaceSieve(space)
    seen = set()
    for resource in ("chat", "finance", "pdp-console", "home-working"):
        region = reading.permitted(resource, sieve)
        assert isinstance(region, SpaceRegion)
        for root in (region.root, (~region).root):
            vector = space.diagram.pick(root)
            if vector is None:
                continue
            whole = dict.fromkeys(space.facts, 0) | dict(vector)
            one = reading.permitted(resource, DocumentSieve(space.named(whole)))
            assert one == Truth(root == region.root)
            seen.add(root == region.root)
    assert seen == {True, False}


def test_a_missing_id_is_an_error_and_not_a_condition_less() -> None:
    for part, missing, why in (("applications", "mail", "no application for `mail`"), ("groups", None, "no group for")):
        held = mapping()
        for key in [missing] if missing else list(held[part]):
            del held[part][key]
        with pytest.raises(ExportError, match=why):
            target(held).export(shipped_model())
    held = mapping()
    del held["applications"]["mail"]
    left = export(shipped_space(), shipped_model(), target({**held, "leave": ["mail"]}))
    assert all(int(one.exported) == 0 for one in left.report.counts if one.resource == "mail")


@pytest.mark.parametrize(
    ("lacking", "what"),
    [
        ({"zones": {}}, "context.zone"),
        ({"countries": {}}, "context.country"),
        ({"strengths": {}}, "subject.auth_level"),
        ({"people": {}}, "context.risk∋bulk_download"),
        ({"given": {"resource.tenant": "other"}}, "resource.tenant"),
    ],
)
def test_what_the_mapping_cannot_say_is_left_out_and_named(lacking: dict[str, Any], what: str) -> None:
    left = target(mapping(**lacking)).export(shipped_model()).left_out
    assert what in {one.what for one in left}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"break_glass": "admins"}, "no id"),
        ({"people": {"context.risk∋malware_alert=false": BREAK_GLASS}}, "one group"),
        ({"zones": {"office": JAPAN}}, "one location"),
        ({"applications": {name: {"id": OFFICE} for name in ("a", "b")}}, "one application"),
        ({"applications": {"a": {"id": OFFICE, "action": "fly"}}}, "no action"),
        ({"attribute": "extensionAttribute16"}, "extensionAttribute1"),
        ({"given": {"device.registered": True}}, "differs from one access to the next"),
        ({"given": {"moon.phase": "full"}}, "no fact"),
        ({"people": {"context.underlay=office": OFFICE}}, "from session to session"),
        ({"people": {"moon.phase=full": OFFICE}}, "no fact"),
        ({"leave": ["mail"]}, "mapped and left out"),
        ({"groupz": {}}, "groupz"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("entra", mapping(**change))


def test_the_limits_of_a_tenant_are_kept() -> None:
    policies = json.loads(shipped_files()[POLICIES])
    assert len(policies) <= 195
    assert all(len(held["rule"]) <= 3072 for held in filters(policies))
    for policy in policies:
        assert policy["displayName"].isascii()
        assert not policy["description"].isascii()


def test_microsofts_own_schema_takes_every_policy_and_refuses_wrong_ones() -> None:
    graph, name = schema(), "graph.conditionalAccessPolicy"
    policies = json.loads(shipped_files()[POLICIES])
    assert [fault for policy in policies for fault in graph.faults(name, policy)] == []
    policy = policy_with(policies, "devices")
    for path, wrong in (
        (("state",), "reportOnly"),
        (("times",), {}),
        (("conditions", "times"), {}),
        (("conditions", "users"), ["All"]),
        (("conditions", "clientAppTypes"), ["fax"]),
        (("conditions", "devices", "deviceFilter", "mode"), "except"),
        (("grantControls", "builtInControls"), ["deny"]),
        (("displayName",), 7),
    ):
        bad = json.loads(json.dumps(policy))
        place = bad
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        assert graph.faults(name, bad), path
