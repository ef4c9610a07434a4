"""The console of a real `pdp serve` in a real Chromium: the stories of its readers, in both languages.

Screenshots of every page stand in `var/console` afterwards.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pdp.bundle.bundle import read_bundle
from pdp.directory.personas import STORIES
from pdp.facts.reference import read_reference
from pdp.model.decision import Outcome
from pdp.model.words import OUTCOMES
from pdp.revisions.files import from_directory
from pdp.revisions.person import People, Person
from pdp.revisions.register import Revisions
from pdp.revisions.results import Finding, Results
from pdp.scenario.world import address_in
from pdp.store.store import open_store
from pdp.trail.reading import newest_events
from tests.chromium import HEIGHT, WIDTH, browser, faults_of, screenshot
from tests.system.test_serve import Served, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "var" / "console"
PATIENCE_MS = 60_000  # two busy cores, and an engine that may have to be started


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("console")) as running:
        for body in requests():
            status, answer = ask(running, body)
            assert status == 200, answer
        yield running


@pytest.fixture(scope="module")
def chromium(served: Served) -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def requests() -> list[dict[str, Any]]:
    """What the personas ask, as a gateway would."""
    reference = read_reference(read_bundle(ROOT / "policies").data)
    found = []
    for story in STORIES:
        address, tunnel = address_in(story.zone, reference)
        network = {"source_ip": address, "tunnel": tunnel, "path_encrypted": True, "country": "JP"}
        claims = {"acr": f"urn:sekisho:auth-level:{story.auth_level}"}
        found.append(
            {
                "subject": {"type": "user", "id": story.user, "properties": {"claims": claims}},
                "action": {"name": story.action},
                "resource": {"type": "application", "id": story.resource},
                "context": {
                    "device": {"id": story.device},
                    "network": network,
                    "pep": ["clipboard", "print", "save", "download"],
                },
            }
        )
    return found


def ask(served: Served, body: dict[str, Any]) -> tuple[int, Any]:
    question = served.question()
    request = urllib.request.Request(question.url, json.dumps(body).encode(), question.headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


def base(served: Served) -> str:
    parts = urlsplit(served.question().url)
    return f"{parts.scheme}://{parts.netloc}"


def a_page(chromium: Browser, served: Served, lang: str, theme: str = "light") -> Page:
    context = chromium.new_context(
        base_url=base(served),
        locale={"ja": "ja-JP", "en": "en-GB"}[lang],
        color_scheme=theme,
        viewport={"width": WIDTH, "height": HEIGHT},
        timezone_id="Asia/Tokyo",
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    broken: list[str] = []
    page.on("console", lambda message: broken.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda fault: broken.append(str(fault)))
    page.broken = broken  # type: ignore[attr-defined]
    return page


def log_in(page: Page, served: Served, role: str) -> Page:
    found = re.search(r"パスワード\): (\S+)", served.stdout)
    assert found is not None
    page.goto("/console/")
    page.fill("#name", role)
    page.fill("#password", found[1])
    page.click("main button")
    page.wait_for_selector("nav.menu")
    return page


def well(page: Page) -> None:
    """Nothing was refused by the page's own policy of scripts and styles, no script failed, and axe finds nothing."""
    assert page.broken == []  # type: ignore[attr-defined]
    assert faults_of(page) == []


LISTED = (
    "", "decisions", "reports", "trail", "directory", "directory/users", "directory/devices", "gateways", "health",
)  # fmt: skip

SOME = ("", "decisions", "health")  # the unit tests render every page in both languages


@pytest.mark.parametrize(("lang", "theme"), [("ja", "light"), ("en", "dark")])
def test_every_page_of_an_auditor_is_whole_and_accessible(
    chromium: Browser, served: Served, lang: str, theme: str
) -> None:
    page = a_page(chromium, served, lang, theme)
    try:
        page.goto("/console/")
        screenshot(page, PICTURES, f"{lang}-{theme}-login")
        well(page)
        log_in(page, served, "auditor")
        assert page.get_attribute("html", "lang") == lang
        for path in LISTED if lang == "ja" else SOME:
            assert page.goto(f"/console/{path}").status == 200
            screenshot(page, PICTURES, f"{lang}-{theme}-{path.replace('/', '-') or 'overview'}")
            well(page)
    finally:
        page.context.close()


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_a_denied_case_is_found_explained_replayed_and_proven(chromium: Browser, served: Served, lang: str) -> None:
    page = log_in(a_page(chromium, served, lang), served, "auditor")
    try:
        page.goto("/console/decisions")
        page.fill("[name=person]", "u-demo-staff")
        page.fill("[name=reason]", "PATCH_OVERDUE_DENY")
        page.click("form[data-into] .buttons button")
        page.wait_for_url("**/decisions?*")
        row = page.locator("#found tbody tr")
        row.first.wait_for()
        assert row.count() == 1
        row.locator("a").first.click()
        page.wait_for_selector("#record")
        decision = page.url.rpartition("/")[2]
        page.click(f"a[href='/console/decisions/{decision}/why']")
        page.wait_for_selector("#why")
        assert page.locator(".ways > li").count() > 0
        screenshot(page, PICTURES, f"{lang}-light-why")
        well(page)
        page.click("form.inline button")
        page.wait_for_selector("#replay")
        assert page.locator(".note.good").count() == 1
        screenshot(page, PICTURES, f"{lang}-light-replay")
        well(page)
        until(lambda: _proof_is_there(page, decision), "no signed head covers the decision")
        screenshot(page, PICTURES, f"{lang}-light-proof")
        well(page)
        with page.expect_download() as download:
            page.click("a[download]")
        proof = Path(download.value.path())
        assert decision in proof.read_text(encoding="utf-8")
    finally:
        page.context.close()


def _proof_is_there(page: Page, decision: str) -> bool:
    page.goto(f"/console/decisions/{decision}/proof")
    return page.locator("#proof ~ .note.good").count() == 1


def test_an_auditor_takes_a_report_away_and_the_proof_holds_without_the_service(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    page = log_in(a_page(chromium, served, "ja"), served, "auditor")
    try:
        page.goto("/console/reports")
        page.click("a[href='/console/reports/report_01_denials']")
        page.wait_for_selector("#answer table")
        screenshot(page, PICTURES, "ja-light-report")
        well(page)
        with page.expect_download() as download:
            page.click("a[download]")
        text = Path(download.value.path()).read_bytes()
        assert text.startswith(b"\xef\xbb\xbf")
        assert "PATCH_OVERDUE_DENY" in text.decode("utf-8-sig")
        page.goto("/console/decisions?outcome=deny")
        decision = page.get_attribute("#found tbody a", "href").rpartition("/")[2]
        until(lambda: _proof_is_there(page, decision), "no signed head covers the decision")
        with page.expect_download() as download:
            page.click("a[download]")
        proof = tmp_path / "proof.json"
        download.value.save_as(proof)
        (keys,) = (served.place / "state" / "demo" / "decisions").glob("**/*.keys")
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "verify_decision.py"), "--keys", str(keys), str(proof)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        page.context.close()


def test_an_operator_sees_pseudonyms_until_he_says_why(chromium: Browser, served: Served) -> None:
    page = log_in(a_page(chromium, served, "ja"), served, "operator")
    try:
        page.goto("/console/decisions?outcome=deny")
        page.wait_for_selector("#found tbody tr")
        assert "u-demo" not in page.inner_text("#found")
        page.click("#found tbody a")
        page.wait_for_selector("#record")
        screenshot(page, PICTURES, "ja-light-operator")
        well(page)
        assert "u-demo" not in page.inner_text("main")
        page.fill("[name=reason]", "ヘルプデスクへの問合せ（受付番号42）")
        page.click("form[action$='/names'] button")
        page.wait_for_selector("#names")
        assert "u-demo" in page.inner_text("section[aria-labelledby=names]")
        well(page)
    finally:
        page.context.close()
    events = newest_events(served.place / "state" / "demo" / "trail", 100)
    (event,) = [e for e in events if e.action == "audit.reveal"]
    assert (event.actor.kind, event.actor.id, event.outcome) == ("person", "account:operator", "done")
    assert event.reason == "ヘルプデスクへの問合せ（受付番号42）"


@pytest.mark.parametrize(
    ("role", "path"),
    [("author", "decisions"), ("approver", "directory"), ("operator", "trail"), ("auditor", "sessions")],
)
def test_a_page_of_another_role_is_refused_and_that_is_written_down(
    chromium: Browser, served: Served, role: str, path: str
) -> None:
    page = log_in(a_page(chromium, served, "en"), served, role)
    try:
        assert page.locator(f"nav.menu a[href='/console/{path}']").count() == 0
        assert page.goto(f"/console/{path}").status == 403
        screenshot(page, PICTURES, "en-light-refused")
        assert faults_of(page) == []
    finally:
        page.context.close()
    events = newest_events(served.place / "state" / "demo" / "trail", 50)
    refused = {(e.actor.id, e.object) for e in events if e.action == "console.page" and e.outcome == "refused"}
    assert (f"account:{role}", path) in refused


def test_an_administrator_ends_a_session_and_its_browser_is_out_at_once(chromium: Browser, served: Served) -> None:
    other = log_in(a_page(chromium, served, "en"), served, "approver")
    page = log_in(a_page(chromium, served, "ja"), served, "administrator")
    try:
        page.goto("/console/sessions")
        screenshot(page, PICTURES, "ja-light-sessions")
        well(page)
        page.click("tr:has-text('account:approver') button")
        page.wait_for_url("**/sessions")
        other.goto("/console/")
        assert "/console/login" in other.url
    finally:
        other.context.close()
        page.context.close()


def test_pages_work_without_scripts_and_with_the_keyboard_alone(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(base_url=base(served), java_script_enabled=False, locale="ja-JP")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        found = re.search(r"パスワード\): (\S+)", served.stdout)
        assert found is not None
        page.goto("/console/decisions?outcome=deny")
        page.focus("#name")
        page.keyboard.type("auditor")
        page.keyboard.press("Tab")
        page.keyboard.type(found[1])
        page.keyboard.press("Enter")
        page.wait_for_url("**/decisions?outcome=deny")
        assert OUTCOMES[Outcome.DENY].ja in page.inner_text("#found tbody")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
    finally:
        context.close()


def test_a_draft_is_foreseen_cancelled_and_asked_about_one_request(chromium: Browser, served: Served) -> None:
    number, result = a_foreseen_draft(served)
    author = log_in(a_page(chromium, served, "ja"), served, "author")
    operator = log_in(a_page(chromium, served, "en", "dark"), served, "operator")
    try:
        author.goto("/console/foresight")
        screenshot(author, PICTURES, "ja-light-foresight")
        well(author)
        author.click(f"main a[href='/console/policies/{number}/foresight']")
        author.check("input[name=context][value=office]")
        author.click("main form:has(input[value=population]) button")
        author.wait_for_selector("#progress progress")
        screenshot(author, PICTURES, "ja-light-foresight-running")
        well(author)
        author.click("main form[action$='/cancel'] button")
        author.wait_for_selector("main .note.warn")
        author.wait_for_selector("#progress", state="detached")  # the page looks again by itself
        for page, name in ((author, "ja-light"), (operator, "en-dark")):
            page.goto(f"/console/policies/{number}/foresight/{result}")
            assert page.locator("svg.plot").count() == 1
            screenshot(page, PICTURES, f"{name}-foresight-everybody")
            well(page)
        operator.goto(f"/console/policies/{number}/request?user=u-demo-staff&device=d-demo-patch-pc&resource=mail")
        assert "PATCH_OVERDUE_DENY" in operator.inner_text("main")
        screenshot(operator, PICTURES, "en-dark-request")
        well(operator)
        operator.goto("/console/exports")
        screenshot(operator, PICTURES, "en-dark-exports")
        well(operator)
    finally:
        for page in (author, operator):
            page.context.close()


def a_foreseen_draft(served: Served) -> tuple[int, int]:
    """(a draft of the shipped policy, a result that is kept with it)."""
    base(served)  # it serves: its database is there
    (database,) = (served.place / "state").glob("**/sekisho.db")
    store = open_store(f"sqlite:///{database}")
    try:
        author, now = Person("account:author", frozenset({"author"})), datetime.now(UTC)
        files = from_directory(ROOT / "policies") | {"notes.md": "a draft of its own"}
        draft = Revisions(store, People()).create(author, files, "確認期限を半日に短縮する案", now)
        body = (ROOT / "tests/unit/console/everybody.json").read_bytes()
        summary = {"users": 8, "losing": 1, "gaining": 0, "cells": 5742, "at": None, "seconds": 1.0}
        finding = Finding(
            "population", draft.number, draft.digest, body, draft.source_digest, "b" * 64, 1, summary=summary
        )
        return draft.number, Results(store).keep(finding, author.id, now).id
    finally:
        store.close()
