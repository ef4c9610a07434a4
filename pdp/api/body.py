"""The body of a request, whole, within its limits and its deadline, whatever the client does meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BadRequestError, PayloadTooLargeError, SlowRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable

    from starlette.types import Message, Receive

DRAINED: Final = (
    4 * 1024 * 1024
)  # bytes beyond the limit that are read and dropped, so that the client can hear its 413
_MAX_DIGITS: Final = 12  # of a Content-Length; a terabyte is already absurd


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request. `body_bytes` is for decisions, `app_body_bytes` for everything behind the lane."""

    body_bytes: int = 256 * 1024  # a boxcar of 100 full requests has about 120 KiB
    app_body_bytes: int = 16 * 1024 * 1024  # a directory file to import: 8,430 devices have about 3 MB
    body_s: float = 10.0  # from the header's end to the body's; gateways on one network need milliseconds


class ClientGoneError(Exception):
    """The client closed the connection: there is nobody to answer."""


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, limits: Limits) -> bytes:
    """The whole body.

    Raises PayloadTooLargeError above the limit, SlowRequestError at the deadline, BadRequestError where the
    body is not as long as it said, and ClientGoneError.
    """
    said, waits = declared_length(headers)
    if said is not None and said > limits.body_bytes and (waits or said > limits.body_bytes + DRAINED):
        raise _too_large(limits)  # a client that waits for `100 Continue` hears it before it sends
    first = _Begun(receive())
    if first.message is None or first.message.get("more_body", False):
        body = await _gathered(first, receive, limits)
    else:
        body = _chunk(first.message)
    if len(body) > limits.body_bytes:
        raise _too_large(limits)
    if said is not None and said != len(body):
        raise BadRequestError("the body is not as long as `content-length` said")
    return body


class _Begun:
    """A receive whose first step is taken: what came together with the head needs no deadline, and no timer for it.

    Measured: `asyncio.timeout` costs 4 microseconds, and nearly every body is there at once.
    """

    __slots__ = ("_steps", "_waits_for", "message")

    def __init__(self, receiving: Awaitable[Message]) -> None:
        self._steps = receiving.__await__()
        self.message: Message | None = None
        try:
            self._waits_for = next(self._steps)
        except StopIteration as done:
            self.message = done.value

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.message is None:
            try:
                yield self._waits_for
            except BaseException:  # the deadline, or the end of the whole request
                self._steps.close()
                raise
            self.message = yield from self._steps
        return self.message


async def _gathered(first: _Begun, receive: Receive, limits: Limits) -> bytes:
    """The body of several messages, or of one that has not come yet; longer than the limit where it is too long."""
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(limits.body_s):
            message = await first
            while True:
                chunks.append(_chunk(message))
                length += len(chunks[-1])
                if length > limits.body_bytes:
                    chunks.clear()
                if length > limits.body_bytes + DRAINED or not message.get("more_body", False):
                    break
                message = await receive()
    except TimeoutError:
        raise SlowRequestError(f"the body did not arrive within {limits.body_s:g} seconds") from None
    if length > limits.body_bytes:
        raise _too_large(limits)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    return body


def _too_large(limits: Limits) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is larger than {limits.body_bytes} bytes")


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int | None, bool]:
    """(`Content-Length`, whether the client waits for `100 Continue`).

    Raises BadRequestError where the length is no number, stands twice, or stands beside a
    `Transfer-Encoding`: the proxy in front may have used the other one (RFC 9112 section 6.3).
    """
    said: bytes | None = None
    chunked = waits = False
    for name, value in headers:
        if name == b"content-length":
            if said is not None:
                raise BadRequestError("the header `content-length` stands more than once")
            said = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"expect":
            waits = True
    if said is None:
        return None, waits
    if chunked:
        raise BadRequestError("`content-length` and `transfer-encoding` exclude one another")
    if not said.isdigit() or len(said) > _MAX_DIGITS:
        raise BadRequestError("`content-length` is not a number of bytes")
    return int(said), waits
