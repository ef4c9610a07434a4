"""The stream API (SSF 1.0 section 8.1): a caller makes, looks at, changes and ends its own streams.

The order is fixed: who calls (401, 429), with which permission (403), then the body (400), then the store. A stream of
somebody else is answered as one that is not there. Nothing of it may be kept by anybody on the way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from pdp.errors import BadRequestError, NotPermittedError, NotReadyError, SekishoError, UnsupportedMediaError
from pdp.logs import get_log
from pdp.ssf.sending import register, requests
from pdp.ssf.sending.streams import Stream, shown, shown_status
from pdp.wire.error_answer import JSON, error_answer
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pdp.callers.caller import Caller, Permission
    from pdp.model.ssf_transmitter import SsfTransmitter
    from pdp.ssf.sending.outbox import Post
    from pdp.ssf.sending.streams import Wish
    from pdp.ssf.sending.threads import Threads
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest

_T = TypeVar("_T")
NO_STORE: Final = ("cache-control", "no-store")
STORE_S: Final = 20.0  # longer than the store itself waits for a lock
_log: Final = get_log("pdp.ssf")


@dataclass(frozen=True)
class Place:
    """What the desks work with. `issuer`: of every SET; `base`: where this service is reached."""

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    store: Store
    settings: SsfTransmitter
    issuer: str
    base: str
    post: Post
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    threads: Threads

    async def in_store(self, act: Callable[[], _T]) -> _T:
        """In a thread, and not for ever. Raises NotReadyError, and what `act` raises."""
        try:
            async with asyncio.timeout(STORE_S):
                return await self.threads.run(act)
        except TimeoutError:
            raise NotReadyError("the store does not answer") from None

    def audience(self, caller: str) -> str:
        return self.settings.audiences.get(caller, caller)

    def shown(self, stream: Stream) -> dict[str, Any]:
        return shown(stream, self.issuer, self.base, self.settings.verification_s)


class StreamDesk:
    """One method for each call of the API."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def create(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_manage",), self._create)

    async def look(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_read", "ssf_manage"), self._look)

    async def change(self, request: HttpRequest) -> HttpAnswer:
        """PATCH: what the request says is changed, and the rest stays."""
        return await self._answer(
            request, ("ssf_manage",), lambda caller, asked: self._changed(caller, asked, whole=False)
        )

    async def replace(self, request: HttpRequest) -> HttpAnswer:
        """PUT: what the request does not say is as it was never said."""
        return await self._answer(
            request, ("ssf_manage",), lambda caller, asked: self._changed(caller, asked, whole=True)
        )

    async def end(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_manage",), self._end)

    async def status(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_read", "ssf_manage"), self._status)

    async def set_status(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_manage",), self._set_status)

    async def add_subject(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_manage",), self._add_subject)

    async def remove_subject(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_manage",), self._remove_subject)

    async def verify(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request, ("ssf_read", "ssf_manage"), self._verify)

    async def _answer(
        self,
        request: HttpRequest,
        permissions: tuple[Permission, ...],
        act: Callable[[str, dict[str, Any]], HttpAnswer],
    ) -> HttpAnswer:
        try:
            caller = await permitted(self._place, request, permissions)
            asked = asked_in(request)
            return await self._place.in_store(lambda: act(caller.id, asked))
        except SekishoError as fault:
            return refused(fault)

    def _create(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        place, now = self._place, self._place.clock()
        wish = requests.read_wish(asked, place.settings)
        stream = Stream(place.new_id(), caller, place.audience(caller), wish, now, now)
        register.create(place.store, stream)
        _log.info("a stream of security events was made", stream=stream.id, caller=caller, method=wish.method)
        return _told(place.shown(stream), 201)

    def _look(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        place = self._place
        if "stream_id" in asked:
            return _told(place.shown(register.find(place.store, requests.stream_id_in(asked), caller)))
        return _told([place.shown(one) for one in register.listed(place.store, caller)])

    def _changed(self, caller: str, asked: dict[str, Any], *, whole: bool) -> HttpAnswer:
        place, stream_id = self._place, requests.stream_id_in(asked)

        def changed(held: Stream) -> Wish:
            if whole:
                wish = requests.replaced_wish(asked, held.wish, place.settings)
            else:
                wish = requests.changed_wish(asked, held.wish, place.settings)
            requests.check_ours(asked, place.shown(replace(held, wish=wish)))
            return wish

        stream = register.change(place.store, stream_id, caller, changed, place.clock())
        _log.info("a stream of security events was changed", stream=stream.id, caller=caller)
        return _told(place.shown(stream))

    def _end(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        stream_id = requests.stream_id_in(asked)
        register.remove(self._place.store, stream_id, caller)
        _log.info("a stream of security events was ended", stream=stream_id, caller=caller)
        return HttpAnswer(204, (NO_STORE,))

    def _status(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        return _told(shown_status(register.find(self._place.store, requests.stream_id_in(asked), caller)))

    def _set_status(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        place, stream_id = self._place, requests.stream_id_in(asked)
        said = requests.read_status(asked)
        stream = register.set_status(place.store, stream_id, caller, said, place.clock())
        _log.info("the status of a stream was changed", stream=stream_id, caller=caller, status=stream.status)
        return _told(shown_status(stream))

    def _add_subject(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        stream_id, subject = requests.stream_id_in(asked), requests.read_subject_in(asked)
        register.add_subject(self._place.store, stream_id, caller, subject)
        return HttpAnswer(200, (NO_STORE,))

    def _remove_subject(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        place, stream_id = self._place, requests.stream_id_in(asked)
        register.remove_subject(place.store, stream_id, caller, requests.read_subject_in(asked), place.clock())
        return HttpAnswer(204, (NO_STORE,))

    def _verify(self, caller: str, asked: dict[str, Any]) -> HttpAnswer:
        place, now = self._place, self._place.clock()
        stream_id, state = requests.stream_id_in(asked), requests.read_state(asked)
        shortest = timedelta(seconds=place.settings.verification_s)
        with place.store.write() as connection:
            stream = register.note_verification(connection, stream_id, caller, now, shortest)
            place.post.put_verification(connection, stream, state, now)
        return HttpAnswer(204, (NO_STORE,))


async def permitted(place: Place, request: HttpRequest, permissions: tuple[Permission, ...]) -> Caller:
    """Raises CallerRefusedError and its children, BadRequestError."""
    caller = await place.introduce(request)
    if not any(caller.may(one) for one in permissions):
        raise NotPermittedError(f"this caller lacks the permission `{permissions[0]}`")
    return caller


def asked_in(request: HttpRequest) -> dict[str, Any]:
    """What a request says: its JSON object, or without a body its query. Raises BadRequestError."""
    if request.method in ("GET", "DELETE"):
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=16)
        if len({name for name, _ in pairs}) < len(pairs):
            raise BadRequestError("a parameter stands more than once")
        return dict(pairs)
    kind = (request.header("content-type") or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":  # the specification's own examples have none
        raise UnsupportedMediaError("the content type must be `application/json`")
    return requests.read_object(request.body)


def refused(fault: SekishoError) -> HttpAnswer:
    answer = error_answer(fault)
    return HttpAnswer(answer.status, (*answer.headers, NO_STORE), answer.body)


def _told(value: Any, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, (JSON, NO_STORE), msgspec.json.encode(value))
