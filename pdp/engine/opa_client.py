"""opa-python-client's async client, with what a decision point needs beyond it.

The library does the requests (policies, data, queries). Through its extension points, the session that a
subclass makes and the request method, these are added, because the library of version 3.0:

- repeats a request up to two times with pauses of 0.3 s and more, also for an evaluation that failed (OPA
  answers those with 500): `retries=0`; the engine decides itself what is worth a second request;
- rewrites a policy that OPA refuses from Rego v0 to v1 and uploads the result: `rego_compat=False`;
- keeps OPA's reason to itself where it raises for a status: `_raise_refusal` reads it first;
- follows redirects, which could lead a token to another host: refused;
- takes a body of any size: `max_answer_bytes`;
- knows a client certificate but no authority of one's own: `ssl_context`;
- builds each input from Python objects: `msgspec.Raw` passes the document's own bytes through.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from opa_client.opa_async import AsyncOpaClient

from pdp.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

_FIRST_REFUSAL: Final = 300  # redirects are refused too: nothing of ours redirects
_KEEPALIVE_S: Final = 60.0
_HTTP_PORT: Final = 80
_HTTPS_PORT: Final = 443


class OpaRefusalError(Exception):
    """OPA answered with an error. `errors` are its own objects: code, message, location."""

    def __init__(self, status: int, message: str, errors: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


class AnswerTooLargeError(ValueError):
    """More than `max_answer_bytes` came."""


class _BoundedAnswer(aiohttp.ClientResponse):
    limit = 0  # bytes; `_answers_up_to` makes a class with another

    async def json(self, **_: Any) -> Any:
        return msgspec.json.decode(await self.bounded())

    async def bounded(self) -> bytes:
        body = bytearray()
        async for chunk in self.content.iter_any():
            body += chunk
            if len(body) > self.limit:
                self.close()
                raise AnswerTooLargeError(f"an answer of more than {self.limit} bytes")
        return bytes(body)


def _answers_up_to(limit: int) -> type[_BoundedAnswer]:
    return type("_AnswerUpToTheLimit", (_BoundedAnswer,), {"limit": limit})


class OpaClient(AsyncOpaClient):  # type: ignore[misc]  # the library carries no types
    """One pool of connections to one server. `deadline_s` bounds each request, connecting included.

    An answer may have `max_answer_bytes`; a longer one is AnswerTooLargeError. Raises SettingsError where the
    URL is not `http(s)://host[:port]`.
    """

    _session: aiohttp.ClientSession | None

    def __init__(  # noqa: PLR0913  # each is one setting, named at the call
        self,
        url: str,
        *,
        deadline_s: float,
        connections: int,
        max_answer_bytes: int,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        host, port, tls = _address(url)
        super().__init__(host=host, port=port, ssl=tls, token=token, retries=0, timeout=deadline_s)
        self._connections = connections
        self._max_answer_bytes = max_answer_bytes
        self._ssl_context = ssl_context

    async def open(self) -> None:
        """Make the session, if there is none. The running event loop becomes its own."""
        if self._session is None or self._session.closed:
            await self._init_session()

    async def _init_session(self) -> None:
        self._connector = aiohttp.TCPConnector(
            ssl=self._ssl_context or True, limit=self._connections, keepalive_timeout=_KEEPALIVE_S
        )
        self._session = aiohttp.ClientSession(
            headers=self.headers,
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            json_serialize_bytes=msgspec.json.encode,
            response_class=_answers_up_to(self._max_answer_bytes),
            raise_for_status=_raise_refusal,
        )

    @asynccontextmanager
    async def _request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        async with super()._request(method, url, allow_redirects=False, **options) as answer:
            yield answer


def _address(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError("the OPA server's URL cannot be read") from None
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise SettingsError("the OPA server's URL must be `http://host:port` or `https://host:port` and no more")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    tls = parts.scheme == "https"
    return host, port or (_HTTPS_PORT if tls else _HTTP_PORT), tls


async def _raise_refusal(answer: aiohttp.ClientResponse) -> None:
    if answer.status < _FIRST_REFUSAL:
        return
    try:
        said = json.loads(await answer.bounded()) if isinstance(answer, _BoundedAnswer) else None
    except (ValueError, RecursionError):
        said = None
    finally:
        answer.release()
    said = said if isinstance(said, dict) else {}
    errors = [one for one in said.get("errors") or [] if isinstance(one, dict)]
    raise OpaRefusalError(answer.status, str(said.get("message") or f"status {answer.status}"), errors)
