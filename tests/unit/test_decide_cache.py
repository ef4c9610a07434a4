"""Steps 4 to 6 with a cache: what is remembered is the verdict, and nothing that belongs to one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pdp.active_policy import ActivePolicy
from pdp.bundle.bundle import Bundle
from pdp.bundle.footprint import Footprint
from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.decide import Checkpoint
from pdp.errors import BadRequestError, EngineError, EngineTimeoutError, RecordFailedError
from pdp.facts.reference import read_reference
from pdp.house import House
from pdp.model.authentication import Authentication
from pdp.model.directory import Period, Snapshot
from pdp.model.request import AccessRequest, AssertedClaims, UnverifiedToken
from tests.stage import MemoryLog
from tests.unit.facts.worlds import DEVICE, NOW, USER, snapshot
from tests.unit.test_decide import ALLOW, BUNDLE, CALLER, REQUEST, Holder, ScriptedEngine, house

pytestmark = pytest.mark.anyio

# What the policy of these tests sees: nothing that names a person, a terminal or a system.
SEEN = Footprint((("device", "state"), ("subject", "auth_level"), ("subject", "employment")))
DENY = {"outcome": "deny", "reasons": ["DEVICE_LOST"], "obligations": {"wipe": "request"}}
STEP_UP = {"outcome": "step_up", "reasons": ["STEPUP_AUTH_STRENGTH"], "obligations": {}, "required_auth_level": 3}
STEP = timedelta(microseconds=1)
AGELESS = replace(DEVICE.posture, observed_at=None)
MODEST = Caller("modest", PERMISSIONS - {"bypass_cache"})


class Scene:
    """A house with a cache, whose answer, clock, directory and policy a test changes between questions."""

    def __init__(self, answer: Any = ALLOW, *, bundle: Bundle = BUNDLE, footprint: Footprint = SEEN) -> None:
        self.now: datetime = NOW.astimezone(UTC)
        self.engine = ScriptedEngine(answer)
        self.log = MemoryLog()
        self.cache = VerdictCache(LocalLevel(100))
        self.footprint = footprint
        self.world: Snapshot = snapshot()
        self.stale = False
        self.policy = ActivePolicy(bundle, read_reference(bundle.data), footprint)
        self.longest: timedelta | None = None
        self.checkpoint = Checkpoint(self.house())

    def active(self) -> ActivePolicy:
        return self.policy

    def current(self) -> Snapshot:
        return self.world

    def is_stale(self) -> bool:
        return self.stale

    def house(self, **changes: Any) -> House:
        parts: dict[str, Any] = {
            "clock": lambda: self.now,
            "policies": self,
            "directory": self,
            "engine": self.engine,
            "log": self.log,
            "cache": self.cache,
            "longest": lambda: self.longest,
        }
        return house(ALLOW, **(parts | changes))

    async def ask(self, request: AccessRequest = REQUEST, caller: Caller = CALLER, **changes: Any) -> Any:
        return await self.checkpoint.decide(msgspec.structs.replace(request, **changes), caller)

    @property
    def asked(self) -> int:
        """How often the engine was."""
        return len(self.engine.seen)


async def test_what_was_judged_once_is_not_judged_again() -> None:
    scene = Scene()
    decisions = [await scene.ask() for _ in range(3)]
    assert [decision.cache for decision in decisions] == ["miss", "hit", "hit"]
    assert [decision.verdict.reasons for decision in decisions] == [("OK",)] * 3
    assert scene.asked == 1
    assert [json.loads(record)["cache"] for record in scene.log.records] == ["miss", "hit", "hit"]


async def test_without_a_cache_every_decision_is_evaluated_and_says_so() -> None:
    scene = Scene()
    checkpoint = Checkpoint(scene.house(cache=None))
    for fresh in (False, True, False):
        decision = await checkpoint.decide(msgspec.structs.replace(REQUEST, fresh=fresh), CALLER)
        assert decision.cache == "bypass"
    assert scene.asked == 3


async def test_a_decision_that_is_a_hit_is_recorded_with_its_own_document() -> None:
    scene = Scene()
    scene.world = snapshot(users=[USER, replace(USER, id="u-2")], devices=[DEVICE, replace(DEVICE, id="d-2")])
    await scene.ask()
    decision = await scene.ask(subject_id="u-2", device_id="d-2", resource_id="wiki")
    assert decision.cache == "hit"
    said = json.loads(scene.log.records[1])["input"]
    assert (said["subject"]["id"], said["device"]["id"], said["resource"]["id"]) == ("u-2", "d-2", "wiki")
    assert json.loads(decision.input) == said


async def test_two_people_who_look_alike_share_a_verdict_and_not_its_end() -> None:
    """The trap: an end that is remembered with the verdict is somebody else's."""
    scene = Scene()
    leave = {f"u-{seconds}": NOW + timedelta(seconds=seconds) for seconds in (10, 100, 100_000)}
    scene.world = snapshot(users=[replace(USER, id=user, employment=Period(None, end)) for user, end in leave.items()])
    for user in (*leave, *reversed(leave)):
        decision = await scene.ask(subject_id=user)
        assert decision.expires_at == min(leave[user], NOW + timedelta(seconds=BUNDLE.ttl_s)), user
    assert scene.asked == 1
    scene.now = leave["u-10"].astimezone(UTC)
    assert (await scene.ask(subject_id="u-10")).cache == "miss", "and at that end the facts are others"
    assert (await scene.ask(subject_id="u-100")).cache == "hit"


async def test_an_answer_from_the_cache_holds_as_long_as_one_that_was_just_made() -> None:
    """The verdict is a function of the facts: that it was first given long ago makes it no less true of these."""
    scene = Scene()
    await scene.ask()
    scene.now += timedelta(seconds=BUNDLE.ttl_s) - STEP
    decision = await scene.ask()
    assert (decision.cache, decision.expires_at) == ("hit", scene.now + timedelta(seconds=BUNDLE.ttl_s))


OWN_TTLS = replace(BUNDLE, ttl_s=300, deny_ttl_s=20, step_up_ttl_s=5)


@pytest.mark.parametrize(("answer", "seconds"), [(ALLOW, 300), (DENY, 20), (STEP_UP, 5)])
async def test_every_outcome_has_its_own_time_in_the_answer_and_in_the_cache(answer: Any, seconds: int) -> None:
    scene = Scene(answer, bundle=OWN_TTLS)
    begun, ttl = scene.now, timedelta(seconds=seconds)
    assert (await scene.ask()).expires_at == begun + ttl
    scene.now = begun + ttl - STEP
    assert (await scene.ask()).cache == "hit"
    scene.now = begun + ttl
    assert (await scene.ask()).cache == "miss"


@pytest.mark.parametrize(("longest", "seconds"), [(None, 300), (0, 0), (1, 1), (300, 300), (301, 300), (-1, 0)])
async def test_no_answer_holds_longer_than_the_house_can_hear_of_a_change(longest: int | None, seconds: int) -> None:
    scene = Scene()
    for path in ("miss", "hit"):
        scene.longest = None if longest is None else timedelta(seconds=longest)
        decision = await scene.ask()
        assert (decision.cache, decision.expires_at) == (path, scene.now + timedelta(seconds=seconds))


async def test_how_long_a_change_may_be_unheard_of_is_asked_for_each_decision() -> None:
    scene = Scene()
    await scene.ask()
    scene.longest = timedelta(seconds=2)
    assert (await scene.ask()).expires_at == scene.now + timedelta(seconds=2)
    scene.longest = None
    assert (await scene.ask()).expires_at == scene.now + timedelta(seconds=300)


async def test_the_end_that_an_obligation_sets_is_the_same_for_all_who_share_the_verdict() -> None:
    scene = Scene(bundle=replace(BUNDLE, ttl_s=300))
    ends = scene.now + timedelta(seconds=60)
    scene.engine.answer = {"outcome": "limit", "reasons": ["OK"], "obligations": {"end_at": ends.isoformat()}}
    assert (await scene.ask()).expires_at == ends
    scene.now += timedelta(seconds=50)
    decision = await scene.ask()
    assert (decision.cache, decision.expires_at) == ("hit", ends)
    scene.engine.answer["obligations"] = {"session_max_minutes": 2}
    scene.now += timedelta(hours=1)
    assert (await scene.ask()).expires_at == scene.now + timedelta(minutes=2)
    scene.now += timedelta(minutes=1)
    assert (await scene.ask()).expires_at == scene.now + timedelta(minutes=2)


ERRORS: tuple[Any, ...] = (
    EngineError("undefined"),
    EngineTimeoutError("too slow"),
    RuntimeError("a bug of ours"),
    [],
    [b"1", b"2"],
    b"",
    b"null",
    b'{"outcome":"allow"}',
    {"outcome": "allow", "reasons": [], "obligations": {}},
    {"outcome": "allow", "reasons": ["OK"], "obligations": {"save": "off"}},
    {"outcome": "limit", "reasons": ["OK"], "obligations": {"sing": "on"}},
    {"outcome": "allow", "reasons": ["DEVICE_LOST"], "obligations": {}},
    {"outcome": "allow", "reasons": ["NOBODY_WROTE_A_TEXT"], "obligations": {}},
    {"outcome": "step_up", "reasons": ["STEPUP_AUTH_STRENGTH"], "obligations": {}},
)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("fresh", [False, True])
async def test_what_is_no_well_formed_verdict_is_never_remembered(error: Any, fresh: bool) -> None:
    scene = Scene(error)
    for _ in range(2):
        decision = await scene.ask(fresh=fresh)
        assert (decision.verdict.reasons, decision.expires_at) == (("EVALUATION_ERROR",), decision.at)
    assert (scene.asked, scene.cache.status().entries, scene.cache.status().kept) == (2, 0, 0)
    scene.engine.answer = ALLOW
    assert (await scene.ask()).permits, "the next one is asked anew"
    scene.engine.answer = error
    assert (await scene.ask()).permits, "and what is known is known"


async def test_words_that_are_none_are_never_remembered() -> None:
    scene = Scene()
    await scene.ask()
    for _ in range(2):
        assert (await scene.ask(action="fly")).verdict.reasons == ("BAD_INPUT",)
    assert (scene.asked, scene.cache.status().entries) == (1, 1)


async def test_whoever_may_bypass_the_cache_gets_a_new_evaluation_and_puts_the_cache_right() -> None:
    scene = Scene()
    await scene.ask()
    scene.engine.answer = DENY
    assert (await scene.ask()).permits
    decision = await scene.ask(fresh=True)
    assert (decision.permits, decision.cache) == (False, "bypass")
    again = await scene.ask()
    assert (again.permits, again.cache) == (False, "hit")
    assert scene.asked == 2


async def test_an_error_of_a_new_evaluation_leaves_the_cache_as_it_was() -> None:
    scene = Scene()
    await scene.ask()
    scene.engine.answer = EngineTimeoutError("slow")
    assert (await scene.ask(fresh=True)).verdict.reasons == ("EVALUATION_ERROR",)
    assert (await scene.ask()).permits


async def test_who_may_not_bypass_the_cache_does_not() -> None:
    """Attack: a caller that makes every question cost an evaluation."""
    scene = Scene()
    decisions = [await scene.ask(caller=MODEST, fresh=True) for _ in range(3)]
    assert [decision.cache for decision in decisions] == ["miss", "hit", "hit"]
    assert scene.asked == 1


# --- What stands before the cache -------------------------------------------------------------------------------------


async def test_a_known_verdict_helps_nobody_who_may_not_ask() -> None:
    scene = Scene()
    await scene.ask()
    decision = await scene.ask(caller=Caller("silent", frozenset()))
    assert (decision.permits, decision.cache) == (False, "bypass")


async def test_a_known_verdict_does_not_outlive_registers_that_nobody_can_confirm() -> None:
    scene = Scene()
    await scene.ask()
    scene.stale = True
    decision = await scene.ask()
    assert (decision.verdict.reasons, decision.cache) == (("POLICY_STALE",), "bypass")


async def test_no_answer_without_a_record_for_a_hit_either() -> None:
    scene = Scene()
    await scene.ask()
    scene.log.full = True
    with pytest.raises(RecordFailedError):
        await scene.ask()


async def test_a_caller_whose_word_does_not_count_gets_no_verdict_of_one_whose_word_does() -> None:
    scene = Scene()
    await scene.ask()
    await scene.ask(caller=Caller("weak", PERMISSIONS - {"assert_identity"}))
    assert scene.asked == 2
    assert json.loads(scene.engine.seen[1])["subject"]["auth_level"] == 0


class Issuer:
    """Verifies one token: until its end, and not at it."""

    def __init__(self, end: datetime) -> None:
        self.end = end

    async def verify(self, token: UnverifiedToken, request: Any, users: Any, now: datetime, use: str) -> Authentication:
        if now >= self.end:
            raise BadRequestError("the token has ended")
        return Authentication(2, None, self.end)

    def bound(self, issuer: str, user: Any) -> int:
        return 3


@pytest.mark.parametrize("footprint", [SEEN, Footprint((("device", "state"),))], ids=str)
async def test_an_answer_never_outlives_the_token_that_it_was_given_for(footprint: Footprint) -> None:
    """Also where the policy does not read the authentication: the token is refused before it is asked."""
    scene = Scene(footprint=footprint)
    scene.world = snapshot(devices=[replace(DEVICE, posture=AGELESS)])
    ends = scene.now + timedelta(seconds=30)
    scene.checkpoint = Checkpoint(scene.house(tokens=Issuer(ends)))
    for path in ("miss", "hit"):
        decision = await scene.ask(identity=UnverifiedToken("eyJ"))
        assert (decision.cache, decision.expires_at) == (path, ends)
    scene.now = ends
    assert (await scene.ask(identity=UnverifiedToken("eyJ"))).verdict.reasons == ("BAD_INPUT",)


# --- Other policies, other engines, other directories -----------------------------------------------------------------


async def test_a_change_in_the_directory_counts_at_once() -> None:
    scene = Scene()
    await scene.ask()
    scene.world = snapshot(devices=[replace(DEVICE, state="lost")])
    scene.engine.answer = DENY
    assert (await scene.ask()).permits is False
    scene.world = snapshot()
    assert (await scene.ask()).permits, "and back again, without a question"
    assert scene.asked == 2


class AnyBundle(ScriptedEngine):
    """A scripted engine that has every bundle, and says of which one it was asked."""

    def __init__(self, answer: Any, name: str = "scripted") -> None:
        super().__init__(answer)
        self.name = name
        self.digests: list[str | None] = []

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        self.digests.append(digest)
        return await super().evaluate(documents, digest=BUNDLE.digest)


async def test_another_policy_is_asked_itself_and_the_former_one_is_still_known_when_it_comes_back() -> None:
    scene = Scene()
    engine = AnyBundle(ALLOW)
    scene.checkpoint = Checkpoint(scene.house(engine=engine))
    first = scene.policy
    await scene.ask()
    scene.policy = ActivePolicy(replace(BUNDLE, digest="f" * 64), first.reference, SEEN)
    engine.answer = DENY
    decision = await scene.ask()
    assert (decision.permits, decision.cache, decision.bundle_digest) == (False, "miss", "f" * 64)
    scene.policy = ActivePolicy(BUNDLE, first.reference, SEEN)
    assert [(await scene.ask()).permits, engine.digests] == [True, [BUNDLE.digest, "f" * 64]]


async def test_what_another_policys_data_say_of_the_facts_is_not_remembered() -> None:
    """The reference data belong to the bundle: premises of the former one are none of the new one's."""
    scene = Scene(footprint=Footprint((("context", "zone"),)))
    engine = AnyBundle(ALLOW)
    scene.checkpoint = Checkpoint(scene.house(engine=engine))
    await scene.ask()
    reference = scene.policy.reference
    assert reference is not None
    scene.policy = ActivePolicy(replace(BUNDLE, digest="f" * 64), replace(reference, networks=()), scene.footprint)
    await scene.ask()
    assert [json.loads(seen)["context"]["zone"] for seen in engine.seen] == ["office", "public"]


async def test_two_engines_share_no_entry() -> None:
    scene = Scene()
    other = AnyBundle(DENY, "another")
    await scene.ask()
    decision = await Checkpoint(scene.house(engine=other)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.cache) == (False, "miss")


async def test_those_who_look_alike_and_ask_at_once_are_judged_once_and_recorded_each() -> None:
    scene = Scene()
    people = [f"u-{number}" for number in range(20)]
    scene.world = snapshot(users=[replace(USER, id=person) for person in people])
    decisions = await asyncio.gather(*(scene.ask(subject_id=person) for person in people))
    assert scene.asked == 1
    assert sorted(decision.cache for decision in decisions) == ["hit"] * 19 + ["miss"]
    assert sorted(json.loads(record)["input"]["subject"]["id"] for record in scene.log.records) == sorted(people)


async def test_the_error_of_one_evaluation_is_that_of_all_who_waited_for_it_and_of_nobody_else() -> None:
    scene = Scene(EngineTimeoutError("too slow"))
    decisions = await asyncio.gather(*(scene.ask() for _ in range(5)))
    assert {decision.verdict.reasons for decision in decisions} == {("EVALUATION_ERROR",)}
    assert {decision.expires_at == decision.at for decision in decisions} == {True}
    assert scene.asked == 1
    scene.engine.answer = ALLOW
    assert (await scene.ask()).permits


async def test_a_plain_policy_is_remembered_by_what_it_reads_of_the_document() -> None:
    plain = replace(BUNDLE, profile="plain")
    holder = Holder(ActivePolicy(plain, None, Footprint((("subject", "role"),))), snapshot())
    scene = Scene(b"true")
    checkpoint = Checkpoint(scene.house(policies=holder, directory=holder))
    paths = []
    for subject in ({"role": "a", "id": 1}, {"role": "a", "id": 2}, {"role": ["a"]}, {"role": None}, {}, {"role": "a"}):
        request = msgspec.structs.replace(REQUEST, identity=None, document={"subject": subject})
        paths.append((await checkpoint.decide(request, CALLER)).cache)
    assert paths == ["miss", "hit", "miss", "miss", "miss", "hit"]
    bare = msgspec.structs.replace(REQUEST, identity=None, document={})
    assert (await checkpoint.decide(bare, CALLER)).cache == "miss"


async def test_claims_of_another_moment_are_other_premises_and_may_be_the_same_verdict() -> None:
    scene = Scene()
    await scene.ask()
    earlier = AssertedClaims(acr="urn:sekisho:auth-level:2", auth_time=NOW - timedelta(hours=3))
    decision = await scene.ask(identity=earlier)
    assert decision.cache == "hit"
    assert json.loads(decision.input)["subject"]["auth_age_min"] == 180
    weaker = AssertedClaims(acr="urn:sekisho:auth-level:1", auth_time=NOW)
    assert (await scene.ask(identity=weaker)).cache == "miss"
