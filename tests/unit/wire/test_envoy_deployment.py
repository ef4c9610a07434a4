"""The example file, the document and the code name the same headers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdp.wire.ext_authz_http import PREFIX
from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import FACTS, KEY, PROFILE
from tests.path_tricks import OURS, OVERRIDES

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "envoy.md").read_text(encoding="utf-8")
DEPLOYED: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "envoy" / "ext-authz-http.yaml").read_text(encoding="utf-8")
)
MANAGER: dict[str, Any] = DEPLOYED["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
FILTERS: dict[str, Any] = {entry["name"].rpartition(".")[2]: entry["typed_config"] for entry in MANAGER["http_filters"]}
AUTHZ = FILTERS["ext_authz"]
SERVICE = AUTHZ["http_service"]


def exact(patterns: dict[str, Any]) -> set[str]:
    assert all(set(pattern) == {"exact"} for pattern in patterns["patterns"])
    return {pattern["exact"] for pattern in patterns["patterns"]}


def table_of(heading: str) -> set[str]:
    """The header names in the first column of the table below a heading."""
    section = DOCUMENT.split(heading, 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_document_lists_every_header_that_is_read_and_no_other() -> None:
    assert table_of("### Who asks") == {KEY}
    assert table_of("### What the gateway asserts") == set(FACTS)
    assert table_of("### What is read of the request itself") == set(PROFILE) - {KEY, *FACTS}


def test_the_document_lists_every_header_that_the_application_gets() -> None:
    assert {name for name in table_of("## What is answered") if name.startswith("x-pdp-")} == set(ANSWERS)


def test_the_example_sends_only_headers_that_are_read() -> None:
    added = {entry["key"] for entry in SERVICE["authorization_request"]["headers_to_add"]}
    written = {entry["header_name"] for entry in FILTERS["jwt_authn"]["providers"]["idp"]["claim_to_headers"]}
    forwarded = exact(AUTHZ["allowed_headers"])
    assert added | forwarded <= PROFILE
    assert KEY in added
    assert not added & forwarded
    assert {name for name in forwarded if name.startswith("x-pdp-")} == written
    assert exact(AUTHZ["disallowed_headers"]) == {"authorization"}


def test_the_example_removes_what_clients_say_in_our_name_before_anything_else() -> None:
    (early,) = MANAGER["early_header_mutation_extensions"]
    prefix, *others = [entry["remove_on_match"]["key_matcher"] for entry in early["typed_config"]["mutations"]]
    assert prefix == {"prefix": "x-pdp-"}
    patterns = [matcher["safe_regex"]["regex"] for matcher in others]
    for name in (*OURS, *OVERRIDES):
        said = name.replace("-", ".")
        assert any(re.fullmatch(pattern, said) for pattern in patterns), name
    assert list(FILTERS) == ["jwt_authn", "ext_authz", "router"]


def test_the_example_hands_the_whole_answer_on() -> None:
    answer = SERVICE["authorization_response"]
    assert exact(answer["allowed_upstream_headers"]) == set(ANSWERS)
    assert set(answer) == {"allowed_upstream_headers", "allowed_client_headers"}


def test_the_example_fails_closed() -> None:
    assert AUTHZ["failure_mode_allow"] is False
    assert AUTHZ["status_on_error"] == {"code": "ServiceUnavailable"}
    assert AUTHZ["clear_route_cache"] is False
    assert not {"filter_enabled", "filter_enabled_metadata", "deny_at_disable"} & set(AUTHZ)
    assert SERVICE["path_prefix"] == PREFIX
    assert DEPLOYED["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.mark.parametrize("host", MANAGER["route_config"]["virtual_hosts"], ids=lambda host: host["name"])
def test_every_route_of_the_example_names_its_resource_and_is_authorized(host: dict[str, Any]) -> None:
    assert host["routes"]
    for route in host["routes"]:
        assert route["metadata"]["filter_metadata"]["sekisho"]["resource"]
        assert "typed_per_filter_config" not in route
    assert "typed_per_filter_config" not in host
