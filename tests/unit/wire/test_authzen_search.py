from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pdp.callers.caller import PERMISSIONS
from pdp.model.decision import EVALUATION_ERROR, denied
from pdp.wire.authzen_search import MAX_CANDIDATES
from pdp.wire.page_token import LIFETIME
from tests.scripted_decider import ScriptedDecider
from tests.unit.wire.authzen_world import SEARCH, World, listed, question

if TYPE_CHECKING:
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest

pytestmark = pytest.mark.anyio

SUBJECTS, RESOURCES, ACTIONS = (SEARCH + kind for kind in ("subject", "resource", "action"))
WHO = question(subject={"type": "user"})
WHAT = question("u-allow", resource={"type": "application"})
HOW = question("u-allow", action=None)


def ids(said: Any) -> list[str]:
    return [result["id"] for result in said["results"]]


async def test_subjects_are_those_who_would_be_permitted() -> None:
    world = World()
    assert await world.ask(WHO, SUBJECTS) == {
        "results": [{"type": "user", "id": "u-allow"}, {"type": "user", "id": "u-limit"}]
    }
    assert [asked.subject_id for asked, _ in world.decider.asked] == ["u-allow", "u-deny", "u-limit", "u-step"]


async def test_resources_and_actions_are_found_too() -> None:
    said = await World().ask(WHAT, RESOURCES)
    assert said == {"results": [{"type": "application", "id": "mail"}, {"type": "application", "id": "chat"}]}
    assert await World().ask(HOW, ACTIONS) == {"results": [{"name": "access"}, {"name": "read"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECTS, question(subject={"type": "user", "id": "u-deny"})),
        (RESOURCES, question("u-allow", resource={"type": "application", "id": "nowhere"})),
        (ACTIONS, question("u-allow", action={"name": 7})),
        (ACTIONS, question("u-allow", action="an unknown member")),
    ],
)
async def test_what_is_searched_for_is_ignored_where_it_is_given(path: str, body: dict[str, Any]) -> None:
    assert len((await World().ask(body, path))["results"]) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECTS, question(subject={"type": "spaceship"})),
        (RESOURCES, question("u-allow", resource={"type": "spaceship"})),
        (ACTIONS, question("u-nobody", action=None)),
    ],
)
async def test_nothing_found_is_an_empty_answer(path: str, body: dict[str, Any]) -> None:
    assert await World().ask(body, path) == {"results": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECTS, question(subject={"type": "user"}, action=None)),
        (SUBJECTS, question(subject={"type": "user"}, resource={"type": "application"})),
        (SUBJECTS, question(subject={})),
        (SUBJECTS, question(subject=None)),
        (SUBJECTS, question(subject={"type": "user", "properties": 1})),
        (RESOURCES, question("u-allow", resource={})),
        (RESOURCES, question(subject={"type": "user"}, resource={"type": "application"})),
        (RESOURCES, question("u-allow", action={}, resource={"type": "application"})),
        (ACTIONS, question(subject={"type": "user"}, action=None)),
        (ACTIONS, question("u-allow", action=None, resource=None)),
        (ACTIONS, question("u-allow", action=None, context=1)),
        (SUBJECTS, {**WHO, "page": []}),
        (SUBJECTS, {**WHO, "page": {"limit": -1}}),
        (SUBJECTS, {**WHO, "page": {"limit": "1"}}),
        (SUBJECTS, {**WHO, "page": {"limit": True}}),
        (SUBJECTS, {**WHO, "page": {"token": 1}}),
        (SUBJECTS, {**WHO, "page": {"token": "x" * 1000}}),
        (SUBJECTS, {**WHO, "page": {"token": "not-ours"}}),
        (SUBJECTS, {**WHO, "page": {"token": "三重"}}),
        (SUBJECTS, {**WHO, "context": {"device": 1}}),
    ],
)
async def test_a_malformed_search_is_400_and_judges_nobody(path: str, body: dict[str, Any]) -> None:
    world = World()
    await world.refused(body, path)
    assert not world.decider.asked


async def test_what_the_caller_may_not_say_is_403_even_where_there_are_no_candidates() -> None:
    world = World(permissions=PERMISSIONS - {"assert_network"}, candidates=listed(()))
    await world.refused({**WHO, "context": {"network": {}}}, SUBJECTS, 403)


async def test_what_the_service_knows_of_a_candidate_goes_before_what_was_sent() -> None:
    world = World(profile="plain")
    wanted = {"type": "application", "properties": {"class": "said", "colour": "red"}}
    await world.ask(question("u-allow", resource=wanted), RESOURCES)
    resources = [asked.document["resource"] for asked, _ in world.decider.asked]
    assert resources == [
        {"type": "application", "id": "mail", "properties": {"class": "said", "colour": "red"}},
        {"type": "application", "id": "chat", "properties": {"class": "known", "colour": "red"}},
    ]


async def test_an_actions_own_properties_go_into_its_question() -> None:
    world = World(profile="plain")
    await world.ask(HOW, ACTIONS)
    assert [asked.document["action"] for asked, _ in world.decider.asked] == [
        {"name": "access"},
        {"name": "read", "properties": {"soft": True}},
    ]


class Everybody(World):
    """Five people, of whom the first three are permitted."""

    def __init__(self) -> None:
        super().__init__(candidates=listed(["u-allow", "u-limit", "u-warn", "u-deny", "u-step"]))


async def test_pages_hold_what_was_asked_for_and_lead_to_the_end() -> None:
    world = Everybody()
    body = {**WHO, "page": {"limit": 2}}
    first = await world.ask(body, SUBJECTS)
    assert list(first) == ["page", "results"]
    assert (ids(first), first["page"]["count"]) == (["u-allow", "u-limit"], 2)
    token = first["page"]["next_token"]
    assert token
    for page in ({"token": token, "limit": 2}, {"token": token}):  # the specification's own example leaves it out
        second = await world.ask({**WHO, "page": page}, SUBJECTS)
        assert second == {"page": {"next_token": "", "count": 1}, "results": [{"type": "user", "id": "u-warn"}]}


async def test_a_page_that_was_asked_for_is_answered_with_a_page() -> None:
    said = await World().ask({**WHO, "page": {"token": "", "customAttr": "ignored", "properties": {}}}, SUBJECTS)
    assert said["page"] == {"next_token": "", "count": 2}


async def test_a_page_of_nothing_is_empty_and_goes_on() -> None:
    world = Everybody()
    said = await world.ask({**WHO, "page": {"limit": 0}}, SUBJECTS)
    assert said["results"] == []
    assert said["page"]["next_token"]
    assert not world.decider.asked


async def test_more_candidates_than_one_call_judges_are_for_the_next_page() -> None:
    names = [f"u-{number}" for number in range(MAX_CANDIDATES + 1)]
    world = World(candidates=listed([*names[:-1], "u-allow"]))
    first = await world.ask(WHO, SUBJECTS)
    assert first["results"] == []
    assert len(world.decider.asked) == MAX_CANDIDATES
    second = await world.ask({**WHO, "page": {"token": first["page"]["next_token"]}}, SUBJECTS)
    assert (ids(second), second["page"]["next_token"]) == (["u-allow"], "")


async def next_token(world: World, body: dict[str, Any] = WHO, path: str = SUBJECTS) -> str:
    said = await world.ask({**body, "page": {"limit": 1}}, path)
    assert said["page"]["next_token"]
    return str(said["page"]["next_token"])


@pytest.mark.parametrize(
    "change",
    [
        {"action": {"name": "read"}},
        {"action": {"name": "access", "properties": {"x": 1}}},
        {"resource": {"type": "application", "id": "chat"}},
        {"subject": {"type": "user", "properties": {"x": 1}}},
        {"context": {"session_id": "s"}},
    ],
)
async def test_a_token_belongs_to_its_query(change: dict[str, Any]) -> None:
    world = Everybody()
    token = await next_token(world)
    assert "`/page/token`" in await world.refused({**WHO, **change, "page": {"token": token}}, SUBJECTS)


async def test_the_order_of_members_and_an_ignored_id_are_the_same_query() -> None:
    world = Everybody()
    token = await next_token(world)
    turned = dict(reversed({**WHO, "subject": {"id": "u-9", "type": "user"}}.items()))
    assert ids(await world.ask({**turned, "page": {"token": token}}, SUBJECTS)) == ["u-limit"]


async def test_a_token_belongs_to_its_endpoint() -> None:
    world = Everybody()
    full = question("u-allow")
    token = await next_token(world, full, SUBJECTS)
    await world.refused({**full, "page": {"token": token}}, RESOURCES)


async def test_a_token_belongs_to_its_limit() -> None:
    world = Everybody()
    token = await next_token(world)
    assert "`/page/limit`" in await world.refused({**WHO, "page": {"token": token, "limit": 2}}, SUBJECTS)


async def test_a_token_ends() -> None:
    world = Everybody()
    token = await next_token(world)
    world.later(LIFETIME - timedelta(seconds=1))
    assert await world.ask({**WHO, "page": {"token": token}}, SUBJECTS)
    world.later(timedelta(seconds=1))
    assert "expired" in await world.refused({**WHO, "page": {"token": token}}, SUBJECTS)


@pytest.mark.parametrize("now_there", [[], ["u-deny", "u-allow", "u-limit"]])
async def test_a_list_that_changed_under_a_search_ends_it(now_there: list[str]) -> None:
    world = Everybody()
    token = await next_token(world)
    world.candidates = listed(now_there)
    assert "start the search again" in await world.refused({**WHO, "page": {"token": token}}, SUBJECTS)


class Failing(ScriptedDecider):
    """The engine gives no verdict on `u-deny`: a deny, as everywhere, but no answer to a search."""

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        decision = await super().decide(request, caller)
        return (
            decision
            if request.subject_id != "u-deny"
            else msgspec.structs.replace(decision, verdict=denied(EVALUATION_ERROR))
        )


async def test_one_who_cannot_be_judged_takes_the_whole_answer_away() -> None:
    """A list with a gap would pass for the whole truth."""
    assert (await World(candidates=listed(["u-allow", "u-not-ready"])).send(SUBJECTS, WHO)).status == 503
    assert (await World(decider=Failing()).send(SUBJECTS, WHO)).status == 503
    assert (await World(decider=Failing(), candidates=listed(["u-allow"])).send(SUBJECTS, WHO)).status == 200
