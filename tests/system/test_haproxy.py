"""What is HAProxy's own in deploy/haproxy, with a real HAProxy. What holds of every gateway: test_forward_gateways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.forward_auth import PREFIX
from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import PROFILE
from tests.envoy_server import behind_lane
from tests.haproxy_server import DEPLOYED, SCRIPT, check, deployed, haproxy_gateway, prepare
from tests.path_tricks import other_spellings
from tests.system.test_forward_gateways import not_reached, pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

LUA = SCRIPT.read_text(encoding="utf-8")
TEXT = DEPLOYED.read_text(encoding="utf-8")


def test_haproxy_accepts_the_deployed_files(tmp_path: Path) -> None:
    prepare(tmp_path)
    text = deployed(tmp_path, upstream_port=1, port=1)
    checked = check(tmp_path, text)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr
    assert check(tmp_path, text.replace("http-request lua.sekisho", "http-request lua.absent")).returncode != 0


def test_without_a_key_the_gateway_does_not_start(tmp_path: Path) -> None:
    prepare(tmp_path)
    checked = check(tmp_path, deployed(tmp_path, upstream_port=1, port=1), key="")
    assert checked.returncode != 0
    assert "SEKISHO_KEY is not set" in checked.stderr


def test_the_action_says_and_passes_on_only_names_that_are_read() -> None:
    facts = set(re.findall(r'\["(x-[a-z0-9-]+)"\] = "txn\.', LUA))
    assert facts - set(ANSWERS) <= PROFILE
    assert set(ANSWERS) < facts
    clients = re.search(r"OF_THE_CLIENT = \{(.*?)\}", LUA, re.DOTALL)
    assert clients is not None
    assert set(re.findall(r'"([a-z-]+)"', clients[1])) < PROFILE
    assert {name for name in ANSWERS if f"http-request set-header {name} " in TEXT} == set(ANSWERS)


def test_the_rule_that_closes_the_door_stands_behind_the_action() -> None:
    rules = [line.strip() for line in TEXT.splitlines() if line.strip().startswith("http-request")]
    at = rules.index("http-request lua.sekisho")
    assert rules[at + 1] == "http-request deny deny_status 503 unless { var(txn.sekisho_allowed) -m bool }"
    assert TEXT.count("sekisho_allowed") == 1
    assert LUA.count('txn:set_var("txn.sekisho_allowed"') == 1


GOOD = tuple((name, "x") for name in ANSWERS)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (HttpAnswer(200, GOOD), 200),
        (HttpAnswer(200), 503),
        (HttpAnswer(200, GOOD[:-1]), 503),
        (HttpAnswer(200, (*GOOD, GOOD[0])), 503),
        (HttpAnswer(201, GOOD), 503),
        (HttpAnswer(204, GOOD), 503),
        (HttpAnswer(302, (("location", "https://idp.example.jp/"),)), 302),
        (HttpAnswer(403), 403),
        (HttpAnswer(500), 503),
        (HttpAnswer(502, GOOD), 503),
    ],
)
def test_only_an_answer_of_ours_opens(tmp_path: Path, answer: HttpAnswer, status: int) -> None:
    async def always(request: HttpRequest) -> HttpAnswer:
        return answer

    with haproxy_gateway(behind_lane(always, prefix=PREFIX), tmp_path) as front:
        got = front.ask("/groupware/", front.bearer("u-allow"))
        assert got.status == status
        assert front.upstream.reached == (status == 200)


def test_an_error_in_the_action_is_a_deny(tmp_path: Path) -> None:
    """HAProxy goes on behind an action that fails: it is the next rule that denies."""

    def break_it(text: str) -> str:
        script = tmp_path / "sekisho.lua"
        said = script.read_text(encoding="utf-8")
        broken = said.replace("local answer = core.httpclient()", "local answer = nil_value.httpclient()")
        assert broken != said
        script.write_text(broken, encoding="utf-8")
        return text

    with pair("haproxy", tmp_path, change=break_it) as gate:
        assert not_reached(gate, lambda: gate.as_user("u-allow")).status == 503
        assert gate.pdp.requests == []


def test_the_absolute_form_is_not_served(tmp_path: Path) -> None:
    with pair("haproxy", tmp_path) as gate:
        answer = not_reached(gate, lambda: gate.as_user("u-allow", "http://apps.example.jp/groupware/"))
        assert answer.status == 400


def test_every_other_spelling_of_a_dash_is_refused(tmp_path: Path) -> None:
    names = ("x-pdp-user", "x-pdp-anything", "x-original-uri", "x-http-method-override")
    with pair("haproxy", tmp_path) as gate:
        for spelled in (other for name in names for other in other_spellings(name)):
            answer = not_reached(gate, lambda said=spelled: gate.as_user("u-allow", "/groupware/", (said, "x")))
            assert answer.status == 400, spelled
        assert gate.pdp.requests == []
        assert gate.as_user("u-allow", "/groupware/", ("x-pdp", "x"), ("x-original", "x"), ("user", "x")).status == 200
