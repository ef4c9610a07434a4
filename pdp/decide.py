"""One access, decided. Read this first: the numbers below stand beside the code.

0. `now` and the decision id are taken once, and so are the active policy and the directory's snapshot.
1. Caller: which enforcement point is this, and what of its words may be believed.
2. Identity: from a token or an asserted claim to an authentication level.
3. Facts: registers and request become one closed document, `pdp.input/v1`, as it is at `now`.
4. Cache: has the policy judged the same premises before, here or on another host.
5. Engine: if not, the document becomes a verdict. Only `pdp.engine.verdict` can make one that allows.
6. Obligations and expiry: can the answer be read, and until when is it true of these very facts.
7. Record: no answer without a record.

INVARIANT (one door): a decision permits only if steps 1 to 6 all ended with a well-formed verdict that
permits. Whatever else happens in them is a deny, recorded and counted.
INVARIANT (record first): `decide` returns only after the decision log has the record; if it cannot
have it, there is no answer (`RecordFailedError`), and an enforcement point without an answer denies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from pdp.bundle.footprint import WHOLE
from pdp.cache.entry import Entry
from pdp.cache.key import KeyMaker
from pdp.callers.caller import require_profile
from pdp.declog.record import record_of, refusal_of
from pdp.engine.verdict import read_verdict
from pdp.errors import BadRequestError, EngineError, EngineSupersededError, NotPermittedError, SekishoError
from pdp.identity.proof import NOTHING_REVOKED, Witnesses, prove
from pdp.model.decision import BAD_INPUT, EVALUATION_ERROR, POLICY_STALE, Decision, Verdict, denied
from pdp.model.request import Network, UnverifiedToken
from pdp.obligations import check_obligations, expiry
from pdp.premises import Premises, PremisesMemory
from pdp.reasons import Wording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.footprint import Footprint
    from pdp.cache.levels import VerdictCache
    from pdp.callers.caller import Caller
    from pdp.declog.port import DecisionLog
    from pdp.declog.record import Record
    from pdp.engine.port import Engine
    from pdp.facts.reference import Reference
    from pdp.identity.levels import LevelTable
    from pdp.identity.proof import Revocations, TokenVerifier
    from pdp.model.decision import CachePath
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest, Refusal


@dataclass(frozen=True)
class ActivePolicy:
    """The bundle that decides now. `reference` is there for profile `zta` and only for it.

    `footprint` is what the bundle can see of a document; the whole of it, where nobody looked closer.
    """

    bundle: Bundle
    reference: Reference | None
    footprint: Footprint = WHOLE

    @cached_property
    def wording(self) -> Wording:
        return Wording(self.bundle.reasons)


class Policies(Protocol):
    def active(self) -> ActivePolicy:
        """Raises NotReadyError where no policy is active."""
        ...


class Directory(Protocol):
    def current(self) -> Snapshot:
        """Raises NotReadyError where no directory has been read yet."""
        ...

    def is_stale(self) -> bool:
        """Whether the registers have not been seen to be current for longer than is safe to decide on."""
        ...


class Observer(Protocol):
    """Who counts. It must not raise, and must cost next to nothing."""

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None: ...

    def refused(self, refusal: Refusal) -> None: ...


@dataclass(frozen=True)
class House:
    """All that a decision needs from outside; `pdp.main` composes it, tests compose their own.

    `clock` gives the aware time in UTC, `stopwatch` monotonic nanoseconds, `new_id` a uuid7. Without a
    `cache` every decision is evaluated. `longest` bounds how long an answer may be relied on, for as long as
    a change in the directory might be heard of late; None: the policy's own time is bound enough.
    `unconfirmed` says that nobody knows any longer whether this policy is still the one of record: then all is denied.
    `mask` has the last word on what a record holds; it never raises.
    """

    clock: Callable[[], datetime]
    stopwatch: Callable[[], int]
    new_id: Callable[[], str]
    policies: Policies
    directory: Directory
    levels: LevelTable
    tokens: TokenVerifier
    engine: Engine
    log: DecisionLog
    observer: Observer
    cache: VerdictCache | None = None
    revocations: Revocations = NOTHING_REVOKED
    longest: Callable[[], timedelta | None] = lambda: None
    unconfirmed: Callable[[Snapshot, datetime], bool] = lambda _snapshot, _now: False
    mask: Callable[[Record], Record] | None = None

    @cached_property
    def witnesses(self) -> Witnesses:
        return Witnesses(self.levels, self.tokens, self.revocations)


class Taken(NamedTuple):
    """Step 0: everything that could change under a decision, taken once."""

    now: datetime
    policy: ActivePolicy
    snapshot: Snapshot


class Judgement(NamedTuple):
    """What steps 1 to 6 came to. `expires_at` equal to `now` means: never rely on this again."""

    verdict: Verdict
    expires_at: datetime
    document: bytes = b"null"
    fault: str | None = None
    cache: CachePath = "bypass"
    group: str = "none"
    subject_id: str | None = None  # as a token proved it; None: as the caller asked


class Checkpoint:
    """Decides accesses. Implements `pdp.wire.exchange.Decider`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._policy: ActivePolicy | None = None  # the one whose premises are remembered
        self._premises: PremisesMemory

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        """The recorded decision on one access.

        Raises NotReadyError where there is no policy or no directory, and RecordFailedError where the
        decision log cannot take the record. Nothing else.
        """
        house = self._house
        # 0. Everything that could change under us is taken once.
        now = house.clock()
        taken = self._take(now)
        decision_id = house.new_id()
        steps = Steps(house.stopwatch)
        try:
            try:
                judgement = await self._judge(request, caller, taken, steps, decision_id)
            except EngineSupersededError:  # another policy became active on the way, and is the one that decides
                taken = self._take(now)
                judgement = await self._judge(request, caller, taken, steps, decision_id)
        except BadRequestError as fault:
            judgement = Judgement(denied(BAD_INPUT), now, fault=fault.message)
        except Exception as fault:  # noqa: BLE001  # the one place: what we did not foresee is a deny, not a crash
            judgement = Judgement(denied(EVALUATION_ERROR), now, fault=_describe(fault))
        if judgement.subject_id is not None and judgement.subject_id != request.subject_id:
            request = msgspec.structs.replace(request, subject_id=judgement.subject_id)  # for the record
        bundle = taken.policy.bundle
        said = taken.policy.wording.of(judgement.verdict.reasons)
        decision = Decision(
            id=decision_id,
            at=now,
            verdict=judgement.verdict,
            reason_user=said.user,
            reason_admin=said.admin,
            expires_at=judgement.expires_at,
            policy_revision=bundle.revision,
            bundle_digest=bundle.digest,
            directory_epoch=taken.snapshot.epoch,
            cache=judgement.cache,
            input=judgement.document,
            fault=judgement.fault,
            fix=said.fix,
            group=judgement.group,
            subject_id=request.subject_id,
        )
        # 7. No answer without a record.
        taken_us = steps.taken_us()
        record = record_of(
            decision,
            request,
            time=now,
            caller_id=caller.id,
            profile=bundle.profile,
            steps_us=taken_us,
            mask=house.mask,
        )
        await house.log.append(record)
        house.observer.decided(decision, request.wire, taken_us | {"record": steps.since_last_us()})
        return decision

    def _take(self, now: datetime) -> Taken:
        return Taken(now, self._house.policies.active(), self._house.directory.current())

    async def _judge(
        self, request: AccessRequest, caller: Caller, taken: Taken, steps: Steps, decision_id: str
    ) -> Judgement:
        """Steps 1 to 6. Raises BadRequestError, NotPermittedError and EngineSupersededError; else what is a bug."""
        house, now, policy = self._house, taken.now, taken.policy
        if policy.reference is not None and house.directory.is_stale():
            # Somebody may have left, or a terminal may have been lost, and nobody here would know.
            return Judgement(denied(POLICY_STALE), now, fault="the directory has not been seen to be current")
        if house.unconfirmed(taken.snapshot, now):
            # It may have been rolled back because of what it permits, and nobody here would know.
            return Judgement(denied(POLICY_STALE), now, fault="the policy has not been confirmed to be of record")
        # 1. Caller.
        require_profile(caller, policy.bundle.profile)
        believed = believable(request, caller)
        steps.end("caller")
        memory = self._memory(policy)
        subject_id: str | None = None
        if policy.reference is None:
            if isinstance(believed.identity, UnverifiedToken):
                raise BadRequestError("profile plain verifies no tokens")  # nobody would have looked at it
            premises = memory.of_document(believed)
        else:
            # 2. Identity.
            proof = await prove(believed, caller, house.witnesses, taken.snapshot.users, now, decision_id)
            subject_id = proof.subject_id
            if subject_id is not None and subject_id != believed.subject_id:  # it was the token's to say
                believed = msgspec.structs.replace(believed, subject_id=subject_id)
            steps.end("identity")
            # 3. Facts.
            premises = memory.of_request(believed, proof, taken.snapshot, now)
        steps.end("facts")
        try:
            # 4. Cache, and for what it does not know 5. Engine.
            verdict, path = await self._verdict(premises, taken, steps, fresh=believed.fresh)
        except EngineSupersededError:
            raise
        except EngineError as fault:
            denial, described = denied(EVALUATION_ERROR), _describe(fault)
            return Judgement(denial, now, premises.document, described, group=premises.group, subject_id=subject_id)
        # 6. Expiry; obligations and reasons were checked with the verdict.
        ttl, longest = policy.bundle.ttl(verdict.outcome), house.longest()
        if longest is not None:
            ttl = min(ttl, longest)
        expires_at = expiry(now, ttl, premises.changes, verdict.obligations)
        steps.end("obligations")
        return Judgement(
            verdict, expires_at, premises.document, cache=path, group=premises.group, subject_id=subject_id
        )

    def _memory(self, policy: ActivePolicy) -> PremisesMemory:
        if policy is not self._policy:
            keys = KeyMaker(policy.bundle, policy.footprint, self._house.engine.name)
            self._premises = PremisesMemory(policy.reference, policy.footprint, keys)
            self._policy = policy
        return self._premises

    async def _verdict(
        self, premises: Premises, taken: Taken, steps: Steps, *, fresh: bool
    ) -> tuple[Verdict, CachePath]:
        """Steps 4 and 5. Raises EngineError where there is no well-formed verdict; that is never remembered."""
        cache, now, bundle = self._house.cache, taken.now, taken.policy.bundle

        if cache is not None and not fresh:
            known = cache.here(premises.key, now)
            if known is not None:
                steps.end("cache")
                return known, "hit"

        async def evaluate() -> Entry:
            steps.end("cache")
            (raw,) = await self._house.engine.evaluate([premises.document], digest=bundle.digest)
            verdict = judge_raw(raw, bundle)
            steps.end("engine")
            return Entry(verdict, now + bundle.ttl(verdict.outcome))

        if cache is None:
            return (await evaluate()).verdict, "bypass"
        if fresh:
            return cache.keep(premises.key, now, await evaluate()), "bypass"
        verdict, path = await cache.judged(premises.key, now, evaluate)
        steps.end("cache")
        return verdict, path

    async def refuse(self, refusal: Refusal, caller: Caller) -> str:
        """Record a request that was answered with an error; the id of the record. Raises RecordFailedError."""
        house = self._house
        decision_id = house.new_id()
        record = refusal_of(refusal, decision_id=decision_id, time=house.clock(), caller_id=caller.id, mask=house.mask)
        await house.log.append(record)
        house.observer.refused(refusal)
        return decision_id


class Steps:
    """How long each step took."""

    def __init__(self, stopwatch: Callable[[], int]) -> None:
        self._stopwatch = stopwatch
        self._begun_ns = stopwatch()
        self._ended: list[tuple[str, int]] = []

    def end(self, step: str) -> None:
        self._ended.append((step, self._stopwatch()))

    def since_last_us(self) -> int:
        return (self._stopwatch() - self._ended[-1][1]) // 1_000 if self._ended else 0

    def taken_us(self) -> dict[str, int]:
        """Whole microseconds by step, of the steps that have ended."""
        taken: dict[str, int] = {}
        last_ns = self._begun_ns
        for step, ended_ns in self._ended:
            taken[step] = taken.get(step, 0) + (ended_ns - last_ns) // 1_000
            last_ns = ended_ns
        return taken


_NO_WORD_ON_THE_NETWORK: Final = Network()


def believable(request: AccessRequest, caller: Caller) -> AccessRequest:
    """The request without what this caller may not say (profile `zta`; a `plain` policy judges the document).

    Wire formats refuse such a request with 403; here it is taken out once more, because a wire format
    that forgets must not open the door. A certificate that the gateway saw is part of the network.
    Raises NotPermittedError for a caller that may not ask at all.
    """
    if not caller.may("decide"):
        raise NotPermittedError("this caller may not ask for decisions")
    if request.fresh and not caller.may("bypass_cache"):
        request = msgspec.structs.replace(request, fresh=False)
    if not caller.may("assert_network"):
        request = msgspec.structs.replace(
            request, network=_NO_WORD_ON_THE_NETWORK, certificate_sha256=None, client_request=None
        )
    return request


def judge_raw(raw: bytes | EngineError, bundle: Bundle) -> Verdict:
    """The end of step 5 and the checks of step 6, for everybody who asks an engine: what did the policy say.

    Raises EngineError where the engine gave no answer, the answer is not a verdict, an obligation is one
    that nobody could read, or a reason has no text. It then counts as `EVALUATION_ERROR`, a deny.
    """
    if isinstance(raw, EngineError):
        raise raw
    verdict = read_verdict(raw, bundle.profile)
    check_obligations(verdict.obligations)
    check_reasons(verdict, bundle)
    return verdict


def check_reasons(verdict: Verdict, bundle: Bundle) -> None:
    """A `zta` answer says why, in words that somebody can read. Raises EngineError for an unknown code."""
    if bundle.profile != "zta":
        return
    for code in verdict.reasons:
        if code not in bundle.reasons:
            raise EngineError(f"the policy gives a reason that has no text: `{code}`")
        if verdict.permits and bundle.reasons[code].group != "ok":
            raise EngineError(f"the policy permits for a reason that denies: `{code}`")


def _describe(fault: Exception) -> str:
    """For the decision log, which administrators read; never for an answer."""
    code = fault.code if isinstance(fault, SekishoError) else type(fault).__name__
    return f"{code}: {fault}"[:500]
