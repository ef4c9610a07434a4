"""Every page, in both languages, for every role: what opens, what is refused, what is never shown."""

from __future__ import annotations

import pytest

from pdp.console.site import PAGES
from pdp.console.words import CATALOGUES
from pdp.model.console import ROLES
from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

GETS = [page for page in PAGES if page.method == "GET" and "{" not in page.path and page.path != "find"]


@pytest.mark.parametrize("lang", ["ja", "en"])
async def test_each_page_opens_for_its_roles_and_for_no_other(console: Console, lang: str) -> None:
    for role in ROLES:
        secret = console.enter(role, name=role)
        for page in GETS:
            answer = await console.get(secret, page.path, accept_language=lang)
            may = page.is_for(frozenset({role}))
            exported = page.path == "decisions.file" and role != "auditor"  # the API refuses what a role may not
            assert answer.status_code == (200 if may and not exported else 403), (role, page.path, answer.text)
            if page.path != "decisions.file":
                assert f'<html lang="{lang}"' in answer.text
                assert ('action="/console/find"' in answer.text) == (role not in ("author", "approver")), role
            if page.title and may:
                assert CATALOGUES[lang].gettext(page.title) in answer.text  # type: ignore[index]


async def test_no_page_is_open_without_a_session(console: Console) -> None:
    for page in PAGES:
        path = page.path.replace("{id:path}", "x").replace("{", "").replace("}", "")
        answer = await (console.get(None, path) if page.method == "GET" else console.post(None, path, {}))
        assert answer.status_code == 303, page.path
        assert answer.headers["location"].startswith("/console/login")
    assert console.events() == []


async def test_a_refusal_is_written_down_with_whose_it_is(console: Console) -> None:
    await console.get(console.enter("author", name="taro"), "trail")
    (event,) = console.events()
    assert (event.actor.kind, event.actor.id, event.actor.roles) == ("person", "user:taro", ["author"])
    assert (event.action, event.outcome, event.object) == ("console.page", "refused", "trail")


@pytest.mark.parametrize("lang", ["ja", "en"])
async def test_one_decision_shows_its_record_to_an_auditor_and_pseudonyms_to_an_operator(
    console: Console, ids: list[str], lang: str
) -> None:
    whole = await console.get(console.enter("auditor"), f"decisions/{ids[0]}", accept_language=lang)
    veiled = await console.get(console.enter("operator"), f"decisions/{ids[0]}", accept_language=lang)
    assert "tanaka" in whole.text
    assert "tanaka" not in veiled.text and "p:1:" in veiled.text
    assert 'action="/console/decisions/' in veiled.text


async def test_names_are_shown_for_a_reason_alone_and_the_trail_has_it(console: Console, ids: list[str]) -> None:
    secret = console.enter("operator")
    csrf = await console.csrf(secret)
    without = await console.post(secret, f"decisions/{ids[0]}/names", {"csrf": csrf, "reason": ""})
    assert "tanaka" not in without.text
    told = await console.post(secret, f"decisions/{ids[0]}/names", {"csrf": csrf, "reason": "問合せ 42"})
    assert "tanaka" in told.text
    assert [(e.outcome, e.reason) for e in console.events() if e.action == "audit.reveal"][-1] == ("done", "問合せ 42")


async def test_an_operator_who_asks_by_a_real_name_is_refused(console: Console) -> None:
    answer = await console.get(console.enter("operator"), "decisions?person=tanaka")
    assert answer.status_code == 403
    assert "#found" not in answer.text and "p:1:" not in answer.text


async def test_somebody_who_is_bound_to_a_department_sees_its_people_only(console: Console) -> None:
    console.departments["user:bound"] = ["welfare"]
    secret = console.enter("auditor", name="bound")
    assert (await console.get(secret, "directory/users/tanaka")).status_code == 404
    assert (await console.get(secret, "directory/devices/pc-tanaka")).status_code == 404
    assert "tanaka" not in (await console.get(secret, "directory/users")).text
    found = (await console.get(secret, "decisions")).text
    assert "suzuki" in found and "kato" not in found


async def test_what_a_register_says_is_text_and_never_markup(console: Console) -> None:
    secret = console.enter("auditor")
    for path in ("directory/users", "directory/users/tanaka", "directory/devices", "directory/devices/pc-tanaka"):
        text = (await console.get(secret, path)).text
        assert "田中" in text and "<b>一郎" not in text


@pytest.mark.parametrize(
    "attack", ['"><script>alert(1)</script>', "{{7*7}}", "'; DROP TABLE users; --", "\u202etxt", "%00", "../../etc"]
)
async def test_what_a_person_types_comes_back_as_text(console: Console, attack: str) -> None:
    secret = console.enter("auditor")
    for path in ("decisions", "directory/users", "directory/devices", "trail"):
        name = {"trail": "actor", "decisions": "department"}.get(path, "q")
        answer = await console.client.get(
            f"/console/{path}", params={name: attack}, headers={"cookie": f"__Host-sekisho-session={secret}"}
        )
        assert answer.status_code in (200, 400)
        assert "<script>alert" not in answer.text
        assert ">49<" not in answer.text


async def test_a_report_is_taken_away_as_the_api_writes_it(console: Console) -> None:
    answer = await console.get(console.enter("auditor"), "reports/report_01_denials/csv")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]


async def test_every_report_is_shown(console: Console) -> None:
    secret = console.enter("auditor")
    listed = (await console.get(secret, "reports")).text
    names = [f"report_{n:02}" for n in range(1, 11)]
    assert all(name in listed for name in names)
    for name in ("report_02_exceptions", "report_08_person_day", "report_10_completeness", "newest"):
        answer = await console.get(secret, f"reports/{name}?person=tanaka")
        assert answer.status_code == 200, answer.text


async def test_a_search_is_kept_used_and_deleted(console: Console) -> None:
    secret = console.enter("auditor")
    form = {"csrf": await console.csrf(secret), "name": "mine", "title": "私の検索", "outcome": "deny"}
    assert (await console.post(secret, "queries/save", form)).status_code == 303
    assert "私の検索" in (await console.get(secret, "decisions")).text
    assert (await console.post(secret, "queries/delete", form)).headers["location"].endswith("said=deleted")
    assert "私の検索" not in (await console.get(secret, "decisions")).text


async def test_where_nothing_can_be_written_down_a_page_shows_nothing(console: Console) -> None:
    secret = console.enter("auditor")
    console.trail.broken = True
    assert "tanaka" not in (await console.get(secret, "decisions")).text
    assert (await console.get(console.enter("author"), "trail")).status_code == 503


async def test_pages_bring_their_policy_and_are_kept_by_nobody(console: Console) -> None:
    for secret, path in ((None, "login"), (console.enter("auditor"), "")):
        headers = (await console.get(secret, path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")


async def test_pages_have_no_script_and_no_style_of_their_own(console: Console, ids: list[str]) -> None:
    secret = console.enter("auditor")
    for path in ("", "decisions", f"decisions/{ids[0]}", "health", "directory/devices/pc-tanaka"):
        text = (await console.get(secret, path)).text
        assert " style=" not in text and "<style" not in text and " on" + "click" not in text
        assert text.count("<script") == text.count('<script type="module" src="/console/static/console.js')


async def test_files_of_the_looks_are_anybodys_and_nothing_else_is_a_file(console: Console) -> None:
    page = (await console.get(None, "login")).text
    address = page.split('href="/console/static/console.css')[1].split('"')[0]
    found = await console.client.get(f"/console/static/console.css{address}")
    assert found.status_code == 200 and "immutable" in found.headers["cache-control"]
    for name in ("..%2fview.py", "console.py", "%2e%2e/front.py", "console.css/x"):
        assert (await console.client.get(f"/console/static/{name}")).status_code == 404


async def test_an_alarm_stands_on_the_first_page(console: Console) -> None:
    secret = console.enter("operator")
    assert "note good" in (await console.get(secret, "")).text
    file = next((console.place / "workers").glob("*.json"))
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"log_unrecorded":0.0', '"log_unrecorded":4.0'), encoding="utf-8")
    shown = (await console.get(secret, "", accept_language="en")).text
    assert "4 records could not be kept" in shown and "note good" not in shown
