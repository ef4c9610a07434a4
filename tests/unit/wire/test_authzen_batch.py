from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from pdp.callers.caller import PERMISSIONS
from pdp.errors import NotReadyError
from pdp.wire.authzen_batch import AT_ONCE, CALLS_AT_ONCE, MAX_ITEMS, MAX_LISTED_IDS, Evaluations, in_order
from pdp.wire.authzen_call import Reception
from pdp.wire.authzen_readings import Readings
from tests.scripted_decider import OneKey, ScriptedDecider
from tests.unit.wire.authzen_world import EVALUATIONS, KEY, KNOWN, World, header, question

if TYPE_CHECKING:
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest

pytestmark = pytest.mark.anyio


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "user", "id": name, **more}


def batch(*subjects: str, semantic: str | None = None, **more: Any) -> dict[str, Any]:
    body = {**question(subject=None), "evaluations": [{"subject": user(name)} for name in subjects], **more}
    return body if semantic is None else {**body, "options": {"evaluations_semantic": semantic}}


async def decisions(body: dict[str, Any], world: World | None = None) -> list[bool]:
    said = await (world or World()).ask(body, EVALUATIONS)
    assert list(said) == ["evaluations"]
    return [item["decision"] for item in said["evaluations"]]


@pytest.mark.parametrize("body", [question(), {**question(), "evaluations": []}])
async def test_without_items_it_is_a_single_evaluation(body: dict[str, Any]) -> None:
    world = World(profile="plain", permissions=["decide"])
    assert await world.ask(body, EVALUATIONS) == {"decision": True}


async def test_every_item_is_decided_in_the_order_of_the_request() -> None:
    names = ["u-deny", "u-allow", "u-step", "u-limit"]
    world = World()
    assert await decisions(batch(*names), world) == [False, True, False, True]
    assert [asked.subject_id for asked, _ in world.decider.asked] == names


@pytest.mark.parametrize(
    ("semantic", "subjects", "expected"),
    [
        ("execute_all", ["u-allow", "u-deny", "u-allow"], [True, False, True]),
        ("deny_on_first_deny", ["u-allow", "u-deny", "u-allow"], [True, False]),
        ("deny_on_first_deny", ["u-step", "u-allow"], [False]),
        ("deny_on_first_deny", ["u-allow", "u-limit"], [True, True]),
        ("permit_on_first_permit", ["u-deny", "u-limit", "u-deny"], [False, True]),
        ("permit_on_first_permit", ["u-deny", "u-deny"], [False, False]),
    ],
)
async def test_a_semantic_ends_the_answer_with_the_item_that_ended_it(semantic, subjects, expected) -> None:
    world = World()
    assert await decisions(batch(*subjects, semantic=semantic), world) == expected
    assert len(world.decider.asked) == len(expected)


async def test_a_fault_of_one_item_is_a_deny_of_that_item_and_recorded() -> None:
    world = World()
    body = batch("u-allow", "u-allow")
    body["evaluations"][1] = {"subject": {"type": "user"}}
    said = await world.ask(body, EVALUATIONS)
    assert said["evaluations"][0]["decision"] is True
    assert said["evaluations"][1] == {
        "decision": False,
        "context": {"error": {"status": 400, "message": "the member `id` is missing, at `/evaluations/1/subject`"}},
    }
    assert len(world.decider.refused) == 1


@pytest.mark.parametrize("item", [1, None, "x", [], {"subject": 1}, {"context": 1}, {"resource": {"id": 5}}])
async def test_an_item_of_a_wrong_type_is_that_items_fault(item: object) -> None:
    body = {**question("u-allow"), "evaluations": [item, {}]}
    assert await decisions(body) == [False, True]


async def test_an_item_without_any_subject_is_a_deny_and_not_a_400() -> None:
    body = {"action": {"name": "access"}, "evaluations": [{"resource": {"type": "application", "id": "mail"}}]}
    assert await decisions(body) == [False]


async def test_a_fault_counts_as_a_deny_where_the_first_deny_ends() -> None:
    body = {**question("u-allow"), "evaluations": [{}, {"action": {"name": 1}}, {}]}
    assert await decisions({**body, "options": {"evaluations_semantic": "deny_on_first_deny"}}) == [True, False]
    assert await decisions({**body, "options": {"evaluations_semantic": "permit_on_first_permit"}}) == [True]


async def test_what_a_caller_may_not_say_is_that_items_403() -> None:
    world = World(permissions=PERMISSIONS - {"assert_network"})
    body = {**question("u-allow"), "evaluations": [{}, {"context": {"network": {}}}]}
    said = await world.ask(body, EVALUATIONS)
    assert said["evaluations"][0]["decision"] is True
    assert said["evaluations"][1]["context"]["error"]["status"] == 403


@pytest.mark.parametrize(
    ("item", "asked"),
    [
        ({}, ("u-allow", "access", "mail")),
        ({"resource": {"type": "application", "id": "chat"}}, ("u-allow", "access", "chat")),
        ({"action": {"name": "read"}}, ("u-allow", "read", "mail")),
        ({"resource": {"id": "chat"}}, ("u-allow", "access", "chat")),  # the type is filled in
        ({"resource": {"type": "todo"}}, ("u-allow", "access", "todo:mail")),
        ({"subject": {}}, ("u-allow", "access", "mail")),
    ],
)
async def test_an_item_overrides_a_default_whole_but_for_what_is_required(item, asked) -> None:
    world = World()
    await decisions({**question("u-allow"), "evaluations": [item]}, world)
    request = world.decider.asked[0][0]
    assert (request.subject_id, request.action, request.resource_id) == asked


async def test_properties_of_a_default_do_not_leak_into_an_entity_that_overrides_it() -> None:
    world = World(profile="plain")
    body = question(subject=user("u-deny", properties={"role": "admin"}), context={"a": 1})
    await decisions({**body, "evaluations": [{"subject": {"id": "u-allow"}, "context": {"b": 2}}]}, world)
    document = world.decider.asked[0][0].document
    assert document["subject"] == user("u-allow")
    assert document["context"] == {"b": 2}


async def test_an_empty_default_is_tolerated() -> None:
    """The todo harness sends it."""
    item = {"resource": {"type": "application", "id": "mail"}}
    assert await decisions({**question("u-allow"), "resource": {}, "evaluations": [item, {}]}) == [True, False]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"evaluations": {}}, "`/evaluations`"),
        ({"evaluations": None}, "`/evaluations`"),
        ({"evaluations": "x"}, "`/evaluations`"),
        ({"subject": "u-1"}, "`/subject`"),
        ({"resource": None}, "`/resource`"),
        ({"context": []}, "`/context`"),
        ({"options": []}, "`/options`"),
        ({"options": {"evaluations_semantic": "bogus"}}, "`/options/evaluations_semantic`"),
        ({"options": {"evaluations_semantic": None}}, "`/options/evaluations_semantic`"),
        ({"options": {"evaluations_semantic": ["execute_all"]}}, "`/options/evaluations_semantic`"),
    ],
)
async def test_a_fault_of_the_whole_body_is_400(change: dict[str, Any], place: str) -> None:
    world = World()
    assert place in await world.refused({**batch("u-allow"), **change}, EVALUATIONS)
    assert not world.decider.asked


async def test_other_options_are_ignored() -> None:
    assert await decisions({**batch("u-allow"), "options": {"another": 1}}) == [True]


async def test_the_number_of_items_is_bounded() -> None:
    assert len(await decisions(batch(*["u-allow"] * MAX_ITEMS))) == MAX_ITEMS
    world = World()
    assert "100" in await world.refused(batch(*["u-allow"] * (MAX_ITEMS + 1)), EVALUATIONS, 413)
    assert not world.decider.asked


async def test_items_need_the_permission_for_several() -> None:
    world = World(permissions=PERMISSIONS - {"batch"})
    assert "`batch`" in await world.refused(batch("u-allow"), EVALUATIONS, 403)


async def test_an_item_that_cannot_be_recorded_takes_the_whole_answer_away() -> None:
    answer = await World().send(EVALUATIONS, batch("u-allow", "u-not-ready", "u-allow"))
    assert answer.status == 503


async def test_the_ids_of_the_first_items_stand_in_the_header() -> None:
    answer = await World().send(EVALUATIONS, batch("u-allow", "u-deny"), KNOWN)
    assert header(answer, "x-decision-id") == "decision-1,decision-2"
    answer = await World().send(EVALUATIONS, batch(*["u-allow"] * MAX_ITEMS), KNOWN)
    assert len((header(answer, "x-decision-id") or "").split(",")) == MAX_LISTED_IDS


async def test_profile_plain_answers_items_that_compare_as_text() -> None:
    answer = await World(profile="plain").send(EVALUATIONS, batch("u-allow", "u-deny"))
    assert (
        answer.body
        == json.dumps({"evaluations": [{"decision": True}, {"decision": False}]}, separators=(",", ":")).encode()
    )


class Patient(ScriptedDecider):
    """Answers nobody before so many have asked."""

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        if len(self.asked) + 1 == AT_ONCE:
            self.release.set()
        decision = await super().decide(request, caller)
        await self.release.wait()
        return decision


async def test_items_are_with_the_engine_together() -> None:
    """The first item waits for the last: one by one, nobody would ever be answered."""
    world = World(decider=Patient())
    with anyio.fail_after(10):
        assert await decisions(batch(*["u-allow"] * AT_ONCE), world) == [True] * AT_ONCE


async def test_calls_wait_for_their_turn_and_are_told_where_it_does_not_come() -> None:
    world = World()
    world.routes[EVALUATIONS] = Evaluations(
        Reception(world.decider, OneKey(KEY)), lambda: "zta", Readings(), turn_s=0.05
    )
    statuses: list[int] = []
    two = anyio.Event()

    async def call() -> None:
        statuses.append((await world.send(EVALUATIONS, batch("u-late"))).status)
        if len(statuses) == 2:
            two.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as calls:
            for _ in range(CALLS_AT_ONCE + 2):
                calls.start_soon(call)
            await two.wait()
            assert (statuses, len(world.decider.asked)) == ([503, 503], CALLS_AT_ONCE)
            world.decider.release.set()
    assert statuses == [503, 503] + [200] * CALLS_AT_ONCE
    assert await decisions(batch("u-allow"), world) == [True]


async def test_no_more_than_so_many_are_under_way_and_all_end_before_an_error_is_raised() -> None:
    under_way, most, ended = 0, 0, 0

    async def ask(number: int) -> int:
        nonlocal under_way, most, ended
        under_way += 1
        most = max(most, under_way)
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        ended += 1
        if number == 1:
            raise NotReadyError("no")
        return number

    with pytest.raises(NotReadyError):
        await in_order(ask, range(10), at_once=3)
    assert (most, ended) == (3, 10)
