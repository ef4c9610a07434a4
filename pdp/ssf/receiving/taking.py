"""From a SET on the wire to a row in the store, and from there to its effects and the trail.

1. verify (`pdp.ssf.token`): only the bytes and the keys are asked
2. take: one transaction; after it the SET may be acknowledged. One that was taken before gets the same answer
3. act (`acting.py`), tell the other workers, and look here at once
4. write it down in the trail

2 is waited for, 3 and 4 are not: whoever sends gets its answer before anything is done. Whatever a worker leaves
undone is done by the next look of any worker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pdp.ending import end
from pdp.errors import DirectoryError, NotReadyError, RecordFailedError, SekishoError
from pdp.logs import get_log
from pdp.ssf import events
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.acting import Acted, act, unread
from pdp.ssf.receiving.telling import told
from pdp.ssf.subjects import Simple
from pdp.ssf.token import SetRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.signal_stream import SignalStream
    from pdp.signals.port import Kind
    from pdp.ssf.receiving.acting import Acting
    from pdp.ssf.receiving.inbox import Taken
    from pdp.ssf.receiving.incoming import Incoming
    from pdp.ssf.receiving.metrics import ReceivingMetrics
    from pdp.ssf.token import SecurityEventToken
    from pdp.store.store import Store
    from pdp.trail.keeping import TrailWriter

STORE_S: Final = 15.0  # the store itself gives up a lock after ten
_PAUSE_S: Final = 1.0  # between two notes of what was refused
_TOGETHER: Final = 20  # events between two looks: some tens of milliseconds
LAST_WORDS_S: Final = 5.0  # for the trail, when the service ends
_log = get_log("pdp.ssf")


class Desk:
    """One worker's. Takes SETs of every stream, and does what they ask for."""

    def __init__(  # noqa: PLR0913  # what taking and doing need
        self,
        store: Store,
        streams: Mapping[str, Acting],
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        trail: TrailWriter,
        metrics: ReceivingMetrics,
        look: Callable[[frozenset[Kind]], Awaitable[None]],
    ) -> None:
        """`look`: tell the others that something of these kinds has changed, and look at it here."""
        self._store = store
        self._streams = streams
        self._clock = clock
        self._new_id = new_id
        self._trail = trail
        self._metrics = metrics
        self._look = look
        self._due = asyncio.Event()
        self._doing: asyncio.Task[None] | None = None
        self._refused: dict[str, tuple[int, str]] = {}  # by stream: how many since the last look, why the last one
        self._noted_at = 0.0
        self._telling: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to do what was left undone, and then whatever is taken."""
        self._doing = asyncio.create_task(self._do_forever(), name="ssf events")
        self._due.set()

    async def close(self) -> None:
        if self._doing is not None:
            await end(self._doing)
        if self._telling:
            await asyncio.wait(self._telling, timeout=LAST_WORDS_S)
        await end(*self._telling)

    def wake(self) -> None:
        """Something may be waiting that another worker has left."""
        self._due.set()

    async def take(
        self, incoming: Incoming, text: str, check: Callable[[SecurityEventToken], None] = lambda _: None
    ) -> bool:
        """Verify and keep it: when this returns, it stands in the store. True: since now; False: from before.

        `check` may refuse it further. Raises SetRefusedError, which is counted; NotReadyError where it cannot be
        judged or kept now.
        """
        stream, now = incoming.stream, self._clock()
        try:
            token = await incoming.verifier.verify(text, now)
            check(token)
            fresh = await self._kept(incoming, token, now)
        except SetRefusedError as fault:
            self.refuse(stream, fault.reason)
            raise
        if fresh:
            self._metrics.taken(stream.name, token.event.type)
            self._due.set()
        return fresh

    def refuse(self, stream: SignalStream, reason: str) -> None:
        """Count it here at once, and for everybody soon: a transmitter that lies must not wear out the disk."""
        self._metrics.refused(stream.name, reason)
        _log.warning("a SET was refused", stream=stream.name, reason=reason)
        count, _ = self._refused.get(stream.name, (0, ""))
        self._refused[stream.name] = (count + 1, reason)
        self._due.set()

    def turn_away(self, stream: SignalStream) -> None:
        """Somebody came without the stream's token: counted, and no more, as that may be anybody."""
        self._metrics.refused(stream.name, "authentication_failed")

    async def _kept(self, incoming: Incoming, token: SecurityEventToken, now: datetime) -> bool:
        unreadable = unread(incoming.stream, incoming.transmitter.critical, token)
        try:
            async with asyncio.timeout(STORE_S):
                return await asyncio.to_thread(_take, self._store, incoming.stream, token, unreadable, now)
        except (DirectoryError, TimeoutError) as fault:
            raise NotReadyError("the store does not take it now") from fault

    async def _do_forever(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._do_all()
                await self._note_refused()
            except SekishoError as fault:
                _log.warning("events wait to be acted on", code=fault.code, reason=fault.message)
            except Exception:  # noqa: BLE001  # a worker that stops doing would hold what it took for ever
                _log.exception("events could not be acted on")

    async def _do_all(self) -> None:
        """In the order in which they came, some at a time: one look and one note for all of these."""
        waiting = await asyncio.to_thread(self._waiting)
        for start in range(0, len(waiting), _TOGETHER):
            done = [await self._do(event_id) for event_id in waiting[start : start + _TOGETHER]]
            await self._finish([one for one in done if one is not None])
        if len(waiting) == inbox.MOST:
            self._due.set()
        if not self._telling:
            late = await asyncio.to_thread(self._left_untold)
            self._begin_to_tell([(taken, Acted(taken.outcome, taken.effects)) for taken in late])

    async def _do(self, event_id: int) -> tuple[Taken, Acted] | None:
        """One that cannot be done holds up no other: it waits, is seen to wait, and is tried again."""
        try:
            return await asyncio.to_thread(act, self._store, event_id, self._streams, self._clock())
        except DirectoryError as fault:
            _log.warning("an event waits to be acted on", id=event_id, code=fault.code, reason=fault.message)
        except Exception:  # noqa: BLE001  # whatever is wrong with it, the others count
            _log.exception("an event could not be acted on", id=event_id)
        return None

    def _waiting(self) -> list[int]:
        with self._store.read() as connection:
            return inbox.ids_taken(connection, self._streams.keys(), self._clock())

    def _left_untold(self) -> list[Taken]:
        """What a worker that is gone has left. Looked at often, and rarely there."""
        with self._store.read() as connection:
            if not inbox.any_untold(connection, self._clock()):
                return []
        with self._store.write() as connection:
            return inbox.claim_untold(connection, self._clock())

    async def _note_refused(self) -> None:
        """At most once a second, and never in the way of an event that counts."""
        now = asyncio.get_running_loop().time()
        if not self._refused or now < self._noted_at + _PAUSE_S:
            return
        refused, self._refused, self._noted_at = self._refused, {}, now

        def note() -> None:
            with self._store.write() as connection:
                for stream, (count, reason) in refused.items():
                    register.note_refused(connection, stream, count, reason, self._clock())

        await asyncio.to_thread(note)

    async def _finish(self, done: Sequence[tuple[Taken, Acted]]) -> None:
        changed = frozenset(kind for _, acted in done for kind in acted.changed)
        if changed:
            await self._look(changed)
        for taken, acted in done:
            self._metrics.acted(taken.stream, acted.outcome, self._clock() - taken.received_at)
        self._begin_to_tell(done)

    def _begin_to_tell(self, done: Sequence[tuple[Taken, Acted]]) -> None:
        """Beside the doing: a trail whose disk hangs must not keep a session alive."""
        if done:
            task = asyncio.create_task(self._tell(done), name="ssf trail")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, done: Sequence[tuple[Taken, Acted]]) -> None:
        """Into the trail, and only then done: what cannot be written down now is written down later."""
        try:
            await self._write_down(done)
        except SekishoError as fault:
            _log.error("events are not in the trail yet", count=len(done), code=fault.code, reason=fault.message)
        except Exception:  # noqa: BLE001  # it is told by a later look
            _log.exception("events are not in the trail yet", count=len(done))

    async def _write_down(self, done: Sequence[tuple[Taken, Acted]]) -> None:
        now = self._clock()
        lines = [told(self._new_id(), now, taken, acted.outcome, acted.done) for taken, acted in done]
        written = await asyncio.gather(*map(self._trail.append, lines), return_exceptions=True)
        kept = [taken.id for (taken, _), fault in zip(done, written, strict=True) if fault is None]
        for fault in written:
            if fault is not None and not isinstance(fault, RecordFailedError):
                raise fault
        if len(kept) < len(done):
            _log.error("events are not in the trail yet", count=len(done) - len(kept))

        def note() -> None:
            with self._store.write() as connection:
                inbox.note_done(connection, kept)

        if kept:
            await asyncio.to_thread(note)


def _take(store: Store, stream: SignalStream, token: SecurityEventToken, outcome: str, now: datetime) -> bool:
    """Keep it in one transaction; False where it is there already. Raises SetRefusedError, NotReadyError."""
    with store.write() as connection:
        if inbox.known(connection, stream.name, token.issuer, token.jti):
            return False
        if inbox.waiting(connection, stream.name) >= inbox.MAX_WAITING:
            raise NotReadyError("too many events wait to be acted on")
        if token.event.type in (events.VERIFICATION, events.STREAM_UPDATED):
            _check_own(connection, stream, token, now)
        if not inbox.put(connection, stream.name, token, outcome, now):
            return False
        register.note_received(connection, stream.name, now)
        return True


def _check_own(connection: Connection, stream: SignalStream, token: SecurityEventToken, now: datetime) -> None:
    """The framework's own events are about this stream, and a verification is one that we asked for, or nobody."""
    if stream.stream_id and token.subject != Simple("opaque", (stream.stream_id,)):
        raise SetRefusedError("invalid_request", "the event is about another stream", "stream_unknown")
    if token.event.type == events.VERIFICATION:
        state = token.event.members.get("state")
        if not register.verify_state(connection, stream.name, state, now):
            raise SetRefusedError("invalid_state", "`state` is not the one that was asked for")
