"""Exceptions, declarations of a disaster, and what waits for somebody: who is offered what, and what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pdp.console.exceptions_page import KINDS, STATES, STEPS, ExceptionWords
from pdp.directory.changes import Change
from pdp.model.console import ROLES
from pdp.model.directory import Device, User
from tests.revision_files import WHY
from tests.unit.console.test_policies import SUZUKI, TANAKA, a_revision
from tests.unit.console.world import START

if TYPE_CHECKING:
    from pdp.model.console import Role
    from pdp.store.store import Store
    from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

DISASTER = {
    "kind": "disaster",
    "reason": "台風19号による本庁舎の被災",
    "starts": "2026-04-01T09:00",
    "ends": "2026-04-03T09:00",
}


async def asked(console: Console, name: str = "tanaka", role: Role = "operator", **form: str) -> str:
    """A request that was made at the console; its answer's address."""
    secret = console.enter(role, name=name)
    answer = await console.post(secret, "exceptions/new", DISASTER | form | {"csrf": await console.csrf(secret)})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def offered(text: str) -> set[str]:
    return set(re.findall(r'href="/console/exceptions/1/([a-z]+)"', text))


async def test_a_disaster_is_asked_for_by_one_and_approved_by_another_and_ended_by_either(console: Console) -> None:
    assert await asked(console) == "/console/exceptions?done=ask"
    expected: dict[tuple[str, Role], set[str]] = {
        ("tanaka", "operator"): {"withdraw"},
        ("other", "operator"): set(),
        ("tanaka", "approver"): {"refuse"},  # nobody approves what they asked for
        ("suzuki", "approver"): {"grant", "refuse"},
        ("kansa", "auditor"): set(),
    }
    for (name, role), steps in expected.items():
        text = (await console.get(console.enter(role, name=name), "exceptions")).text
        assert offered(text) == steps, (name, role)
        assert "台風19号" in text and "災害時運用" in text
    approver = console.enter("approver", name="suzuki")
    waiting = (await console.get(approver, "approvals")).text
    assert offered(waiting) == {"grant", "refuse"}
    assert "あなたの対応を待つものが1件あります" in (await console.get(approver, "")).text
    assert "対応を待つもの" not in (await console.get(console.enter("author", name="sato"), "")).text
    form = {"csrf": await console.csrf(approver), "note": "危機管理室と協議済み"}
    assert 'name="note"' in (await console.get(approver, "exceptions/1/grant")).text
    assert (await console.post(approver, "exceptions/1/grant", form)).status_code == 303
    listed = (await console.get(approver, "exceptions", accept_language="en")).text
    assert "A disaster is declared until 2026-04-03 09:00:00." in listed and offered(listed) == {"end"}
    operator = console.enter("operator", name="other")
    form["csrf"] = await console.csrf(operator)
    assert (await console.post(operator, "exceptions/1/end", form)).status_code == 303
    assert "A disaster is declared" not in (await console.get(operator, "exceptions", accept_language="en")).text
    assert [e.outcome for e in console.events() if e.action == "exception.grant"] == ["begun", "done"]


async def test_who_asked_is_refused_by_the_server_when_they_approve_without_a_button(console: Console) -> None:
    await asked(console, name="sato", role="author")
    for name in ("sato", "sato-admin"):  # one person, by the settings
        secret = console.enter("author", "approver", name=name)
        assert 'name="note"' not in (await console.get(secret, "exceptions/1/grant")).text
        form = {"csrf": await console.csrf(secret), "note": WHY}
        assert (await console.post(secret, "exceptions/1/grant", form)).status_code == 403
    assert "in force" not in (await console.get(console.enter("auditor"), "exceptions", accept_language="en")).text


async def test_no_role_decides_what_is_not_its_own(console: Console) -> None:
    await asked(console)
    for role in ROLES:
        secret = console.enter(role, name=f"other-{role}")
        form = {"csrf": await console.csrf(secret), "note": WHY}
        for step in STEPS:
            if role == "approver" and step in ("grant", "refuse"):
                continue
            assert (await console.post(secret, f"exceptions/1/{step}", form)).status_code in (403, 409), (role, step)
        if role not in ("author", "operator"):
            answer = await console.post(secret, "exceptions/new", DISASTER | {"csrf": form["csrf"]})
            assert answer.status_code == 403
    assert (await console.get(console.enter("auditor"), "exceptions?state=asked")).text.count("台風19号") == 1


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"reason": "x"}, 400),
        ({"starts": ""}, 400),
        ({"ends": "2026-03-01T00:00"}, 400),
        ({"ends": "2027-04-01T00:00"}, 400),
        ({"kind": "nonsense"}, 400),
        ({"users": "tanaka"}, 400),  # a disaster names nobody
        ({"kind": "work", "users": "tanaka"}, 400),
        ({"kind": "work", "users": "nobody", "devices": "x", "resources": "y"}, 404),
        ({"kind": "device", "users": "<script>alert(1)</script>", "devices": "x"}, 404),
    ],
)
async def test_a_request_that_cannot_be_is_refused_and_what_was_written_stays(
    console: Console, form: dict[str, str], status: int
) -> None:
    secret = console.enter("operator", name="tanaka")
    answer = await console.post(secret, "exceptions/new", DISASTER | form | {"csrf": await console.csrf(secret)})
    assert answer.status_code == status, answer.text
    assert "<script>alert" not in answer.text
    assert (DISASTER | form)["reason"] in answer.text
    assert "例外措置はありません" in (await console.get(secret, "exceptions")).text


async def test_a_work_permit_names_people_and_systems_one_a_line(console: Console, store: Store) -> None:
    with store.write() as connection:
        inside = Change(connection, START)
        inside.put_user(User("tanaka", "staff"))
        inside.put_device(Device("pc-1", "managed_pc"))
        inside.finish()
    await asked(
        console,
        kind="work",
        users="tanaka\r\n",
        devices="pc-1",
        resources="tax、welfare\nmail",
        ends="2026-05-01T00:00",
    )
    text = (await console.get(console.enter("approver", name="suzuki"), "exceptions/1/grant")).text
    assert "tax, welfare, mail" in text and "tanaka" in text and "pc-1" in text


async def test_one_sees_what_waits_for_them_and_never_their_own_work(console: Console) -> None:
    number = a_revision(console, "in_review")
    approved = a_revision(console, "approved", "2026.5")
    checked = a_revision(console, "checked", "2026.6")
    expected: dict[tuple[str, Role], dict[int, str]] = {
        ("suzuki", "approver"): {number: "approve"},
        ("sato-admin", "approver"): {},
        ("sato", "author"): {checked: "submit"},
        ("tanaka", "operator"): {approved: "activate"},
        ("kansa", "auditor"): {},
    }
    for (name, role), steps in expected.items():
        text = (await console.get(console.enter(role, name=name), "approvals")).text
        found = {int(one): step for one, step in re.findall(r"policies/(\d+)/steps/([a-z]+)", text)}
        assert found == steps, (name, role)
        assert ("承認待ちはありません" in text) == (not steps)


async def test_a_review_after_an_emergency_is_closed_by_somebody_who_took_no_part(console: Console) -> None:
    revisions, now = console.registers.revisions, console.clock()
    number = a_revision(console, "in_review")
    for approver in (SUZUKI, type(SUZUKI)("user:ito", SUZUKI.roles)):
        revisions.endorse(approver, number, WHY, now)
    console.registers.activations.activate(TANAKA, number, WHY, now)
    (review,) = console.registers.reviews.all()
    for name, role, status in (("suzuki", "approver", 403), ("kansa", "auditor", 303)):
        secret = console.enter(role, name=name)
        assert f"approvals/reviews/{review.id}" in (await console.get(secret, "approvals")).text
        form = {"csrf": await console.csrf(secret), "note": "手順どおりに行われた"}
        assert (await console.post(secret, f"approvals/reviews/{review.id}", form)).status_code == status
    assert console.registers.reviews.all() == ()
    assert "approvals/reviews" not in (await console.get(console.enter("auditor"), "approvals")).text


@pytest.mark.parametrize("path", ["exceptions/1/grant", "exceptions/x/grant", "exceptions/1/nonsense"])
async def test_an_exception_that_is_none_is_told_so(console: Console, path: str) -> None:
    secret = console.enter("approver")
    assert (await console.get(secret, path)).status_code == 404
    assert (await console.post(secret, path, {"csrf": await console.csrf(secret), "note": WHY})).status_code in (
        400,
        404,
    )


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_kind_and_state_has_a_name(lang: str) -> None:
    words = ExceptionWords(lang)  # type: ignore[arg-type]
    assert all(words.kind(kind) != kind for kind in KINDS)
    assert all(words.state(state) != state for state in STATES)
