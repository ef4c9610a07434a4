"""Batches over HTTPS: JSON lines, a JSON array or CEF lines, compressed, one POST each.

Only a 2xx counts as taken. 400, 413 and 422 are about the content (the shipper halves the batch); everything else is
about the moment or the settings, and the batch is sent again, after `Retry-After` where it is given (RFC 9110 section
10.2.3). Redirects are not followed: the token would go where an answer says.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx

from pdp import __version__
from pdp.shipping.port import RefusedError, UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.model.log_target import LogTarget
    from pdp.shipping.port import Event

_CONTENT: Final = frozenset({400, 413, 422})
_MAX_ANSWER: Final = 65_536  # bytes of an answer that are read at all; its words are not used
_LEVEL: Final = 6
_TYPES: Final = {("json", "lines"): "application/x-ndjson", ("json", "array"): "application/json"}


class HttpCarrier:
    """`token`: read for each batch, so that it may be changed at any time; raises UndeliveredError."""

    def __init__(self, target: LogTarget, context: ssl.SSLContext | bool, token: Callable[[], str]) -> None:
        self._url: Final = target.to
        self._context: Final = context
        self._token: Final = token
        self._array: Final = target.body == "array"
        self._gzip: Final = target.gzip
        self._deadline_s: Final = target.deadline_s
        self._scheme: Final = target.token_scheme
        self._type: Final = "text/plain; charset=utf-8" if target.format == "cef" else _TYPES["json", target.body]

    def send(self, events: Sequence[Event]) -> None:
        try:
            status, asked = asyncio.run(self._posted(self._body(events), self._headers()))
        except TimeoutError:
            raise UndeliveredError("timeout") from None
        except (httpx.HTTPError, ssl.SSLError) as fault:
            raise UndeliveredError("unreachable", type(fault).__name__) from None
        if 200 <= status < 300:  # noqa: PLR2004  # the class of success
            return
        if status in _CONTENT:
            raise RefusedError(f"the receiver answered {status}")
        raise UndeliveredError(f"http_{status}", retry_after_s=retry_after(asked, datetime.now(UTC)))

    def close(self) -> None:
        """Nothing is held open between batches."""

    async def _posted(self, body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
        async with (
            asyncio.timeout(self._deadline_s),
            httpx.AsyncClient(verify=self._context, timeout=self._deadline_s, trust_env=False) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            heard = 0
            async for chunk in answer.aiter_raw():  # to its end, so that the receiver can say all and close in order
                heard += len(chunk)
                if heard > _MAX_ANSWER:
                    break
            return answer.status_code, answer.headers.get("retry-after")

    def _body(self, events: Sequence[Event]) -> bytes:
        if self._array:
            body = b"[" + b",".join(event.body for event in events) + b"]"
        else:
            body = b"".join(event.body + b"\n" for event in events)
        return gzip.compress(body, _LEVEL, mtime=0) if self._gzip else body

    def _headers(self) -> dict[str, str]:
        headers = {
            "content-type": self._type,
            "accept-encoding": "identity",
            "user-agent": f"Sekisho/{__version__}",
        }
        if self._gzip:
            headers["content-encoding"] = "gzip"
        token = self._token()
        if token:
            headers["authorization"] = f"{self._scheme} {token}"
        return headers


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds, from a number or a date; None for anything else."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:  # noqa: PLR2004  # 30 years
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())
