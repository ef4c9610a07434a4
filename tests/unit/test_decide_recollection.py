"""A question that was asked before: what may change under its grounds is looked at for every decision."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest

from pdp.active_policy import ActivePolicy
from pdp.bundle.footprint import Footprint
from pdp.callers.caller import Caller
from pdp.declog.record import record_of
from pdp.errors import BadRequestError, NotReadyError, RecordFailedError
from pdp.facts.reference import read_reference
from pdp.identity.proof import Shown
from pdp.model.decision import Outcome
from pdp.model.directory import Snapshot
from pdp.model.request import AccessRequest, Reading, UnverifiedToken
from pdp.recollection import Era
from pdp.recollection import recalled as recollected
from pdp.steps import Recording
from tests.unit.facts.worlds import DEVICE, snapshot
from tests.unit.test_decide import BUNDLE, CALLER, REQUEST
from tests.unit.test_decide_cache import DENY, MODEST, Scene

pytestmark = pytest.mark.anyio

KNOWN = msgspec.structs.replace(REQUEST, reading=Reading())


def reading_of(request: AccessRequest) -> Reading:
    assert request.reading is not None
    return request.reading


def steps(scene: Scene) -> list[str]:
    return sorted(json.loads(scene.log.records[-1])["steps_us"])


async def asked_twice(**house: Any) -> Scene:
    """A scene in which `KNOWN` is known."""
    scene = Scene()
    if house:
        scene.checkpoint = type(scene.checkpoint)(scene.house(**house))
    await scene.ask(KNOWN)
    await scene.ask(KNOWN)
    assert steps(scene) == ["cache"], "else this proves nothing"
    return scene


async def recalled(scene: Scene, **others: Any) -> bool:
    decision = await scene.ask(KNOWN, **others)
    assert decision.verdict.outcome == Outcome.ALLOW
    return steps(scene) == ["cache"]


async def test_a_question_that_is_known_is_answered_at_once_and_recorded_as_any_other() -> None:
    scene = await asked_twice()
    scene.now += timedelta(seconds=1)  # the posture's age has passed an hour
    await scene.ask(KNOWN)
    scene.now += timedelta(seconds=1)
    begun = scene.checkpoint.begin(msgspec.structs.replace(KNOWN, request_id="r-7", trace_id="t-7"), CALLER)
    assert isinstance(begun, Recording)
    await begun.kept
    decision, record = begun.decision(), scene.log.records[-1]
    said = json.loads(record)
    assert (decision.cache, decision.permits, decision.at) == ("hit", True, scene.now)
    assert (said["request_id"], said["trace_id"], said["caller_id"]) == ("r-7", "t-7", CALLER.id)
    as_asked = msgspec.structs.replace(KNOWN, request_id="r-7", trace_id="t-7")
    whole = {"time": scene.now, "caller_id": CALLER.id, "profile": "zta", "steps_us": said["steps_us"]}
    assert record == record_of(decision, as_asked, **whole)


async def test_a_question_that_is_not_known_is_a_coroutine_and_so_is_one_without_a_reading() -> None:
    scene = await asked_twice()
    for request in (REQUEST, msgspec.structs.replace(KNOWN, reading=Reading())):
        begun = scene.checkpoint.begin(request, CALLER)
        assert not isinstance(begun, Recording)
        assert (await begun).permits


async def test_a_subject_that_was_revoked_meanwhile_is_denied() -> None:
    revoked: list[Shown] = []

    class Marks:
        def refuse_revoked(self, shown: Shown) -> None:
            if revoked:
                raise BadRequestError("revoked")
            assert shown.subjects == (KNOWN.subject_id,)

    scene = await asked_twice(revocations=Marks())
    assert await recalled(scene)
    revoked.append(Shown((), None))
    decision = await scene.ask(KNOWN)
    assert (decision.permits, decision.verdict.reasons) == (False, ("BAD_INPUT",))


async def test_marks_that_nobody_can_confirm_deny() -> None:
    unknown: list[bool] = []

    class Marks:
        def refuse_revoked(self, shown: Shown) -> None:
            if unknown:
                raise NotReadyError("too old")

    scene = await asked_twice(revocations=Marks())
    unknown.append(True)
    assert not (await scene.ask(KNOWN)).permits


async def test_a_directory_that_grew_old_and_a_policy_that_nobody_confirms_deny() -> None:
    unconfirmed: list[bool] = []
    scene = await asked_twice(unconfirmed=lambda *_: bool(unconfirmed))
    scene.stale = True
    assert (await scene.ask(KNOWN)).verdict.reasons == ("POLICY_STALE",)
    scene.stale = False
    assert await recalled(scene)
    unconfirmed.append(True)
    assert (await scene.ask(KNOWN)).verdict.reasons == ("POLICY_STALE",)


async def test_another_snapshot_and_another_policy_begin_anew() -> None:
    scene = await asked_twice()
    scene.world = snapshot()
    assert not await recalled(scene)
    assert await recalled(scene)
    scene.policy = ActivePolicy(BUNDLE, read_reference(BUNDLE.data), scene.footprint)
    assert not await recalled(scene)
    assert await recalled(scene)
    scene.world = snapshot(devices=[replace(DEVICE, state="lost")])
    scene.engine.answer = DENY
    assert not (await scene.ask(KNOWN)).permits


async def test_a_fact_that_changes_by_itself_and_a_clock_that_goes_back_end_what_is_known() -> None:
    scene = await asked_twice()
    scene.now += timedelta(minutes=2)  # the minutes since the log-in are a fact
    assert not await recalled(scene)
    assert await recalled(scene)
    scene.now -= timedelta(minutes=1)
    assert not await recalled(scene)


async def test_a_caller_of_the_same_name_with_other_rights_is_another_caller() -> None:
    scene = await asked_twice()
    weak = Caller(CALLER.id, frozenset({"decide"}))
    decision = await scene.ask(KNOWN, weak)
    assert steps(scene) != ["cache"]
    assert json.loads(decision.input)["subject"]["auth_level"] == 0
    silent = Caller(CALLER.id, frozenset())
    assert not (await scene.ask(KNOWN, silent)).permits
    elsewhere = replace(CALLER, profile="plain")
    assert not (await scene.ask(KNOWN, elsewhere)).permits


async def test_a_fresh_answer_is_evaluated_and_one_that_may_not_be_asked_for_is_not() -> None:
    scene = await asked_twice()
    asked = scene.asked
    assert (await scene.ask(KNOWN, fresh=True)).cache == "bypass"
    assert scene.asked == asked + 1
    await scene.ask(KNOWN, MODEST)
    assert (await scene.ask(KNOWN, MODEST, fresh=True)).cache == "hit"
    assert scene.asked == asked + 1


async def test_without_a_level_in_this_process_nothing_is_answered_from_memory() -> None:
    scene = Scene()
    scene.checkpoint = type(scene.checkpoint)(scene.house(cache=None))
    for _ in range(3):
        assert (await scene.ask(KNOWN)).cache == "bypass"
    assert scene.asked == 3


async def test_a_token_is_looked_at_each_time_even_where_its_question_has_a_reading() -> None:
    scene = Scene()
    with_token = msgspec.structs.replace(KNOWN, identity=UnverifiedToken("eyJ"))
    for _ in range(3):
        assert (await scene.ask(with_token)).verdict.reasons == ("BAD_INPUT",)


async def test_where_the_log_takes_nothing_there_is_no_answer() -> None:
    scene = await asked_twice()
    scene.log.full = True
    with pytest.raises(RecordFailedError):
        await scene.ask(KNOWN)
    with pytest.raises(RecordFailedError):
        scene.checkpoint.begin(KNOWN, CALLER)


async def test_a_mask_has_the_last_word_on_a_record_that_is_known_too() -> None:
    scene = await asked_twice()
    masking = scene.house(mask=lambda record: msgspec.structs.replace(record, subject_id="hidden"))
    scene.checkpoint = type(scene.checkpoint)(masking)
    for _ in range(3):
        await scene.ask(KNOWN)
        assert json.loads(scene.log.records[-1])["subject_id"] == "hidden"
    assert steps(scene) == ["cache"]


async def test_a_verdict_that_was_given_anew_is_what_the_record_says() -> None:
    scene = await asked_twice()
    scene.now += timedelta(seconds=BUNDLE.ttl_s)
    scene.engine.answer = DENY
    assert [(await scene.ask(KNOWN)).permits for _ in range(2)] == [False, False]
    assert steps(scene) == ["cache"]
    assert json.loads(scene.log.records[-1])["outcome"] == "deny"


async def test_a_plain_policy_knows_its_questions_by_their_words_too() -> None:
    plain = msgspec.structs.replace(KNOWN, reading=Reading(), document={"subject": {"id": "u"}}, identity=None)
    bundle = replace(BUNDLE, profile="plain")
    scene = Scene({"decision": True}, bundle=bundle, footprint=Footprint((("subject", "id"),)))
    scene.policy = ActivePolicy(bundle, None, scene.footprint)
    for _ in range(3):
        assert (await scene.ask(plain)).permits
    assert steps(scene) == ["cache"]


async def test_grounds_count_in_their_own_era_for_their_own_caller_alone() -> None:
    scene = await asked_twice()
    grounds, now = reading_of(KNOWN).grounds, scene.now
    assert recollected(KNOWN, CALLER, grounds.era, now) is grounds is not None
    assert recollected(KNOWN, CALLER, Era(), now) is None
    assert recollected(KNOWN, replace(CALLER, permissions=CALLER.permissions - {"batch"}), grounds.era, now) is None
    assert recollected(msgspec.structs.replace(KNOWN, reading=None), CALLER, grounds.era, now) is None


async def test_grounds_hold_no_snapshot_of_the_directory() -> None:
    """Thousands of questions that nobody asks again would keep a directory of 50 MB from being let go of."""
    await asked_twice()
    grounds = reading_of(KNOWN).grounds
    assert grounds is not None
    held, waiting = set[int](), list[Any]([grounds])
    while waiting:
        one = waiting.pop()
        if id(one) not in held and not isinstance(one, (type, ModuleType, FunctionType)):
            assert not isinstance(one, Snapshot)
            held.add(id(one))
            waiting += gc.get_referents(one)
    assert id(grounds.standing.premises.document) in held, "else this looked nowhere"
