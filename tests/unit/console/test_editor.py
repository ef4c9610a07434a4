"""The policy editor as a form: it loses nothing that was typed, saves only what was looked at, and shows text as text."""

from __future__ import annotations

import re
import shutil
from html import unescape
from typing import TYPE_CHECKING

import pytest

from pdp.console import policy_edit
from pdp.console.site import PAGES
from tests.revision_files import NOW, WHY, person, policy
from tools import editor

if TYPE_CHECKING:
    import httpx

    from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

SATO = person("user:sato", "author")
RULES = "house/house.rego"


class Desk:
    """One draft of SATO's, and SATO at the console."""

    def __init__(self, console: Console, **more: str) -> None:
        self.console = console
        self.secret = console.enter("author", name="sato")
        made = console.registers.revisions.create(SATO, policy("2026.4") | more, WHY, NOW)
        self.number, self.seen = made.number, made.source_digest

    async def send(self, to: str = "edit", /, **form: str | list[str]) -> httpx.Response:
        csrf = await self.console.csrf(self.secret)
        whole = {"csrf": csrf, "seen": self.seen, "shown": RULES} | form
        return await self.console.post(self.secret, f"policies/{self.number}/{to}", whole)  # type: ignore[arg-type]

    def kept(self) -> dict[str, str]:
        return self.console.registers.revisions.files(self.number)[1]


def text_of(page: httpx.Response) -> str:
    """What a browser would put into the text area: the line break after its tag is none of the text's."""
    found = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


async def test_a_file_is_shown_with_its_first_blank_line_and_letters_of_html(console: Console) -> None:
    note = "\n<script>alert(1)</script> & </textarea>\n"
    desk = Desk(console, **{"notes.md": note})
    page = await console.get(desk.secret, f"policies/{desk.number}/edit?file=notes.md")
    assert text_of(page) == note and "<script>alert" not in page.text
    plain = await console.get(desk.secret, f"policies/{desk.number}/source?file=notes.md")
    assert (plain.text, plain.headers["content-type"]) == (note, "text/plain; charset=utf-8")
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert plain.headers["x-sekisho-token"] == await console.csrf(desk.secret)
    assert (await console.get(desk.secret, f"policies/{desk.number}/source?file=none.md")).status_code == 404


async def test_styles_that_the_editor_makes_are_permitted_by_a_word_of_this_very_answer(console: Console) -> None:
    desk = Desk(console)
    words = set()
    for _ in range(2):
        page = await console.get(desk.secret, f"policies/{desk.number}/edit")
        given = re.search(r'nonce="([^"]+)"', page.text)
        assert given is not None
        policy_of = page.headers["content-security-policy"]
        assert f"style-src 'self' 'nonce-{given[1]}';" in policy_of and "script-src 'self';" in policy_of
        assert "unsafe" not in policy_of
        words.add(given[1])
    assert len(words) == 2
    other = await console.get(desk.secret, f"policies/{desk.number}")
    assert "nonce" not in other.headers["content-security-policy"]


async def test_a_fault_is_told_at_its_line_and_nothing_that_was_typed_is_lost(console: Console) -> None:
    desk = Desk(console)
    broken = policy("2026.4")[RULES] + "\nwrong if input.a.\n"
    other = "# 別のファイル\n"
    answer = await desk.send(do="check", path=[RULES, "notes.md"], text=[broken.replace("\n", "\r\n"), other])
    assert text_of(answer) == broken
    assert re.search(rf'data-file="{RULES}" data-line="5" data-column="18">{RULES}:5:18</a>', answer.text)
    assert f'name="text" data-path="notes.md" value="{other}"' in answer.text
    assert desk.kept() == policy("2026.4"), "a check keeps nothing"
    script = await desk.send("faults", path=[RULES], text=[broken])
    (fault,) = script.json()["faults"]
    assert (script.status_code, fault["file"], fault["line"]) == (200, RULES, 5)
    tests = await desk.send(do="tests", path=[RULES], text=[broken])
    assert text_of(tests) == broken and "data-line" in tests.text and 'id="tests"' not in tests.text


async def test_tests_of_what_is_not_saved_are_run_and_shown_beside_it(console: Console) -> None:
    desk = Desk(console)
    more = policy("2026.4")[RULES] + "\nother if {\n\tinput.a == 1\n}\n"
    answer = await desk.send(do="tests", path=[RULES], text=[more])
    assert answer.status_code == 200 and 'id="tests"' in answer.text and text_of(answer) == more
    assert re.search(r'data-line="6" data-column="1">6</a>', answer.text), "the line that no test touches"


async def test_a_save_has_a_reason_ends_lines_as_they_were_and_changes_nothing_else(console: Console) -> None:
    desk = Desk(console, **{"notes.md": "old\n", "gone.md": "x\n"})
    answer = await desk.send(
        do="save", path=[RULES, "notes.md"], text=[policy("2026.4")[RULES], "a\r\nb\r\n"], gone="gone.md", reason=""
    )
    assert answer.status_code == 400 and "gone.md" in answer.text and 'value="a\nb\n"' in answer.text
    saved = await desk.send(
        do="save", path=["notes.md"], text=["a\r\nb\r\n"], gone="gone.md", reason="注記を書き直したため"
    )
    assert saved.headers["location"].startswith(f"/console/policies/{desk.number}/edit?file=house%2Fhouse.rego")
    assert desk.kept() == {**policy("2026.4"), "notes.md": "a\nb\n"}
    history = console.registers.revisions.detail(desk.number).history
    assert (history[-1].step, history[-1].by, history[-1].reason) == ("edit", "user:sato", "注記を書き直したため")


async def test_the_file_that_is_shown_is_deleted_by_its_tick_without_a_script(console: Console) -> None:
    desk = Desk(console, **{"notes.md": "old\n"})
    await desk.send(do="save", shown="notes.md", path="notes.md", text="old\n", taken="1", reason="不要になったため")
    assert desk.kept() == policy("2026.4")


async def test_what_somebody_else_saved_meanwhile_is_not_overwritten_and_the_text_stays(console: Console) -> None:
    desk = Desk(console)
    theirs = policy("2026.4") | {"notes.md": "theirs\n"}
    console.registers.revisions.edit(SATO, desk.number, theirs, WHY, NOW, source_digest=desk.seen)
    mine = policy("2026.4")[RULES] + "# mine\n"
    answer = await desk.send(do="save", path=RULES, text=mine, reason=WHY)
    assert answer.status_code == 409 and text_of(answer) == mine
    assert f'name="seen" value="{desk.seen}"' in answer.text, "a second try is refused as well"
    assert desk.kept() == theirs


async def test_nobody_but_authors_edits_and_no_revision_that_is_under_way(console: Console) -> None:
    desk = Desk(console)
    for role in ("approver", "operator", "auditor", "administrator"):
        secret = console.enter(role, name=role)  # type: ignore[arg-type]
        assert (await console.get(secret, f"policies/{desk.number}/edit")).status_code == 403
        assert "/edit" not in (await console.get(secret, f"policies/{desk.number}")).text
        form = {"csrf": await console.csrf(secret), "do": "save", "reason": WHY}
        for path in ("edit", "faults"):
            assert (await console.post(secret, f"policies/{desk.number}/{path}", form)).status_code == 403
    console.registers.revisions.discard(SATO, desk.number, WHY, NOW)
    page = await console.get(desk.secret, f"policies/{desk.number}/edit")
    assert "<textarea" not in page.text and f"policies/new?parent={desk.number}" in page.text
    await desk.send(do="save", path=RULES, text="package x", reason=WHY)
    assert desk.kept() == policy("2026.4")


async def test_a_form_from_elsewhere_or_without_its_token_or_endless_is_refused(console: Console) -> None:
    desk = Desk(console)
    form = {"csrf": await console.csrf(desk.secret), "seen": desk.seen, "do": "save", "reason": WHY}
    path = f"policies/{desk.number}/edit"
    stranger = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}
    assert (await console.post(desk.secret, path, form, stranger)).status_code == 403
    assert (await console.post(desk.secret, path, form | {"csrf": "x"})).status_code == 403
    endless = form | {"path": RULES, "text": "x" * policy_edit.MOST}
    assert (await console.post(desk.secret, path, endless)).status_code == 413
    long = form | {"path": "notes.md", "text": "あ" * 40_000, "shown": "notes.md"}
    assert (await console.post(desk.secret, path, long)).status_code == 303
    assert {page.path for page in PAGES if page.most != 64 * 1024} == {
        "policies/{number}/edit", "policies/{number}/faults",
    }  # fmt: skip


async def test_a_new_draft_is_a_copy_under_its_own_name(console: Console) -> None:
    desk = Desk(console)
    page = await console.get(desk.secret, f"policies/new?parent={desk.number}")
    assert 'name="name" value=""' in page.text and "2026.4" in page.text
    csrf = await console.csrf(desk.secret)
    form = {"csrf": csrf, "parent": str(desk.number), "name": "2026.5", "reason": WHY}
    made = await console.post(desk.secret, "policies/new", form)
    number = int(made.headers["location"].split("/")[3])
    revision, files = console.registers.revisions.files(number)
    assert (revision.parent, revision.name, files) == (desk.number, "2026.5", policy("2026.5") | {
        RULES: policy("2026.4")[RULES]
    })  # fmt: skip
    for name in ('a"b', "a\\b", "\x07"):
        assert (await console.post(desk.secret, "policies/new", form | {"name": name})).status_code == 400
    assert (await console.post(desk.secret, "policies/new", form | {"parent": "999"})).status_code == 404


async def test_tests_are_run_by_their_button_and_the_lines_they_miss_are_marked_in_the_file(console: Console) -> None:
    desk = Desk(console, **{RULES: policy("2026.4")[RULES] + "\nother if {\n\tinput.a == 1\n}\n"})
    ran = await desk.send("tests", do="tests")
    assert ran.headers["location"] == f"/console/policies/{desk.number}/tests"
    page = await console.get(console.enter("auditor"), f"policies/{desk.number}/tests", accept_language="en")
    assert "files?file=house%2Fhouse.rego&amp;line=6#L6" in page.text and "<button name" not in page.text
    file = await console.get(desk.secret, f"policies/{desk.number}/files?file={RULES}")
    assert re.search(r'<tr id="L6" class="untouched">', file.text)
    revisions = console.registers.revisions
    revisions.edit(SATO, desk.number, policy("2026.4"), WHY, NOW, source_digest=desk.seen)
    file = await console.get(desk.secret, f"policies/{desk.number}/files?file={RULES}")
    assert 'class="untouched"' not in file.text, "of other contents it says nothing"


def test_the_bundle_in_the_repository_was_made_of_these_sources() -> None:
    assert editor.stands_for() == editor.sources(), "run `python tools/editor.py`"
    assert "resolved" not in (editor.PLACE / "package-lock.json").read_text(), "a lock file names no registry"


def test_the_locked_toolchain_makes_the_bundle_byte_for_byte() -> None:
    if shutil.which("npm") is None:
        pytest.skip("no `npm` on the PATH: install npm")
    assert editor.made() == editor.BUNDLE.read_bytes()
