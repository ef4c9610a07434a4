"""The pages of policies: who is offered what, what the server refuses all the same, and what a reader sees."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from pdp.console.diff_lines import lines_of
from pdp.console.policy_words import PolicyWords
from pdp.console.words import CATALOGUES
from pdp.jobs.job import Progress
from pdp.model.console import ROLES
from pdp.revisions.allowed import steps_for
from pdp.revisions.files import differences
from pdp.revisions.person import MAY, People
from pdp.revisions.revision import Detail
from pdp.revisions.states import STATES, STEPS, steps_from
from tests.revision_files import FINE, NOW, WHY, person, policy, zta_policy

if TYPE_CHECKING:
    import httpx

    from pdp.model.console import Role
    from pdp.revisions.states import State
    from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

SATO, SUZUKI = person("user:sato", "author"), person("user:suzuki", "approver")
TANAKA = person("user:tanaka", "operator")


def a_revision(console: Console, state: State = "draft", name: str = "2026.4", **policies: str) -> int:
    """A revision in this state, by SATO, approved by SUZUKI, activated by TANAKA."""
    revisions, activations = console.registers.revisions, console.registers.activations
    made = revisions.create(SATO, policy(name, **policies), WHY, NOW)  # type: ignore[arg-type]
    number = made.number
    for step in ("checked", "in_review", "approved", "active"):
        if state == "draft":
            break
        if step == "checked":
            revisions.keep_gates(SATO, number, made.source_digest, FINE, NOW)
        elif step == "in_review":
            revisions.submit(SATO, number, WHY, NOW)
        elif step == "approved":
            revisions.approve(SUZUKI, number, WHY, NOW)
        else:
            activations.activate(TANAKA, number, WHY, NOW)
        if step == state:
            break
    return number


def offered(answer: httpx.Response) -> set[str]:
    return set(re.findall(r"/steps/([a-z]+)", answer.text))


async def test_each_role_is_offered_its_own_steps_and_the_author_no_approval(console: Console) -> None:
    number = a_revision(console, "in_review")
    expected: dict[tuple[str, Role], set[str]] = {
        ("sato", "author"): {"withdraw", "discard"},
        ("sato", "approver"): {"reject"},
        ("sato-admin", "approver"): {"reject"},  # the same person under another name
        ("suzuki", "approver"): {"approve", "reject", "endorse"},
        ("tanaka", "operator"): set(),
        ("kansa", "auditor"): set(),
        ("kanri", "administrator"): {"discard"},
    }
    for (name, role), steps in expected.items():
        answer = await console.get(console.enter(role, name=name), f"policies/{number}")
        assert (answer.status_code, offered(answer)) == (200, steps), (name, role)


@pytest.mark.parametrize("lang", ["ja", "en"])
async def test_every_page_of_a_revision_opens_for_every_role(console: Console, lang: str) -> None:
    number = a_revision(console, "active")
    for role in ROLES:
        secret = console.enter(role, name=role)
        for path in ("", "/diff", "/files", "/files?file=house/house.rego"):
            answer = await console.get(secret, f"policies/{number}{path}", accept_language=lang)
            assert answer.status_code == 200
            assert CATALOGUES[lang].gettext("Revision %(number)s") % {"number": number} in answer.text  # type: ignore[index]
    listed = (await console.get(console.enter("auditor"), "policies", accept_language=lang)).text
    assert "2026.4" in listed and WHY in listed and PolicyWords(lang).state("active") in listed  # type: ignore[arg-type]


async def test_the_author_is_refused_by_the_server_when_they_approve_without_a_button(console: Console) -> None:
    number = a_revision(console, "in_review")
    before = console.registers.revisions.detail(number).revision
    for name in ("sato", "sato-admin"):
        secret = console.enter("author", "approver", name=name)
        form = {"csrf": await console.csrf(secret), "reason": WHY, "seen": before.source_digest}
        assert (await console.get(secret, f"policies/{number}/steps/approve")).text.count("<textarea") == 0
        answer = await console.post(secret, f"policies/{number}/steps/approve", form)
        assert answer.status_code == 403
    assert console.registers.revisions.detail(number).revision == before
    events = [event for event in console.events() if event.action == "policy.approve"]
    assert [event.outcome for event in events] == ["begun", "refused"] * 2


async def test_a_revision_goes_from_draft_to_decisions_and_back_by_different_people(console: Console) -> None:
    former = a_revision(console, "active", "2026.3")
    number = a_revision(console, "draft")
    ways: tuple[tuple[str, Role, str, str], ...] = (
        ("sato", "author", "check", "checked"),
        ("sato", "author", "submit", "in_review"),
        ("suzuki", "approver", "approve", "approved"),
        ("tanaka", "operator", "schedule", "scheduled"),
        ("tanaka", "operator", "unschedule", "approved"),
        ("tanaka", "operator", "activate", "active"),
    )
    for name, role, step, state in ways:
        secret = console.enter(role, name=name)
        page = await console.get(secret, f"policies/{number}/steps/{step}")
        found = re.search(r'name="seen" value="([^"]+)"', page.text)
        assert found is not None, step
        form = {"csrf": await console.csrf(secret), "seen": found[1], "reason": f"理由です: {step}"}
        answer = await console.post(secret, f"policies/{number}/steps/{step}", form | {"at": "2026-05-01T08:30"})
        assert answer.headers["location"] == f"/console/policies/{number}?done={step}", answer.text
        await console.over()
        revision = console.registers.revisions.detail(number).revision
        assert revision.state == state
        if state == "scheduled":
            assert revision.scheduled_at is not None
            assert revision.scheduled_at.isoformat() == "2026-04-30T23:30:00+00:00"  # half past eight in Japan
    secret = console.enter("operator", name="tanaka")
    form = {"csrf": await console.csrf(secret), "reason": "切り戻しの理由"}
    back = await console.post(secret, f"policies/{former}/steps/rollback", form)
    assert back.status_code == 303
    current = console.registers.activations.current()
    assert current is not None and (current.number, current.kind, current.reason) == (
        former,
        "rollback",
        "切り戻しの理由",
    )


async def test_no_role_takes_a_step_that_is_not_its_own(console: Console) -> None:
    number = a_revision(console, "approved")
    before = console.registers.revisions.detail(number)
    for role in ROLES:
        secret = console.enter(role, name=f"other-{role}")
        csrf = await console.csrf(secret)
        for step in sorted(
            {"activate", "schedule", "approve", "reject", "withdraw", "discard", "endorse", "unschedule"}
        ):
            if role in MAY[step] and step in steps_from("approved"):  # type: ignore[index]
                continue
            form = {"csrf": csrf, "reason": WHY, "at": "2026-05-01T08:30", "seen": before.revision.source_digest}
            answer = await console.post(secret, f"policies/{number}/steps/{step}", form)
            assert answer.status_code in (403, 409), (role, step)
    assert console.registers.revisions.detail(number) == before


async def test_an_approval_counts_for_what_was_looked_at_and_nothing_newer(console: Console) -> None:
    number = a_revision(console, "in_review")
    revisions = console.registers.revisions
    seen = revisions.detail(number).revision.source_digest
    revisions.withdraw(SATO, number, WHY, NOW)
    files = policy("2026.4", more="# something else\n")
    changed = revisions.edit(SATO, number, files, WHY, NOW, source_digest=seen)
    revisions.keep_gates(SATO, number, changed.source_digest, FINE, NOW)
    revisions.submit(SATO, number, WHY, NOW)
    secret = console.enter("approver", name="suzuki")
    page = await console.get(secret, f"policies/{number}/steps/approve?seen={seen}")
    assert "<textarea" not in page.text and "note warn" in page.text
    form = {"csrf": await console.csrf(secret), "reason": WHY, "seen": seen}
    assert (await console.post(secret, f"policies/{number}/steps/approve", form)).status_code == 409
    without = await console.post(secret, f"policies/{number}/steps/approve", form | {"seen": ""})
    assert without.status_code in (400, 409)
    assert revisions.detail(number).revision.state == "in_review"


async def test_a_step_needs_a_reason_a_token_and_a_page_of_ours(console: Console) -> None:
    number = a_revision(console, "approved")
    secret = console.enter("operator", name="tanaka")
    form = {"csrf": await console.csrf(secret), "reason": "x"}
    path = f"policies/{number}/steps/activate"
    short = await console.post(secret, path, form)
    assert short.status_code == 400 and ">x</textarea>" in short.text
    assert (await console.post(secret, path, {"reason": WHY})).status_code == 403
    stranger = {"origin": "https://evil.test", "sec-fetch-site": "cross-site"}
    assert (await console.post(secret, path, form | {"reason": WHY}, stranger)).status_code == 403
    assert (await console.post(secret, f"policies/{number}/steps/renew", form)).status_code == 404
    console.trail.broken = True
    assert (await console.post(secret, path, form | {"reason": WHY})).status_code == 503
    assert console.registers.activations.current() is None


async def test_a_fault_stands_at_its_line_and_contents_are_text(console: Console) -> None:
    number = a_revision(console, more='x := "<script>alert(1)</script>"\n# broken\n')
    secret = console.enter("author", name="sato")
    form = {"csrf": await console.csrf(secret)}
    checked = await console.post(secret, f"policies/{number}/steps/check", form)
    assert checked.status_code == 303
    await console.over()
    told = (await console.get(secret, checked.headers["location"].removeprefix("/console/"))).text
    assert "不合格の項目があります" in told and "完了しました" not in told
    shown = (await console.get(secret, f"policies/{number}")).text
    assert "house/house.rego:5:1" in shown and "#L5" in shown and "&lt;壊れて&gt;います" in shown
    assert "誤り1件" in shown and "不合格" in shown
    file = (await console.get(secret, f"policies/{number}/files?file=house/house.rego")).text
    assert re.search(r'<tr id="L5" class="removed">.*?# broken.*?壊れて', file)
    assert "<script>alert" not in file and "&lt;script&gt;alert" in file
    assert (await console.get(secret, f"policies/{number}/files?file=../../etc/passwd")).status_code == 404
    for start in ("-1", "0", "x", "9" * 40, "２"):
        answer = await console.get(secret, f"policies/{number}/files?file=house/house.rego&from={start}")
        assert answer.status_code == 200
    diff = (await console.get(secret, f"policies/{number}/diff")).text
    assert "<script>alert" not in diff and '<span class="unseen">追加</span>' in diff


async def test_a_difference_tells_what_was_added_and_removed_in_words(console: Console) -> None:
    former = a_revision(console, "active", "2026.3")
    number = a_revision(console, name="2026.4")
    secret = console.enter("auditor")
    for query in ("", f"?against={former}"):
        text = (await console.get(secret, f"policies/{number}/diff{query}", accept_language="en")).text
        assert f"From revision {former} to revision {number}." in text
        assert '<span class="unseen">removed</span>' in text and '<span class="unseen">added</span>' in text
    assert (
        "There is no difference."
        in (await console.get(secret, f"policies/{number}/diff?against={number}", accept_language="en")).text
    )
    for against in ("9999", "x", "-1"):
        assert (await console.get(secret, f"policies/{number}/diff?against={against}")).status_code in (400, 404)


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999", "1e3", "%00", "9" * 30])
async def test_a_revision_that_is_none_is_told_so(console: Console, number: str) -> None:
    secret = console.enter("operator")
    for path in ("", "/diff", "/files", "/steps/activate"):
        answer = await console.get(secret, f"policies/{number}{path}")
        assert answer.status_code in (400, 404)


async def test_the_list_is_paged_and_filtered_by_state(console: Console) -> None:
    numbers = [a_revision(console, name=f"r{n}") for n in range(32)]
    a_revision(console, "active", "live")
    secret = console.enter("auditor")
    first = (await console.get(secret, "policies")).text
    assert f'href="/console/policies/{numbers[0]}"' not in first and "before=" in first
    more = re.search(r'rel="next" href="/console/([^"]+)"', first)
    assert more is not None
    assert f'href="/console/policies/{numbers[0]}"' in (await console.get(secret, more[1])).text
    active = (await console.get(secret, "policies?state=active")).text
    assert ">r5<" not in active and "live" in active
    assert (await console.get(secret, "policies?state=nonsense&before=x")).status_code == 400


def test_rows_of_a_difference_are_told_by_their_place_and_not_by_their_look() -> None:
    before = {"a": "--- one\n+++ two\n@@ -1 +1 @@\nsame\n", "gone": "x"}
    after = {"a": "+++ two\n-- minus\n@@ -1 +1 @@\nsame\nlast", "new": "\ny\n"}
    told = {file["path"]: list(lines_of(file["diff"])) for file in differences(before, after)}
    for path, rows in told.items():
        old = [row.text for row in rows if row.kind in ("removed", "same")]
        new = [row.text for row in rows if row.kind in ("added", "same")]
        assert old == before.get(path, "").splitlines()
        assert new == after.get(path, "").splitlines()
        for rows_of in (("removed", "before"), ("added", "after")):
            numbers = [getattr(row, rows_of[1]) for row in rows if row.kind in (rows_of[0], "same")]
            assert numbers == list(range(1, len(numbers) + 1))
    assert [row.text for row in told["a"] if row.kind == "note"] == ["No newline at end of file"]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_state_and_step_has_a_name(lang: str) -> None:
    words = PolicyWords(lang)  # type: ignore[arg-type]
    assert all(words.state(state) != state for state in STATES)
    assert all(words.step(step) != step for step in STEPS)
    assert words.state("new") == "new" and words.summary("something") == "something"
    assert "3" in words.summary("3 passed, 1 failed")
    lost = "41 of 789 people lose a system, 2 gain one; 84 of 148 devices lose one; of the protected 4 lose anything"
    assert (words.summary(lost) == lost) == (lang == "en")


async def test_nobody_is_offered_a_step_that_the_state_does_not_take(console: Console) -> None:
    from dataclasses import replace

    made = console.registers.revisions.detail(a_revision(console, "in_review"))
    for state in STATES:
        detail = Detail(replace(made.revision, state=state), (), (), (), frozenset({"user:sato"}))
        for role in ROLES:
            steps = steps_for(person("user:x", role), detail, People())
            assert set(steps) <= set(steps_from(state))
            assert all(role in MAY[step] for step in steps)
    emergency = Detail(replace(made.revision, state="approved", emergency=True), (), (), (), frozenset())
    assert "activate" in steps_for(SUZUKI, emergency, People())


async def test_a_check_shows_its_step_while_it_runs_and_can_be_stopped(console: Console) -> None:
    number = a_revision(console)
    secret = console.enter("author", name="sato")
    go = asyncio.Event()

    async def gates(told: Any) -> None:
        told(Progress("invariants", 3, 5))
        await go.wait()

    job = await console.jobs.check("user:sato", number, gates)
    async with asyncio.timeout(60):
        while True:
            page = await console.get(secret, f"policies/{number}?done=check")
            if "5段階のうち3段階" in page.text:
                break
            await asyncio.sleep(0.01)
    assert "data-poll" in page.text
    assert '<progress max="5" value="3"' in page.text and "条件のすべての組合せ" in page.text
    assert "完了しました" not in page.text
    english = await console.get(secret, f"policies/{number}", accept_language="en")
    assert "3 of 5 steps are done" in english.text and "This takes longest" in english.text
    form = {"csrf": await console.csrf(secret)}
    again = await console.post(secret, f"policies/{number}/steps/check", form)
    assert again.status_code == 409 and "この版は、すでに検査しています" in again.text
    auditor = console.enter("auditor", name="kansa")
    assert f"check/{job.id}/cancel" not in (await console.get(auditor, f"policies/{number}")).text
    refused = await console.post(
        auditor, f"policies/{number}/check/{job.id}/cancel", {"csrf": await console.csrf(auditor)}
    )
    assert refused.status_code == 403
    stopped = await console.post(secret, f"policies/{number}/check/{job.id}/cancel", form)
    assert stopped.status_code == 303
    await console.over()
    told = (await console.get(secret, f"policies/{number}?done=check")).text
    assert "中止しました" in told and "data-poll" not in told


async def test_a_time_of_warning_is_asked_for_in_the_form_and_shown_with_its_end(console: Console) -> None:
    revisions, activations = console.registers.revisions, console.registers.activations
    numbers = []
    for name in ("before", "newer"):
        made = revisions.create(SATO, zta_policy(name, allow=name == "before"), WHY, NOW)
        revisions.keep_gates(SATO, made.number, made.source_digest, FINE, NOW)
        numbers.append(made.number)
    for number, days in zip(numbers, ("", "14"), strict=True):
        secret = console.enter("author", name="sato")
        page = await console.get(secret, f"policies/{number}/steps/submit")
        assert ('name="warn_days"' in page.text) == (days == "14"), "a first revision cannot have one"
        found = re.search(r'name="seen" value="([^"]+)"', page.text)
        assert found is not None
        form = {"csrf": await console.csrf(secret), "seen": found[1], "reason": WHY, "warn_days": days}
        too_long = await console.post(secret, f"policies/{number}/steps/submit", form | {"warn_days": "93"})
        assert too_long.status_code == 400
        assert (await console.post(secret, f"policies/{number}/steps/submit", form)).status_code == 303
        revisions.approve(SUZUKI, number, WHY, NOW)
        activations.activate(TANAKA, number, WHY, NOW)
    assert revisions.detail(numbers[1]).revision.warn_days == 14
    listed = await console.get(console.enter("auditor", name="kansa"), "policies")
    assert "警告期間の終了" in listed.text and "2026-04-15 09:00" in listed.text
    assert "警告期間 14 日" in listed.text
