"""Events that a receiver fetches (RFC 8936): acknowledgements first, then what waits, and where nothing does, waiting.

What is given out stays until it is acknowledged, and is given out again. Any worker answers, sender or not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from pdp.errors import BadRequestError, SekishoError
from pdp.logs import get_log
from pdp.ssf.sending import outbox, register, requests
from pdp.ssf.sending.desk import NO_STORE, asked_in, permitted, refused
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.ssf.sending.desk import Place
    from pdp.ssf.sending.metrics import SendingMetrics
    from pdp.ssf.sending.outbox import Waiting
    from pdp.ssf.sending.requests import Poll
    from pdp.ssf.sending.streams import Stream
    from pdp.wire.exchange import HttpRequest

MAX_WAIT_S: Final = 30.0  # of one long poll: below the idle time of ordinary proxies
MAX_WAITING: Final = 50  # long polls of one worker at once, one of each stream; who comes then is answered at once
LOOK_S: Final = 0.25  # between two looks of one long poll
_log: Final = get_log("pdp.ssf")


class _Sets(NamedTuple):
    """An answer, and whether anything waits, whether it was asked for or not."""

    body: bytes
    waits: bool


class PollDesk:
    """`sign`: a SET for a stream and the claims that waited."""

    def __init__(
        self,
        place: Place,
        sign: Callable[[Stream, Waiting], str],
        metrics: SendingMetrics,
        *,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._place = place
        self._sign = sign
        self._metrics = metrics
        self._max_wait_s = max_wait_s
        self._waiting: set[str] = set()

    async def answer(self, request: HttpRequest, stream_id: str) -> HttpAnswer:
        try:
            caller = await permitted(self._place, request, ("ssf_read", "ssf_manage"))
            poll = requests.read_poll(asked_in(request))
            sets = await self._place.in_store(lambda: self._served(stream_id, caller.id, poll))
            free = stream_id not in self._waiting and len(self._waiting) < MAX_WAITING
            if not sets.waits and not poll.at_once and free:
                sets = await self._something(stream_id, caller.id, poll.most)
        except SekishoError as fault:
            return refused(fault)
        return HttpAnswer(200, (JSON, NO_STORE), sets.body)

    async def _something(self, stream_id: str, caller: str, most: int) -> _Sets:
        """What waits as soon as something does, or nothing after the longest wait."""
        self._waiting.add(stream_id)
        try:
            clock = asyncio.get_running_loop().time
            until = clock() + self._max_wait_s
            while True:
                await asyncio.sleep(min(LOOK_S, max(0.0, until - clock())))
                sets = await self._place.in_store(lambda: self._next(self._polled(stream_id, caller), most))
                if sets.waits or clock() >= until:
                    return sets
        finally:
            self._waiting.discard(stream_id)

    def _served(self, stream_id: str, caller: str, poll: Poll) -> _Sets:
        stream = self._polled(stream_id, caller)
        if poll.acks or poll.refused or poll.kept_back:
            self._settle(stream, poll)
        return self._next(stream, poll.most)

    def _settle(self, stream: Stream, poll: Poll) -> None:
        """Both are of what was given out before; what is not there any more was settled before, too."""
        now = self._place.clock()
        with self._place.store.write() as connection:
            taken = outbox.acknowledged(connection, stream.id, poll.acks, now)
            gone = outbox.refused(connection, stream.id, poll.refused)
            kept = outbox.put_off(connection, stream.id, poll.kept_back, now)
        for outcome, events in (("taken", taken), ("refused", gone), ("failed", kept)):
            self._metrics.delivered("poll", outcome, events)
        if gone:
            reason = list(poll.refused.values())[-1]
            _log.error("a receiver refuses security events for good", stream=stream.id, events=gone, reason=reason)
        if kept:
            reason = list(poll.kept_back.values())[-1]
            _log.warning("a receiver cannot take security events", stream=stream.id, events=kept, reason=reason)

    def _polled(self, stream_id: str, caller: str) -> Stream:
        """Raises NotFoundError, and BadRequestError for a stream that is pushed."""
        stream = register.find(self._place.store, stream_id, caller)
        if stream.wish.method != "poll":
            raise BadRequestError(
                "this stream is pushed", next_step="change its `delivery` to `urn:ietf:rfc:8936` to poll it"
            )
        return stream

    def _next(self, stream: Stream, most: int) -> _Sets:
        with self._place.store.read() as connection:
            events = outbox.waiting(connection, stream, most + 1, self._place.clock())
        told: dict[str, Any] = {"sets": {one.jti: self._sign(stream, one) for one in events[:most]}}
        if len(events) > most:
            told["moreAvailable"] = True
        return _Sets(msgspec.json.encode(told), bool(events))
