"""A draft that judges live traffic beside the active policy, off the answer's path: what it would have said is counted.

INVARIANT (aside): an answer waits for nothing of the draft's, and whatever the draft does (fail, stall, die) changes
none. What is shown to it is bounded by the second: the newest inputs of a bounded queue; the rest is counted as not
shown. The draft has an engine of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prometheus_client import Counter

from pdp.errors import EngineError
from pdp.judging import judge_raw
from pdp.logs import get_log
from pdp.replaying.answer import Answer, answer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from prometheus_client import CollectorRegistry

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.house import Observer
    from pdp.model.decision import Decision
    from pdp.model.request import Refusal

SAMPLES: Final = 20  # of each pair of outcomes: their ids go to the log, where the records are
TOLD: Final = 5  # of them, to whoever asks the worker: its file is written every few seconds
_ROUND_S: Final = 0.2
_log = get_log("pdp.simulate.shadow")


class _Shown(NamedTuple):
    id: str
    document: bytes
    answer: Answer


class Shadow:
    """Implements `pdp.house.Observer` around another, and never raises. `per_s` decisions a second are shown at most.

    `sekisho_shadow_decisions_total` counts by what came of it: `same`, `words` (the same outcome with other words),
    `differs`, `failed`, `not_shown`; `sekisho_shadow_outcomes_total` counts the pairs of outcomes that differ.
    """

    def __init__(
        self, inner: Observer, engine: Engine, draft: Bundle, registry: CollectorRegistry, *, per_s: int
    ) -> None:
        self._inner = inner
        self._engine = engine
        self._draft = draft
        self._at_once = max(1, round(per_s * _ROUND_S))
        self._waiting: deque[_Shown] = deque(maxlen=self._at_once)
        self._told: Tally[tuple[str, str]] = Tally()
        self._came_of: Tally[str] = Tally()
        self._samples: list[dict[str, Any]] = []
        self._results = Counter(
            "sekisho_shadow_decisions", "Decisions beside a draft, by what came of it.", ("result",), registry=registry
        )
        self._pairs = Counter(
            "sekisho_shadow_outcomes", "Decisions that a draft would change.", ("active", "draft"), registry=registry
        )

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None:
        self._inner.decided(decision, wire, steps_us)
        if decision.fault is not None:
            return  # no policy was asked, or none answered
        if len(self._waiting) == self._waiting.maxlen:
            self._count("not_shown")
        self._waiting.append(_Shown(decision.id, decision.input, answer_of(decision.verdict)))

    def refused(self, refusal: Refusal) -> None:
        self._inner.refused(refusal)

    async def judge_waiting(self) -> int:
        """Show the draft what waits; how many decisions that was."""
        shown = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if shown:
            raws = await self._engine.evaluate([one.document for one in shown], digest=self._draft.digest)
            for one, raw in zip(shown, raws, strict=True):
                self._compare(one, raw)
        return len(shown)

    def told(self) -> dict[str, Any]:
        """Since this worker began, for people: counts, pairs of outcomes, and the ids of the first of each pair."""
        return {
            "revision": self._draft.revision,
            "digest": self._draft.digest,
            "results": dict(self._came_of),
            "outcomes": [
                {"active": active, "draft": draft, "decisions": count}
                for (active, draft), count in self._told.most_common()
            ],
            "samples": list(self._samples),
        }

    def _count(self, what: str) -> None:
        self._came_of[what] += 1
        self._results.labels(what).inc()

    def _compare(self, one: _Shown, raw: bytes | EngineError) -> None:
        try:
            said = answer_of(judge_raw(raw, self._draft))
        except EngineError as fault:
            self._count("failed")
            self._sample(one, "failed", (fault.message[:200],))
            return
        if said == one.answer:
            self._count("same")
        elif said.outcome == one.answer.outcome:
            self._count("words")
        else:
            self._count("differs")
            self._pairs.labels(one.answer.outcome, said.outcome).inc()
            self._sample(one, said.outcome, said.reasons)

    def _sample(self, one: _Shown, outcome: str, why: tuple[str, ...]) -> None:
        """The id alone: the record has the rest, for those who may see it."""
        kind = one.answer.outcome, outcome
        self._told[kind] += 1
        if self._told[kind] <= TOLD:
            self._samples.append({"id": one.id, "active": kind[0], "draft": outcome})
        if self._told[kind] <= SAMPLES:
            _log.info(
                "the draft would answer otherwise",
                decision_id=one.id,
                active=one.answer.outcome,
                draft=outcome,
                why=list(why),
                revision=self._draft.revision,
            )

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Judge in the background while the block runs."""
        task = asyncio.create_task(self._forever(), name="shadow")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(_ROUND_S)
            try:
                await self.judge_waiting()
            except Exception:  # noqa: BLE001  # nothing of the draft's may reach the service
                _log.warning("the draft could not be asked", revision=self._draft.revision)
                self._count("failed")


@asynccontextmanager
async def shadow_of(
    inner: Observer, engine: Engine, draft: Bundle, registry: CollectorRegistry, *, per_s: int
) -> AsyncIterator[Shadow]:
    """An observer that shows decisions to this draft too. Raises BundleError and EngineError as `activate` does."""
    try:
        await engine.activate(draft)
        shadow = Shadow(inner, engine, draft, registry, per_s=per_s)
        async with shadow.beside():
            yield shadow
    finally:
        await engine.close()
