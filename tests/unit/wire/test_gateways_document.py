"""docs/gateways.md, the example configurations and the code name the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pdp.settings import load_settings
from pdp.wire.forward_auth import PREFIX, PROFILES, REASON_EN, REASON_JA, STEP_UP_LOCATION
from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import KEY

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "gateways.md").read_text(encoding="utf-8")
CONFIGURATIONS = {
    "nginx": ROOT / "deploy" / "nginx" / "sekisho.conf",
    "haproxy": ROOT / "deploy" / "haproxy" / "sekisho.lua",
    "traefik": ROOT / "deploy" / "traefik" / "sekisho.yaml",
}


def test_the_document_names_the_headers_of_every_profile() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([a-z-]+)` \| `([a-z-]+)` \| `([a-z-]+)` \|", DOCUMENT, re.MULTILINE)
    assert {name: said for name, *said in rows} == {
        name: [form.method, form.uri, form.host] for name, form in PROFILES.items()
    }
    traefik = re.search(r"^\| `traefik` .*$", DOCUMENT, re.MULTILINE)
    assert traefik is not None
    assert f"`{PROFILES['traefik'].chain}`" in traefik[0]


def test_the_document_names_what_is_answered() -> None:
    for name in (KEY, *ANSWERS, REASON_JA, REASON_EN, STEP_UP_LOCATION):
        assert f"`{name}`" in DOCUMENT, name
    assert f"`{PREFIX}{{profile}}`" in DOCUMENT


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_example_asks_at_its_own_profile_and_hands_every_answer_on(name: str) -> None:
    text = CONFIGURATIONS[name].read_text(encoding="utf-8").lower()
    assert f"{PREFIX}{name}" in text
    for answer in ANSWERS:
        assert answer in text, answer


def test_every_configuration_that_the_document_links_to_exists() -> None:
    for link in re.findall(r"\]\(\.\./(deploy[^)#]*)\)", DOCUMENT):
        assert (ROOT / link).exists(), link


def test_the_ports_of_the_examples_are_those_that_the_settings_suggest() -> None:
    settings = load_settings(environ={})
    for name in ("nginx", "haproxy", "traefik"):
        assert f"127.0.0.1:{settings.port}" in CONFIGURATIONS[name].read_text(encoding="utf-8")
    over_grpc = (ROOT / "deploy" / "envoy" / "ext-authz-grpc.yaml").read_text(encoding="utf-8")
    assert "port_value: 9191" in over_grpc
    assert "grpc_port = 9191" in (ROOT / "docs" / "envoy.md").read_text(encoding="utf-8")
