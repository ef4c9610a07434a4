"""An HTTP transport whose answers have an end: a body that is too long is an error and not a full memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST: Final = 256 * 1024  # of tokens; the largest have a few thousand bytes


class BoundedTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, *, most: int = MOST) -> None:
        self._inner: Final = inner
        self._most: Final = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["accept-encoding"] = "identity"  # a short body can unpack to an endless one
        answer = await self._inner.handle_async_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise httpx.ReadError("the answer is in an encoding that was not asked for")
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _Bounded(answer.stream, self._most)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner: Final = inner
        self._most: Final = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self._inner:
            length += len(chunk)
            if length > self._most:
                raise httpx.ReadError(f"the answer is larger than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
