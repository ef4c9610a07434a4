"""Step 5 with a table: the engine's answer stands there, is judged, remembered and recorded like one that it gave."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pdp.active_policy import ActivePolicy
from pdp.bundle.footprint import Footprint
from pdp.callers.caller import Caller
from pdp.decide import Checkpoint
from pdp.errors import EngineError, EngineTimeoutError, RecordFailedError
from pdp.model.directory import Snapshot
from pdp.model.request import UnverifiedToken
from tests.unit.facts.worlds import DEVICE, USER, snapshot
from tests.unit.test_decide import ALLOW, BUNDLE, CALLER, REQUEST
from tests.unit.test_decide_cache import AGELESS, DENY, MODEST, STEP_UP, AnyBundle, Issuer, Scene
from tests.unit.test_grace import FORMER, LIMIT, Warned

pytestmark = pytest.mark.anyio

WRONG = {"outcome": "allow", "reasons": ["OK"], "obligations": {}}


class ScriptedTable:
    """A table that says what the test wants, of one policy; `seen` holds the documents that it was shown."""

    def __init__(self, answer: Any, digest: str = BUNDLE.digest) -> None:
        self.said = answer
        self.digest = digest
        self.seen: list[bytes] = []
        self.digests: list[str] = []

    def answer(self, document: bytes, digest: str) -> bytes | None:
        self.digests.append(digest)
        if digest != self.digest:
            return None
        self.seen.append(document)
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said if self.said is None or isinstance(self.said, bytes) else json.dumps(self.said).encode()


def staged(scene: Scene, answer: Any, **changes: Any) -> ScriptedTable:
    """The table that the scene's house has from now on."""
    table = ScriptedTable(answer)
    scene.checkpoint = Checkpoint(scene.house(table=table, **changes))
    return table


async def test_what_stands_in_the_table_is_not_asked_of_the_engine_and_is_remembered() -> None:
    scene = Scene(DENY)
    table = staged(scene, ALLOW)
    decisions = [await scene.ask() for _ in range(3)]
    assert [(decision.permits, decision.cache) for decision in decisions] == [
        (True, "miss"),
        (True, "hit"),
        (True, "hit"),
    ]
    assert (scene.asked, len(table.seen), scene.cache.status().kept) == (0, 1, 1)
    assert decisions[0].input == table.seen[0]


@pytest.mark.parametrize("answer", [ALLOW, LIMIT, STEP_UP, DENY], ids=lambda one: str(one["outcome"]))
@pytest.mark.parametrize("cached", [True, False])
async def test_answer_and_record_are_those_of_an_evaluation(answer: Any, cached: bool) -> None:
    evaluated, looked_up = Scene(answer), Scene(EngineError("not asked"))
    changes = {} if cached else {"cache": None}
    evaluated.checkpoint = Checkpoint(evaluated.house(**changes))
    staged(looked_up, answer, **changes)
    first, second = await evaluated.ask(), await looked_up.ask()
    assert first == second
    assert second.cache == ("miss" if cached else "bypass")
    records = [json.loads(scene.log.records[0]) for scene in (evaluated, looked_up)]
    steps = [set(record.pop("steps_us")) for record in records]
    assert records[0] == records[1]
    assert steps[0] == steps[1]
    assert looked_up.asked == 0


async def test_whoever_may_bypass_the_cache_asks_the_engine_and_not_the_table() -> None:
    """So that there is always a way to learn what the policy itself says."""
    scene = Scene(DENY)
    table = staged(scene, WRONG)
    assert (await scene.ask()).permits
    decision = await scene.ask(fresh=True)
    assert (decision.permits, decision.cache, scene.asked, len(table.seen)) == (False, "bypass", 1, 1)
    assert not (await scene.ask()).permits, "and the cache is put right"


async def test_who_may_not_bypass_the_cache_gets_what_stands_in_the_table() -> None:
    scene = Scene(EngineError("not asked"))
    table = staged(scene, ALLOW)
    assert [(await scene.ask(caller=MODEST, fresh=True)).cache for _ in range(2)] == ["miss", "hit"]
    assert (scene.asked, len(table.seen)) == (0, 1)


async def test_what_the_table_does_not_know_is_asked_of_the_engine() -> None:
    scene = Scene(DENY)
    table = staged(scene, None)
    decision = await scene.ask()
    assert (decision.permits, decision.cache, scene.asked) == (False, "miss", 1)
    assert scene.engine.seen == list(dict.fromkeys(table.seen)), "the same document"
    assert len(scene.log.records) == 1


MALFORMED: tuple[Any, ...] = (
    b"",
    b"null",
    b"true",
    b'{"outcome":"allow"}',
    b'{"outcome":"allow","reasons":["OK"],"obligations":{}',
    {"outcome": "allow", "reasons": [], "obligations": {}},
    {"outcome": "allow", "reasons": ["OK", "OK"], "obligations": {}},
    {"outcome": "allow", "reasons": ["OK"], "obligations": {"save": "off"}},
    {"outcome": "limit", "reasons": ["OK"], "obligations": {"sing": "on"}},
    {"outcome": "limit", "reasons": ["OK"], "obligations": {"end_at": "none"}},
    {"outcome": "allow", "reasons": ["DEVICE_LOST"], "obligations": {}},
    {"outcome": "allow", "reasons": ["NOBODY_WROTE_A_TEXT"], "obligations": {}},
    {"outcome": "step_up", "reasons": ["STEPUP_AUTH_STRENGTH"], "obligations": {}},
    {"outcome": "maybe", "reasons": ["OK"], "obligations": {}},
    RuntimeError("a bug of ours"),
)


@pytest.mark.parametrize("answer", MALFORMED, ids=repr)
@pytest.mark.parametrize("cached", [True, False])
async def test_what_is_no_well_formed_verdict_in_the_table_is_a_deny_recorded_and_not_remembered(
    answer: Any, cached: bool
) -> None:
    scene = Scene(ALLOW)
    table = staged(scene, answer, **({} if cached else {"cache": None}))
    for _ in range(2):
        decision = await scene.ask()
        assert (decision.permits, decision.verdict.reasons) == (False, ("EVALUATION_ERROR",))
        assert (decision.cache, decision.expires_at) == ("bypass", decision.at)
    assert [json.loads(record)["outcome"] for record in scene.log.records] == ["deny", "deny"]
    assert all(json.loads(record)["fault"] for record in scene.log.records)
    assert (scene.cache.status().entries, scene.asked) == (0, 0)
    table.said = ALLOW
    assert (await scene.ask()).permits


async def test_a_table_helps_nobody_who_may_not_ask_and_no_registers_that_nobody_can_confirm() -> None:
    scene = Scene(ALLOW)
    table = staged(scene, ALLOW)
    assert not (await scene.ask(caller=Caller("silent", frozenset()))).permits
    scene.stale = True
    assert (await scene.ask()).verdict.reasons == ("POLICY_STALE",)
    scene.stale = False
    assert (await scene.ask(action="fly")).verdict.reasons == ("BAD_INPUT",)
    assert (table.seen, scene.asked, len(scene.log.records)) == ([], 0, 3)


async def test_no_answer_without_a_record_for_a_look_up_either() -> None:
    scene = Scene()
    staged(scene, ALLOW)
    scene.log.full = True
    with pytest.raises(RecordFailedError):
        await scene.ask()


async def test_the_table_is_asked_for_the_policy_that_is_recorded_and_for_no_other() -> None:
    scene = Scene()
    engine, other = AnyBundle(DENY), "f" * 64
    table = staged(scene, ALLOW, engine=engine)
    first = scene.policy
    assert (await scene.ask()).permits
    scene.policy = ActivePolicy(replace(BUNDLE, digest=other), first.reference, first.footprint)
    decision = await scene.ask()
    assert (decision.permits, decision.bundle_digest, engine.digests) == (False, other, [other])
    table.digest, table.said = other, STEP_UP
    decision = await scene.ask(resource_id="wiki", caller=Caller("weak", frozenset({"decide"})))
    assert (decision.verdict.outcome, decision.bundle_digest) == ("step_up", other)
    assert set(table.digests) == {BUNDLE.digest, other}


async def test_a_token_is_verified_before_the_table_is_asked() -> None:
    scene = Scene(EngineError("not asked"))
    scene.world = snapshot(devices=[replace(DEVICE, posture=AGELESS)])
    ends = scene.now + timedelta(seconds=30)
    table = staged(scene, ALLOW, tokens=Issuer(ends))
    for path in ("miss", "hit"):
        decision = await scene.ask(identity=UnverifiedToken("eyJ"))
        assert (decision.permits, decision.cache, decision.expires_at) == (True, path, ends)
    scene.now = ends
    assert (await scene.ask(identity=UnverifiedToken("eyJ"))).verdict.reasons == ("BAD_INPUT",)
    assert (scene.asked, len(table.seen)) == (0, 1)


async def test_two_people_who_look_alike_share_a_look_up_and_not_a_document() -> None:
    scene = Scene(EngineError("not asked"), footprint=Footprint((("device", "state"), ("subject", "employment"))))
    table = staged(scene, ALLOW)
    world: Snapshot = snapshot(users=[USER, replace(USER, id="u-2")])
    scene.world = world
    decisions = [await scene.ask(), await scene.ask(subject_id="u-2")]
    assert [decision.cache for decision in decisions] == ["miss", "hit"]
    assert [json.loads(record)["input"]["subject"]["id"] for record in scene.log.records] == ["u-1", "u-2"]
    assert len(table.seen) == 1


# --- In a time of warning ---------------------------------------------------------------------------------------------


async def test_a_refusal_of_the_table_is_held_against_the_former_policy() -> None:
    answer = {"outcome": "deny", "reasons": ["EDR_NOT_RUNNING"], "obligations": {"quarantine": "on"}}
    evaluated, looked_up = Warned(newer=answer, former=LIMIT), Warned(newer=EngineError("not asked"), former=LIMIT)
    staged(looked_up, answer)
    first, second = [await scene.checkpoint.decide(REQUEST, CALLER) for scene in (evaluated, looked_up)]
    assert (second.permits, second.verdict.obligations) == (True, {"save": "off", "warn": "EDR_NOT_RUNNING"})
    assert first == second
    assert (looked_up.asked, looked_up.former.asked, len(looked_up.log.records)) == (0, 1, 1)
    assert looked_up.told == evaluated.told
    assert looked_up.record()["policy_context"]["warned"]["former"]["digest"] == FORMER.digest


async def test_a_refusal_of_the_table_counts_where_the_former_policy_says_nothing() -> None:
    scene = Warned(newer=EngineError("not asked"), former=EngineTimeoutError("too slow"))
    staged(scene, {"outcome": "deny", "reasons": ["EDR_NOT_RUNNING"], "obligations": {"quarantine": "on"}})
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons) == (False, ("EDR_NOT_RUNNING",))
    assert (scene.failed, scene.asked) == (["engine_timeout"], 0)


async def test_what_the_table_permits_is_not_put_to_the_former_policy() -> None:
    scene = Warned(newer=EngineError("not asked"))
    staged(scene, LIMIT)
    assert (await scene.checkpoint.decide(REQUEST, CALLER)).permits
    assert (scene.former.asked, scene.asked) == (0, 0)
