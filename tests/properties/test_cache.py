"""Whatever happens in whatever order, no answer from a cache differs from what an evaluation would say at that instant.

Three workers, two of which run the same engine, share one Redis that lies and forgets; one of these two has the shipped
policy as a decision table, and asks its engine for the others. Each hears of a change in
the directory or of another policy at once or late, up to BOUND. Clocks differ, go on, jump back, and stop exactly
at the borders of facts. Held against `tests.cache_world.Oracle`, which remembers nothing:

- every answer is that of an evaluation on this worker's own snapshot, policy and clock, and so is what is recorded,
  also where the question was known in these very words and its record was a sheet that was filled in;
- until `expires_at` an evaluation on the same snapshot gives the same answer;
- a worker's snapshot and policy are never older than BOUND;
- an entry is not used beyond its end, no error is remembered, and the level in the process keeps its size.

`SEKISHO_CACHE_RUNS` says how many courses of events.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pdp.active_policy import ActivePolicy
from pdp.cache.entry import Entry
from pdp.cache.seal import Seal
from pdp.callers.caller import Caller
from pdp.declog.record import record_of
from pdp.errors import BadRequestError
from pdp.model.decision import CachePath, Decision, Outcome, Verdict
from pdp.model.directory import Emergency, Period, Post, Snapshot
from pdp.model.input import encode_input
from pdp.model.request import AccessRequest
from tests.cache_workers import Taken, Worker, WorkersTable
from tests.cache_world import (
    GATEWAY,
    HOUR,
    REQUESTS,
    START,
    STEP,
    WEAK,
    Oracle,
    Question,
    Registers,
    policies,
    with_posture,
)
from tests.simulated_shared_level import Fault, Redis

RUNS = int(os.environ.get("SEKISHO_CACHE_RUNS", "40"))
BOUND = timedelta(seconds=2)  # within which every worker hears of a change
COURSES = settings(  # an example is a whole course of events, with some 200 decisions in it
    max_examples=RUNS, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
STRANGER = Seal(b"the secret of quite another one!")
SKEWS = (timedelta(), timedelta(seconds=3), timedelta(seconds=-3))


@dataclass(frozen=True)
class Version:
    """The directory as it was from `since` on, on a clock that only goes forward."""

    snapshot: Snapshot
    since: timedelta


Asked = tuple[AccessRequest, Caller, bool]  # and whether it is to be a new evaluation
ALIKE = REQUESTS[:2]
WORKERS = st.sampled_from((0, 0, 1, 1, 2))
ASKED = st.tuples(
    st.sampled_from(REQUESTS),
    st.sampled_from((GATEWAY, GATEWAY, GATEWAY, WEAK)),
    st.sampled_from((False,) * 7 + (True,)),
)
CHANGES = ("posture", "state", "permit", "loan", "post", "leave", "work", "emergency", "source", "alike", "alike")
LITTLE = st.sampled_from((-STEP, timedelta(), STEP))
SPANS = st.sampled_from((STEP, timedelta(seconds=1), timedelta(seconds=19), timedelta(seconds=60), timedelta(minutes=5), HOUR, 7 * HOUR))  # fmt: skip
NEAR = st.builds(lambda hours, little: hours * HOUR + little, st.integers(-26, 26), LITTLE)


class Prefecture(RuleBasedStateMachine):
    loop: ClassVar[asyncio.AbstractEventLoop]
    oracle: ClassVar[Oracle]
    met: ClassVar[Counter[str]]  # over all courses: one that meets nothing proves nothing

    @initialize(
        entries=st.lists(st.sampled_from((0, 2, 50)), min_size=3, max_size=3),
        longest=st.lists(st.sampled_from((None, None, BOUND)), min_size=3, max_size=3),
        regulars=st.lists(st.sampled_from(REQUESTS[2:-2]), min_size=2, max_size=2),
    )
    def begin(self, entries: list[int], longest: list[timedelta | None], regulars: list[AccessRequest]) -> None:
        self.regulars = [*ALIKE, *regulars]
        self.wall, self.elapsed = START, timedelta()
        self.registers, self.redis = Registers(), Redis()
        self.versions = [Version(self.registers.snapshot(1), self.elapsed)]
        self.policy, self.policy_since = policies()[0], self.elapsed
        self.workers = [self._worker(number, *parts) for number, parts in enumerate(zip(entries, longest, strict=True))]
        self.ends: dict[tuple[str, ...], list[datetime]] = {}  # of what was ever evaluated, by what the policy saw

    def _worker(self, number: int, entries: int, longest: timedelta | None) -> Worker:
        view, contrary = self.versions[-1].snapshot, number == 2
        table = WorkersTable() if number == 1 else None
        own: dict[str, Any] = {"skew": SKEWS[number], "longest": longest, "contrary": contrary, "table": table}
        return Worker(self, view, self.policy, entries, **own)

    # --- Questions ----------------------------------------------------------------------------------------------------

    @rule(all_asked=st.lists(st.tuples(WORKERS, ASKED), min_size=1, max_size=6))
    def some_ask_one_after_another(self, all_asked: list[tuple[int, Asked]]) -> None:
        for asked in all_asked:
            self._ask([asked])

    @rule(all_asked=st.lists(st.tuples(WORKERS, ASKED), min_size=2, max_size=4), alike=st.booleans())
    def several_ask_at_once(self, all_asked: list[tuple[int, Asked]], alike: bool) -> None:
        self._ask([all_asked[0]] * 3 if alike else all_asked)

    @rule(
        asked=st.tuples(WORKERS, ASKED),
        what=st.sampled_from(("heard", "policy", "left", "left", "failed")),
        which=st.integers(0, 2),
    )
    def something_happens_while_several_ask(self, asked: tuple[int, Asked], what: str, which: int) -> None:
        worker = self.workers[asked[0]]
        if what == "heard":
            worker.engine.meanwhile.append(lambda: self._hear(worker))
        elif what == "policy":
            worker.engine.meanwhile.append(lambda: self._activate(which, late=False))
        elif what == "failed":
            worker.engine.failing += 1
        self._ask([asked] * 3, leaves=what == "left")
        worker.engine.meanwhile.clear()
        worker.engine.failing = 0
        self._ask([asked])

    def _ask(self, all_asked: list[tuple[int, Asked]], *, leaves: bool = False) -> None:
        failed = [worker.engine.failed for worker in self.workers]
        for (number, asked), ended in zip(
            all_asked, self.loop.run_until_complete(self._all(all_asked, leaves)), strict=True
        ):
            worker = self.workers[number]
            if isinstance(ended, asyncio.CancelledError):
                self.met["left"] += 1
                continue
            assert not isinstance(ended, BaseException), ended
            decision, taken = ended
            assert isinstance(taken, Taken)
            policy, snapshot = taken.policy, taken.snapshot
            assert policy is not None and snapshot is not None
            assert (decision.at, decision.directory_epoch) == (taken.now, snapshot.epoch)
            assert decision.bundle_digest == policy.bundle.digest
            self.met[decision.cache] += 1
            self._hold_against_the_record(worker, asked, decision)
            if decision.verdict.reasons == ("EVALUATION_ERROR",):
                assert worker.engine.failed > failed[number], f"an error was remembered: {decision.fault}"
                assert (decision.cache, decision.expires_at) == ("bypass", decision.at)
                self.met["error"] += 1
                continue
            question = Question(asked[0], asked[1], snapshot, policy, worker.engine.name)
            self._hold_against_the_truth(question, decision, worker.longest)

    def _hold_against_the_record(self, worker: Worker, asked: Asked, decision: Decision) -> None:
        record = worker.record_of(decision)
        steps_us = msgspec.json.decode(record)["steps_us"]
        if list(steps_us) == ["cache"]:
            self.met["recalled"] += 1
        said = {"time": decision.at, "caller_id": asked[1].id, "profile": "zta", "steps_us": steps_us}
        assert record == record_of(decision, asked[0], **said)

    async def _all(self, all_asked: list[tuple[int, Asked]], leaves: bool) -> list[Any]:
        tasks = [asyncio.create_task(self.workers[number].decide(*asked)) for number, asked in all_asked]
        if leaves:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    def _hold_against_the_truth(self, question: Question, decision: Decision, longest: timedelta | None) -> None:
        now, verdict = decision.at, decision.verdict
        assert verdict == self.oracle.answer(question, now), f"{decision.cache} of {question.request}"
        self.met[verdict.outcome] += 1
        if verdict.reasons == ("BAD_INPUT",):
            assert (decision.expires_at, decision.input) == (now, b"null")
            return
        assert decision.input == encode_input(question.facts(now).document), "the record has somebody else's facts"
        most = min(question.policy.bundle.ttl(verdict.outcome), longest or timedelta.max)
        assert now <= decision.expires_at <= now + most
        for instant in self._borders(question, now, decision.expires_at):
            self.met["border"] += 1
            assert verdict == self.oracle.answer(question, instant), f"relied on until {decision.expires_at}"
        if decision.cache == "hit":
            ends = self.ends.get(sight(question.engine, question.policy, decision.input), ())
            assert any(now < end for end in ends), "an entry was used at or beyond its end"

    def _borders(self, question: Question, now: datetime, end: datetime) -> Iterator[datetime]:
        """Every instant in (now, end) at which any fact changes, and the last one before the end."""
        border = question.facts(now).horizon.earliest()
        while border is not None and border < end:
            yield border
            try:
                border = question.facts(border).horizon.earliest()
            except BadRequestError:
                return
        if now < end - STEP:
            yield end - STEP

    def note(self, worker: Worker, document: bytes) -> None:
        """An entry may stand in some cache from now on: until when at most."""
        policy, engine = worker.policy, worker.engine.name
        ttl = policy.bundle.ttl(self.oracle.verdict(policy, document, engine).outcome)
        self.ends.setdefault(sight(engine, policy, document), []).append(worker.now + ttl)

    # --- The directory and the policy ---------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(CHANGES),
        which=st.integers(0, 2),
        value=st.integers(0, 2),
        start=NEAR,
        length=SPANS,
        at_once=st.lists(st.booleans(), min_size=3, max_size=3),
    )
    def the_directory_changes(
        self, what: str, which: int, value: int, start: timedelta, length: timedelta, at_once: list[bool]
    ) -> None:
        now, begin = self.wall, self.wall + start
        period = (Period(now - HOUR, now + length), Period(begin, begin + length), Period(None, begin))[value]
        self._change(what, which, value, period)
        self.versions.append(Version(self.registers.snapshot(self.versions[-1].snapshot.epoch + 1), self.elapsed))
        for worker, hears in zip(self.workers, at_once, strict=True):
            if hears:
                self._hear(worker)

    def _change(self, what: str, which: int, value: int, period: Period) -> None:
        held = self.registers
        device, user = ("d-1", "d-2", "d-4")[which], ("u-1", "u-2", "u-3")[which]
        match what:
            case "posture":
                facts = ({"observed_at": period.end}, {"edr_running": False}, {"patch_age_days": 20})[value]
                held.devices[device] = with_posture(held.devices[device], **facts)
            case "state":
                held.devices[device] = replace(held.devices[device], state=("in_service", "lost", "quarantined")[value])
            case "permit":
                held.permits["d-3"] = replace(held.permits["d-3"], period=period, held=which == 0)
            case "loan":
                held.loans["d-4"] = replace(held.loans["d-4"], period=period, user=user)
            case "post":
                posts = (Post("kankyo", period), Post("soumu", Period(period.end)))
                held.users[user] = replace(held.users[user], posts=posts)
            case "leave":
                held.users[user] = replace(held.users[user], employment=Period(None, period.end))
            case "work":
                held.work["w-1"] = replace(held.work["w-1"], period=period)
            case "emergency":
                held.emergencies = {"e-1": Emergency(period)} if which else {}
            case "source":
                held.posture_source = "unavailable" if which else "ok"
            case "alike":
                self.registers = Registers()

    def _hear(self, worker: Worker) -> None:
        worker.view = self.versions[-1].snapshot

    @rule(number=WORKERS)
    def a_worker_hears(self, number: int) -> None:
        self._hear(self.workers[number])

    @rule(which=st.integers(0, 2), late=st.booleans())
    def another_policy_is_activated(self, which: int, late: bool) -> None:
        self._activate(which, late=late)

    def _activate(self, which: int, *, late: bool) -> None:
        self.policy, self.policy_since = policies()[which], self.elapsed
        for worker in self.workers[late:]:  # a late one goes on with the former policy until it hears
            worker.switch(self.policy)

    # --- Time ---------------------------------------------------------------------------------------------------------

    @rule(span=SPANS, little=LITTLE)
    def time_passes(self, span: timedelta, little: timedelta) -> None:
        self._pass(max(span + little, timedelta()))

    @rule(number=WORKERS, request=st.sampled_from(REQUESTS), which=st.integers(0, 5), little=LITTLE)
    def time_passes_to_a_border(self, number: int, request: AccessRequest, which: int, little: timedelta) -> None:
        worker = self.workers[number]
        question = Question(request, GATEWAY, worker.view, worker.policy, worker.engine.name)
        try:
            borders = sorted(question.facts(worker.now).horizon.changes.values())
        except BadRequestError:
            return
        if borders:
            self._pass(max(borders[which % len(borders)] + little - worker.now, timedelta()))

    @rule(number=WORKERS, which=st.integers(0, 3), little=LITTLE)
    def time_passes_to_the_end_of_an_entry(self, number: int, which: int, little: timedelta) -> None:
        now = self.workers[number].now
        ends = sorted({end for known in self.ends.values() for end in known if end > now})
        if ends:
            self._pass(max(ends[which % len(ends)] + little - now, timedelta()))

    @rule(step=st.sampled_from((-7 * HOUR, -HOUR, timedelta(seconds=-10), -STEP, timedelta(seconds=10), HOUR)))
    def the_clocks_are_set(self, step: timedelta) -> None:
        self.wall += step

    def _pass(self, span: timedelta) -> None:
        self.elapsed += span
        self.wall += span
        for worker in self.workers:
            if self._superseded_for(worker.view) >= BOUND:
                self._hear(worker)
            if worker.policy is not self.policy and self.elapsed - self.policy_since >= BOUND:
                worker.switch(self.policy)

    def _superseded_for(self, view: Snapshot) -> timedelta:
        """How long ago this was the present directory."""
        following = [version for version in self.versions if version.snapshot.epoch > view.epoch]
        return self.elapsed - following[0].since if following else timedelta(-1)

    # --- Redis, and room ----------------------------------------------------------------------------------------------

    @rule(number=WORKERS, faults=st.lists(st.sampled_from(list(Fault)), min_size=1, max_size=3))
    def redis_will_fail(self, number: int, faults: list[Fault]) -> None:
        self.workers[number].shared.faults.extend(faults)

    @rule(how=st.sampled_from(("emptied", "json", "stranger", "moved")), which=st.integers(0, 7))
    def somebody_writes_into_redis(self, how: str, which: int) -> None:
        values = self.redis.values
        asked = sorted({key for worker in self.workers for key in worker.shared.asked})
        if how == "emptied" or not asked:
            values.clear()
            return
        key, other = asked[which % len(asked)], asked[(which + 1) % len(asked)]
        allow = Entry(Verdict(Outcome.ALLOW, ("OK",)), self.wall + 100 * HOUR)
        forged = {
            "json": b'["2033-01-01T00:00:00Z","allow",["OK"],{},null,null]',
            "stranger": STRANGER.close(key, allow),
        }
        values[key] = forged.get(how) or values.get(other, b"")

    @rule(number=WORKERS, entries=st.sampled_from((0, 1, 50)))
    def a_worker_starts_again(self, number: int, entries: int) -> None:
        former = self.workers[number]
        worker = self.workers[number] = self._worker(number, entries, former.longest)
        worker.shared.asked = former.shared.asked  # only so that its keys are known to whoever writes into Redis

    @invariant()
    def those_who_always_ask_are_told_the_truth(self) -> None:
        """After every event: what was remembered before it meets what is true after it."""
        for number in range(len(getattr(self, "workers", ()))):
            regulars = ALIKE[:1] if number == 2 else self.regulars  # the third one always says the same
            self._ask([(number, (request, GATEWAY, False)) for request in regulars])

    # --- Always -------------------------------------------------------------------------------------------------------

    @invariant()
    def no_worker_is_further_behind_than_the_bound(self) -> None:
        for worker in getattr(self, "workers", ()):
            assert self._superseded_for(worker.view) < BOUND
            assert worker.policy is self.policy or self.elapsed - self.policy_since < BOUND

    @invariant()
    def the_level_in_the_process_keeps_its_size_and_nothing_is_under_way(self) -> None:
        for worker in getattr(self, "workers", ()):
            assert worker.cache.status().entries <= worker.entries
            assert len(worker.log.records) >= worker.cache.status().kept

    def teardown(self) -> None:
        for worker in getattr(self, "workers", ()):
            status = worker.cache.status()
            self.met["local"] += status.local_hits
            self.met["table"] += worker.table.looked_up if worker.table is not None else 0
            self.met["shared"] += status.shared_hits
            self.met["joined"] += status.joined
            self.met["evicted"] += status.evicted
            self.met["corrupted"] += status.shared.corrupted if status.shared is not None else 0


def sight(engine: str, policy: ActivePolicy, document: bytes) -> tuple[str, ...]:
    """What this engine's policy sees of the document, as text."""
    seen = msgspec.json.decode(document)
    return (engine, policy.bundle.digest, *(repr(_at(seen, path)) for path in policy.footprint.paths))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@pytest.mark.timeout(600)
def test_no_answer_ever_differs_from_an_evaluation_at_the_same_instant() -> None:
    oracle, loop = Oracle(policies()), asyncio.new_event_loop()
    Prefecture.oracle, Prefecture.loop, Prefecture.met = oracle, loop, Counter()
    try:
        run_state_machine_as_test(Prefecture, settings=COURSES)
    finally:
        loop.close()
        oracle.close()
    wanted = (*Outcome, *get_args(CachePath), "border", "local", "shared", "joined", "evicted", "recalled", "table")
    assert [what for what in wanted if not Prefecture.met[what]] == [], "too little was met to prove anything"
