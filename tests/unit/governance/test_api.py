"""`/admin/v1` over a whole worker: who may do what, what is written down, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from pdp.callers.acting import acting_as
from pdp.callers.caller import Caller
from pdp.callers.keys import add_caller
from pdp.main import Service, compose
from pdp.parts import utc_now
from pdp.settings import Settings, load_settings
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.revision_files import WHY, policy
from tests.unit.gates.small import small_files

pytestmark = pytest.mark.anyio

PEOPLE = {
    "sato": ["policy_author"],
    "suzuki": ["policy_approve"],
    "takahashi": ["policy_approve"],
    "tanaka": ["policy_operate"],
    "kansa": ["policy_read"],
    "kanri": ["policy_admin"],
    "gateway": ["decide"],
}


class Api:
    def __init__(self, service: Service, client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self.service, self.client, self.keys = service, client, keys

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.keys[who]}"} if who else {}
        if body is not None:
            headers["content-type"] = "application/json"
        sent = None if body is None else json.dumps(body)  # ASCII: half a character stays what it is
        answer = await self.client.request(method, f"/admin/v1{path}", content=sent, headers=headers)
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()

    async def good(self, who: str, method: str, path: str, body: Any = None) -> Any:
        status, said = await self.ask(who, method, path, body)
        assert status in (200, 201), said
        return said

    async def approved(self, name: str, **policies: Any) -> int:
        files = policy(name, **policies)
        number: int = (await self.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
        checked = await self.good("sato", "POST", f"/revisions/{number}/check", {})
        assert checked["state"] == "checked", checked["gates"]
        await self.good("sato", "POST", f"/revisions/{number}/submit", {"reason": WHY})
        await self.good("suzuki", "POST", f"/revisions/{number}/approve", {"reason": WHY})
        return number

    async def decided(self) -> tuple[str, bool]:
        """(the policy that answered, what it said)."""
        question = {
            "subject": {"type": "user", "id": "u"},
            "action": {"name": "read"},
            "resource": {"type": "application", "id": "x"},
        }
        headers = {"authorization": f"Bearer {self.keys['gateway']}"}
        answer = (await self.client.post("/access/v1/evaluation", json=question, headers=headers)).json()
        return answer["context"]["from"], answer["decision"]

    async def until(self, name: str) -> None:
        async with asyncio.timeout(30):
            while (await self.decided())[0] != name:  # noqa: ASYNC110  # the worker looks by itself
                await asyncio.sleep(0.02)


@asynccontextmanager
async def api(place: Path, **changes: Any) -> AsyncIterator[Api]:
    bundle = place / "bundle"
    for name, text in policy("configured", allow=False).items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text)
    changes |= {"state_dir": str(place / "state"), "bundle": str(bundle), "decision_table": "off"}
    chosen: Settings = load_settings(environ={}, **changes)
    async with compose(chosen) as service:
        keys = {
            name: add_caller(service.store, name, permissions, now=utc_now())  # type: ignore[arg-type]
            for name, permissions in PEOPLE.items()
        }
        await service.callers.refresh()  # type: ignore[attr-defined]
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp", timeout=60) as client:
            yield Api(service, client, keys)


SAME: Any = {"sato": ["caller:sato", "user:u-sato"]}


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One worker for every test that does not mind what others did; nothing is ever of record in it."""
    async with api(tmp_path_factory.mktemp("house"), policy_people=SAME) as found:
        yield found


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path, policy_people=SAME) as found:
        yield found


async def test_a_policy_goes_from_draft_to_decisions_and_back_by_different_people(fresh: Api) -> None:
    assert await fresh.decided() == ("configured", False)
    standing = await fresh.good("kansa", "GET", "/policy")
    assert standing == {"active": None, "scheduled": [], "instances": []}
    first = await fresh.approved("2026.4")
    active = await fresh.good("tanaka", "POST", f"/revisions/{first}/activate", {"reason": WHY})
    assert (active["epoch"], active["kind"], active["signatures"]) == (1, "activate", [])
    await fresh.until("2026.4")
    second = await fresh.approved("2026.5", allow=False)
    await fresh.good("tanaka", "POST", f"/revisions/{second}/activate", {"reason": WHY})
    await fresh.until("2026.5")
    back = await fresh.good("suzuki", "POST", f"/revisions/{first}/rollback", {"reason": "it refuses everybody"})
    assert back["epoch"] == 3
    await fresh.until("2026.4")
    assert await fresh.decided() == ("2026.4", True)
    async with asyncio.timeout(30):
        while (await fresh.good("kansa", "GET", "/policy"))["instances"][0]["epoch"] != 3:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    ready = (await fresh.client.get("/readyz")).json()
    (told,) = [check["detail"] for check in ready["checks"] if check["name"] == "policy"]
    assert told == f"2026.4 (revision {first}, epoch 3)"
    metrics = (await fresh.client.get("/metrics")).text
    assert "sekisho_policy_follow_faults_total" in metrics
    line = await fresh.good("kansa", "GET", "/policy/activations?size=2")
    assert [one["epoch"] for one in line["activations"]] == [3, 2]
    assert (await fresh.good("kansa", "GET", f"/policy/activations?before={line['next']}"))["next"] is None


async def test_what_fails_its_own_tests_is_not_submitted(house: Api) -> None:
    files = policy("broken")
    files["house/house_test.rego"] = "package house_test\n\ntest_it if data.house.decision.decision == false\n"
    number = (await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
    checked = await house.good("sato", "POST", f"/revisions/{number}/check", {})
    gates = {gate["name"]: gate for gate in checked["gates"]}
    assert {name: gate["result"] for name, gate in gates.items()} == {
        "bundle": "passed",
        "tests": "failed",
        "scenarios": "not_run",
        "invariants": "not_run",
        "foresight": "not_run",
    }
    assert gates["tests"]["details"]["failed"][0]["test"] == "data.house_test.test_it"
    status, refused = await house.ask("sato", "POST", f"/revisions/{number}/submit", {"reason": WHY})
    assert (status, refused["error"]["code"]) == (409, "conflict")
    assert "check" in refused["error"]["next_step"]


async def test_a_counterexample_and_a_directory_that_shows_nothing_stand_beside_the_revision(house: Api) -> None:
    files = small_files("hole", 'input.resource.group == "business"')
    number = (await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
    await house.good("sato", "POST", f"/revisions/{number}/check", {})
    found = await house.good("kansa", "GET", f"/revisions/{number}")
    gates = {gate["name"]: gate for gate in found["gates"]}
    results = {name: gate["result"] for name, gate in gates.items()}
    assert (results["bundle"], results["tests"]) == ("passed", "passed"), gates["bundle"]
    assert (results["invariants"], results["foresight"]) == ("failed", "failed")
    (hole,) = [one for one in gates["invariants"]["details"]["invariants"] if one["id"] == "no_shared_account"]
    assert hole["confirmed"]
    assert hole["counterexample"]["resource.group"] == "business"
    assert [one["code"] for one in gates["foresight"]["details"]["faults"]] == ["directory_empty"]
    status, refused = await house.ask("sato", "POST", f"/revisions/{number}/submit", {"reason": WHY})
    assert (status, refused["error"]["code"]) == (409, "conflict")


async def test_what_does_not_load_is_told_with_its_place_and_nothing_else_is_run(house: Api) -> None:
    for more, told in (("x := http.send({})", "http.send"), ("x := nobody.knows(1)", "nobody"), ("x := {", "")):
        files = policy("x", more=more)
        number = (await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
        checked = await house.good("sato", "POST", f"/revisions/{number}/check", {})
        gates = {gate["name"]: gate for gate in checked["gates"]}
        assert [gates[name]["result"] for name in ("bundle", "tests", "scenarios")] == ["failed", "not_run", "not_run"]
        fault = gates["bundle"]["details"]["faults"][0]
        assert fault["where"].startswith("house/house.rego")
        assert told in fault["en"]


async def test_each_role_may_do_its_own_and_no_more(house: Api) -> None:
    number = await house.approved("2026.4")
    steps = {
        "sato": {"withdraw", "discard", "check"},
        "suzuki": {"reject", "check"},
        "tanaka": {"activate", "schedule"},
        "kansa": set(),
        "kanri": {"discard"},
    }
    for who, may in steps.items():
        for step in ("activate", "schedule", "approve", "reject", "withdraw", "discard", "endorse"):
            if step in may:
                continue
            body = {"reason": WHY} | ({"at": "2099-04-01T00:00:00+09:00"} if step == "schedule" else {})
            status, said = await house.ask(who, "POST", f"/revisions/{number}/{step}", body)
            assert status in (403, 409), (who, step, said)
        status, _ = await house.ask(who, "GET", f"/revisions/{number}")
        assert status == 200
    for who, expected in (("gateway", 403), ("", 401)):
        for method, path in (("GET", "/revisions"), ("POST", f"/revisions/{number}/activate")):
            status, said = await house.ask(who, method, path, {"reason": WHY} if method == "POST" else None)
            assert status == expected, said
    assert (await house.good("kansa", "GET", f"/revisions/{number}"))["state"] == "approved"


async def test_an_author_at_the_console_does_not_approve_their_own_work_under_their_other_name(house: Api) -> None:
    files = policy("2026.4")
    number = (await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
    await house.good("sato", "POST", f"/revisions/{number}/check", {})
    await house.good("sato", "POST", f"/revisions/{number}/submit", {"reason": WHY})

    async def approving(who: Caller) -> int:
        with acting_as(who):
            answer = await house.client.post(f"/admin/v1/revisions/{number}/approve", json={"reason": WHY})
        return answer.status_code

    assert await approving(Caller("user:u-sato", frozenset({"policy_approve"}), person=True)) == 403
    assert await approving(Caller("user:u-mori", frozenset({"policy_approve"}), person=True)) == 200
    assert (await house.good("kansa", "GET", f"/revisions/{number}"))["approvals"][0]["by"] == "user:u-mori"


async def test_every_change_is_written_down_before_and_after_it_is_made(house: Api) -> None:
    number = await house.approved("2026.4")
    await house.ask("sato", "POST", f"/revisions/{number}/approve", {"reason": "let me do it"})
    await house.ask("tanaka", "POST", f"/revisions/{number}/rollback", {"reason": "there is nothing to roll back"})
    events = sorted(events_of(trail_path(house.service.settings.state_path)), key=lambda event: event.id)
    told = [(event.actor.id, event.action, event.outcome) for event in events]
    for action in ("policy.draft", "policy.check", "policy.submit"):
        assert ("sato", action, "begun") in told
        assert ("sato", action, "done") in told
    assert ("suzuki", "policy.approve", "done") in told
    assert told[-4:] == [
        ("sato", "policy.approve", "begun"),
        ("sato", "policy.approve", "refused"),
        ("tanaka", "policy.rollback", "begun"),
        ("tanaka", "policy.rollback", "failed"),
    ]
    begun = {event.id for event in events if event.outcome == "begun"}
    assert {event.of for event in events if event.outcome != "begun"} == begun
    assert events[-2].reason == "there is nothing to roll back"
    assert not any("decision :=" in json.dumps(event.parameters) for event in events)


async def test_contents_are_shown_edited_and_compared(house: Api) -> None:
    files = policy("2026.4")
    made = await house.good("sato", "POST", "/revisions", {"files": files, "reason": WHY})
    number = made["number"]
    held = await house.good("kansa", "GET", f"/revisions/{number}/files")
    assert held == {"number": number, "source_digest": made["source_digest"], "files": files}
    changed = policy("2026.4", allow=False)
    body = {"files": changed, "reason": WHY, "source_digest": made["source_digest"]}
    edited = await house.good("sato", "PUT", f"/revisions/{number}/files", body)
    assert edited["round"] == 2
    assert (await house.ask("sato", "PUT", f"/revisions/{number}/files", body))[0] == 409
    copied = await house.good("sato", "POST", "/revisions", {"parent": number, "reason": WHY})
    assert (copied["parent"], copied["digest"]) == (number, edited["digest"])
    difference = await house.good("kansa", "GET", f"/revisions/{number}/diff")
    assert difference["against"] is None
    # Nothing is of record: from the configured bundle.
    assert {one["change"] for one in difference["files"]} == {"changed"}
    same = await house.good("kansa", "GET", f"/revisions/{copied['number']}/diff?against={number}")
    assert same["files"] == []
    page = await house.good("kansa", "GET", "/revisions?size=1&state=draft,checked")
    assert ([one["number"] for one in page["revisions"]], page["next"]) == ([copied["number"]], copied["number"])


REFUSED: list[tuple[str, str, Any, int]] = [
    ("POST", "/revisions", {"reason": WHY}, 400),
    ("POST", "/revisions", {"reason": WHY, "files": []}, 400),
    ("POST", "/revisions", {"reason": WHY, "files": {"../x.rego": "package x"}}, 400),
    ("POST", "/revisions", {"reason": "x", "files": policy("x")}, 400),
    ("POST", "/revisions", {"reason": WHY, "files": policy("x"), "state": "approved"}, 400),
    ("POST", "/revisions", {"reason": WHY, "files": policy("x"), "parent": 77}, 404),
    ("POST", "/revisions", {"reason": WHY, "files": policy("x"), "parent": "one"}, 400),
    ("POST", "/revisions", [], 400),
    ("GET", "/revisions/1x", None, 400),
    ("GET", "/revisions/99999999999999999999", None, 400),
    ("GET", "/revisions/77", None, 404),
    ("GET", "/revisions?state=nonsense", None, 400),
    ("GET", "/revisions?size=0", None, 400),
    ("GET", "/revisions?size=1&size=2", None, 400),
    ("GET", "/revisions?other=1", None, 400),
    ("POST", "/revisions/77/check", {}, 404),
    ("POST", "/revisions/77/submit", {"reason": WHY}, 404),
]


async def test_what_cannot_be_asked_is_refused_with_a_reason(house: Api) -> None:
    for method, path, body, expected in REFUSED:
        status, said = await house.ask("sato", method, path, body)
        assert status == expected, (method, path, said)
        assert said["error"]["message"]
        assert said["error"]["next_step"]


async def test_a_check_that_is_under_way_is_not_begun_twice(house: Api) -> None:
    made = await house.good("sato", "POST", "/revisions", {"files": policy("x"), "reason": WHY})
    ask = house.ask("sato", "POST", f"/revisions/{made['number']}/check", {})
    again = house.ask("sato", "POST", f"/revisions/{made['number']}/check", {})
    assert sorted(status for status, _ in await asyncio.gather(ask, again)) == [200, 409]


async def test_an_emergency_is_endorsed_by_two_and_reviewed_by_a_third(fresh: Api) -> None:
    files = policy("urgent")
    files["house/house_test.rego"] = "package house_test\n\ntest_it if false\n"
    number = (await fresh.good("sato", "POST", "/revisions", {"files": files, "reason": WHY}))["number"]
    await fresh.good("sato", "POST", f"/revisions/{number}/check", {})
    await fresh.good("suzuki", "POST", f"/revisions/{number}/endorse", {"reason": "an attack is going on"})
    assert (await fresh.ask("suzuki", "POST", f"/revisions/{number}/activate", {"reason": WHY}))[0] == 409
    done = await fresh.good("takahashi", "POST", f"/revisions/{number}/endorse", {"reason": "an attack is going on"})
    assert (done["state"], done["emergency"]) == ("approved", True)
    active = await fresh.good("suzuki", "POST", f"/revisions/{number}/activate", {"reason": "an attack is going on"})
    assert active["kind"] == "emergency"
    (review,) = (await fresh.good("kansa", "GET", "/reviews"))["reviews"]
    close = f"/reviews/{review['id']}/close"
    assert (await fresh.ask("takahashi", "POST", close, {"note": "all was well"}))[0] == 403
    await fresh.good("kansa", "POST", close, {"note": "all was well"})
    assert (await fresh.good("kansa", "GET", "/reviews"))["reviews"] == []
    assert len((await fresh.good("kansa", "GET", "/reviews?closed=true"))["reviews"]) == 1


async def test_a_plan_is_made_shown_and_taken_back(house: Api) -> None:
    number = await house.approved("2099.4")
    plan = {"reason": WHY, "at": "2026-01-01T00:00:00+09:00"}
    for at in ("2026-01-01T00:00:00+09:00", "2026-12-01T00:00:00", "tomorrow", "2199-01-01T00:00:00Z"):
        assert (await house.ask("tanaka", "POST", f"/revisions/{number}/schedule", {**plan, "at": at}))[0] == 400
    at = (utc_now() + timedelta(days=30)).isoformat()
    planned = await house.good("tanaka", "POST", f"/revisions/{number}/schedule", {**plan, "at": at})
    assert planned["state"] == "scheduled"
    (told,) = (await house.good("kansa", "GET", "/policy"))["scheduled"]
    assert told["number"] == number
    await house.good("tanaka", "POST", f"/revisions/{number}/unschedule", {"reason": WHY})
    assert (await house.good("kansa", "GET", "/policy"))["scheduled"] == []


async def test_the_answers_are_those_that_the_document_describes(house: Api) -> None:
    document = (await house.client.get("/openapi.json")).json()
    paths = {path: set(one) for path, one in document["paths"].items() if path.startswith("/admin/v1/re")}
    assert "/admin/v1/revisions/{number}/activate" in paths
    number = await house.approved("2026.4")
    for path, of in (
        ("/revisions", "/revisions"),
        (f"/revisions/{number}", "/revisions/{number}"),
        (f"/revisions/{number}/files", "/revisions/{number}/files"),
        (f"/revisions/{number}/diff", "/revisions/{number}/diff"),
        ("/policy", "/policy"),
        ("/policy/activations", "/policy/activations"),
        ("/reviews", "/reviews"),
        ("/exceptions", "/exceptions"),
    ):
        said = await house.good("kansa", "GET", path)
        answers = document["paths"][f"/admin/v1{of}"]["get"]["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(said, {**schema, "components": document["components"]})


async def test_a_disaster_is_declared_by_two_persons_and_counts_at_once(house: Api) -> None:
    now = utc_now()
    asked = {
        "kind": "disaster",
        "reason": "an earthquake",
        "starts": now.isoformat(),
        "ends": (now + timedelta(hours=72)).isoformat(),
    }
    assert (await house.ask("kansa", "POST", "/exceptions", asked))[0] == 403
    made = await house.good("tanaka", "POST", "/exceptions", asked)
    assert (await house.ask("tanaka", "POST", f"/exceptions/{made['id']}/grant", {"note": WHY}))[0] == 403
    granted = await house.good("suzuki", "POST", f"/exceptions/{made['id']}/grant", {"note": "declared at the council"})
    assert granted["state"] == "granted"
    (listed,) = (await house.good("kansa", "GET", "/exceptions?state=granted"))["exceptions"]
    assert listed["in_force"]
    async with asyncio.timeout(30):
        while not house.service.directory.current().emergencies:  # noqa: ASYNC110  # the worker looks by itself
            await asyncio.sleep(0.02)
    assert (await house.good("tanaka", "POST", f"/exceptions/{made['id']}/end", {"note": "it is over"}))[
        "state"
    ] == "ended"
    for body, expected in (
        ({**asked, "ends": asked["starts"]}, 400),
        ({**asked, "kind": "party"}, 400),
        ({**asked, "users": ["u-1"]}, 400),
        ({**asked, "kind": "device", "users": ["u-1"], "devices": ["d-1"]}, 404),
        ({**asked, "starts": "today"}, 400),
        ({**asked, "reason": "half \ud800 a character"}, 400),
        ({**asked, "kind": "device", "users": ["a\x00b"], "devices": ["d-1"]}, 400),
        ({**asked, "kind": "device", "users": ["\ud800"], "devices": ["d-1"]}, 400),
    ):
        assert (await house.ask("tanaka", "POST", "/exceptions", body))[0] == expected, body
    assert (await house.ask("kansa", "GET", "/exceptions?state=x"))[0] == 400
