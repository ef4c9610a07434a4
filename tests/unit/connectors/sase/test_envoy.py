"""The Envoy export: sound over the whole space, refused where it is tampered with, validated by Envoy itself."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.sase.envoy import CLAIMS, FILE, EnvoyTarget, claims_of, fact_text, target
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import MODEL, Report, check
from pdp.export.exporting import export, verify
from pdp.model.rules import RuleModel, encode
from tests.envoy_server import Issuer, validate
from tests.spaces import every_control, shipped_model, shipped_space


def mapping(**changes: Any) -> dict[str, Any]:
    used = sorted({rule.resource for rule in shipped_model().rules})
    return {
        "issuer": "https://idp.example.jp",
        "audiences": ["gateway"],
        "jwks_file": "/etc/sekisho/jwks.json",
        "listen": "127.0.0.1:0",
        "resources": {
            name: {"host": "apps.example.jp", "prefix": f"/{name}/", "upstream": "127.0.0.1:9000"} for name in used
        },
        "enforces": ["record_session", "alert"],
        **changes,
    }


@cache
def shipped_files() -> dict[str, bytes]:
    return exported(target(mapping()))


def exported(made: EnvoyTarget) -> dict[str, bytes]:
    return {**made.export(shipped_model()).files, MODEL: encode(shipped_model())}


def checked(change: Any) -> Report:
    """The comparison for files that somebody has changed."""
    made = target(mapping())
    files = dict(shipped_files())
    config = json.loads(files[FILE])
    change(config)
    files[FILE] = json.dumps(config).encode()
    return check(shipped_space(), shipped_model(), made.interpreter(files))


def rules_of(config: dict[str, Any]) -> dict[str, Any]:
    filters = manager_of(config)["http_filters"]
    policies: dict[str, Any] = filters[1]["typed_config"]["rules"]["policies"]
    return policies


def manager_of(config: dict[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return held


def test_what_envoy_lets_through_is_never_wider_and_what_it_does_not_is_told() -> None:
    made = target(mapping())
    finished = export(shipped_space(), shipped_model(), made)
    assert finished.certificate.unsound == "0"
    assert 0 < int(finished.certificate.gap) < sum(int(one.permitted) for one in finished.report.counts) // 2
    assert {one.what for one in finished.exported.left_out} >= {"clipboard", "session_max_minutes", "organisation"}
    assert dict(export(shipped_space(), shipped_model(), target(mapping())).files) == dict(finished.files)
    assert verify(shipped_space(), made, finished.files)[1].sound


def test_with_every_control_carried_out_only_other_peoples_data_is_left_to_the_callout() -> None:
    held = mapping(enforces=every_control())
    for name in ("home-working", "lgwan-asp"):  # nothing but a screen-transfer gateway stands there
        held["resources"][name]["action"] = "screen_transfer"
    finished = export(shipped_space(), shipped_model(), target(held))
    assert {one.what for one in finished.exported.left_out} == {"organisation"}
    assert {gap.resource for gap in finished.report.gaps} == {"data-api", "data-catalogue", "data-dashboard"}


def test_a_private_phone_reaches_communication_and_nothing_else_by_the_files_alone() -> None:
    config = json.loads(exported(target(mapping(enforces=["clipboard", "save", "record_session", "alert"])))[FILE])
    groups = {resource.id: resource.group for resource in shipped_model().resources}
    phone = fact_text("device.class", "byod_phone")
    reached = {
        groups[rule["and_rules"]["rules"][1]["url_path"]["path"]["prefix"].strip("/")]
        for policy in rules_of(config).values()
        if phone in json.dumps(policy)
        for rule in policy["permissions"]
    }
    assert reached == {"communication"}


def drop_a_claim(config: dict[str, Any]) -> None:
    for policy in rules_of(config).values():
        policy["principals"][0]["and_ids"]["ids"].pop(0)


def anybody(config: dict[str, Any]) -> None:
    next(iter(rules_of(config).values()))["principals"].append({"any": True})


def any_place(config: dict[str, Any]) -> None:
    next(iter(rules_of(config).values()))["permissions"].append({"any": True})


def another_class(config: dict[str, Any]) -> None:
    """A rule of managed PCs for private phones: one word in two megabytes."""
    for name, policy in rules_of(config).items():
        if name.startswith("managed_pc."):
            text = json.dumps(policy).replace("device.class=managed_pc", "device.class=byod_phone")
            rules_of(config)[name] = json.loads(text)


@pytest.mark.parametrize("change", [drop_a_claim, anybody, any_place, another_class])
def test_a_planted_fault_is_found_with_a_counterexample(change: Any) -> None:
    report = checked(change)
    assert not report.sound
    assert report.counterexamples[0].words.ja


def no_rules(config: dict[str, Any]) -> None:
    manager_of(config)["http_filters"].pop(1)


def deny_list(config: dict[str, Any]) -> None:
    manager_of(config)["http_filters"][1]["typed_config"]["rules"]["action"] = "DENY"


def open_health(config: dict[str, Any]) -> None:
    token = manager_of(config)["http_filters"][0]["typed_config"]
    token["rules"].insert(0, {"match": {"prefix": "/mail/"}})


def two_readings(config: dict[str, Any]) -> None:
    manager_of(config)["normalize_path"] = False


def escaped_slashes(config: dict[str, Any]) -> None:
    manager_of(config)["path_with_escaped_slashes_action"] = "KEEP_UNCHANGED"


def a_header(config: dict[str, Any]) -> None:
    header = {"header": {"name": "x-groups", "string_match": {"exact": "staff"}}}
    next(iter(rules_of(config).values()))["permissions"].append(header)


def a_strange_claim(config: dict[str, Any]) -> None:
    text = json.dumps(config).replace("users-", "users-x")
    config.clear()
    config.update(json.loads(text))


@pytest.mark.parametrize(
    "change",
    [no_rules, deny_list, two_readings, escaped_slashes, a_header, a_strange_claim],
    ids=lambda one: one.__name__,
)
def test_what_the_reading_does_not_know_is_refused(change: Any) -> None:
    with pytest.raises(ExportError):
        checked(change)


def filters_of(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    token, rules, _ = manager_of(config)["http_filters"]
    return token, rules


def switched_off(config: dict[str, Any]) -> None:
    filters_of(config)[1]["disabled"] = True


def no_token_asked(config: dict[str, Any]) -> None:
    filters_of(config)[0]["disabled"] = True


def off_for_a_route(config: dict[str, Any]) -> None:
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {}}
    route = manager_of(config)["route_config"]["virtual_hosts"][0]["routes"][0]
    route["typed_per_filter_config"] = {"envoy.filters.http.rbac": off}


def a_matcher_beside_the_rules(config: dict[str, Any]) -> None:
    """Where both stand, Envoy looks at the matcher and not at the rules."""
    filters_of(config)[1]["typed_config"]["matcher"] = {"on_no_match": {"action": {"name": "allow"}}}


def a_second_chain(config: dict[str, Any]) -> None:
    chains = config["static_resources"]["listeners"][0]["filter_chains"]
    chains.append({"filter_chain_match": {"source_prefix_ranges": []}, "filters": []})


def a_second_listener(config: dict[str, Any]) -> None:
    config["static_resources"]["listeners"].append({"name": "open"})


def an_admin_port(config: dict[str, Any]) -> None:
    config["admin"] = {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 9901}}}


def provider_of(config: dict[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = filters_of(config)[0]["typed_config"]["providers"]["issuer"]
    return held


def another_issuer(config: dict[str, Any]) -> None:
    provider_of(config)["issuer"] = "https://other.example"


def another_audience(config: dict[str, Any]) -> None:
    provider_of(config)["audiences"].append("anything")


def other_keys(config: dict[str, Any]) -> None:
    provider_of(config)["local_jwks"] = {"inline_string": "{}"}


def tokens_without_an_end(config: dict[str, Any]) -> None:
    provider_of(config)["require_expiration"] = False


def another_upstream(config: dict[str, Any]) -> None:
    config["static_resources"]["clusters"][0]["name"] = "127.0.0.1:1"


def true_by_a_number(config: dict[str, Any]) -> None:
    manager_of(config)["normalize_path"] = 1


AROUND = [
    switched_off, no_token_asked, off_for_a_route, a_matcher_beside_the_rules, a_second_chain, a_second_listener,
    an_admin_port, another_issuer, another_audience, other_keys, tokens_without_an_end, another_upstream,
    true_by_a_number, open_health,
]  # fmt: skip


@pytest.mark.parametrize("change", AROUND, ids=lambda one: one.__name__)
def test_whatever_stands_around_the_policies_otherwise_than_the_mapping_makes_it_is_refused(change: Any) -> None:
    with pytest.raises(ExportError, match="around the policies"):
        checked(change)


def leaf(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The first permission or principal of a kind."""
    policy = next(iter(rules_of(config).values()))
    both = [*policy["permissions"][0]["and_rules"]["rules"], *policy["principals"][0]["and_ids"]["ids"]]
    held: dict[str, Any] = next(one[kind] for one in both if kind in one)
    return held


@pytest.mark.parametrize("key", ["header.invert_match", "sourced_metadata.invert", "path.ignore_case", "condition"])
def test_a_key_that_could_turn_a_rule_around_is_refused(key: str) -> None:
    def turned(config: dict[str, Any]) -> None:
        if key == "condition":
            next(iter(rules_of(config).values()))["condition"] = {}
        elif key == "header.invert_match":
            leaf(config, "header")["invert_match"] = True
        elif key == "path.ignore_case":
            leaf(config, "url_path")["path"]["ignore_case"] = True
        else:
            leaf(config, "sourced_metadata")["metadata_matcher"]["invert"] = True

    with pytest.raises(ExportError, match=key.rpartition(".")[2]):
        checked(turned)


def test_a_system_without_a_route_is_an_error_and_not_a_rule_less() -> None:
    held = mapping()
    del held["resources"]["mail"]
    with pytest.raises(ExportError, match="no route for `mail`"):
        target(held).export(shipped_model())
    left = export(shipped_space(), shipped_model(), target({**held, "leave": ["mail"]}))
    assert all(int(one.exported) == 0 for one in left.report.counts if one.resource == "mail")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"resources": {"mail": {"host": "A.example", "upstream": "x:1"}}}, "lower case"),
        ({"resources": {"mail": {"host": "a.example", "prefix": "/mail", "upstream": "x:1"}}}, "slash"),
        ({"resources": {"mail": {"host": "a.example", "upstream": "x:1", "action": "fly"}}}, "no action"),
        ({"methods": {"GET": "fly"}}, "no action"),
        ({"issuers": "x"}, "issuers"),
        ({"given": {"device.registered": True}}, "differs"),
        ({"given": {"resource.status": "active"}}, "differs"),
        ({"given": {"subject.auth_level": 3}}, "differs"),
        ({"given": {"contxt.zone": "office"}}, "no fact"),
        (
            {
                "resources": {
                    n: {"host": "a.example", "prefix": p, "upstream": "x:1"} for n, p in (("a", "/a/"), ("b", "/a/b/"))
                }
            },
            "one place",
        ),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make("envoy", mapping(**change))


def test_an_unknown_target_is_an_error() -> None:
    with pytest.raises(SettingsError, match="there is no target"):
        make("checkpoint", {})


def test_a_gateway_where_it_is_always_the_office_asks_for_no_zone() -> None:
    finished = export(shipped_space(), shipped_model(), target(mapping(given={"context.zone": "office"})))
    assert finished.certificate.given["context.zone"] == "office"
    assert "context.zone" not in json.dumps(json.loads(finished.files[FILE]))
    assert any(one.what == "context.zone" for one in finished.exported.left_out)


def test_claims_say_who_is_in_which_set_and_the_rest_fact_by_fact() -> None:
    model, space = shipped_model(), shipped_space()
    facts = space.named({level: 0 for level in space.facts})
    claims = claims_of(model, facts, {})
    guide = json.loads(exported(target(mapping(enforces=[])))[CLAIMS])
    assert set(claims["sets"]) <= set(guide["sets"])
    assert f"subject.auth_level={facts['subject.auth_level']}" in claims["facts"]
    assert not [one for one in claims["facts"] if one.startswith("action.")]


def test_envoy_itself_takes_the_file_and_refuses_wrong_ones(tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(Issuer().jwks), encoding="utf-8")
    config = json.loads(exported(target(mapping(jwks_file=str(jwks))))[FILE])
    assert validate(config, tmp_path).returncode == 0
    for wrong in (b'"ALLOW"', b'"sourced_metadata"', b'"and_ids"'):
        text = json.dumps(config).encode().replace(wrong, b'"NONSENSE"')
        assert validate(json.loads(text), tmp_path).returncode == 1


def two_ledgers() -> RuleModel:
    """The system of one department, and its twin of another."""
    model = shipped_model()
    ledger = model.resource("soumu-ledger")
    rules = [rule for rule in model.rules if rule.resource == ledger.id]
    own = {rule.users for rule in rules if rule.users and model.profile(rule.users).departments}
    assert own
    twins = [
        msgspec.structs.replace(model.profile(name), id=f"{name}-z", departments=("zaimu",)) for name in sorted(own)
    ]
    others = [
        msgspec.structs.replace(
            rule, id=f"{rule.id}.z", resource="z", users=f"{rule.users}-z" if rule.users in own else rule.users
        )
        for rule in rules
    ]
    return msgspec.structs.replace(
        model,
        resources=(ledger, msgspec.structs.replace(ledger, id="z", departments=("zaimu",))),
        profiles=(*model.profiles, *twins),
        rules=(*rules, *others),
    )


def ledgers_checked(*swapped: tuple[str, str]) -> Report:
    model = two_ledgers()
    places = {
        name: {"host": "apps.example.jp", "prefix": f"/{name}/", "upstream": "127.0.0.1:9000"}
        for name in ("soumu-ledger", "z")
    }
    made = target(mapping(resources=places))
    files = made.export(model).files
    policies = json.dumps(rules_of(json.loads(files[FILE])))
    for one, other in swapped:
        policies = policies.replace(one, other)
    config = json.loads(files[FILE])
    rules_of(config).clear()
    rules_of(config).update(json.loads(policies))
    return check(shipped_space(), model, made.interpreter({FILE: json.dumps(config).encode(), MODEL: encode(model)}))


def test_the_departments_of_one_system_do_not_count_for_another() -> None:
    """Attack: two systems with each other's groups; over there everybody in them is of the right department."""
    assert ledgers_checked().sound
    assert not ledgers_checked(("/z/", "/x/"), ("/soumu-ledger/", "/z/"), ("/x/", "/soumu-ledger/")).sound


def test_a_token_for_all_systems_says_of_each_department_on_its_own_who_is_in_it() -> None:
    model, space = two_ledgers(), shipped_space()
    facts = space.named({level: 0 for level in space.facts})
    for profile in model.profiles:
        if not profile.departments:
            continue
        for condition in profile.conditions:
            facts[condition.fact] = condition.values[0]
        other = profile.id.removesuffix("-z") if profile.id.endswith("-z") else f"{profile.id}-z"
        sets = claims_of(model, facts, {}, departments=("elsewhere", *profile.departments))["sets"]
        assert profile.id in sets
        assert other not in sets
        assert not {profile.id, other} & set(claims_of(model, facts, {})["sets"])
