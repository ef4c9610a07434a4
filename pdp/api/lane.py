"""The lane: a plain ASGI application that answers decisions itself and passes everything else on.

A decision goes through no router, no model, no middleware: measured on one core, a route of FastAPI
answers 2.7 to 3.9 thousand requests a second and plain ASGI 7 to 18.

- A path is taken exactly as it came (`raw_path`): nothing is unescaped, normalised or redirected, because
  a gateway that compared another spelling would have been deceived. `/access/v1/evaluation/` is not ours.
- A prefix takes every method and any path below it: enforcement points forward what their client sent.
- INVARIANT (no answer permits by accident): whatever goes wrong is an answer of 4xx or 5xx with a JSON
  error and no detail; the detail goes to `on_bug`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from pdp.api.body import ClientGoneError, Limits, declared_length, read_body
from pdp.api.heads import Heads
from pdp.api.response import CLOSE, with_security, write_answer
from pdp.errors import BadRequestError, PayloadTooLargeError
from pdp.wire.error_answer import JSON, echo, error_answer, error_body, is_request_id
from pdp.wire.exchange import PEER, HttpAnswer, HttpRequest, PromptHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pdp.api.heads import Begin
    from pdp.wire.exchange import Handler

    Headers = tuple[tuple[str, str], ...]

_log: Final = logging.getLogger("pdp.api")
STOP: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


def log_bug(fault: BaseException) -> None:
    _log.error("an unexpected error was answered with 500", exc_info=fault)


class Lane:
    """In front of `app`. `exact` has raw paths, `prefixes` raw paths that end with a slash."""

    def __init__(  # noqa: PLR0913  # paths and their limits, each by its name
        self,
        app: ASGIApp,
        *,
        exact: Mapping[str, Handler],
        prefixes: Mapping[str, Handler] | None = None,
        prefix_limits: Mapping[str, Limits] | None = None,
        limits: Limits | None = None,
        on_bug: Callable[[BaseException], None] = log_bug,
    ) -> None:
        """`prefix_limits`: of those prefixes that have limits of their own.

        Raises ValueError for a path that is not absolute or a prefix that does not end with a slash.
        """
        known = dict(prefixes or {})
        if not all(path.startswith("/") for path in (*exact, *known)) or not all(path.endswith("/") for path in known):
            raise ValueError("a path begins with a slash, and a prefix ends with one too")
        self._app = app
        self._exact = dict(exact)
        self._prefixes = tuple(sorted(known.items(), key=lambda entry: -len(entry[0])))  # the longest first
        self.limits = limits or Limits()
        self._prefix_limits = dict(prefix_limits or {})
        # What `pdp.api.direct` may answer without this class: a URL that is the path and no more.
        self.own: Final[Mapping[bytes, tuple[str, Begin]]] = {
            path.encode(): (path, handler.begin if isinstance(handler, PromptHandler) else handler)
            for path, handler in exact.items()
            if path.isascii() and not set("?#") & set(path)
        }
        self.heads: Final = Heads()  # of `pdp.api.direct` too
        self._on_bug = on_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = _raw_path(scope)
        handler, limits = self._exact.get(path), self.limits
        if handler is None and self._prefixes:
            handler, limits = self._below(path)
        if handler is None:
            await self._pass_on(scope, receive, send)
            return
        answer = await self._answered(handler, path, scope, receive, limits)
        if answer is not None:
            await self._write(answer, scope, send)

    def _below(self, path: str) -> tuple[Handler | None, Limits]:
        for prefix, handler in self._prefixes:
            if path.startswith(prefix):
                return handler, self._prefix_limits.get(prefix, self.limits)
        return None, self.limits

    async def _answered(
        self, handler: Handler, path: str, scope: Scope, receive: Receive, limits: Limits
    ) -> HttpAnswer | None:
        try:
            body = await read_body(scope["headers"], receive, limits)
            return await handler(_request(scope, path, body))
        except ClientGoneError:
            return None
        except BaseException as fault:  # noqa: BLE001  # also a panic of the engine, which is no Exception
            return self.answer_to(fault, _decoded(scope))

    def answer_to(self, fault: BaseException, headers: Headers) -> HttpAnswer:
        """The answer where a handler has none, or the body is refused. Raises what ends the task."""
        if isinstance(fault, STOP):
            raise fault
        if isinstance(fault, BadRequestError):  # of the body: what is left of it must not become the next request
            answer = error_answer(fault, request_id=_request_id(headers))
            return replace(answer, headers=(*answer.headers, CLOSE))
        self._on_bug(fault)
        return bug_answer(headers)

    async def _write(self, answer: HttpAnswer, scope: Scope, send: Send) -> None:
        with_body = scope["method"] != "HEAD"
        try:
            await write_answer(answer, send, with_body=with_body)
        except ValueError as fault:  # a header that cannot be written; nothing has been sent
            self._on_bug(fault)
            await write_answer(bug_answer(_decoded(scope)), send, with_body=with_body)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage = _Passage(receive, send, _request_id(_decoded(scope)), self.limits.app_body_bytes)
        try:
            said, _ = declared_length(scope["headers"])
            passage.check(said or 0)
            await self._app(scope, passage.receive, passage.send)
        except BadRequestError as fault:
            if not passage.started:
                answer = error_answer(fault, request_id=_request_id(_decoded(scope)))
                await self._write(replace(answer, headers=(*answer.headers, CLOSE)), scope, send)
        except STOP:
            raise
        except BaseException as fault:
            self._on_bug(fault)
            if passage.started and not passage.complete:
                raise  # half an answer is out: the server must break the connection off
            if not passage.started:
                await self._write(bug_answer(_decoded(scope)), scope, send)


class _Passage:
    """Between the server and the application behind: a limit on the way in, security headers on the way out."""

    def __init__(self, receive: Receive, send: Send, request_id: str | None, most: int) -> None:
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._most = most
        self._length = 0
        self.started = False
        self.complete = False

    def check(self, length: int) -> None:
        if length > self._most:
            raise PayloadTooLargeError(f"the body is larger than {self._most} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._length += len(message.get("body", b""))
            self.check(self._length)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": with_security(message.get("headers", ()), self._request_id)}
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True


def _request(scope: Scope, path: str, body: bytes) -> HttpRequest:
    client: Any = scope.get("client")
    return HttpRequest(
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=_decoded(scope),
        body=body,
        peer=client[0] if client else None,
        peer_certificate=scope.get("extensions", {}).get(PEER),
    )


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw is not None else quote(scope["path"])  # ASGI: servers may leave it out


def _decoded(scope: Scope) -> Headers:
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])


def _request_id(headers: Headers) -> str | None:
    """The request id, where there is one that can be echoed."""
    texts = [value for name, value in headers if name == "x-request-id"]
    return texts[0] if len(texts) == 1 and is_request_id(texts[0]) else None


def bug_answer(headers: Headers) -> HttpAnswer:
    request_id = _request_id(headers)
    body = error_body("internal_error", "no decision was made", "tell the operator the request id and the time")
    return HttpAnswer(500, (JSON, *echo(request_id, None)), body)
