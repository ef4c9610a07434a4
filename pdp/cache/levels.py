"""The decision cache: this process first, then Redis, then the engine; and each question asked only once at a time.

    here()    in this process, at once
    judged()  Redis, else the engine; several that miss one key wait for one evaluation
    keep()    what the engine has just said, or what was looked up (`pdp.table`), for both levels

INVARIANT (no errors): only verdicts that were judged well formed come in here. What an evaluation raises
goes to those who wait for it, and is forgotten.
INVARIANT (a cache changes no answer): whatever fails in here is a miss.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from pdp.ending import end
from pdp.errors import EngineError

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.cache.entry import Entry
    from pdp.cache.local import LocalLevel
    from pdp.cache.port import SharedLevel, SharedStatus
    from pdp.model.decision import Verdict

    _Found = tuple[Verdict, Literal["hit", "miss"]]

_MAX_DISTINCT: Final = 10_000  # verdicts; a policy has some hundred, and more only where obligations carry instants
_encode: Final = msgspec.json.Encoder().encode  # JSON, as in the seal: a policy's numbers may be of any size


class Evaluate(Protocol):
    """Asks the engine. Raises EngineError (and its children) where there is no well-formed verdict."""

    async def __call__(self) -> Entry: ...


class Sealer(Protocol):
    """`pdp.cache.seal.Seal`: what is in Redis was put there by us, under this key, or it is nothing."""

    def close(self, key: bytes, entry: Entry) -> bytes: ...

    def open(self, key: bytes, sealed: bytes) -> Entry | None: ...


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """Of this process since its start. `joined`: those who waited for somebody else's question."""

    entries: int
    evicted: int
    local_hits: int
    shared_hits: int
    kept: int
    joined: int
    shared: SharedStatus | None


class VerdictCache:
    """Two levels of one cache; `shared` comes with its `seal`."""

    def __init__(self, local: LocalLevel, shared: tuple[SharedLevel, Sealer] | None = None) -> None:
        self._local = local
        self._shared = shared
        self._under_way: dict[bytes, asyncio.Task[_Found]] = {}
        self._distinct: dict[bytes, Verdict] = {}
        self._local_hits = self._shared_hits = self._corrupted = self._kept = self._joined = 0

    def here(self, key: bytes, now: datetime) -> Verdict | None:
        """The verdict, where this process has it."""
        entry = self._local.get(key, now)
        if entry is None:
            return None
        self._local_hits += 1
        return entry.verdict

    async def judged(self, key: bytes, now: datetime, evaluate: Evaluate) -> _Found:
        """The verdict from Redis, or else from the engine. Raises what `evaluate` raises; EngineError at `close`."""
        task = self._under_way.get(key)
        if task is not None:
            self._joined += 1
            verdict, _ = await self._answer_of(task)
            return verdict, "hit"
        task = asyncio.create_task(self._find(key, now, evaluate))
        self._under_way[key] = task
        task.add_done_callback(lambda ended: self._ended(key, ended))
        return await self._answer_of(task)

    def keep(self, key: bytes, now: datetime, entry: Entry) -> Verdict:
        """Remember what was just judged."""
        self._kept += 1
        entry = self._shared_object(entry)
        self._local.put(key, entry)
        if self._shared is not None:
            level, seal = self._shared
            level.put(key, seal.close(key, entry), entry.until - now)
        return entry.verdict

    def status(self) -> CacheStatus:
        shared = None if self._shared is None else self._shared[0].status()
        return CacheStatus(
            entries=len(self._local),
            evicted=self._local.evicted,
            local_hits=self._local_hits,
            shared_hits=self._shared_hits,
            kept=self._kept,
            joined=self._joined,
            shared=None if shared is None else replace(shared, corrupted=shared.corrupted + self._corrupted),
        )

    async def close(self) -> None:
        """End what is under way. The shared level is closed by whoever opened it."""
        await end(*self._under_way.values())

    async def _answer_of(self, task: asyncio.Task[_Found]) -> _Found:
        """What it comes to. A client that goes away takes nobody else's answer with it."""
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
            raise EngineError("the evaluation was stopped") from None  # nobody cancelled this decision

    async def _find(self, key: bytes, now: datetime, evaluate: Evaluate) -> _Found:
        entry = None if self._shared is None else await self._from_redis(key, now, *self._shared)
        if entry is None:
            return self.keep(key, now, await evaluate()), "miss"
        self._shared_hits += 1
        entry = self._shared_object(entry)
        self._local.put(key, entry)
        return entry.verdict, "hit"

    async def _from_redis(self, key: bytes, now: datetime, level: SharedLevel, seal: Sealer) -> Entry | None:
        sealed = await level.get(key)
        if sealed is None:
            return None
        entry = seal.open(key, sealed)
        if entry is None:
            self._corrupted += 1
        return None if entry is None or now >= entry.until else entry

    def _ended(self, key: bytes, task: asyncio.Task[_Found]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen here, should nobody be left who waits for it

    def _shared_object(self, entry: Entry) -> Entry:
        """The entry with the one object that stands for its verdict: entries are many, verdicts few."""
        if len(self._distinct) >= _MAX_DISTINCT:
            self._distinct.clear()
        verdict = self._distinct.setdefault(_encode(entry.verdict), entry.verdict)
        return entry if verdict is entry.verdict else entry._replace(verdict=verdict)
