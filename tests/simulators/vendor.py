"""What the simulators of vendors' APIs share: tokens, faults on demand, and bytes that go wrong on the way.

A simulator is an ASGI application for `tests.http_server.serving`. It answers as the vendor's documents say; a test
lists the `Fault`s that it wants, each at the number of an API request (the first is 1; token requests do not count).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: bytes
    authorization: str

    def param(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.params if key == name), default)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.params if key == name]


@dataclass(frozen=True)
class Fault:
    """What happens to API request number `at` and the `times` - 1 after it, in this order of precedence."""

    at: int
    times: int = 1
    expire: bool = False  # every token that was given so far is refused from now on
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    document: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # another document than the right one
    text: Callable[[bytes], bytes] | None = None  # other bytes than the document's
    content_type: str = "application/json"
    cut_at: int | None = None  # the connection ends after this many bytes of the body
    hang_at: int | None = None  # nothing comes after this many bytes, until the client leaves

    def meets(self, number: int) -> bool:
        return self.at <= number < self.at + self.times


@dataclass
class Simulator:
    """`answer` gives status and document of one authenticated request."""

    faults: list[Fault] = field(default_factory=list)
    token_faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    token_requests: list[dict[str, str]] = field(default_factory=list)
    token_life_s: int = 3600
    base_url: str = ""  # set by the test, once the port is known
    _tokens: set[str] = field(default_factory=set)

    token_path: str = "/token"

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError

    def admits(self, form: dict[str, str]) -> bool:
        """Whether these are the credentials of a client that is known."""
        raise NotImplementedError

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        request = await _request(scope, receive)
        if request.path == self.token_path:
            await self._token(request, receive, send)
            return
        self.requests.append(request)
        number = len(self.requests)
        fault = next((fault for fault in self.faults if fault.meets(number)), None)
        if fault is not None and fault.expire:
            self._tokens.clear()
        if request.authorization.removeprefix("Bearer ") not in self._tokens:
            await _reply(send, 401, b'{"error":"the token is not valid"}', ())
            return
        status, document = self.answer(request)
        await _faulty(fault, status, document, receive, send)

    async def _token(self, request: Request, receive: Any, send: Any) -> None:
        form = dict(parse_qsl(request.body.decode()))
        self.token_requests.append(form)
        fault = next((fault for fault in self.token_faults if fault.meets(len(self.token_requests))), None)
        if not self.admits(form):
            await _reply(send, 401, b'{"error":"invalid_client","error_description":"secret details"}', ())
            return
        token = f"t-{len(self.token_requests)}"
        self._tokens.add(token)
        document = {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life_s}
        await _faulty(fault, 200, document, receive, send)


async def _request(scope: Any, receive: Any) -> Request:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    params = tuple(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    return Request(scope["method"], unquote(scope["path"]), params, body, headers.get("authorization", ""))


async def _faulty(fault: Fault | None, status: int, document: dict[str, Any], receive: Any, send: Any) -> None:
    if fault is None or fault.expire:
        await _reply(send, status, _json(document), ())
        return
    if fault.document is not None:
        document = fault.document(document)
    body = _json(document)
    if fault.text is not None:
        body = fault.text(body)
    status = status if fault.status is None else fault.status
    if fault.cut_at is None and fault.hang_at is None:
        await _reply(send, status, body, fault.headers, fault.content_type)
        return
    await _start(send, status, len(body), fault.headers, fault.content_type)
    sent = body[: fault.cut_at if fault.cut_at is not None else fault.hang_at]
    await send({"type": "http.response.body", "body": sent, "more_body": True})
    if fault.cut_at is not None:
        raise ConnectionAbortedError  # the server closes what it cannot finish
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


async def _start(send: Any, status: int, size: int, headers: Any, content_type: str) -> None:
    fields = [("content-type", content_type), ("content-length", str(size)), *headers]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in fields],
        }
    )


async def _reply(send: Any, status: int, body: bytes, headers: Any, content_type: str = "application/json") -> None:
    await _start(send, status, len(body), headers, content_type)
    await send({"type": "http.response.body", "body": body})
