"""Foresight, one request and exports at the console: begun, followed, read, and by whom."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.errors import BadRequestError, NotReadyError
from pdp.jobs.job import Outcome
from pdp.revisions.person import Person
from pdp.revisions.results import Finding
from tests.revision_files import WHY
from tests.unit.console.world import START
from tests.unit.gates.small import small_files

if TYPE_CHECKING:
    from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

EVERYBODY = Path(__file__).with_name("everybody.json").read_bytes()
REQUEST = Path(__file__).with_name("request.json").read_bytes()
AUTHOR = Person("user:hanako", frozenset({"author"}))
SUMMARY = {"users": 8, "losing": 1, "gaining": 1, "cells": 576, "at": None, "seconds": 1.0}
REPLAYED = {
    "records": 20,
    "against": "draft",
    "recomputed": {"equal": 17, "different": 3, "engines_disagree": 0, "no_verdict_now": 0},
    "not_recomputed": {"refusal": 2},
    "missing_bundles": [],
    "differences": [
        {
            "decisions": 3,
            "ids": ["0198c0de-0000-7000-8000-000000000001"],
            "recorded": {"outcome": "allow", "reasons": ["OK"], "obligations": {}, "required_auth_level": None},
            "recomputed": {
                "regorus": {"outcome": "deny", "reasons": ["NO"], "obligations": {}, "required_auth_level": None}
            },
        }
    ],
    "spread": {"department": {"税務課": {"allow → deny": 3}}, "resource": {}, "device_class": {}},
    "seconds": 0.2,
}


def a_draft(console: Console) -> Any:
    return console.registers.revisions.create(AUTHOR, small_files("draft", "true"), WHY, START)


def kept(console: Console, kind: Any, body: bytes, **more: Any) -> int:
    revision = a_draft(console)
    finding = Finding(kind, revision.number, revision.digest, body, revision.source_digest, **more)
    return console.registers.results.keep(finding, "user:hanako", START).id


async def post(console: Console, secret: str, path: str, **form: str) -> Any:
    return await console.post(secret, path, {"csrf": await console.csrf(secret), **form})


async def until_over(console: Console) -> None:
    async with asyncio.timeout(30):
        while any(job.state == "running" for job in console.jobs.register.all(console.clock())):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_author_begins_follows_and_cancels_without_a_script(console: Console) -> None:
    author, number = console.enter("author"), a_draft(console).number
    begun = await post(console, author, f"policies/{number}/foresight", kind="population", at="2026-10-01T09:00")
    assert begun.status_code == 303
    async with asyncio.timeout(30):
        while "40 / 160" not in (page := (await console.get(author, f"policies/{number}/foresight")).text):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the worker writes it down by itself
    assert '<progress max="160" value="40"' in page
    assert "data-poll" in page
    assert console.child.orders[0].params == {"at": "2026-10-01T09:00:00+09:00"}
    job = re.search(r"/foresight/([0-9a-f-]{36})/cancel", page)
    assert job is not None
    assert (await post(console, author, f"policies/{number}/foresight/{job[1]}/cancel")).status_code == 303
    await until_over(console)
    page = (await console.get(author, f"policies/{number}/foresight")).text
    assert "中止" in page
    assert "data-poll" not in page


async def test_what_is_found_is_kept_and_shown_by_department_with_its_staleness(console: Console) -> None:
    author, revision = console.enter("author"), a_draft(console)
    console.child.says["population"] = Outcome(revision.digest, "b" * 64, 0, summary=SUMMARY, body=EVERYBODY)
    path = f"policies/{revision.number}/foresight"
    assert (await post(console, author, path, kind="population", context="office")).status_code == 303
    await until_over(console)
    page = (await console.get(author, path)).text
    assert "8人のうち1人" in page
    result = re.search(rf'href="/console/{path}/(\d+)"', page)
    assert result is not None
    shown = (await console.get(author, f"{path}/{result[1]}")).text
    for said in ("zeimu", "利用できなくなる", '<svg class="plot"', "この結果の後に、前提は変わっていません。", "u-two"):
        assert said in shown
    assert "/request?user=" not in shown  # an author may not look into the directory
    operator = (await console.get(console.enter("operator"), f"{path}/{result[1]}")).text
    assert "/request?user=u-" in operator
    english = (await console.get(author, f"{path}/{result[1]}", accept_language="en")).text
    assert "Loses access" in english
    assert "pairs with an application a second" in english


async def test_a_replay_is_begun_with_its_days_and_shows_what_would_be_others(console: Console) -> None:
    approver, revision = console.enter("approver"), a_draft(console)
    summary = {"records": 20, "seconds": 0.2, "days": 14, "different": 3, "equal": 17}
    console.child.says["replay"] = Outcome(
        revision.digest, summary=summary, body=json.dumps(REPLAYED, ensure_ascii=False).encode()
    )
    path = f"policies/{revision.number}/foresight"
    assert (await post(console, approver, path, kind="replay", days="14")).status_code == 303
    await until_over(console)
    page = (await console.get(approver, path)).text
    assert "判定20件のうち3件が変わる" in page
    shown = (await console.get(approver, f"{path}/1")).text
    for said in ("税務課", "0198c0de-0000", "判定前に拒否された要求: 2"):
        assert said in shown
    for days in ("0", "93", "many", ""):
        assert (await post(console, approver, path, kind="replay", days=days)).status_code == 400


async def test_a_failure_says_why(console: Console) -> None:
    author, number = console.enter("author"), a_draft(console).number
    console.child.says["replay"] = NotReadyError("there is no decision log here", next_step="decide something first")
    await post(console, author, f"policies/{number}/foresight", kind="replay", days="3")
    await until_over(console)
    page = (await console.get(author, f"policies/{number}/foresight")).text
    assert "there is no decision log here; decide something first" in page


async def test_each_page_of_foresight_is_whole_for_everybody_in_both_languages(console: Console) -> None:
    result = kept(console, "population", EVERYBODY, epoch=5, summary=SUMMARY)
    for role in ("author", "approver", "operator", "auditor", "administrator"):
        secret = console.enter(role, name=role)
        for lang in ("ja", "en"):
            for path in (
                "foresight",
                "policies/1/foresight",
                f"policies/1/foresight/{result}",
                "policies/1/request",
                "exports",
            ):
                answer = await console.get(secret, path, accept_language=lang)
                assert answer.status_code == 200, (role, path)
                assert "Traceback" not in answer.text
    page = (await console.get(secret, "policies/1/foresight")).text
    assert 'name="kind"' not in page  # an administrator begins none
    assert (await post(console, secret, "policies/1/foresight", kind="population")).status_code == 403
    assert (await console.get(secret, f"policies/77/foresight/{result}")).status_code == 404


async def test_one_request_shows_what_is_not_met_the_ways_out_and_every_fact(console: Console) -> None:
    author, number = console.enter("author"), a_draft(console).number
    console.child.says["request"] = Outcome("d" * 64, body=REQUEST)
    path = f"policies/{number}/request"
    page = (await post(console, author, path, anew="1", example="0")).text
    assert console.child.orders[-1].params["example"] == 0
    told = json.loads(REQUEST)
    for one in told["unmet"]:
        assert f"<code>{one['code']}</code>" in page
    assert told["ways"][0]["mends"][0]["text"]["ja"] in page
    assert page.count('name="f:') == len(told["facts"])
    document = json.dumps(told["document"])
    form = {"document": document, "f:device.posture.patch_age_days": "3", "f:device.class": '"byod_phone"'}
    form |= {"f:subject.departments": "zeimu、soumu", "f:context.country": told["document"]["context"]["country"]}
    await post(console, author, path, **form)
    sent = console.child.orders[-1].params
    assert sent["facts"] == {
        "device.class": "byod_phone",
        "device.posture.patch_age_days": 3,
        "subject.departments": ["zeimu", "soumu"],
    }
    assert sent["document"] == told["document"]


async def test_one_request_says_what_the_api_has_against_it(console: Console) -> None:
    author, number = console.enter("author"), a_draft(console).number
    console.child.says["request"] = BadRequestError("`toaster` is no class of a device")
    refused = await post(console, author, f"policies/{number}/request", anew="1", resource="mail", context="office")
    assert refused.status_code == 400
    assert "`toaster` is no class of a device" in refused.text
    named = await post(console, author, f"policies/{number}/request", anew="1", resource="mail", user="tanaka")
    assert named.status_code == 403


async def test_a_recorded_decision_is_judged_under_a_draft_by_who_may_see_its_facts(
    console: Console, ids: list[str]
) -> None:
    number = a_draft(console).number
    console.child.says["request"] = Outcome("d" * 64, body=REQUEST)
    auditor = await console.get(console.enter("auditor"), f"policies/{number}/request?decision={ids[0]}")
    veiled = await console.get(console.enter("operator", name="jiro"), f"policies/{number}/request?decision={ids[0]}")
    assert auditor.status_code in (200, 400)
    assert "ここでは判定し直せません" in veiled.text


async def test_exports_are_begun_shown_with_their_certificate_and_taken_away(console: Console) -> None:
    operator, auditor = console.enter("operator"), console.enter("auditor", name="kansa")
    words = {"ja": "保守用の閉域網から", "en": "over the IP-VPN"}
    gap = {"resource": "mail", "conditions": [], "words": words, "vectors": "42", "users": 3, "devices": None}
    why = {"ja": "時刻の条件がない", "en": "it has no times"}
    out = {"rule": "mail.x", "what": "context.business_hours", "why": why, "instead": {"ja": "代わり", "en": "instead"}}
    certificate = {"target": "prisma", "policy_revision": "2026.4", "policy_digest": "d" * 64, "at": START.isoformat()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("certificate.json", json.dumps(certificate))
        opened.writestr("gaps.json", json.dumps({"target": "prisma", "left_out": [out, out], "gaps": [gap]}))
        opened.writestr("rules.json", "{}")
    summary = {"revision": "2026.4", "systems": 3, "rules": 12, "left_out": 2, "vectors": "1000", "permitted": "50"}
    summary |= {"exported": "8", "unsound": "0", "gap": "42", "gaps": 1}
    console.child.says["export"] = Outcome(
        "d" * 64, "d" * 64, 0, "prisma", "zip", summary=summary, body=archive.getvalue()
    )
    assert (await post(console, auditor, "exports", target="prisma")).status_code == 403
    assert (await post(console, operator, "exports", target="the moon")).status_code == 400
    assert (await post(console, operator, "exports", target="prisma")).status_code == 303
    await until_over(console)
    page = (await console.get(auditor, "exports")).text
    assert "Prisma Access" in page
    assert "書出しなし" in page  # the matrix
    assert "相違2件" in page  # of a tenant that was delivered to
    shown = (await console.get(auditor, "exports/1")).text
    for said in ("保守用の閉域網から", "時刻の条件がない", "1,000通り", "<code>rules.json</code>"):
        assert said in shown
    taken = await console.get(auditor, "exports/1/export.zip")
    assert taken.headers["content-type"] == "application/zip"
    assert taken.content == archive.getvalue()
    assert (await console.get(auditor, "exports/9/export.zip")).status_code == 404


@pytest.mark.parametrize("document", ['{"a":' + "[" * 5_000 + "]" * 5_000 + "}", '{"a": "\\ud800"}'])
async def test_a_document_that_no_page_made_is_refused_and_breaks_nothing(console: Console, document: str) -> None:
    author, number = console.enter("author"), a_draft(console).number
    answer = await post(console, author, f"policies/{number}/request", document=document)
    assert answer.status_code in (200, 400)


async def test_what_a_time_of_warning_would_hold_over_stands_beside_the_strict_numbers(console: Console) -> None:
    held = {"loses": {"cells": 60, "of": 88}, "step_ups": 2, "users": 3, "losing": {"users": 1, "first": ["u-1"]}}
    body = json.dumps({**json.loads(EVERYBODY), "warning": held}).encode()
    number = kept(console, "population", body, summary=SUMMARY, params={"warn_days": 14})
    shown = await console.get(console.enter("author"), f"policies/1/foresight/{number}")
    assert shown.status_code == 200
    assert "警告期間（14日）を付けた場合" in shown.text and "60 / 88" in shown.text
    english = await console.get(console.enter("author"), f"policies/1/foresight/{number}", accept_language="en")
    assert "People who would be warned" in english.text
    form = await console.get(console.enter("author"), "policies/1/foresight")
    assert 'name="warn_days"' in form.text


async def test_a_time_of_warning_that_cannot_be_is_refused_in_words_before_anything_runs(console: Console) -> None:
    author, number = console.enter("author"), a_draft(console).number
    first = await post(console, author, f"policies/{number}/foresight", kind="population", warn_days="14")
    assert first.status_code == 409
    assert "まだ適用された版がないため、警告期間は設けられません" in first.text
    asked = {"kind": "population", "warn_days": "14", "at": "2026-10-01T09:00"}
    later = await post(console, author, f"policies/{number}/foresight", **asked)
    assert later.status_code == 400
    assert "先の日時は指定しないでください" in later.text
    assert console.child.orders == []
