"""How the console asks: the service's own HTTP API, in this process, as the person who is logged in.

INVARIANT (no power of its own): a page knows nothing but what an answer of the API says. The permissions, the bounds
of departments, the veil and the trail are the API's, and hold here as for every other caller.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response

from pdp.callers.acting import acting_as

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from pdp.console.person import Person

DEADLINE_S: Final = 60.0  # of one answer; the engine behind the audit has 30 s, and may have to be started
_OK: Final = 200
_BAD: Final = 400
_SILENT: Final = 503
Values = "Mapping[str, str | Sequence[str]]"


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is the JSON of a good answer, `problem` that of another: `title`, `status`, `detail`, `error`."""

    status: int
    data: Any = None
    problem: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == _OK


class InnerApi:
    """`app` is everything that is asked over HTTP behind the lane, without the console."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Final = app

    async def ask(  # noqa: PLR0913  # a request has as many parts
        self,
        person: Person,
        method: str,
        path: str,
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        body: Any = None,
        lang: str = "ja",
        peer: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Answer:
        """One answer, whole. Never raises for what the API says; what does not answer in time is a 503."""
        try:
            content = b"" if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError:  # half a character: a form cannot hold one, JSON within a form can
            return Answer(_BAD, problem={"title": "bad request", "status": _BAD, "detail": "that is no text"})
        call = _Call(content)
        scope = _scope(method, path, params or {}, lang, peer, content)
        try:
            async with asyncio.timeout(deadline_s):
                with acting_as(person.caller()):
                    await self._app(scope, call.receive, call.send)
        except TimeoutError:
            return Answer(_SILENT, problem={"title": "timeout", "status": _SILENT})
        return call.answer()

    def forward(
        self, person: Person, path: str, params: Mapping[str, str | Sequence[str]], *, lang: str, peer: str | None
    ) -> Response:
        """An answer handed on as it comes, for files that are longer than a memory."""
        return _Forwarded(self._app, person, _scope("GET", path, params, lang, peer, b""))


class _Forwarded(Response):
    """INVARIANT (the person ends at the server): both ends of the real connection are moved as nobody.

    The end of an answer makes uvicorn start the next request of the connection, in the task and so in the context in
    which it was sent: a request that was pipelined behind this one would be the person's, without a credential.
    """

    def __init__(self, app: ASGIApp, person: Person, scope: MutableMapping[str, Any]) -> None:
        super().__init__()
        self._app = app
        self._person = person
        self._scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        async def receiving() -> MutableMapping[str, Any]:
            with acting_as(None):
                return await receive()

        async def sending(message: MutableMapping[str, Any]) -> None:
            with acting_as(None):
                await send(message)

        with acting_as(self._person.caller()):
            await self._app(self._scope, receiving, sending)


class _Call:
    """Both ends of one request."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._status = _SILENT
        self._answer = bytearray()
        self._sent = False
        self._never: Final = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        if self._sent:
            await self._never.wait()  # nobody goes away before the answer
        self._sent = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            self._answer += message.get("body", b"")

    def answer(self) -> Answer:
        try:
            said = msgspec.json.decode(bytes(self._answer)) if self._answer else None
        except msgspec.DecodeError:
            said = None
        if self._status < _BAD:
            return Answer(_OK, said)
        return Answer(self._status, problem=said if isinstance(said, dict) else {"status": self._status})


def _scope(  # noqa: PLR0913, PLR0917  # a request has as many parts
    method: str,
    path: str,
    params: Mapping[str, str | Sequence[str]],
    lang: str,
    peer: str | None,
    body: bytes,
) -> MutableMapping[str, Any]:
    pairs = [
        (name, value) for name, given in params.items() for value in ([given] if isinstance(given, str) else given)
    ]
    headers = [(b"host", b"console.invalid"), (b"accept-language", lang.encode())]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path, safe="/%:@!$&'()*+,;=~").encode(),
        "query_string": urlencode(pairs, encoding="utf-8", errors="replace").encode(),
        "root_path": "",
        "headers": headers,
        "client": None if peer is None else (peer, 0),
        "server": ("console.invalid", 80),
        "state": {},
    }
