"""The task of one worker that tells and pushes, for as long as this worker is the sender. Polls need no sender.

Each stream is pushed in its own task, one event after another: a receiver that hangs holds up itself alone. What is
not taken is tried again, after a second at first and then twice as long each time, with everything behind it in order.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdp.ending import end
from pdp.errors import SekishoError
from pdp.logs import get_log
from pdp.ssf.sending import outbox, register
from pdp.ssf.sending.push_client import Outcome
from pdp.ssf.sending.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pdp.ssf.sending.metrics import SendingMetrics
    from pdp.ssf.sending.outbox import Waiting
    from pdp.ssf.sending.push_client import PushClient
    from pdp.ssf.sending.streams import Stream
    from pdp.ssf.sending.teller import Teller
    from pdp.store.store import Store

LOOK_S: Final = 0.2  # between two looks: most of the time until a revocation is told
SURVEY_S: Final = 2.0  # between two counts of all that waits
BATCH: Final = 20  # events that are read at once; the stream is read anew before the next
AT_ONCE: Final = 32  # pushes of one worker: threads and sockets are finite
FIRST_RETRY_S: Final = 1.0
REFUSALS: Final = 3  # so often is an event tried that its receiver calls invalid: receivers have bad minutes too
_log: Final = get_log("pdp.ssf")


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """For `/readyz`. `sends`: this worker does. The numbers are those of the last survey."""

    sends: bool = False
    streams: int = 0
    waiting: int = 0
    oldest_s: float = 0.0
    failing: int = 0
    dropped: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Rest:
    """No try before `until`, unless somebody changes the stream."""

    until: float
    failures: int
    changed_at: datetime


class Sender:
    """`sign`: a SET for a stream and the claims that waited. `stopwatch`: monotonic seconds."""

    def __init__(  # noqa: PLR0913  # what tells, what pushes, and what they stand on
        self,
        store: Store,
        teller: Teller,
        client: PushClient,
        sign: Callable[[Stream, Waiting], str],
        *,
        clock: Callable[[], datetime],
        stopwatch: Callable[[], float],
        longest_retry_s: float,
        metrics: SendingMetrics,
    ) -> None:
        self._store = store
        self._teller = teller
        self._client = client
        self._sign = sign
        self._clock = clock
        self._stopwatch = stopwatch
        self._longest_retry_s = longest_retry_s
        self._metrics = metrics
        self._threads = Threads("ssf-push")  # the teller has one of the worker's: it must not wait for receivers
        self._pushing: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, _Rest] = {}
        self._refusals: dict[str, int] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._surveyed_at = -SURVEY_S
        self._status = SenderStatus()

    def status(self) -> SenderStatus:
        return self._status

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Tell and push while the block runs; then another worker may at once."""
        task = asyncio.create_task(self._forever(), name="ssf-sender")
        try:
            yield
        finally:
            await end(task, *self._pushing.values())
            self._threads.close()
            with suppress(SekishoError):
                await asyncio.to_thread(self._teller.close)

    async def _forever(self) -> None:
        fault = ""
        while True:
            try:
                await self._turn()
            except SekishoError as error:
                if error.message != fault:  # once per outage
                    _log.warning("security events cannot be told now; nothing is lost", reason=error.message)
                fault = error.message
            except Exception:  # noqa: BLE001  # a sender that stops would leave sessions open for ever
                if not fault:
                    _log.exception("security events cannot be told now; nothing is lost")
                fault = "unexpected"
            else:
                fault = ""
            self._note(fault)
            await asyncio.sleep(LOOK_S)

    async def _turn(self) -> None:
        put = await asyncio.to_thread(self._teller.turn)
        if put:
            self._metrics.put(put)
        if not self._teller.is_sender():
            self._status = SenderStatus()
            return
        for stream in await asyncio.to_thread(self._ready):
            self._begin(stream)
        if self._stopwatch() - self._surveyed_at >= SURVEY_S:
            self._surveyed_at = self._stopwatch()
            self._status = await asyncio.to_thread(self._survey)

    def _ready(self) -> list[Stream]:
        with self._store.read() as connection:
            return outbox.to_push(connection)

    def _begin(self, stream: Stream) -> None:
        running = self._pushing.get(stream.id)
        rest = self._rests.get(stream.id)
        rests = rest is not None and rest.changed_at == stream.changed_at and self._stopwatch() < rest.until
        if (running is None or running.done()) and not rests:
            self._pushing[stream.id] = asyncio.create_task(self._drain(stream), name=f"ssf-push-{stream.id}")

    async def _drain(self, stream: Stream) -> None:
        """Until nothing waits. A fault of ours rests too: what was taken and could not be settled is sent again."""
        try:
            while await self._batch(stream.id):
                pass
        except SekishoError as fault:
            _log.warning("a stream is not pushed now; it is tried again", stream=stream.id, code=fault.code)
            self._let_rest(stream)
        except Exception:  # noqa: BLE001  # one stream must not end the others
            _log.exception("a stream cannot be pushed", stream=stream.id)
            self._let_rest(stream)

    async def _batch(self, stream_id: str) -> bool:
        """A turn for each: who is slow, and is told much, lets the others go before. False where the rest waits."""
        async with self._turns:
            found = await self._threads.run(lambda: self._next(stream_id))
            return found is not None and await self._push_all(*found)

    def _next(self, stream_id: str) -> tuple[Stream, list[Waiting]] | None:
        with self._store.read() as connection:
            stream = next((one for one in outbox.to_push(connection) if one.id == stream_id), None)
            if stream is None:
                return None
            events = outbox.waiting(connection, stream, BATCH, self._clock())
            return (stream, events) if events else None

    async def _push_all(self, stream: Stream, events: list[Waiting]) -> bool:
        """False where the rest has to wait. Of a stream that somebody changed meanwhile the rest is read anew."""
        for event in events:
            if not self._teller.is_sender():
                return False
            outcome = await self._client.push(stream.wish, self._sign(stream, event))
            outcome = self._judged(event, outcome)
            self._metrics.delivered("push", outcome.word)
            same = await self._settled(stream, event, outcome)
            if outcome.word == "failed":
                self._let_rest(stream)
                return False
            self._rests.pop(stream.id, None)
            self._refusals.pop(event.jti, None)
            if not same:
                return True
        return True

    async def _settled(self, stream: Stream, event: Waiting, outcome: Outcome) -> bool:
        return await self._threads.run(lambda: self._settle(stream, event, outcome))

    def _judged(self, event: Waiting, outcome: Outcome) -> Outcome:
        """A refusal counts only when it was repeated."""
        if outcome.word != "refused":
            return outcome
        self._refusals[event.jti] = self._refusals.get(event.jti, 0) + 1
        return outcome if self._refusals[event.jti] >= REFUSALS else Outcome("failed", outcome.fault)

    def _settle(self, stream: Stream, event: Waiting, outcome: Outcome) -> bool:
        """Whether the stream is what it was: the attack is a place that was given up, and goes on being told."""
        now = self._clock()
        with self._store.write() as connection:
            if outcome.word == "taken":
                outbox.acknowledged(connection, stream.id, [event.jti], now)
            elif outcome.word == "refused":
                outbox.refused(connection, stream.id, {event.jti: outcome.fault})
            else:
                outbox.failed(connection, stream.id, outcome.fault, now)
            held = register.stream_in(connection, stream.id)
        if outcome.word == "refused":
            _log.error("a receiver refuses a security event for good", stream=stream.id, reason=outcome.fault)
        elif outcome.word == "failed" and not stream.failures and stream.id not in self._rests:
            _log.warning("a receiver does not take security events", stream=stream.id, reason=outcome.fault)
        was = (stream.wish, stream.status, stream.changed_at)
        return held is not None and (held.wish, held.status, held.changed_at) == was

    def _let_rest(self, stream: Stream) -> None:
        held = self._rests.get(stream.id)
        failures = 1 if held is None or held.changed_at != stream.changed_at else held.failures + 1
        wait_s = min(FIRST_RETRY_S * 2 ** min(failures - 1, 20), self._longest_retry_s)
        jitter = random.uniform(0.9, 1.0)  # noqa: S311  # no secret
        self._rests[stream.id] = _Rest(self._stopwatch() + wait_s * jitter, failures, stream.changed_at)

    def _survey(self) -> SenderStatus:
        streams, held, now = register.listed(self._store), outbox.standings(self._store), self._clock()
        known = {one.id for one in streams}
        for gone in [one for one in self._rests if one not in known]:
            del self._rests[gone]
        oldest = min((one.oldest for one in held.values()), default=now)
        return SenderStatus(
            sends=True,
            streams=len(streams),
            waiting=sum(one.events for one in held.values()),
            oldest_s=max(timedelta(), now - oldest).total_seconds(),
            failing=sum(one.failures > 0 for one in streams),
            dropped=sum(one.dropped for one in streams),
        )

    def _note(self, fault: str) -> None:
        for done in [one for one, task in self._pushing.items() if task.done()]:
            del self._pushing[done]
        status = self._status
        if fault != status.fault:
            self._status = status = SenderStatus(
                status.sends, status.streams, status.waiting, status.oldest_s, status.failing, status.dropped, fault
            )
        self._metrics.show(
            sends=status.sends,
            waiting=status.waiting,
            oldest_s=status.oldest_s,
            failing=status.failing,
            dropped=status.dropped,
        )
