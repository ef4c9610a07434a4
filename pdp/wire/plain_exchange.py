"""What comes through FastAPI, as the plain values of `pdp.wire.exchange`, and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pdp.errors import PayloadTooLargeError, SlowRequestError
from pdp.wire.exchange import PEER, HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from starlette.requests import Request


def head_of(request: Request) -> HttpRequest:
    """All of it but the body, which nobody has read yet."""
    return HttpRequest(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw),
        peer=request.client.host if request.client else None,
        peer_certificate=request.scope.get("extensions", {}).get(PEER),
    )


async def body_of(request: Request, *, most: int, within_s: float) -> bytes:
    """The whole body of up to `most` bytes. Raises PayloadTooLargeError and SlowRequestError."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise PayloadTooLargeError(f"the body is larger than {most} bytes")
    except TimeoutError:
        raise SlowRequestError(f"the body did not arrive within {within_s:g} seconds") from None
    except ClientDisconnect:  # nobody hears the answer; what is not whole is not read
        raise SlowRequestError("the client has gone") from None
    return bytes(body)


def response_of(answer: HttpAnswer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response
