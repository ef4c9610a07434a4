"""What a caller's own bounds do at the endpoints: 429, 413, and the profile; and what stands in the log of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from pdp.callers.budget import Budget, CallerLimits
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.callers.credentials import Credentials
from pdp.errors import NotAuthenticatedError
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.ext_authz_http import PREFIX, ExtAuthzHttp
from pdp.wire.gateway_check import CheckSettings
from pdp.wire.page_token import PageTokens
from tests.scripted_decider import AT, ScriptedDecider
from tests.unit.wire.authzen_world import EVALUATION, EVALUATIONS, KNOWN, SEARCH, header, listed, question

pytestmark = pytest.mark.anyio

TOKEN = "a.b.c"


class Desk:
    """Everybody is this caller, within its budget; a token has to be waited for."""

    def __init__(self, limits: CallerLimits, profile: Any = None) -> None:
        self.nanoseconds = 0
        budget = Budget(limits, lambda: self.nanoseconds)
        self.caller = Caller("gateway-1", PERMISSIONS, profile, limits, budget)
        self.presented: list[Credentials | str | None] = []
        self.decider = ScriptedDecider()

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        if isinstance(presented, Credentials) and presented.token is not None:
            raise NotAuthenticatedError("a token has to be waited for")
        return self._admitted(presented)

    async def introduce(self, presented: Credentials) -> Caller:
        return self._admitted(presented)

    def _admitted(self, presented: Credentials | str | None) -> Caller:
        self.presented.append(presented)
        assert self.caller.budget is not None
        self.caller.budget.take()
        return self.caller

    async def ask(
        self, path: str, body: object, headers: Iterable[tuple[str, str]] = tuple(KNOWN.items())
    ) -> HttpAnswer:
        searching = Searching(lambda: listed(f"u-{n}" for n in range(20)), PageTokens(b"k" * 32), lambda: AT)
        routes = authzen_routes(
            self.decider, self, profile=lambda: "zta", public_url="https://pdp.example.jp", searching=searching
        )
        return await routes[path](HttpRequest("POST", path, "", tuple(headers), json.dumps(body).encode()))


async def test_the_request_too_many_is_429_with_its_wait_and_is_no_record() -> None:
    desk = Desk(CallerLimits(requests_per_s=1, burst=2))
    for _ in range(2):
        assert (await desk.ask(EVALUATION, question())).status == 200
    answer = await desk.ask(EVALUATION, question(), [*KNOWN.items(), ("x-request-id", "r-1")])
    assert answer.status == 429
    assert (header(answer, "retry-after"), header(answer, "x-request-id")) == ("1", "r-1")
    assert json.loads(answer.body)["error"]["code"] == "too_many_requests"
    assert len(desk.decider.asked) == 2
    assert desk.decider.refused == []
    desk.nanoseconds += 1_000_000_000
    assert (await desk.ask(EVALUATION, question())).status == 200


async def test_each_item_of_a_batch_and_each_candidate_of_a_search_counts() -> None:
    batch = question() | {"evaluations": [{}] * 10}
    search = {"subject": {"type": "user"}, "action": {"name": "access"}, "resource": {"type": "application", "id": "m"}}
    for path, body, cost in ((EVALUATIONS, batch, 10), (SEARCH + "subject", search, 20), (EVALUATIONS, question(), 1)):
        desk = Desk(CallerLimits(requests_per_s=1, burst=1))
        assert (await desk.ask(path, body)).status == 200
        assert header(await desk.ask(path, body), "retry-after") == str(cost)


async def test_a_body_or_a_batch_above_the_callers_own_limit_is_413_and_recorded() -> None:
    desk = Desk(CallerLimits(body_bytes=300, batch=3))
    assert (await desk.ask(EVALUATION, question())).status == 200
    large = await desk.ask(EVALUATION, question(padding="x" * 300))
    many = await desk.ask(EVALUATIONS, question() | {"evaluations": [{}] * 4})
    assert (large.status, many.status) == (413, 413)
    assert "300 bytes" in json.loads(large.body)["error"]["message"]
    assert "more than 3" in json.loads(many.body)["error"]["message"]
    assert len(desk.decider.refused) == 2
    assert (await desk.ask(EVALUATIONS, question() | {"evaluations": [{}] * 3})).status == 200


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS, SEARCH + "subject", SEARCH + "action"])
async def test_a_caller_of_the_other_profile_is_403_and_nothing_is_decided(path: str) -> None:
    desk = Desk(CallerLimits(), profile="plain")
    answer = await desk.ask(path, question())
    assert answer.status == 403
    assert "`zta`" in json.loads(answer.body)["error"]["message"]
    assert desk.decider.asked == []
    assert len(desk.decider.refused) == 1
    assert (await Desk(CallerLimits(), profile="zta").ask(path, question())).status == 200


async def test_a_token_is_waited_for() -> None:
    desk = Desk(CallerLimits())
    headers = [("content-type", "application/json"), ("authorization", f"Bearer {TOKEN}")]
    assert (await desk.ask(EVALUATION, question(), headers)).status == 200
    assert [shown.token for shown in desk.presented if isinstance(shown, Credentials)] == [TOKEN]


async def test_a_gateway_that_asks_too_often_is_a_deny_and_never_a_5xx() -> None:
    """Envoy may be set to let a request through where we fail: a flood must not be a way in."""
    desk = Desk(CallerLimits(requests_per_s=1, burst=1))
    check = ExtAuthzHttp(desk.decider, desk, CheckSettings(), lambda: "zta")
    request = HttpRequest("GET", f"{PREFIX}/x", "", (("x-pdp-key", "key"),))
    await check(request)
    answer = await check(request)
    assert answer.status == 429
    assert header(answer, "retry-after") == "1"


async def test_a_gateway_of_the_other_profile_is_refused() -> None:
    desk = Desk(CallerLimits(), profile="plain")
    check = ExtAuthzHttp(desk.decider, desk, CheckSettings(), lambda: "zta")
    facts = (("x-pdp-key", "key"), ("x-pdp-subject", "u-allow"), ("x-pdp-resource", "mail"))
    assert (await check(HttpRequest("GET", f"{PREFIX}/x", "", facts))).status == 403
    assert desk.decider.asked == []
