"""The Envoy export: sound over the whole space, refused where it is tampered with, validated by Envoy itself."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connectors.sase.envoy import CLAIMS, FILE, EnvoyTarget, claims_of, fact_text, target
from connectors.sase.registry import make
from pdp.errors import ExportError, SettingsError
from pdp.export.checking import MODEL, Report, check
from pdp.export.exporting import export, verify
from pdp.model.rules import encode
from tests.envoy_server import Issuer, validate
from tests.spaces import shipped_model, shipped_space


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
    controls = sorted({control for rule in shipped_model().rules for control in rule.controls})
    held = mapping(enforces=controls)
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


def test_a_request_that_could_pass_without_a_token_is_refused() -> None:
    with pytest.raises((ExportError, ValueError)):
        checked(open_health)


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
