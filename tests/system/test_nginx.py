"""What is nginx's own in deploy/nginx/sekisho.conf, with a real nginx. What holds of every gateway: test_forward_gateways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pdp.wire.forward_auth import PROFILES
from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import FACTS, KEY, PROFILE
from tests.nginx_server import DEPLOYED, check, deployed, prepare
from tests.system.test_forward_gateways import Pdp, not_reached, pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

TEXT = DEPLOYED.read_text(encoding="utf-8")


def test_nginx_accepts_the_deployed_file(tmp_path: Path) -> None:
    prepare(tmp_path)
    text = deployed(tmp_path, pdp_port=1, upstream_port=1, port=1)
    checked = check(tmp_path, text)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    assert check(tmp_path, text + "\nno_such_directive on;\n").returncode != 0


def test_every_name_of_ours_is_set_or_emptied_for_the_application() -> None:
    """nginx cannot remove by prefix, so a new fact that is forgotten here would be the client's to say."""
    server = TEXT.split("# --- the answer, for the application", 1)[1].split("# --- the answer, for the person", 1)[0]
    said = {name.lower(): value for name, value in re.findall(r"proxy_set_header (\S+) (\S+);", server)}
    form = PROFILES["nginx"]
    assert {name for name, value in said.items() if value == '""'} >= {
        KEY, *FACTS, form.method, form.uri, form.host, form.normal
    }  # fmt: skip
    assert {name for name, value in said.items() if value.startswith("$sekisho_")} == set(ANSWERS)


def test_the_question_carries_only_what_is_read() -> None:
    question = TEXT.split("location = /_sekisho {", 1)[1].split("# Above the PDP's own deadline", 1)[0]
    names = {name.lower() for name in re.findall(r"^\s*proxy_set_header (\S+) ", question, re.MULTILINE)}
    form = PROFILES["nginx"]
    own = {form.method, form.uri, form.host, form.normal}
    assert names - {"connection", "content-length"} - own <= PROFILE
    assert own < names
    assert "proxy_pass_request_headers off;" in question
    assert "proxy_pass_request_body off;" in question
    server = TEXT.split("location /groupware/", 1)[0]
    assert re.search(r"^\s*set \$", server, re.MULTILINE) is None, "a `set` of the server would be carried out twice"


def test_a_forgotten_resource_denies(tmp_path: Path) -> None:
    def forget(text: str) -> str:
        return text.replace("        set $sekisho_resource groupware;\n", "")

    with pair("nginx", tmp_path, change=forget) as gate:
        assert not_reached(gate, lambda: gate.as_user("u-allow")).status == 403
        assert "`x-pdp-resource` is missing" in gate.pdp.decider.refused[0][0].fault.message


def test_a_rewritten_path_denies(tmp_path: Path) -> None:
    """The decision would be about one path and the application would be asked for another."""

    def rewrite(text: str) -> str:
        said = "location /groupware/ {\n        rewrite ^/groupware/old(.*)$ /groupware/new$1 break;"
        return text.replace("location /groupware/ {", said)

    with pair("nginx", tmp_path, change=rewrite) as gate:
        assert gate.as_user("u-allow", "/groupware/x").status == 200
        assert not_reached(gate, lambda: gate.as_user("u-allow", "/groupware/old/x")).status == 403


def test_a_decoded_line_break_does_not_begin_a_header(tmp_path: Path) -> None:
    """The attack: `$uri` is unescaped, and in a header its line break would end it and begin the client's own."""
    with pair("nginx", tmp_path) as gate:
        path = "/groupware/%0d%0ax-pdp-device:%20forged"
        assert not_reached(gate, lambda: gate.as_user("u-allow", path)).status == 403
        (request,) = gate.pdp.requests
        assert [name for name, _ in request.headers if name in ("x-pdp-device", "x-original-path")] == []


@pytest.mark.parametrize("end", ["%0a", "%0A%0a", "%0d", "%0d%0a", "%7f"])
def test_a_path_that_ends_in_a_control_character_is_a_recorded_deny_for_that_reason(tmp_path: Path, end: str) -> None:
    """The attack: a `$` matches before a last line feed, which would end the headers of the question early."""
    with pair("nginx", tmp_path) as gate:
        assert not_reached(gate, lambda: gate.as_user("u-allow", f"/groupware/x{end}")).status == 403
        (request,) = gate.pdp.requests
        assert request.header("x-pdp-resource") == "groupware"
        assert request.header("x-original-path") is None
        ((refused, *_),) = gate.pdp.decider.refused
        assert "control character" in refused.fault.message


def test_the_path_that_nginx_unescaped_is_the_last_header_of_the_question() -> None:
    question = TEXT.split("location = /_sekisho {", 1)[1].split("# Above the PDP's own deadline", 1)[0]
    names = re.findall(r"^\s*proxy_set_header (\S+) ", question, re.MULTILINE)
    assert (names[-1], names.count("X-Original-Path")) == ("X-Original-Path", 1)


@pytest.mark.parametrize(
    "lost",
    [
        "proxy_pass_request_headers off;",
        'proxy_set_header Content-Length "";',
        "proxy_set_header X-Original-Uri $request_uri;",
    ],
)
def test_what_a_forgotten_line_of_the_question_does(tmp_path: Path, lost: str) -> None:
    """Without the first, the client's own `X-Pdp-Device` arrives, as the recording shows; so it must not be lost."""

    def lose(text: str) -> str:
        assert text.count(lost) == 1
        return text.replace(lost, "")

    with pair("nginx", tmp_path, change=lose) as gate:
        forged = [("x-pdp-device", "forged"), ("x-original-uri", "/forged")]
        answer = gate.as_user("u-allow", "/groupware/x", *forged)
        if lost.startswith("proxy_pass_request_headers"):
            assert answer.status == 200
            assert gate.asked().device_id == "forged"
            assert gate.asked().path == "/groupware/x"
        elif "Uri" in lost:
            assert answer.status == 403
        else:
            assert answer.status == 200


def test_a_body_that_the_question_does_not_carry_reaches_the_application(tmp_path: Path) -> None:
    with pair("nginx", tmp_path) as gate:
        body = b"z" * 300_000
        answer = gate.as_user("u-allow", "/groupware/x", method="POST", body=body)
        assert (answer.status, answer.upstream["body"]) == (200, body.decode())
        denied = not_reached(gate, lambda: gate.as_user("u-deny", "/groupware/x", method="POST", body=body))
        assert denied.status == 403
        assert [request.body for request in gate.pdp.requests] == [b"", b""]


def test_an_application_that_answers_401_or_403_itself_is_not_covered_by_our_page(tmp_path: Path) -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"own"})

    from tests.http_server import serving

    with serving(refusing) as port:

        def change(text: str) -> str:
            return re.sub(
                r"(set \$sekisho_action \$sekisho_write;\s+proxy_pass http://127\.0\.0\.1:)\d+", rf"\g<1>{port}", text
            )

        with pair("nginx", tmp_path, Pdp(), change=change) as gate:
            answer = gate.as_user("u-allow")
    assert (answer.status, answer.body) == (403, b"own")
