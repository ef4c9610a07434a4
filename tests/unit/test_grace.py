"""The time of warning: what is newly refused stays permitted for a while, by the former policy's own word, and says so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pdp.activation import Activation, Former
from pdp.bundle.bundle import Bundle
from pdp.bundle.footprint import Footprint
from pdp.errors import BundleError, EngineError, EngineTimeoutError, NotReadyError
from pdp.grace import HARD, Grace, Opinion, held_over, is_hard
from pdp.model.decision import Outcome, Verdict
from pdp.model.input import check_input
from pdp.wire.authzen_answer import decision_json
from tests.oracle.access_rules import judge
from tests.oracle.documents import random_document, unknowable_paths, with_value
from tests.unit.facts.worlds import DEVICE, snapshot
from tests.unit.test_decide import ALLOW, BUNDLE, CALLER, REQUEST
from tests.unit.test_decide_cache import Scene

UNTIL = timedelta(days=14)
FORMER = replace(BUNDLE, revision="before", digest="f" * 64)
DENY = {"outcome": "deny", "reasons": ["EDR_NOT_RUNNING"], "obligations": {"quarantine": "on"}}
LIMIT = {"outcome": "limit", "reasons": ["OK"], "obligations": {"save": "off"}}
STEP_UP = {"outcome": "step_up", "reasons": ["STEPUP_AUTH_STRENGTH"], "obligations": {}, "required_auth_level": 3}
Json = dict[str, Any]


class FormerEngine:
    """The former policy: says what the test wants, and counts how often it was asked."""

    name = "former"

    def __init__(self, answer: Any = ALLOW) -> None:
        self.answer = answer
        self.asked = 0
        self.active: Bundle | None = None
        self.closed = False

    async def activate(self, bundle: Bundle) -> None:
        if isinstance(self.answer, BundleError):
            raise self.answer
        self.active = bundle

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        assert digest == FORMER.digest
        self.asked += len(documents)
        return [self.answer if isinstance(self.answer, EngineError) else json.dumps(self.answer).encode()]

    async def close(self) -> None:
        self.closed = True


class Warned(Scene):
    """A house whose policy warns for two weeks before it refuses."""

    def __init__(self, newer: Any = DENY, former: Any = ALLOW, *, footprint: Footprint | None = None) -> None:
        super().__init__(newer)
        self.former = FormerEngine(former)
        self.told: list[tuple[str, str]] = []
        self.failed: list[str] = []
        self.until = self.now + UNTIL
        posture = replace(DEVICE.posture, tampered=False, edr_running=True, edr_risk="none")
        self.world = snapshot(devices=[replace(DEVICE, posture=posture)])
        grace = Grace(
            FORMER,
            self.former,
            self.until,
            footprint or Footprint(()),
            failed=lambda fault: self.failed.append(fault.code),
            told=lambda outcome, code: self.told.append((outcome, code)),
        )
        self.policy = replace(self.policy, grace=grace)

    def record(self) -> Json:
        return json.loads(self.log.records[-1])


@pytest.mark.anyio
async def test_a_new_refusal_is_announced_and_the_former_permission_is_what_counts() -> None:
    scene = Warned(former=LIMIT)
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.outcome, decision.verdict.reasons) == (True, Outcome.LIMIT, ("OK",))
    assert decision.verdict.obligations == {"save": "off", "warn": "EDR_NOT_RUNNING"}
    assert "2023年8月15日10時00分から利用できなくなります。EDRが停止しています" in decision.reason_user.ja
    assert "from 2023-08-15 10:00 (Japan) on this is refused" in decision.reason_user.en
    assert "EDR_NOT_RUNNING" in decision.reason_admin.ja
    assert decision.fix == BUNDLE.reasons["EDR_NOT_RUNNING"].fix
    assert scene.told == [("deny", "EDR_NOT_RUNNING")]
    assert (decision.policy_revision, decision.bundle_digest) == (BUNDLE.revision, BUNDLE.digest)


@pytest.mark.anyio
async def test_the_record_and_the_answer_name_both_policies_and_what_each_of_them_says() -> None:
    scene = Warned()
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    record = scene.record()
    assert (record["outcome"], record["bundle_digest"]) == ("allow", BUNDLE.digest)
    held = record["policy_context"]["warned"]
    assert held["former"] == {"revision": "before", "digest": FORMER.digest}
    assert (held["outcome"], held["reasons"], held["until"]) == ("deny", ["EDR_NOT_RUNNING"], "2023-08-15T01:00:00Z")
    answer = json.loads(decision_json(decision, "zta", CALLER))
    assert answer["decision"] is True
    assert answer["context"]["warned"] == held


@pytest.mark.anyio
async def test_what_the_new_policy_permits_is_its_own_answer_and_the_former_one_is_not_asked() -> None:
    scene = Warned(newer=LIMIT)
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.verdict.outcome, decision.verdict.context, scene.former.asked) == (Outcome.LIMIT, None, 0)
    assert "warned" not in json.loads(decision_json(decision, "zta", CALLER))["context"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "former",
    [
        DENY,
        STEP_UP,
        {"outcome": "allow", "reasons": [], "obligations": {}},
        {"outcome": "allow", "reasons": ["OK"]},
        {"outcome": "allow", "reasons": ["EDR_NOT_RUNNING"], "obligations": {}},
        {"outcome": "limit", "reasons": ["OK"], "obligations": {"dance": "on"}},
        EngineTimeoutError("too slow"),
        EngineError("undefined"),
    ],
)
async def test_only_a_well_formed_permission_of_the_former_policy_counts(former: Any) -> None:
    scene = Warned(former=former)
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons, scene.told) == (False, ("EDR_NOT_RUNNING",), [])
    assert bool(scene.failed) == (former not in (DENY, STEP_UP))


@pytest.mark.anyio
async def test_a_new_step_up_is_announced_with_the_level_that_it_will_ask_for() -> None:
    decision = await Warned(newer=STEP_UP).checkpoint.decide(REQUEST, CALLER)
    assert decision.permits
    assert decision.verdict.required_auth_level is None
    assert decision.verdict.context is not None
    assert decision.verdict.context["warned"]["required_auth_level"] == 3
    assert "追加の本人確認が必要になります" in decision.reason_user.ja


@pytest.mark.anyio
async def test_an_error_of_the_new_policy_is_never_held_over() -> None:
    scene = Warned(newer=EngineError("undefined"))
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons) == (False, ("EVALUATION_ERROR",))
    assert scene.former.asked == 0


@pytest.mark.anyio
async def test_the_time_ends_by_itself_and_no_answer_outlives_it() -> None:
    scene = Warned()
    scene.now = scene.until - timedelta(seconds=20)
    held = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (held.permits, held.cache) == (True, "miss")
    assert held.expires_at == scene.until
    scene.now = scene.until - timedelta(microseconds=1)
    assert (await scene.checkpoint.decide(REQUEST, CALLER)).permits
    scene.now = scene.until
    ended = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (ended.permits, ended.cache, ended.verdict.reasons) == (False, "miss", ("EDR_NOT_RUNNING",))


@pytest.mark.anyio
async def test_what_is_remembered_of_this_time_is_nothing_of_another_former_policy_or_of_none() -> None:
    scene = Warned()
    assert (await scene.checkpoint.decide(REQUEST, CALLER)).permits
    assert (await scene.checkpoint.decide(REQUEST, CALLER)).cache == "hit"
    assert scene.former.asked == 1
    strict = scene.policy.strict
    scene.policy = strict
    assert not (await scene.checkpoint.decide(REQUEST, CALLER)).permits
    other = Grace(replace(FORMER, digest="e" * 64), _Refusing(), scene.until, Footprint(()))
    scene.policy = replace(strict, grace=other)
    assert not (await scene.checkpoint.decide(REQUEST, CALLER)).permits


class _Refusing(FormerEngine):
    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        del digest
        return [json.dumps(DENY).encode() for _ in documents]


@pytest.mark.anyio
async def test_a_lost_terminal_is_refused_at_once_although_neither_policy_reads_that() -> None:
    scene = Warned(footprint=Footprint((("subject", "auth_level"),)))
    scene.policy = replace(scene.policy, footprint=Footprint((("subject", "auth_level"),)))
    assert (await scene.checkpoint.decide(REQUEST, CALLER)).permits
    found = scene.world.devices["d-1"]
    scene.world = snapshot(devices=[replace(found, state="lost")])
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.cache) == (False, "miss")


@pytest.mark.anyio
async def test_a_former_policy_whose_engine_goes_away_because_another_one_decides_leads_to_that_one() -> None:
    scene = Warned(former=EngineError("the engine is closed"))

    class Leaving(FormerEngine):
        async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
            scene.policy, scene.engine.answer = scene.policy.strict, ALLOW
            return await super().evaluate(documents, digest=digest)

    assert scene.policy.grace is not None
    scene.policy = replace(scene.policy, grace=replace(scene.policy.grace, engine=Leaving(EngineError("closed"))))
    decision = await scene.checkpoint.decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.context) == (True, None)


def test_hardness_reads_no_fact_that_the_key_of_a_verdict_has_not() -> None:
    rng = random.Random(7)
    for _ in range(500):
        one, other = random_document(rng), random_document(rng)
        for path in HARD.paths:
            other = with_value(other, path, _at(one, path))
        assert is_hard(check_input(one)) == is_hard(check_input(other))


def _at(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = document[part]
    return document


def test_the_sight_of_two_policies_is_both_and_no_path_below_another() -> None:
    one = Footprint((("device", "posture"), ("subject", "kind")))
    other = Footprint((("device", "posture", "tampered"), ("context", "risk"), ("subject", "kind")))
    both = Footprint((("context", "risk"), ("device", "posture"), ("subject", "kind")))
    assert one.together(other) == other.together(one) == both
    assert one.together(Footprint(((),))) == Footprint(((),))
    assert one.together(Footprint(())) == one


Policy = Callable[[Json], Verdict]


def verdict_of(said: Json) -> Verdict:
    return Verdict(
        Outcome(said["outcome"]), tuple(said["reasons"]), said["obligations"], said.get("required_auth_level")
    )


def contract(document: Json) -> Verdict:
    return verdict_of(judge(document))


def stricter(document: Json) -> Verdict:
    """The contract, and more: each condition asks for a fact that is known and good."""
    posture = document["device"]["posture"]
    age = posture["patch_age_days"]
    good = posture["screen_lock"] is True and posture["firewall"] is True and age != "unknown" and age < 10
    return contract(document) if good else Verdict(Outcome.DENY, ("DISK_NOT_ENCRYPTED",))


def laxer(document: Json) -> Verdict:
    """Everybody may do everything: the worst policy that anybody ever approved."""
    del document
    return Verdict(Outcome.ALLOW, ("OK",))


@pytest.mark.parametrize(("newer", "former"), [(stricter, contract), (contract, laxer), (stricter, laxer)])
def test_dropping_a_fact_never_turns_a_deny_into_an_allow_in_a_time_of_warning(newer: Policy, former: Policy) -> None:
    def together(document: Json) -> Verdict:
        asked = check_input(document)
        opinions = Opinion(newer(document), BUNDLE), Opinion(former(document), FORMER)
        return held_over(asked, *opinions, datetime(2026, 1, 1, tzinfo=UTC))

    rng, held, dropped = random.Random(20261123), 0, 0
    for _ in range(500):
        document = random_document(rng)
        said = together(document)
        held += said.context is not None
        if said.permits:
            continue
        for path in unknowable_paths(document):
            dropped += 1
            assert not together(with_value(document, path, "unknown")).permits, (document, path)
    assert held > 5
    assert dropped > 500


@pytest.mark.parametrize("path", ["lost", "mynumber", "private", "malware", "tampered", "ended", "high"])
def test_a_hard_refusal_counts_whatever_was_permitted_before(path: str) -> None:
    changes: dict[str, dict[tuple[str, ...], Any]] = {
        "lost": {("device", "state"): "lost"},
        "mynumber": {("resource", "group"): "mynumber", ("resource", "segment"): "mynumber"},
        "private": {("device", "class"): "byod_phone", ("device", "ownership"): "private"},
        "malware": {("context", "risk"): ["malware_alert"]},
        "tampered": {("device", "posture", "tampered"): True},
        "ended": {("subject", "employment"): "ended"},
        "high": {("device", "posture", "edr_risk"): "high"},
    }
    rng = random.Random(3)
    document = next(d for d in iter(lambda: random_document(rng), None) if _soft_business(d))
    for place, value in changes[path].items():
        document = with_value(document, place, value)
    opinions = Opinion(verdict_of(DENY), BUNDLE), Opinion(verdict_of(ALLOW), FORMER)
    assert held_over(check_input(document), *opinions, datetime(2026, 1, 1, tzinfo=UTC)) == verdict_of(DENY)


def _soft_business(document: Json) -> bool:
    return document["resource"]["group"] == "business" and not is_hard(check_input(document))


class Known(FormerEngine):
    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        del digest
        return [json.dumps(ALLOW).encode() for _ in documents]


@pytest.mark.anyio
async def test_the_former_policy_has_an_engine_of_its_own_that_is_closed_when_its_time_is_over() -> None:
    made: list[Known] = []

    def beside() -> Known:
        made.append(Known())
        return made[-1]

    activation = Activation(Known(), beside=beside)
    until = datetime(2026, 4, 15, tzinfo=UTC)
    former = replace(BUNDLE, revision="before")
    await activation.activate(BUNDLE, Former(former, until))
    assert (activation.active().grace is not None, made[0].active) == (True, former)
    assert activation.active().at(until).grace is None
    await activation.forget_former(until - timedelta(seconds=1))
    assert not made[0].closed
    await activation.forget_former(until)
    assert (made[0].closed, activation.active().grace) == (True, None)


@pytest.mark.anyio
async def test_another_activation_lets_go_of_the_former_policy_and_a_failed_one_does_not() -> None:
    made: list[Known] = []

    def beside() -> Known:
        made.append(Known(BundleError("it does not load")) if len(made) == 1 else Known())
        return made[-1]

    activation = Activation(Known(), beside=beside)
    until = datetime(2026, 4, 15, tzinfo=UTC)
    await activation.activate(BUNDLE, Former(BUNDLE, until))
    with pytest.raises(BundleError):
        await activation.activate(BUNDLE, Former(BUNDLE, until))
    assert (made[0].closed, made[1].closed) == (False, True)
    assert activation.active().grace is not None
    await activation.activate(BUNDLE)
    assert (made[0].closed, activation.active().grace) == (True, None)


@pytest.mark.anyio
async def test_policies_that_would_judge_different_documents_cannot_have_a_time_of_warning() -> None:
    data = msgspec.json.decode(msgspec.json.encode(BUNDLE.data))
    data["zta"]["catalogue"] = data["zta"]["catalogue"][1:]
    other = replace(BUNDLE, digest="d" * 64, data=data)
    activation = Activation(Known(), beside=Known)
    with pytest.raises(BundleError, match="different documents"):
        await activation.activate(BUNDLE, Former(other, datetime(2026, 4, 15, tzinfo=UTC)))
    with pytest.raises(NotReadyError):
        await Activation(Known()).activate(BUNDLE, Former(BUNDLE, datetime(2026, 4, 15, tzinfo=UTC)))
