"""Forms of other sites, foreign hosts, and where a login may lead."""

from __future__ import annotations

import pytest

from pdp.console.guard import Origin, page_of_ours
from tests.unit.console.conftest import PASSWORD
from tests.unit.console.world import BASE, ORIGIN, Console

pytestmark = pytest.mark.anyio

FOREIGN = (
    {"origin": "https://evil.test", "sec-fetch-site": "cross-site"},
    {"origin": "https://evil.test"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "null"},
    {"origin": "http://pdp.test"},
    {"origin": f"{BASE}:8443"},
    {"origin": f"{BASE}.evil.test"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": BASE, "sec-fetch-site": "cross-site"},
    {},
)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_form_of_another_site_changes_nothing(console: Console, headers: dict[str, str]) -> None:
    secret = console.enter("auditor")
    csrf = await console.csrf(secret)
    assert (await console.post(secret, "logout", {"csrf": csrf}, headers)).status_code == 403
    assert (await console.get(secret, "me")).status_code == 200
    login = {"name": "duty", "password": PASSWORD}
    assert (await console.post(None, "login", login, headers)).status_code == 403


@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "x"}, {"csrf": "é\u202e"}])
async def test_a_form_without_the_sessions_token_changes_nothing(console: Console, form: dict[str, str]) -> None:
    secret, other = console.enter("auditor", name="a"), console.enter("auditor", name="b")
    assert (await console.post(secret, "logout", form)).status_code in (400, 403)
    assert (await console.post(secret, "logout", {"csrf": await console.csrf(other)})).status_code == 403
    assert (await console.get(secret, "me")).status_code == 200


async def test_a_get_changes_nothing(console: Console) -> None:
    secret = console.enter("administrator")
    number = console.sessions.live()[0].number
    for path in ("logout", f"sessions/{number}/end", "queries/save", "queries/delete"):
        assert (await console.get(secret, path)).status_code in (404, 405)
    assert len(console.sessions.live()) == 1


@pytest.mark.parametrize(
    "host", ["evil.test", "pdp.test.evil.test", "pdp.test:8080", "127.0.0.1", "", "PDP.test@evil.test"]
)
async def test_another_host_is_not_served(console: Console, host: str) -> None:
    for path in ("login", "static/console.css", ""):
        assert (await console.get(console.enter("auditor"), path, host=host)).status_code in (400, 421)


async def test_two_session_cookies_are_none(console: Console) -> None:
    secret = console.enter("auditor")
    name = "__Host-sekisho-session"
    headers = {"cookie": f"{name}={secret}; {name}=planted"}
    assert (await console.client.get("/console/me", headers=headers)).status_code == 303


@pytest.mark.parametrize("body", [b"csrf=%ff", b"a=1&" * 300, b"csrf=" + b"x" * 70_000, b"\xff\xfe", b'{"csrf": "x"}'])
async def test_a_form_that_is_none_is_refused(console: Console, body: bytes) -> None:
    secret = console.enter("auditor")
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    headers = {**ORIGIN, "cookie": f"__Host-sekisho-session={secret}", "content-type": kind}
    answer = await console.client.post("/console/logout", content=body, headers=headers)
    assert answer.status_code in (400, 403, 413)
    assert (await console.get(secret, "me")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        None, "", "https://evil.test/", "//evil.test/", "/\\evil.test", "/console", "/console/../admin/v1/health\n",
        "/console/\r\nset-cookie: a=b", "/consolex", "javascript:alert(1)", "/console/あ", "/console/" + "a" * 3_000,
    ],
)  # fmt: skip
def test_a_login_leads_to_a_page_of_ours_and_nowhere_else(path: str | None) -> None:
    assert page_of_ours(path) == "/console/"


def test_a_login_leads_to_the_page_that_was_asked_for() -> None:
    assert page_of_ours("/console/decisions?outcome=deny") == "/console/decisions?outcome=deny"


@pytest.mark.parametrize("url", ["http://pdp.example.jp", "http://10.0.0.1:8080", "ftp://127.0.0.1"])
def test_without_https_there_is_a_console_on_the_loopback_alone(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Origin(url) if url.startswith("http") else Origin(url.replace("127.0.0.1", "pdp.test"))


def test_the_loopback_has_three_names_and_a_name_has_one() -> None:
    here = Origin("http://127.0.0.1:8080")
    assert all(here.is_host(f"{name}:8080") for name in ("127.0.0.1", "localhost", "[::1]"))
    assert not here.is_host("127.0.0.1") and not here.is_host("127.0.0.1:8081") and not here.is_host(None)
    there = Origin("https://pdp.example.jp")
    assert there.is_host("PDP.example.jp") and there.is_host("pdp.example.jp:443") and not there.is_host("localhost")
