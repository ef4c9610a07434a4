"""Decisions without the ASGI cycle: from the parsed head to the handler, and from its answer to the socket.

For a plain request to one of the lane's exact paths. Plain is: POST, HTTP/1.1, the path as it is written in the
lane and nothing behind it, one `Content-Length` of at most 8 KiB, the body in the same packet as the head, no
`Transfer-Encoding`, `Expect` or `Upgrade`, a connection that stays, and no earlier request that waits for its answer.
Everything else goes through uvicorn and the lane, where every refusal of a body is made. The parser itself knows no
end to a head: one that does not end is refused here (431, RFC 6585 section 5).

A head that was parsed before and found plain is known by its octets (`pdp.api.heads`), and is not parsed again where
a packet begins with it and has its whole body and no more.

INVARIANT (one service): the handler gets the `HttpRequest` that it would get from the lane, and what it answers
leaves as the same octets; tests/unit/api/test_direct_differential.py holds both against each other.
"""

from __future__ import annotations

from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from pdp.api.heads import END, Head, Heads
from pdp.api.lane import STOP, Lane, bug_answer
from pdp.api.one_write import OneWriteProtocol
from pdp.api.response import CLOSE, joined_answer
from pdp.wire.error_answer import JSON, error_body
from pdp.wire.exchange import HttpAnswer, HttpRequest, Promise

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from pdp.api.heads import Begin
    from pdp.declog.port import Kept

MAX_HEAD: Final = 64 * 1024  # bytes of a head beyond its first packet; proxies take 8 to 64 KiB in all
MOST: Final = 8 * 1024  # bytes of a body; a full question has about 1.2 KiB, and a packet of loopback 64
_MAX_DIGITS: Final = len(str(MOST))
_LENGTH: Final = b"content-length"
_TELLING: Final = frozenset({_LENGTH, b"transfer-encoding", b"expect", b"upgrade"})


class _NoEvent:
    """Nobody waits for the body of a request that is whole."""

    def set(self) -> None: ...


class _Exchange:
    """Stands where uvicorn keeps its `RequestResponseCycle`: what the protocol reads and sets of one."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "task")
    message_event = _NoEvent()

    def __init__(self, *, complete: bool = False) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = complete
        self.task: asyncio.Task[None] | None = None


class DirectProtocol(OneWriteProtocol):
    """For `uvicorn.Config(http=…)`. The application is a `Lane`, or has one as its `lane`; else all is as without."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        lane = self.app if isinstance(self.app, Lane) else getattr(self.app, "lane", None)
        # What only uvicorn's own cycle does: a log of accesses, a limit of connections, a path in front.
        bare = not self.access_log and self.limit_concurrency is None and not self.root_path
        self._lane: Lane = cast("Lane", lane)
        self._own = lane.own if isinstance(lane, Lane) and bare else {}
        self._most = min(MOST, lane.limits.body_bytes) if isinstance(lane, Lane) else 0
        self.cycle = cast("RequestResponseCycle", _Exchange(complete=True))
        self._handler: Begin | None = None  # from the end of a plain head to the end of its body
        self._path = ""
        self._body = b""
        self._heads = lane.heads if isinstance(lane, Lane) and bare else Heads()
        # INVARIANT (at rest): the parser stands before a message, where a plain one or nothing went before.
        self._at_rest = True
        self._peer: str | None = None
        self._lines_of: object = None
        self._lines = b""
        self._idle_since: float | None = None
        self._in_head = False
        self._packet: bytes | None = None  # while it is parsed, if a message begins with it
        self._head_bytes: int | None = None  # beyond the packet that it begins in, which may hold more than the head

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._at_rest and self.cycle.response_complete:
            length = data.find(END) + len(END)
            head = self._heads.get(data[:length])
            if head is not None and len(data) - length == head.length:
                self._idle_since = None
                self._begin(head, data[length:])
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._packet = data if self._at_rest else None
        super().data_received(data)
        self._packet = None
        if self._in_head:
            self._head_bytes = 0 if self._head_bytes is None else self._head_bytes + len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse_head()
        if self._handler is not None:  # the body is not all there: the lane waits for it, with its deadline
            self._handler = None
            if not self.transport.is_closing():
                self._cycle()
                if self._body:
                    super().on_body(self._body)

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._in_head = True
        self._at_rest = False
        self._head_bytes = None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        own = self._own.get(self.url)
        if own is None or not self.cycle.response_complete or not self._is_plain():
            self._cycle()
        else:
            self._path, self._handler = own
            self._body = b""

    def on_body(self, body: bytes) -> None:
        if self._handler is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            super().on_message_complete()
            return
        headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers])
        self._at_rest = True
        head = Head(self._path, handler, headers, len(self._body))
        if self._packet is not None:
            self._heads.note(self._packet, head)
        self._begin(head, self._body)

    def _begin(self, head: Head, body: bytes) -> None:
        request = HttpRequest("POST", head.path, "", head.headers, body, self._peer, self.peer_certificate)
        exchange = _Exchange()
        self.cycle = exchange  # type: ignore[assignment]  # so that what comes next on this connection waits
        context = Context()  # its own: nothing that was set while another request was answered is seen by this one
        begun = context.run(_begun, head.begin, request)
        if isinstance(begun, Promise):
            begun.kept.add_done_callback(partial(self._keep, begun, request, exchange), context=context)
        else:
            self._run(self._answer(begun, request, exchange), exchange, context)

    def _run(self, work: Coroutine[Any, Any, None], exchange: _Exchange, context: Context) -> None:
        exchange.task = self.loop.create_task(work, context=context)
        self.tasks.add(exchange.task)

    def _keep(self, promise: Promise, request: HttpRequest, exchange: _Exchange, _: Kept) -> None:
        """Answer what was promised; in a task where the client has to read first what it was told before."""
        try:
            answer = promise.answer()
        except BaseException as fault:  # noqa: BLE001  # as in `_answer`
            answer = self._lane.answer_to(fault, request.headers)
        if self.flow.write_paused and not exchange.disconnected:
            self._run(self._answer(_said(answer), request, exchange), exchange, Context())
        else:
            self._write(answer, request, exchange)

    def _refuse_head(self) -> None:
        self._in_head = False
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:  # else an answer is due that this one would stand before
            body = error_body(
                "headers_too_large", "the request's headers are too large", "send fewer or shorter headers"
            )
            whole = joined_answer(HttpAnswer(431, (JSON, CLOSE), body), self._server_lines(), close=True)
            self.joining.write_whole(whole)
        self.transport.close()

    def _is_plain(self) -> bool:
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        length: bytes | None = None
        for name, value in self.headers:
            if name in _TELLING:
                if length is not None or name != _LENGTH:
                    return False
                length = value
        return length is not None and length.isdigit() and len(length) <= _MAX_DIGITS and int(length) <= self._most

    def _cycle(self) -> None:
        """The way of uvicorn, told again from the beginning."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    async def _answer(self, begun: Coroutine[Any, Any, HttpAnswer], request: HttpRequest, exchange: _Exchange) -> None:
        try:
            try:
                answer = await begun
            except BaseException as fault:  # noqa: BLE001  # also a panic of the engine, which is no Exception
                answer = self._lane.answer_to(fault, request.headers)
            if self.flow.write_paused and not exchange.disconnected:
                await self.flow.drain()
            self._write(answer, request, exchange)
        except STOP:
            exchange.keep_alive = False
            self._write(bug_answer(request.headers), request, exchange)
            raise
        finally:
            self.tasks.discard(cast("asyncio.Task[None]", exchange.task))

    def _write(self, answer: HttpAnswer, request: HttpRequest, exchange: _Exchange) -> None:
        """One write, then what uvicorn does after an answer. A client that is gone gets none; its decision stands."""
        if exchange.disconnected or exchange.response_complete:
            return
        try:
            whole = joined_answer(answer, self._server_lines(), close=not exchange.keep_alive)
        except ValueError as fault:  # a header that cannot be written
            answer = self._lane.answer_to(fault, request.headers)
            whole = joined_answer(answer, self._server_lines(), close=not exchange.keep_alive)
        if not self.transport.is_closing():
            self.joining.write_whole(whole)
        exchange.response_complete = True
        if not exchange.keep_alive or CLOSE in answer.headers:
            self.transport.close()
        self.on_response_complete()

    def _unset_keepalive_if_required(self) -> None:
        """The timer runs on: to stop one and start another with every request costs 2 microseconds."""
        self._idle_since = None

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wake_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close what has been idle for the whole time; look again at the earliest moment at which that can be so."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # the next answer sets it
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wake_in(left)
        else:
            super().timeout_keep_alive_handler()

    def _wake_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _server_lines(self) -> bytes:
        """The header lines of the server itself (`date`): a new list once a second."""
        headers = self.server_state.default_headers
        if headers is not self._lines_of:
            self._lines_of = headers
            self._lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._lines


def _begun(begin: Begin, request: HttpRequest) -> Promise | Coroutine[Any, Any, HttpAnswer]:
    """What `begin` gives; what it raises is raised in the task, where every fault has its answer."""
    try:
        return begin(request)
    except BaseException as fault:  # noqa: BLE001  # as in `DirectProtocol._answer`
        return _raised(fault)


async def _raised(fault: BaseException) -> HttpAnswer:
    raise fault


async def _said(answer: HttpAnswer) -> HttpAnswer:
    return answer
