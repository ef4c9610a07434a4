"""One access, decided. Read this first: the numbers below stand beside the code.

0. `now` and the decision id are taken once, and so are the active policy and the directory's snapshot.
1. Caller: which enforcement point is this, and what of its words may be believed.
2. Identity: from a token or an asserted claim to an authentication level.
3. Facts: registers and request become one closed document, `pdp.input/v1`, as it is at `now`.
4. Cache: has the policy judged the same premises before, here or on another host.
5. Engine: if not, the document becomes a verdict. Only `pdp.engine.verdict` can make one that allows.
   Where the policy is counted out, the engine's answer stands in a table (`pdp.table`), and nobody waits for it.
   In a time of warning a new refusal is held against the former policy's verdict (`pdp.grace`).
6. Obligations and expiry: can the answer be read, and until when is it true of these very facts.
7. Record: no answer without a record.

A question that was asked here before in these very words need not go through steps 1 to 3 again while all stands that
they looked at (`pdp.recollection`). What may change under it is looked at each time, and steps 4, 6 and 7 are the same.

INVARIANT (one door): a decision permits only if steps 1 to 6 all ended with a well-formed verdict that
permits. Whatever else happens in them is a deny, recorded and counted.
INVARIANT (record first): `decide` returns only after the decision log has the record; if it cannot
have it, there is no answer (`RecordFailedError`), and an enforcement point without an answer denies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pdp.callers.belief import believable
from pdp.callers.caller import require_profile
from pdp.declog.record import decided_record, record_of, refusal_of
from pdp.declog.sheet import Sheet
from pdp.errors import BadRequestError, EngineError, EngineSupersededError, SekishoError
from pdp.identity.proof import prove, shown_by
from pdp.judging import entry_of
from pdp.model.decision import BAD_INPUT, EVALUATION_ERROR, POLICY_STALE, Decision, Verdict, denied
from pdp.model.request import UnverifiedToken
from pdp.obligations import expiry
from pdp.recollection import Grounds, memory_of, recalled
from pdp.steps import Recording, Steps

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime
    from typing import Any

    from pdp.active_policy import ActivePolicy
    from pdp.cache.entry import Entry
    from pdp.callers.caller import Caller
    from pdp.house import House
    from pdp.identity.proof import Shown
    from pdp.model.decision import CachePath
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest, Refusal
    from pdp.premises import Premises
    from pdp.recollection import Memory


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
        self._memory: Memory | None = None
        self._doubts = 0

    def forget(self) -> None:
        """What is remembered is in doubt: no verdict that was kept until now is found again, here or in Redis."""
        self._memory = None
        self._doubts += 1

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        """The recorded decision on one access.

        Raises NotReadyError where there is no policy or no directory, and RecordFailedError where the
        decision log cannot take the record. Nothing else.
        """
        begun = self.begin(request, caller)
        if isinstance(begun, Recording):
            await begun.kept
            return begun.decision()
        return await begun

    def begin(self, request: AccessRequest, caller: Caller) -> Recording | Coroutine[Any, Any, Decision]:
        """As `decide`, without a task for the question that is known here: all there is to wait for is its record.

        For any other question a coroutine, which has to be awaited. Raises as `decide`.
        """
        house = self._house
        # 0. Everything that could change under us is taken once.
        taken = self._take(house.clock())
        decision_id = house.new_id()
        steps = Steps(house.stopwatch)
        known = self._known(request, caller, taken, steps)
        if known is None:
            return self._decide(request, caller, taken, decision_id, steps)
        grounds, judgement = known
        decision = _decision(decision_id, taken, judgement, request.subject_id, grounds)
        # 7. No answer without a record.
        if house.mask is not None:
            record = self._record(decision, request, caller, taken, steps)
        else:
            record = _sheet(grounds, decision, request, taken).fill(
                decision_id=decision_id,
                at=taken.now,
                trace_id=request.trace_id,
                request_id=request.request_id,
                expires_at=decision.expires_at,
                steps_us=steps.taken_us,
            )
        kept = house.log.begin(record)
        if kept is None:
            return self._recorded(decision, record, request, steps)
        return Recording(kept, decision, lambda: self._count(decision, request, steps))

    async def _decide(
        self, request: AccessRequest, caller: Caller, taken: Taken, decision_id: str, steps: Steps
    ) -> Decision:
        """The whole way from step 1 on."""
        now = taken.now
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
        decision = _decision(decision_id, taken, judgement, request.subject_id)
        # 7. No answer without a record.
        record = self._record(decision, request, caller, taken, steps)
        return await self._recorded(decision, record, request, steps)

    async def _recorded(self, decision: Decision, record: bytes, request: AccessRequest, steps: Steps) -> Decision:
        await self._house.log.append(record)
        self._count(decision, request, steps)
        return decision

    def _count(self, decision: Decision, request: AccessRequest, steps: Steps) -> None:
        steps.end("record")
        self._house.observer.decided(decision, request.wire, steps.taken_us)

    def _record(self, decision: Decision, request: AccessRequest, caller: Caller, taken: Taken, steps: Steps) -> bytes:
        return record_of(
            decision,
            request,
            time=taken.now,
            caller_id=caller.id,
            profile=taken.policy.bundle.profile,
            steps_us=steps.taken_us,
            mask=self._house.mask,
        )

    def _take(self, now: datetime) -> Taken:
        return Taken(now, self._house.policies.active().at(now), self._house.directory.current())

    async def _judge(
        self, request: AccessRequest, caller: Caller, taken: Taken, steps: Steps, decision_id: str
    ) -> Judgement:
        """Steps 1 to 6. Raises BadRequestError, NotPermittedError and EngineSupersededError; else what is a bug."""
        house, now, policy = self._house, taken.now, taken.policy
        stale = self._stale(taken)
        if stale is not None:
            return Judgement(denied(POLICY_STALE), now, fault=stale)
        # 1. Caller.
        require_profile(caller, policy.bundle.profile)
        believed = believable(request, caller)
        steps.end("caller")
        memory = self._memory_of(taken)
        subject_id: str | None = None
        shown: Shown | None = None
        if policy.reference is None:
            if isinstance(believed.identity, UnverifiedToken):
                raise BadRequestError("profile plain verifies no tokens")  # nobody would have looked at it
            standing = memory.premises.of_document(believed, now)
        else:
            # 2. Identity.
            proof = await prove(believed, caller, house.witnesses, taken.snapshot.users, now, decision_id)
            if house.policies.active().at(now) is not policy:  # while an issuer's keys were waited for
                raise EngineSupersededError("another policy has become active")
            subject_id = proof.subject_id
            if subject_id is not None and subject_id != believed.subject_id:  # it was the token's to say
                believed = msgspec.structs.replace(believed, subject_id=subject_id)
            steps.end("identity")
            # 3. Facts.
            standing = memory.premises.of_request(believed, proof, taken.snapshot, now)
            shown = shown_by(believed, proof)
        if request.reading is not None and house.cache is not None:
            request.reading.grounds = Grounds(memory.era, caller, standing, shown)
        steps.end("facts")
        premises = standing.premises
        try:
            # 4. Cache, and for what it does not know 5. Engine.
            verdict, path = await self._verdict(premises, taken, steps, fresh=believed.fresh)
        except EngineSupersededError:
            raise
        except EngineError as fault:
            denial, described = denied(EVALUATION_ERROR), _describe(fault)
            return Judgement(denial, now, premises.document, described, group=premises.group, subject_id=subject_id)
        # 6. Expiry; obligations and reasons were checked with the verdict.
        judgement = self._judgement(verdict, path, premises, taken, subject_id)
        steps.end("obligations")
        return judgement

    def _known(
        self, request: AccessRequest, caller: Caller, taken: Taken, steps: Steps
    ) -> tuple[Grounds, Judgement] | None:
        """Steps 1 to 6 of a question whose grounds and verdict stand; None for all others. Raises nothing."""
        house, now = self._house, taken.now
        memory = self._memory
        if house.cache is None or request.fresh or memory is None:
            return None
        if memory.policy is not taken.policy or memory.snapshot is not taken.snapshot:
            return None
        try:
            grounds = recalled(request, caller, memory.era, now)
            if grounds is None or self._stale(taken) is not None:
                return None
            if grounds.shown is not None:
                house.revocations.refuse_revoked(grounds.shown)
            premises = grounds.standing.premises
            verdict = house.cache.here(premises.key, now)
            if verdict is None:
                return None
            judgement = self._judgement(verdict, "hit", premises, taken, None)
        except Exception:  # noqa: BLE001  # the whole way says what it is, denies and records it
            return None
        steps.end("cache")
        return grounds, judgement

    def _stale(self, taken: Taken) -> str | None:
        """Why nothing at all may be permitted now; None: nothing stands against it."""
        house = self._house
        if taken.policy.reference is not None and house.directory.is_stale():
            # Somebody may have left, or a terminal may have been lost, and nobody here would know.
            return "the directory has not been seen to be current"
        if house.unconfirmed(taken.snapshot, taken.now):
            # It may have been rolled back because of what it permits, and nobody here would know.
            return "the policy has not been confirmed to be of record"
        return None

    def _judgement(
        self, verdict: Verdict, path: CachePath, premises: Premises, taken: Taken, subject_id: str | None
    ) -> Judgement:
        """Step 6."""
        policy, now = taken.policy, taken.now
        ttl, longest = policy.bundle.ttl(verdict.outcome), self._house.longest()
        if longest is not None:
            ttl = min(ttl, longest)
        expires_at = expiry(now, ttl, premises.changes, verdict.obligations)
        if policy.grace is not None:
            expires_at = min(expires_at, policy.grace.until)
        return Judgement(verdict, expires_at, premises.document, None, path, premises.group, subject_id)

    def _memory_of(self, taken: Taken) -> Memory:
        if self._memory is None or self._memory.policy is not taken.policy:
            self._memory = memory_of(taken.policy, taken.snapshot, self._house.engine.name, self._doubts)
        elif self._memory.snapshot is not taken.snapshot:
            self._memory = self._memory.with_snapshot(taken.snapshot)
        return self._memory

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

        def superseded() -> bool:
            return self._take(now).policy is not taken.policy

        said = None if fresh else self._house.table.answer(premises.document, bundle.digest)
        if said is not None:
            steps.end("cache")
            entry = await entry_of(said, premises.document, taken.policy, now, superseded)
            steps.end("engine")
            return (entry.verdict, "bypass") if cache is None else (cache.keep(premises.key, now, entry), "miss")

        async def evaluate() -> Entry:
            steps.end("cache")
            (raw,) = await self._house.engine.evaluate([premises.document], digest=bundle.digest)
            entry = await entry_of(raw, premises.document, taken.policy, now, superseded)
            steps.end("engine")
            return entry

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


def _decision(
    decision_id: str, taken: Taken, judgement: Judgement, subject_id: str, grounds: Grounds | None = None
) -> Decision:
    policy = taken.policy
    if policy.grace is not None:
        policy.grace.tell(judgement.verdict)
    model = None if grounds is None else grounds.sheet_of
    if model is not None and model.verdict is judgement.verdict:  # on the same grounds: all else is the same too
        return msgspec.structs.replace(model, id=decision_id, at=taken.now, expires_at=judgement.expires_at)
    bundle, said = policy.bundle, policy.said(judgement.verdict)
    return Decision(
        id=decision_id,
        at=taken.now,
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
        subject_id=subject_id,
    )


def _sheet(grounds: Grounds, decision: Decision, request: AccessRequest, taken: Taken) -> Sheet:
    """The record of every decision on these grounds with this verdict: of one policy, snapshot and caller."""
    if grounds.sheet is None or grounds.sheet_of is None or grounds.sheet_of.verdict is not decision.verdict:
        profile, caller_id = taken.policy.bundle.profile, grounds.caller.id
        grounds.sheet = Sheet(
            decided_record(decision, request, time=taken.now, caller_id=caller_id, profile=profile, steps_us={})
        )
        grounds.sheet_of = decision
    return grounds.sheet


def _describe(fault: Exception) -> str:
    """For the decision log, which administrators read; never for an answer."""
    code = fault.code if isinstance(fault, SekishoError) else type(fault).__name__
    return f"{code}: {fault}"[:500]
