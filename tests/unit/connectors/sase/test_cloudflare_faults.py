"""Files of Cloudflare Access that somebody has changed: refuted with a counterexample, or refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from pdp.errors import ExportError
from tests.spaces import shipped_model
from tests.unit.connectors.sase.cloudflare_tenant import allows, an_id, checked, mapping, required

if TYPE_CHECKING:
    from collections.abc import Callable

Documents = dict[str, Any]


def drop_the_posture(held: Documents) -> None:
    for policy in allows(held):
        policy["require"] = [one for one in policy["require"] if "device_posture" not in one]


def drop_the_country(held: Documents) -> None:
    for policy in allows(held):
        policy["require"] = [one for one in policy["require"] if "geo" not in one]


def weaker_login(held: Documents) -> None:
    for policy in allows(held):
        for one in required(policy, "auth_method"):
            one["auth_method"] = "mfa"


def include_what_is_required(held: Documents) -> None:
    """Selectors of `include` are alternatives."""
    for policy in allows(held):
        policy["include"] += policy["require"]
        policy["require"] = []


def wider_group(held: Documents) -> None:
    for policy in allows(held):
        policy["include"] = [{"everyone": {}}]


def group_of_another_department(held: Documents) -> None:
    soumu = next(profile.id for profile in shipped_model().profiles if profile.departments)
    everybody = next(name for name in mapping()["groups"] if name == "users-eb03ff8b")
    for policy in allows(held):
        for one in policy["include"]:
            if one["azureAD"]["id"] == an_id(soumu):
                one["azureAD"]["id"] = an_id(everybody)


def no_expiration(held: Documents) -> None:
    for one in held["posture-rules"]:
        del one["body"]["expiration"]


def expiration_of_a_month(held: Documents) -> None:
    for one in held["posture-rules"]:
        one["body"]["expiration"] = "43200m"


def everybody_passes(held: Documents) -> None:
    for one in held["posture-rules"]:
        one["body"]["input"] |= {"operator": ">=", "score": 0}


def turned_score(held: Documents) -> None:
    held["posture-rules"][0]["body"]["input"]["operator"] = "<"


def another_connection(held: Documents) -> None:
    rules = {one["body"]["name"]: one["body"]["input"] for one in held["posture-rules"]}
    rules["zt-class-managed_pc"]["connection_id"] = rules["zt-class-section_pc"]["connection_id"]


def wider_set(held: Documents) -> None:
    for one in held["sets"]:
        if one["name"].startswith("device-"):
            one["all_of"] = [said for said in one["all_of"] if said["fact"] != "device.state"]


def swapped_order(held: Documents) -> None:
    """An allow of everybody is harmless below the last deny and is not above it."""
    everybody = {"name": "temporary", "decision": "allow", "include": [{"everyone": {}}], "session_duration": "60m"}
    held["access-policies"].append(everybody)
    for one in held["applications"]:
        one["body"]["policies"].append({"id": "temporary", "precedence": 0})


def bypass_below(held: Documents) -> None:
    """A bypass is looked at first, wherever it stands."""
    held["access-policies"].append({"name": "temporary", "decision": "bypass", "include": [{"everyone": {}}]})
    for one in held["applications"]:
        one["body"]["policies"].append({"id": "temporary", "precedence": 900})


def another_place(held: Documents) -> None:
    """What is allowed for mail is allowed for a business system too."""
    bodies = {one["body"]["name"]: one["body"] for one in held["applications"]}
    for name in sorted(set(bodies) - {"mail"}):
        bodies[name]["policies"] = copy.deepcopy(bodies["mail"]["policies"])


def no_guard(held: Documents) -> None:
    """Gateway lets through what no rule matches."""
    held["gateway-rules"] = []


def guard_switched_off(held: Documents) -> None:
    held["gateway-rules"][0]["enabled"] = False


def guard_for_some(held: Documents) -> None:
    checks = 'not(any(device_posture.checks.passed[*] in {"9f2b9874-cb70-5db5-bdb4-aa38c9db1c79"}))'
    held["gateway-rules"][0]["device_posture"] = checks


def guard_with_a_hole(held: Documents) -> None:
    rule = held["gateway-rules"][0]
    rule["traffic"] = rule["traffic"].replace("10.9.3.0/24", "10.9.3.0/25")


def allow_before_the_guard(held: Documents) -> None:
    rule = {**held["gateway-rules"][0], "name": "temporary", "action": "allow", "precedence": 0}
    held["gateway-rules"].append({**rule, "traffic": "net.dst.ip in {10.9.0.5/32}"})


def open_path(held: Documents) -> None:
    """Another application, for a path below a system's address."""
    everybody = {"name": "temporary", "decision": "allow", "include": [{"everyone": {}}], "session_duration": "60m"}
    held["access-policies"].append(everybody)
    body = {**held["applications"][0]["body"], "policies": [{"id": "temporary", "precedence": 1}]}
    body["domain"] += "/admin"
    held["applications"].append({"app_id": an_id("temporary"), "body": body})


@pytest.mark.parametrize(
    "change",
    [
        open_path,
        no_guard,
        guard_switched_off,
        guard_for_some,
        guard_with_a_hole,
        allow_before_the_guard,
        drop_the_posture,
        drop_the_country,
        weaker_login,
        include_what_is_required,
        wider_group,
        group_of_another_department,
        no_expiration,
        expiration_of_a_month,
        everybody_passes,
        turned_score,
        another_connection,
        wider_set,
        swapped_order,
        bypass_below,
        another_place,
    ],
    ids=lambda one: one.__name__,
)
def test_a_planted_fault_is_found_with_a_counterexample(change: Callable[[Documents], None]) -> None:
    report = checked(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja
    assert report.counterexamples[0].words.en


def test_an_allow_below_the_deny_of_everybody_lets_nobody_through() -> None:
    def below(held: Documents) -> None:
        swapped_order(held)
        for one in held["applications"]:
            one["body"]["policies"][-1]["precedence"] = 900

    assert checked(below).sound


def test_a_deny_that_stands_first_lets_nothing_through() -> None:
    def first(held: Documents) -> None:
        for one in held["applications"]:
            one["body"]["policies"][-1]["precedence"] = 0

    report = checked(first)
    assert report.sound
    assert all(one.exported == "0" for one in report.counts)


def test_what_is_excluded_counts_only_where_it_is_certain() -> None:
    """A device of an excluded set may report nothing: excluding it narrows nothing that can be relied on."""

    def exclude(held: Documents) -> None:
        for policy in allows(held):
            policy["exclude"] = [{"device_posture": required(policy, "device_posture")[0]}]

    def exclude_a_country(held: Documents) -> None:
        for policy in allows(held):
            policy["exclude"] = [{"geo": {"country_code": "JP"}}]

    plain = checked(lambda _: None)
    assert [one.exported for one in checked(exclude).counts] == [one.exported for one in plain.counts]
    assert sum(int(one.exported) for one in checked(exclude_a_country).counts) < sum(
        int(one.exported) for one in plain.counts
    )


# What the reading does not know.


def odd_key(held: Documents) -> None:
    allows(held)[0]["approval_required"] = False


def endless_session(held: Documents) -> None:
    """Groups are looked at when a session begins."""
    del allows(held)[0]["session_duration"]


def session_of_a_month(held: Documents) -> None:
    allows(held)[0]["session_duration"] = "43200m"


def odd_decision(held: Documents) -> None:
    allows(held)[0]["decision"] = "permit"


def odd_selector(held: Documents) -> None:
    held["access-policies"][0]["include"] = [{"email_domain": {"domain": "pref.example.jp"}}]


def two_kinds(held: Documents) -> None:
    for policy in allows(held):
        policy["include"][0]["everyone"] = {}


def odd_list(held: Documents) -> None:
    for policy in allows(held):
        policy["require"].append({"ip_list": {"id": an_id("another")}})


def odd_group(held: Documents) -> None:
    for policy in allows(held):
        policy["include"][0]["azureAD"]["id"] = an_id("another")


def odd_posture(held: Documents) -> None:
    held["posture-rules"] = []


def odd_check(held: Documents) -> None:
    for one in held["posture-rules"]:
        one["body"]["type"] = "firewall"


def nobody_included(held: Documents) -> None:
    allows(held)[0]["include"] = []


def odd_link(held: Documents) -> None:
    held["applications"][0]["body"]["policies"][0]["id"] = "another"


def same_precedence(held: Documents) -> None:
    for link in held["applications"][0]["body"]["policies"]:
        link["precedence"] = 1


def same_address(held: Documents) -> None:
    held["applications"][0]["body"]["domain"] = held["applications"][1]["body"]["domain"]


def same_connection(held: Documents) -> None:
    held["sets"][0]["connection"] = held["sets"][1]["connection"]


def any_address(held: Documents) -> None:
    held["applications"][0]["body"]["domain"] = "*.pref.example.jp"


def preflight(held: Documents) -> None:
    held["applications"][0]["body"]["options_preflight_bypass"] = True


def odd_traffic(held: Documents) -> None:
    held["gateway-rules"][0]["traffic"] += " or true"


def another_filter(held: Documents) -> None:
    held["gateway-rules"][0]["filters"] = ["dns"]


def no_field(held: Documents) -> None:
    del allows(held)[0]["include"]


@pytest.mark.parametrize(
    "change",
    [
        odd_key,
        endless_session,
        session_of_a_month,
        odd_decision,
        odd_selector,
        two_kinds,
        odd_list,
        odd_group,
        odd_posture,
        odd_check,
        nobody_included,
        odd_link,
        same_precedence,
        same_address,
        same_connection,
        any_address,
        preflight,
        odd_traffic,
        another_filter,
        no_field,
    ],
    ids=lambda one: one.__name__,
)
def test_what_the_reading_does_not_know_is_refused(change: Callable[[Documents], None]) -> None:
    with pytest.raises(ExportError):
        checked(change)
