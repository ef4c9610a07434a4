"""How an answer goes onto the wire: headers encoded once, security headers on everything."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pdp.wire.error_answer import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Send

    from pdp.wire.exchange import HttpAnswer

Header = tuple[bytes, bytes]
CLOSE: Final = ("connection", "close")

# On every answer that does not set the header itself. A page of the console brings its own policy; an
# answer of the API is data, and no browser may run, frame, guess or keep it.
SECURITY: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_SECURITY_BY_NAME: Final = {header[0].decode(): header for header in SECURITY}
_ENCODED: Final = {JSON: (b"content-type", b"application/json")}
_OF_DECISION: Final = 2  # headers: its type and its id
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_BODY: Final = frozenset({204, 304})
_STATUS: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_LINES: Final = {pair: b"%b: %b\r\n" % header for pair, header in _ENCODED.items()}
_ECHOED: Final = {name: b"%b: %%b\r\n" % name.encode() for name in ("x-decision-id", "x-request-id")}
_LAST: Final = b"connection: close\r\n\r\n"
_SECURITY_LINES: Final = b"".join([b"%b: %b\r\n" % header for header in SECURITY])
# What nearly every answer is: a decision. The places: lines of the server, the decision's id, length, body.
_DECISION: Final = b"%b%%b%b%b%bcontent-length: %%d\r\n\r\n%%b" % (
    _STATUS[200],
    _LINES[JSON],
    _ECHOED["x-decision-id"],
    _SECURITY_LINES,
)


async def write_answer(answer: HttpAnswer, send: Send, *, with_body: bool = True) -> None:
    """Send the answer. Raises ValueError for a header that would break out of its line, before anything is sent."""
    headers: list[Header] = []
    own: set[str] = set()
    for pair in answer.headers:
        headers.append(_ENCODED.get(pair) or _encoded(pair))
        if pair[0] in _SECURITY_BY_NAME:
            own.add(pair[0])
    headers += [header for name, header in _SECURITY_BY_NAME.items() if name not in own] if own else SECURITY
    body = answer.body
    if answer.status in _NO_BODY:
        body = b""
    else:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def joined_answer(answer: HttpAnswer, server_lines: bytes, *, close: bool) -> bytes:
    """The octets of a whole answer, as `write_answer` and uvicorn make them; `close` says that it is the last one.

    Raises ValueError for a header that would break out of its line, and for a status that is none.
    """
    status, body = answer.status, answer.body
    if status == HTTPStatus.OK and not close and len(answer.headers) == _OF_DECISION:
        json, (name, value) = answer.headers
        if json is JSON and name == "x-decision-id":
            return _DECISION % (server_lines, _encoded_value(name, value), len(body), body)
    parts = [_status_line(status), server_lines]
    own: set[str] = set()
    for pair in answer.headers:
        name, value = pair
        if name in _ECHOED:
            parts.append(_ECHOED[name] % _encoded_value(name, value))
            continue
        parts.append(_LINES.get(pair) or b"%b: %b\r\n" % _encoded(pair))
        if name in _SECURITY_BY_NAME:
            own.add(name)
        elif pair == CLOSE:
            close = False  # said already
    if own:
        parts += [b"%b: %b\r\n" % header for name, header in _SECURITY_BY_NAME.items() if name not in own]
    else:
        parts.append(_SECURITY_LINES)
    end = _LAST if close else b"\r\n"
    if status in _NO_BODY:
        parts.append(end)
    else:
        parts += (b"content-length: %d\r\n" % len(body), end, body)
    return b"".join(parts)


def with_security(headers: Iterable[Header], request_id: str | None) -> list[Header]:
    """The headers of an answer that another application made, completed."""
    complete = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    names = {name for name, _ in complete}
    complete += [header for header in SECURITY if header[0] not in names]
    if request_id is not None and b"x-request-id" not in names:
        complete.append((b"x-request-id", request_id.encode()))
    return complete


def _status_line(status: int) -> bytes:
    try:
        return _STATUS[status]
    except KeyError:
        raise ValueError(f"there is no status {status}") from None


def _encoded(pair: tuple[str, str]) -> Header:
    name, value = pair
    return _encoded_name(name), _encoded_value(name, value)


def _encoded_value(name: str, value: str) -> bytes:
    # Response splitting: what a client sent us must not end our header line (RFC 9110 section 5.5).
    if not value.isprintable() and _CONTROL.search(value):
        raise ValueError(f"the header `{name}` holds a line break or another control character")
    return value.encode("latin-1")


@lru_cache(maxsize=64)  # the names that this service writes; no client brings one
def _encoded_name(name: str) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header has a name that cannot be written")
    return name.encode("ascii")
