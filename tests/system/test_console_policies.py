"""Policies at the console of a real `pdp serve`, in a real Chromium: from a draft with a fault to a roll-back.

Screenshots stand in `var/console` afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pdp.revisions.person import People, Person
from pdp.revisions.register import Revisions
from pdp.store.store import open_store
from tests.chromium import browser, screenshot
from tests.revision_files import WHY, policy
from tests.system.test_console import PICTURES, a_page, log_in, well
from tests.system.test_serve import Served, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from pdp.console.words import Lang

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WORKERS = 2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = tmp_path_factory.mktemp(
        "configured"
    )  # `plain` as the drafts: in the place of one of `zta` they would fail
    for name, text in policy("configured").items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text, encoding="utf-8")
    with serving(tmp_path_factory.mktemp("policies"), "--bundle", str(bundle), "--workers", str(WORKERS)) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(served: Served) -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def a_draft(served: Served, name: str, more: str = "", parent: int | None = None) -> int:
    """A small policy under this name, with something at the end of its rules, as `pdp bundle draft` brings it.

    The shipped policy has gates of half a minute, which are proven elsewhere.
    """
    (database,) = (served.place / "state").glob("**/sekisho.db")
    files = policy(name, more=more)
    store = open_store(f"sqlite:///{database}")
    try:
        author = Person("account:author", frozenset({"author"}))
        made = Revisions(store, People()).create(author, files, WHY, datetime.now(UTC), parent=parent)
    finally:
        store.close()
    return made.number


def take(page: Page, number: int, step: str, reason: str) -> None:
    """One step, with the page's own button and form."""
    page.goto(f"/console/policies/{number}")
    page.click(f"main a[href*='/steps/{step}']")
    if step != "check":
        page.fill("#reason", reason)
    page.click("main form.card button")
    page.wait_for_url(f"**/policies/{number}?done={step}")
    if step == "check":  # the page shows how far it is, and what came of it when it is over
        screenshot(page, PICTURES, f"{page.locator('html').get_attribute('lang')}-policy-checking")
        page.wait_for_selector("#progress", state="detached", timeout=240_000)


def write(page: Page, name: str, lang: Lang) -> int:
    """A new draft in the editor: a fault is told at its line, mended, tried and saved, all with the keyboard."""
    page.goto("/console/policies")
    page.click("main .head a.button")
    page.fill("#name", name)
    page.fill("#reason", "窓口端末の扱いを見直すため")
    page.click("main form.card button")
    page.wait_for_selector("#workbench[data-ready]")
    number = int(page.url.split("/")[-2])
    page.focus(".cm-content")
    page.keyboard.press("Control+End")
    page.keyboard.type("wrong if input.devi", delay=1)
    page.keyboard.type("se.\n")
    fault = page.locator("#findings a:has-text('house/house.rego:')")
    fault.wait_for()
    line, column = fault.inner_text().partition("house.rego:")[2].split(":")[:2]
    fault.click()
    assert int(line) >= 4 and column.startswith("23")
    assert page.inner_text("#place").startswith({"ja": f"行 {line}", "en": f"Row {line}"}[lang])
    screenshot(page, PICTURES, f"{lang}-light-policy-edit-fault")
    well(page)
    page.keyboard.press("Control+Shift+K")  # the line where the link has led to
    page.keyboard.type("# 令和8年4月の改定\n")
    page.wait_for_selector("#verdict.good")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "check", "Tab is no trap: Escape leads out"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the tests, of what is not saved
    page.wait_for_selector("#tests")
    page.wait_for_selector("#workbench[data-ready]")
    screenshot(page, PICTURES, f"{lang}-light-policy-edit-tests")
    well(page)
    page.fill("#reason", "4月の人事異動に合わせるため")
    page.click("#save")
    page.wait_for_url("**done=save")
    page.goto(f"/console/looks?lang={lang}&theme=dark&back=/console/policies/{number}/edit")
    page.wait_for_selector("#workbench[data-ready]")
    screenshot(page, PICTURES, f"{lang}-dark-policy-edit")
    well(page)
    page.goto(f"/console/looks?lang={lang}&theme=light&back=/console/policies/{number}/tests")
    page.click("button[value=tests]")
    page.wait_for_selector("#tests")
    screenshot(page, PICTURES, f"{lang}-light-policy-tests")
    well(page)
    return number


@pytest.mark.parametrize(("lang", "other", "month"), [("ja", "en", 4), ("en", "ja", 6)])
def test_a_change_goes_from_a_fault_at_its_line_to_two_persons_to_decisions_and_back(
    chromium: Browser, served: Served, lang: Lang, other: Lang, month: int
) -> None:
    author = log_in(a_page(chromium, served, lang), served, "author")
    approver = log_in(a_page(chromium, served, other, "dark"), served, "approver")
    operator = log_in(a_page(chromium, served, lang, "dark"), served, "operator")
    try:
        numbers: list[int] = []
        for name, more in ((f"2026.{month}", ""), (f"2026.{month + 1}", f"\n# 令和8年{month + 1}月の改定\n")):
            number = a_draft(served, name, more, parent=numbers[-1]) if numbers else write(author, name, lang)
            numbers.append(number)
            take(author, number, "check", "")
            take(author, number, "submit", "改定内容の確認をお願いします")
            assert author.locator("main a[href*='/steps/approve']").count() == 0
            approver.goto("/console/approvals")
            screenshot(approver, PICTURES, f"{other}-dark-approvals")
            well(approver)
            take(approver, number, "approve", "I have read every line of it")
            take(operator, number, "activate", "4月の人事異動に合わせて適用します")
        former, number = numbers
        operator.goto("/console/policies")
        until(lambda: _serves(operator, number), "a worker does not serve the revision")
        screenshot(operator, PICTURES, f"{lang}-dark-policies")
        well(operator)
        for page, name in ((approver, f"{other}-dark"), (author, f"{lang}-light")):
            for path in ("", "/diff"):
                page.goto(f"/console/policies/{former if path else number}{path}")
                screenshot(page, PICTURES, f"{name}-policy{path.replace('/', '-')}")
                well(page)
        operator.goto(f"/console/policies/{former}/steps/rollback")
        screenshot(operator, PICTURES, f"{lang}-dark-policy-rollback")
        well(operator)
        take(operator, former, "rollback", "窓口端末で業務に支障が出たため")
        until(lambda: _serves(operator, former), "a worker does not serve the former revision")
    finally:
        for page in (author, approver, operator):
            page.context.close()


def _serves(page: Page, number: int) -> bool:
    page.goto("/console/policies")
    return page.locator(f"#record ~ .scroll tbody a[href='/console/policies/{number}']").count() == WORKERS


def test_a_disaster_is_declared_by_one_and_approved_by_another(chromium: Browser, served: Served) -> None:
    operator = log_in(a_page(chromium, served, "ja"), served, "operator")
    approver = log_in(a_page(chromium, served, "en", "dark"), served, "approver")
    try:
        operator.goto("/console/exceptions/new?kind=work")
        screenshot(operator, PICTURES, "ja-light-exception-work")
        well(operator)
        operator.goto("/console/exceptions/new?kind=disaster")
        operator.fill("#starts", "2099-04-01T09:00")
        operator.fill("#ends", "2099-04-03T09:00")
        operator.fill("#reason", "台風による本庁舎の被災")
        operator.click("main form.card button")
        operator.wait_for_url("**/exceptions?done=ask")
        screenshot(operator, PICTURES, "ja-light-exceptions")
        well(operator)
        approver.goto("/console/approvals")
        approver.click("main a[href$='/grant']")
        screenshot(approver, PICTURES, "en-dark-exception-grant")
        well(approver)
        approver.fill("#note", "agreed with the crisis office")
        approver.click("main form.card button")
        approver.wait_for_url("**/exceptions?done=grant")
        well(approver)
    finally:
        for page in (operator, approver):
            page.context.close()
