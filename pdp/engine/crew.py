"""The evaluator processes of one bundle: who gets which document, and what happens when one of them dies.

A document that a process was busy with when it ended is answered with an error and never tried again; the
others that the process held go to the next one. A crew is made for one bundle and never changes it.

INVARIANT (one proves, the others come when they are needed): a crew is taken into service with one process. The
others are started when documents have waited for `HIRE_AFTER_S` without a break, and each proves the bundle before it
is given one. Until all are there, a process holds one document only: the others wait here, where whoever comes finds
them, and not behind a document that may not end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from pdp.engine.evaluator import GRACE_S, SILENT_TICKS, Evaluator, Load, Task
from pdp.engine.port import MAX_DOCUMENT_BYTES
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.engine.evaluator import Answer

WINDOW: Final = 8  # documents that one process holds: enough to keep it busy, few to send again when it dies
HIRE_AFTER_S: Final = 0.1  # a busy processor alone holds a few documents up for 20 ms
SLICE: Final = 64  # documents of one call that queue at a time, so that a large batch does not starve the rest
MAX_WAITING: Final = 10_000  # ten seconds of work; who comes later is told at once
PATIENCE: Final = timedelta(seconds=2)  # how long a document may wait for its turn: no enforcement point waits longer
_FIRST_PAUSE_S: Final = 0.2
_LAST_PAUSE_S: Final = 10.0


class Crew:
    """Processes with the same bundle, `children` at most. `start` before use, `retire` or `close` after."""

    def __init__(self, load: Load, children: int, patience: timedelta, max_waiting: int) -> None:
        self._load = load
        self._patience_s = patience.total_seconds()
        self._max_waiting = max_waiting
        self._size = children
        self._evaluators: list[Evaluator] = []
        self._waiting: deque[Task] = deque()
        self._coming: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._pump_is_due = False
        self._tick_s = (load.deadline_s + GRACE_S) / SILENT_TICKS
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._hiring: asyncio.TimerHandle | None = None  # runs while documents wait and there may be more processes
        self._calls = 0
        self._retired = False
        self._closed = False
        self._failing = False

    async def start(self) -> None:
        """Start the first process. Raises BundleError or EngineError, and then it is gone."""
        await self._hire()

    async def _hire(self) -> None:
        evaluator = await Evaluator.start(self._load, self._pump, self._lost)
        self._evaluators.append(evaluator)

    async def evaluate(self, documents: Sequence[bytes]) -> list[Answer]:
        """The answer for each document, in their order. All of them come from this crew's bundle."""
        self._calls += 1
        answers: list[Answer] = []
        try:
            for start in range(0, len(documents), SLICE):
                answers += await self._evaluate_slice(documents[start : start + SLICE])
        finally:
            self._calls -= 1
            if self._retired and not self._calls:
                self._leave()
        return answers

    async def _evaluate_slice(self, documents: Sequence[bytes]) -> list[Answer]:
        refusal = self._refusal()
        if refusal is not None:
            return [refusal for _ in documents]
        tasks = [Task(document, self._loop.create_future(), self._ticks) for document in documents]
        for task in tasks:
            if len(task.document) > MAX_DOCUMENT_BYTES:
                task.settle(EngineError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes"))
        self._waiting.extend(tasks)
        self._pump_soon()
        try:
            return [await task.answer for task in tasks]
        finally:
            for task in tasks:
                task.answer.cancel()  # of a waiter that was cancelled; elsewhere it changes nothing

    def _refusal(self) -> EngineError | None:
        if self._closed:
            return EngineError("the engine is closed")
        if self._failing:
            return EngineDiedError("the evaluator process ended and cannot be started again")
        if len(self._waiting) >= self._max_waiting:
            return EngineError(f"more than {self._max_waiting} documents wait for the evaluator")
        return None

    # Who gets what.

    def _pump_soon(self) -> None:
        if not self._pump_is_due:  # what is asked within one turn of the event loop goes out with one write
            self._pump_is_due = True
            self._loop.call_soon(self._pump)
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _pump(self) -> None:
        self._pump_is_due = False
        window = WINDOW if len(self._evaluators) >= self._size else 1
        given: dict[Evaluator, list[Task]] = {evaluator: [] for evaluator in self._evaluators}
        while self._waiting and given:
            evaluator = min(given, key=lambda one: len(one.in_flight) + len(given[one]))
            if len(evaluator.in_flight) + len(given[evaluator]) >= window:
                break
            task = self._waiting.popleft()
            if not task.answer.done():
                given[evaluator].append(task)
        for evaluator, tasks in given.items():
            if tasks:
                evaluator.send(tasks)
        self._see_who_waits()

    def _see_who_waits(self) -> None:
        # Where none is there, its replacement is on the way, and they wait for that one.
        may_hire = bool(self._evaluators) and len(self._evaluators) + len(self._coming) < self._size
        if not self._waiting or not may_hire or self._closed:
            if self._hiring is not None:
                self._hiring.cancel()
                self._hiring = None
        elif self._hiring is None:
            self._hiring = self._loop.call_later(HIRE_AFTER_S, self._hire_more)

    def _hire_more(self) -> None:
        self._hiring = None
        for _ in range(min(len(self._waiting), self._size - len(self._evaluators) - len(self._coming))):
            self._send_for_one()

    def _tick(self) -> None:
        self._ticks += 1
        for evaluator in list(self._evaluators):
            evaluator.tick()
            self._give_up(islice(evaluator.in_flight, 1, None))
        self._give_up(self._waiting)
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        busy = bool(self._waiting) or any(evaluator.in_flight for evaluator in self._evaluators)
        self._timer = self._loop.call_later(self._tick_s, self._tick) if busy and not self._closed else None

    def _give_up(self, tasks: Sequence[Task] | deque[Task] | islice[Task]) -> None:
        oldest = self._ticks - max(1, round(self._patience_s / self._tick_s))
        for task in tasks:  # in the order of age
            if task.born > oldest:
                return
            task.settle(EngineTimeoutError(f"no turn came within {self._patience_s:g} s"))

    # Who comes and goes.

    def _lost(self, evaluator: Evaluator) -> None:
        if evaluator in self._evaluators:
            self._evaluators.remove(evaluator)
        rest = evaluator.in_flight
        verdict = evaluator.verdict_on_head()
        if rest and verdict is not None:
            rest.popleft().settle(verdict)
        self._waiting.extendleft(reversed(rest))
        if not self._closed:
            self._send_for_one()
            self._pump_soon()

    def _send_for_one(self) -> None:
        coming = self._loop.create_task(self._come())
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def _come(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closed:
            try:
                await self._hire()
            except (EngineError, BundleError) as fault:  # the bundle did load before: the host is at fault
                if not self._evaluators:
                    self._failing = True
                    self._settle_all(f"the evaluator process ended and cannot be started again: {fault}")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            else:
                self._failing = False
                self._pump_soon()
                return

    def _settle_all(self, message: str) -> None:
        for task in (*self._waiting, *(task for one in self._evaluators for task in one.in_flight)):
            task.settle(EngineDiedError(message))
        self._waiting.clear()

    def retire(self) -> None:
        """Another bundle has taken over: calls that have begun end with this one, then the processes go."""
        self._retired = True
        if not self._calls:
            self._leave()

    @property
    def gone(self) -> bool:
        """Every process has ended."""
        return self._closing is not None and self._closing.done()

    async def close(self) -> None:
        """End the processes and answer those who still wait. May be called twice."""
        await asyncio.shield(self._leave())

    def _leave(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._closed = True
            self._closing = self._loop.create_task(self._close())
        return self._closing

    async def _close(self) -> None:
        self._settle_all("the engine is closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._hiring is not None:
            self._hiring.cancel()
            self._hiring = None
        coming = list(self._coming)
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        await asyncio.gather(*(evaluator.close() for evaluator in self._evaluators))
