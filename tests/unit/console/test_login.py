"""The door: passwords, fixation, time-outs, and what ends a session."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from pdp.console.attempts import FREE, LONGEST
from tests.unit.console.conftest import PASSWORD
from tests.unit.console.world import COOKIE, ORIGIN, START, Console

pytestmark = pytest.mark.anyio


async def enter(console: Console, name: str = "duty", password: str = PASSWORD, cookie: str = "", **form: str):
    headers = {**ORIGIN, **({"cookie": f"{COOKIE}={cookie}"} if cookie else {})}
    return await console.client.post(
        "/console/login", data={"name": name, "password": password, **form}, headers=headers
    )


async def test_a_local_account_logs_in_sees_its_pages_and_is_out_after_the_logout(console: Console) -> None:
    answer = await enter(console, to="/console/health")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/health")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE))
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie and "Max-Age" not in cookie
    secret = cookie.split(";")[0].partition("=")[2]
    csrf = await console.csrf(secret)
    gone = await console.post(secret, "logout", {"csrf": csrf})
    assert gone.headers["location"] == "/console/goodbye"
    assert (await console.get(secret, "me")).status_code == 303
    done = [(e.action, e.actor.id, e.outcome) for e in console.events()]
    assert ("console.login", "account:duty", "done") in done and ("console.logout", "account:duty", "done") in done


@pytest.mark.parametrize(
    ("name", "password"), [("duty", "wrong password 1"), ("nobody", PASSWORD), ("duty", ""), ("", "")]
)
async def test_a_wrong_name_and_a_wrong_password_are_told_alike(console: Console, name: str, password: str) -> None:
    answer = await enter(console, name, password)
    assert answer.status_code == 401
    assert not [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    texts = re.findall(r'role="alert">([^<]+)', answer.text)
    assert texts == ["アカウントまたはパスワードが違います。"]
    (event,) = console.events()
    assert (event.actor.id, event.outcome) == (f"account:{'duty' if name == 'duty' else '-'}", "refused")


async def test_each_wrong_password_of_an_account_makes_the_next_try_wait_longer_up_to_a_bound(console: Console) -> None:
    for _ in range(FREE):
        assert (await enter(console, "duty", "x")).status_code == 401
    stopped = await enter(console)
    assert stopped.status_code == 429 and int(stopped.headers["retry-after"]) == 1
    for _ in range(20):
        console.clock.now += LONGEST
        assert (await enter(console, "duty", "x")).status_code == 401
    assert int((await enter(console)).headers["retry-after"]) == LONGEST.total_seconds()
    console.clock.now += LONGEST
    assert (await enter(console)).status_code == 303, "nobody is locked out"
    assert (await enter(console, "duty", "x")).status_code == 401, "and what was before is forgotten"


async def test_a_stranger_at_the_same_address_does_not_stop_the_account_of_another(console: Console) -> None:
    for _ in range(FREE):
        assert (await enter(console, "stranger", "x")).status_code == 401
    assert (await enter(console, "stranger", "x")).status_code == 429
    assert (await enter(console)).status_code == 303


async def test_what_a_browser_held_before_the_login_never_becomes_a_session(console: Console) -> None:
    planted = "a" * 43
    answer = await enter(console, cookie=planted)
    fresh = (
        next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)).split(";")[0].partition("=")[2]
    )
    assert fresh != planted
    assert (await console.get(planted, "me")).status_code == 303
    again = await enter(console, cookie=fresh)
    assert again.status_code == 303
    assert (await console.get(fresh, "me")).status_code == 303, "the session before ends with a new login"


async def test_a_session_ends_when_nobody_uses_it_and_at_its_longest(console: Console) -> None:
    idle, used = console.enter("operator", name="idle"), console.enter("operator", name="used")
    for _ in range(29):
        console.clock.now += timedelta(minutes=20)
        assert (await console.get(used, "me")).status_code == 200
        if console.clock.now - START >= timedelta(minutes=30):
            assert (await console.get(idle, "me")).status_code == 303
    console.clock.now = START + timedelta(hours=10)
    assert (await console.get(used, "me")).status_code == 303


async def test_the_database_holds_nothing_that_opens_a_session(console: Console) -> None:
    secret = console.enter("auditor")
    database = (console.place / "sekisho.db").read_bytes() + (console.place / "sekisho.db-wal").read_bytes()
    assert secret.encode() not in database
    assert (await console.get(console.sessions.live()[0].number, "me")).status_code == 303


async def test_an_administrator_ends_a_session_and_others_may_not(console: Console) -> None:
    victim, boss = console.enter("auditor", name="victim"), console.enter("administrator", name="boss")
    number = next(s.number for s in console.sessions.live() if s.person.id == "user:victim")
    other = console.enter("operator", name="other")
    refused = await console.post(other, f"sessions/{number}/end", {"csrf": await console.csrf(other)})
    assert refused.status_code == 403
    ended = await console.post(boss, f"sessions/{number}/end", {"csrf": await console.csrf(boss)})
    assert ended.status_code == 303
    assert (await console.get(victim, "me")).status_code == 303
    assert ("console.sessions.end", "user:boss", number) in [(e.action, e.actor.id, e.object) for e in console.events()]


async def test_who_was_revoked_at_the_identity_provider_is_out(console: Console) -> None:
    secret = console.enter("auditor", name="leaver")
    assert (await console.get(secret, "me")).status_code == 200
    console.revoked.add("user:leaver")
    assert (await console.get(secret, "me")).status_code == 303
    console.revoked.clear()
    assert (await console.get(secret, "me")).status_code == 303, "what has ended stays ended"


@pytest.mark.parametrize(
    "now", ["", "duty auditor {hashed}", "duty operator,auditor {hashed}", "duty2 operator {hashed}"]
)
async def test_a_session_ends_when_its_account_is_gone_or_has_other_roles(console: Console, now: str) -> None:
    file = console.place / "accounts.txt"
    before = file.read_text("utf-8")
    cookie = next(c for c in (await enter(console)).headers.get_list("set-cookie") if c.startswith(COOKIE))
    secret = cookie.split(";")[0].partition("=")[2]
    assert (await console.get(secret, "me")).status_code == 200
    file.write_text(now.format(hashed=before.split()[-1]) + "\n", encoding="utf-8")
    assert (await console.get(secret, "me")).status_code == 303
    file.write_text(before, encoding="utf-8")
    assert (await console.get(secret, "me")).status_code == 303, "what has ended stays ended"


async def test_a_file_of_accounts_that_cannot_be_read_serves_nobody_and_ends_nothing(console: Console) -> None:
    file = console.place / "accounts.txt"
    cookie = next(c for c in (await enter(console)).headers.get_list("set-cookie") if c.startswith(COOKIE))
    secret, before = cookie.split(";")[0].partition("=")[2], file.read_text("utf-8")
    file.write_text("no account at all here\n", encoding="utf-8")
    assert (await console.get(secret, "me")).status_code >= 500
    file.write_text(before, encoding="utf-8")
    assert (await console.get(secret, "me")).status_code == 200


async def test_the_api_of_sessions_is_not_open_to_callers_without_the_permission(console: Console) -> None:
    console.enter("auditor")
    for method, path in (("GET", "/admin/v1/sessions"), ("DELETE", "/admin/v1/sessions/x")):
        answer = await console.client.request(method, path)
        assert answer.status_code == 403  # `UnsafeAnyone` may not either


@pytest.mark.parametrize(
    "path", ["/admin/v1/directory", "/admin/v1/health", "/admin/v1/callers", "/audit/v1/decisions/count"]
)
async def test_a_sessions_cookie_opens_nothing_of_the_api(console: Console, path: str) -> None:
    headers = {"cookie": f"{COOKIE}={console.enter('auditor')}"}
    assert (await console.client.get(path, headers=headers)).status_code == 403
