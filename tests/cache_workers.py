"""One worker of a service under test: a `Checkpoint` with all its memories, behind its own view of the world."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from pdp.active_policy import ActivePolicy
from pdp.bundle.bundle import Bundle
from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.cache.seal import Seal
from pdp.callers.caller import Caller
from pdp.decide import Checkpoint
from pdp.errors import EngineError, EngineSupersededError, EngineTimeoutError
from pdp.house import NO_TABLE, House
from pdp.identity.proof import NoIssuer
from pdp.model.decision import Decision
from pdp.model.directory import Snapshot
from pdp.model.request import AccessRequest
from tests.cache_world import CONTRARY, LEVELS, Oracle
from tests.simulated_shared_level import Redis, SimulatedShared
from tests.spaces import shipped_table
from tests.stage import MemoryLog

SEAL = Seal(b"a secret of this deployment only")


class WorkersEngine:
    """One worker's engine: takes its time, fails when it is told to, and knows only the policy that is active."""

    def __init__(self, oracle: Oracle, name: str, digest: str) -> None:
        self.name = name
        self.digest = digest
        self.failing = 0  # how many of the next evaluations
        self.failed = 0
        self.on_verdict: Callable[[bytes], None] = lambda _: None
        self.meanwhile: list[Callable[[], None]] = []  # what happens while the next evaluation is under way
        self._oracle = oracle

    async def activate(self, bundle: Bundle) -> None:
        self.digest = bundle.digest

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        return [await self._one(document, digest) for document in documents]

    async def _one(self, document: bytes, digest: str | None) -> bytes | EngineError:
        await asyncio.sleep(0)
        if self.meanwhile:
            self.meanwhile.pop()()
        if self.failing:
            self.failing -= 1
            self.failed += 1
            return EngineTimeoutError("too slow")
        await asyncio.sleep(0)
        if digest is not None and digest != self.digest:
            return EngineSupersededError("another bundle has become active")
        self.on_verdict(document)
        return self._oracle.raw(self.digest, document, self.name)

    async def close(self) -> None:
        return


class WorkersTable:
    """The shipped policy counted out, as `pdp.table.keeper` has it; none of the others is yet."""

    def __init__(self) -> None:
        self.table = shipped_table()
        self.looked_up = 0
        self.on_verdict: Callable[[bytes], None] = lambda _: None

    def answer(self, document: bytes, digest: str) -> bytes | None:
        if digest != self.table.digest:
            return None
        self.looked_up += 1
        self.on_verdict(document)
        return self.table.answer(document)


@dataclass
class Taken:
    """What one decision has to be held against: what was there when it looked, the last time that it looked."""

    now: datetime | None = None
    snapshot: Snapshot | None = None
    policy: ActivePolicy | None = None


_TAKEN: ContextVar[Taken] = ContextVar("taken")
_NUMBERS: Final = itertools.count(1)


class Surroundings(Protocol):
    """What a worker shares with the others."""

    wall: datetime
    redis: Redis

    @property
    def oracle(self) -> Oracle: ...

    def note(self, worker: Worker, document: bytes) -> None:
        """The engine has judged this document just now."""
        ...


class Quiet:
    """An observer who does not count."""

    def decided(self, decision: Decision, wire: str, steps_us: Any) -> None: ...

    def refused(self, refusal: Any) -> None: ...


class Worker:
    """`skew` is how far its clock is ahead; `contrary`: its engine disagrees with every other."""

    def __init__(
        self,
        around: Surroundings,
        view: Snapshot,
        policy: ActivePolicy,
        entries: int,
        *,
        skew: timedelta,
        longest: timedelta | None,
        contrary: bool,
        table: WorkersTable | None = None,
    ) -> None:
        self.around, self.view, self.policy = around, view, policy
        self.entries, self.skew, self.longest = entries, skew, longest
        self.engine = WorkersEngine(around.oracle, CONTRARY if contrary else "regorus", policy.bundle.digest)
        self.engine.on_verdict = lambda document: around.note(self, document)
        self.table = table
        if table is not None:
            table.on_verdict = self.engine.on_verdict
        self.shared = SimulatedShared(around.redis)
        self.cache = VerdictCache(LocalLevel(entries), (self.shared, SEAL))
        self.log = MemoryLog()
        self._checkpoint = Checkpoint(
            House(
                clock=self._clock,
                stopwatch=lambda: 0,
                new_id=lambda: f"decision-{next(_NUMBERS)}",
                policies=self,
                directory=self,
                levels=LEVELS,
                tokens=NoIssuer(),
                engine=self.engine,
                log=self.log,
                observer=Quiet(),
                cache=self.cache,
                table=NO_TABLE if table is None else table,
                longest=lambda: self.longest,
            )
        )

    async def decide(self, request: AccessRequest, caller: Caller, fresh: bool) -> tuple[Decision, Taken]:
        taken = Taken()
        _TAKEN.set(taken)
        return await self._checkpoint.decide(msgspec.structs.replace(request, fresh=fresh), caller), taken

    def record_of(self, decision: Decision) -> bytes:
        sign = f'"id":"{decision.id}"'.encode()
        return next(record for record in reversed(self.log.records) if sign in record)

    @property
    def now(self) -> datetime:
        return (self.around.wall + self.skew).astimezone(UTC)

    def _clock(self) -> datetime:
        taken = _TAKEN.get()
        assert taken.now is None, "the clock was read a second time"
        taken.now = self.now
        return self.now

    def active(self) -> ActivePolicy:
        _TAKEN.get().policy = self.policy
        return self.policy

    def current(self) -> Snapshot:
        _TAKEN.get().snapshot = self.view
        return self.view

    def is_stale(self) -> bool:
        return False

    def switch(self, policy: ActivePolicy) -> None:
        self.policy, self.engine.digest = policy, policy.bundle.digest
