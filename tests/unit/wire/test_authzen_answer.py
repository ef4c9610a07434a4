from __future__ import annotations

import json

import msgspec
import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.model.decision import Outcome, Verdict
from pdp.wire.authzen_answer import decision_answer
from tests.scripted_decider import VERDICTS
from tests.unit.wire.authzen_world import EVALUATION, World, header, question

pytestmark = pytest.mark.anyio

MEMBERS = [
    "id",
    "outcome",
    "reason_user",
    "reason_admin",
    "reasons",
    "obligations",
    "expires_at",
    "policy_revision",
    "directory_epoch",
    "cache",
]


async def test_an_allow_says_why_and_until_when() -> None:
    said = await World().ask(question("u-allow"))
    assert list(said) == ["decision", "context"]
    assert said["decision"] is True
    assert list(said["context"]) == MEMBERS
    assert said["context"]["expires_at"] == "2023-08-01T01:05:00.999999Z"
    assert said["context"]["reason_user"]["ja"] == "紛失届のある端末です<&>"


@pytest.mark.parametrize("subject", VERDICTS)
async def test_the_boolean_is_true_for_allow_and_limit_only(subject: str) -> None:
    said = await World().ask(question(subject))
    verdict = VERDICTS[subject]
    assert said["decision"] is (verdict.outcome in (Outcome.ALLOW, Outcome.LIMIT))
    assert said["context"]["outcome"] == verdict.outcome
    assert said["context"]["reasons"] == list(verdict.reasons)
    assert said["context"]["obligations"] == dict(verdict.obligations)


async def test_only_a_step_up_names_a_level() -> None:
    assert (await World().ask(question("u-step")))["context"]["required_auth_level"] == 3
    assert "required_auth_level" not in (await World().ask(question("u-deny")))["context"]


async def test_the_administrators_reason_is_told_to_those_who_may_hear_it() -> None:
    without = World(permissions=PERMISSIONS - {"admin_reasons"})
    answer = await without.send(EVALUATION, question())
    assert b"administrators" not in answer.body
    assert list(json.loads(answer.body)["context"]) == [name for name in MEMBERS if name != "reason_admin"]


async def test_the_decision_id_stands_in_the_header() -> None:
    answer = await World().send(EVALUATION, question("u-deny"))
    assert header(answer, "x-decision-id") == json.loads(answer.body)["context"]["id"]


@pytest.mark.parametrize(("subject", "body"), [("u-allow", b'{"decision":true}'), ("u-deny", b'{"decision":false}')])
async def test_profile_plain_says_the_boolean_and_no_more(subject: str, body: bytes) -> None:
    answer = await World(profile="plain").send(EVALUATION, question(subject))
    assert answer.body == body
    assert header(answer, "x-decision-id") == "decision-1"


@pytest.mark.parametrize("outcome", [Outcome.ALLOW, Outcome.DENY])
async def test_profile_plain_passes_the_policys_own_context_on(outcome: Outcome) -> None:
    world = World(profile="plain")
    await world.ask(question())
    decision = await world.decider.decide(*world.decider.asked[0])
    with_context = msgspec.structs.replace(decision, verdict=Verdict(outcome, (), context={"why": ["三", 1.5]}))
    answer = decision_answer(with_context, "plain", Caller("c", frozenset()), None)
    assert json.loads(answer.body) == {"decision": outcome is Outcome.ALLOW, "context": {"why": ["三", 1.5]}}
