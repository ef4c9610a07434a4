"""`/admin/v1` for whoever writes: faults of what is not kept yet, tests, words; large contents, and who may send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from pdp.callers.caller import Caller
from pdp.governance.asking import MAX_CONTENTS
from pdp.governance.drafts_desk import DraftsDesk
from pdp.governance.reception import Reception
from pdp.jobs.turns import Turns
from pdp.parts import utc_now
from pdp.wire.exchange import HttpRequest
from tests.revision_files import WHY, policy
from tests.unit.governance.test_api import Api, api

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with api(tmp_path_factory.mktemp("drafts")) as found:
        yield found


async def test_a_draft_that_is_not_kept_is_checked_over_a_revision_and_nothing_of_it_stays(house: Api) -> None:
    made = await house.good("sato", "POST", "/revisions", {"files": policy("2026.4"), "reason": WHY})
    broken = {"house/house.rego": "package house\n\ndecision := {\n"}
    told = await house.good("sato", "POST", "/policy/check", {"base": made["number"], "files": broken})
    (fault,) = told["faults"]
    assert (told["ok"], fault["file"], fault["line"], fault["code"]) == (False, "house/house.rego", 4, "syntax_error")
    gone = {"house/house_test.rego": None}
    fine = await house.good("suzuki", "POST", "/policy/check", {"base": made["number"], "files": gone})
    assert fine == {"ok": True, "count": 0, "faults": []}
    kept = await house.good("kansa", "GET", f"/revisions/{made['number']}/files")
    assert kept["files"] == policy("2026.4")
    schema = (await house.client.get("/openapi.json")).json()
    for name, answer in (("DraftFaults", told), ("DraftFaults", fine)):
        jsonschema.validate(answer, {"$ref": f"#/components/schemas/{name}", "components": schema["components"]})


async def test_who_may_not_write_may_not_try_either_and_what_cannot_be_asked_says_why(house: Api) -> None:
    body = {"files": policy("2026.4")}
    for path in ("/policy/check", "/policy/tests"):
        for who, status in (("tanaka", 403), ("kansa", 403), ("kanri", 403), ("gateway", 403), ("", 401)):
            assert (await house.ask(who, "POST", path, body))[0] == status
        bad: tuple[dict[str, Any], ...] = (
            {},
            {"files": {"a.md": None}},
            {"files": {"../x.rego": "package x"}},
            {"files": {"a.rego": 7}},
            {"files": []},
            {"base": 0},
            {"base": "x", "files": {}},
            {**body, "more": 1},
        )
        for wrong in bad:
            status, told = await house.ask("sato", "POST", path, wrong)
            assert (status, told["error"]["code"]) == (400, "bad_request"), wrong
        assert (await house.ask("sato", "POST", path, {"base": 999_999}))[0] == 404
    status, told = await house.ask("sato", "POST", "/policy/tests", {"files": {**policy("x"), "house/a.rego": "x"}})
    assert status == 400 and told["detail"].startswith("house/a.rego:1:")


async def test_tests_of_a_revision_are_kept_with_it_and_decide_nothing(house: Api) -> None:
    files = policy("2026.5", more="\nother if {\n\tinput.a == 1\n}\n")
    made = await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY})
    number = made["number"]
    ran = await house.good("sato", "POST", f"/revisions/{number}/tests", {})
    assert (ran["passed"], ran["failed"], ran["coverage"]["files"][0]["missing"]) == (1, 0, [6])
    (kept,) = (await house.good("kansa", "GET", f"/revisions/{number}/results?kind=tests"))["results"]
    assert (kept["id"], kept["source_digest"], kept["by"]) == (ran["result"], made["source_digest"], "caller:sato")
    assert kept["summary"]["passed"] == 1
    body = (await house.good("kansa", "GET", f"/results/{kept['id']}"))["body"]
    assert body == {name: value for name, value in ran.items() if name != "result"}
    assert (await house.good("kansa", "GET", f"/revisions/{number}"))["state"] == "draft"
    assert (await house.ask("tanaka", "POST", f"/revisions/{number}/tests", {}))[0] == 403


async def test_mutants_are_tried_as_a_job_and_their_score_is_kept(house: Api) -> None:
    made = await house.good("sato", "POST", "/revisions", {"files": policy("2026.6"), "reason": WHY})
    path = f"/revisions/{made['number']}"
    assert (await house.ask("tanaka", "POST", f"{path}/jobs", {"kind": "mutation"}))[0] == 403
    assert (await house.ask("sato", "POST", f"{path}/jobs", {"kind": "mutation", "days": 3}))[0] == 400
    job = await house.good("sato", "POST", f"{path}/jobs", {"kind": "mutation"})
    async with asyncio.timeout(60):
        while job["state"] == "running":
            await asyncio.sleep(0.05)
            job = await house.good("kansa", "GET", f"/jobs/{job['id']}")
    assert (job["state"], job["fault"]) == ("done", None)
    report = (await house.good("kansa", "GET", f"/results/{job['result']}"))["body"]
    assert report["mutants"] == report["killed"] + report["survived"] + report["equivalent"] + report["stillborn"]


async def test_the_words_of_an_editor_have_both_languages_and_only_builtins_that_may_be_called(house: Api) -> None:
    words = await house.good("kansa", "GET", "/policy/vocabulary")
    by_path = {fact["path"]: fact for fact in words["facts"]}
    assert by_path["input.device.class"]["ja"] == "端末の種類"
    assert {"value": "managed_pc", "ja": "業務端末（一人一台パソコン）", "en": "managed PC"} in by_path[
        "input.device.class"
    ]["values"]
    assert by_path["input.device.shared"]["type"] == "boolean" and by_path["input.context.pep"]["type"] == "list"
    names = {one["name"] for one in words["builtins"]}
    assert "startswith" in names and names.isdisjoint({"http.send", "time.now_ns", "plus", "internal.member_2"})
    files = {**policy("2026.7"), "capabilities.json": '{"builtins": ["count", "http.send"]}'}
    made = await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY})
    own = await house.good("sato", "GET", f"/policy/vocabulary?revision={made['number']}")
    assert [one["name"] for one in own["builtins"]] == ["count"]


async def test_a_draft_begins_with_a_revision_or_with_the_configured_policy(house: Api) -> None:
    found = await house.good("sato", "GET", "/policy/files")
    assert found == {"number": None, "files": policy("configured", allow=False)}
    made = await house.good("sato", "POST", "/revisions", {"files": policy("2026.8"), "reason": WHY})
    of = await house.good("sato", "GET", f"/policy/files?revision={made['number']}")
    assert of == {"number": made["number"], "files": policy("2026.8")}


async def test_contents_of_megabytes_are_taken_and_what_is_too_large_says_which_file(house: Api) -> None:
    large = {**policy("2026.9"), "data/large.yaml": "large:\n" + "".join(f"  k{n}: v\n" for n in range(60_000))}
    assert len(large["data/large.yaml"]) > 512 * 1024
    made = await house.good("sato", "POST", "/revisions", {"files": large, "reason": WHY})
    edit = {"files": policy("2026.9"), "reason": WHY, "source_digest": made["source_digest"]}
    await house.good("sato", "PUT", f"/revisions/{made['number']}/files", edit)
    status, told = await house.ask("sato", "POST", "/revisions", {"files": {"a.md": "x" * MAX_CONTENTS}, "reason": WHY})
    assert status == 413 and str(MAX_CONTENTS) in told["detail"]


async def test_who_comes_while_others_are_being_tried_is_told_so_and_waits_for_nothing() -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    class Slow:
        async def faults(self, _: Any) -> Any:
            begun.set()
            await over.wait()
            return {"ok": True, "count": 0, "faults": []}

    async def introduce(_: Any) -> Caller:
        return Caller("sato", frozenset({"policy_author"}))

    nobody: Any = SimpleNamespace()  # neither the trail nor the registers are asked
    desk = DraftsDesk(Reception(introduce, nobody, utc_now, str), nobody, Slow(), Turns(1, wait_s=0.01, most=2), dict)  # type: ignore[arg-type]
    body = json.dumps({"files": policy("2026.4")}).encode()
    request = HttpRequest("POST", "/", "", (("content-type", "application/json"),), body)
    first = asyncio.create_task(desk.check(request))
    await begun.wait()
    assert (await desk.check(request)).status == 409
    over.set()
    assert (await first).status == 200
    assert (await desk.check(request)).status == 200


@pytest.mark.parametrize(("who", "status"), [("", 401), ("gateway", 403)])
async def test_nobody_without_a_part_in_policies_has_their_body_read(house: Api, who: str, status: int) -> None:
    key = [(b"authorization", f"Bearer {house.keys[who]}".encode())] if who else []
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
        "path": "/admin/v1/revisions/1/files", "raw_path": b"/admin/v1/revisions/1/files", "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("pdp", 80), "state": {},
        "headers": [(b"host", b"pdp"), (b"content-type", b"application/json"), (b"content-length", b"999999"), *key],
    }  # fmt: skip
    await house.service.app(scope, receive, send)
    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]
