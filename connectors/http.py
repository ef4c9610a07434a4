"""One vendor's web API, within bounds: https only, one host, finite time, finite bytes, few and patient retries.

The rules, as the vendors' pages on throttling ask them:
 1. only https (http on loopback), without a user in the address, never redirected;
 2. a link to a next page is followed only to the origin and below the path that the settings name: the token would
    otherwise go to whoever can write a link into an answer;
 3. every exchange has a deadline for the whole of it, so that a body of one byte a second ends;
 4. an answer that is not JSON by its `Content-Type`, compressed (we did not ask for it), larger than the bound, or not
    strict JSON is no answer;
 5. 429, 408, 500, 502, 503, 504 and broken connections are tried again, after `Retry-After` (RFC 9110 section 10.2.3,
    seconds or a date) where it is given, else after 1, 2, 4, 8 s; what asks for more patience than a run has ends the
    run and says when to come again;
 6. one 401 drops the token and takes a new one; a second 401 in a row is a refusal.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import httpx
import msgspec

from connectors.strict_json import NotStrictJsonError, parse_object
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from connectors.grants import Grant
    from connectors.setup import Setup


@dataclass(frozen=True, slots=True)
class Limits:
    """`exchange_s`: one request until the last byte of its answer. `wait_s`: the longest pause that is waited out."""

    exchange_s: float = 90.0  # a page of 1,000 devices of a busy tenant takes 20 s
    body_bytes: int = 32 * 1024 * 1024  # 1,000 devices with all that Jamf knows of them have 10 MB
    refusal_bytes: int = 64 * 1024  # of an answer that is not 200
    tries: int = 5
    wait_s: float = 120.0
    waits_s: float = 600.0  # all pauses of a run together: a run has 900 s by default
    exchanges: int = 20_000  # of a run: 100,000 devices, their users in pages of 20, batches, and retries


LIMITS: Final = Limits()

_OK: Final = 200
_UNAUTHORIZED: Final = 401
_THROTTLED: Final = 429
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_JSON: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s?", re.ASCII)  # Graph writes `2.128`, Zscaler `13s`
_ERROR_WORD: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII | re.IGNORECASE)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_LINK: Final = 8192
_LONGEST_PAUSE_S: Final = 86_400.0  # who asks for more than a day has a wrong clock, or wants us gone for good


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_s: float | None
    is_json: bool


class _PassingError(Exception):
    """May go by itself. `fault`: what it is called where it does not."""

    def __init__(self, what: str, fault: str, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.fault = fault
        self.retry_after_s = retry_after_s


def safe_url(url: str, what: str) -> str:
    """The address without a slash at its end. Raises SettingsError where a token must not be sent to it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise SettingsError(f"`{what}` is not an address") from None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(f"`{what}` has to be `https://HOST[:PORT][/PATH]`")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"`{what}` must not hold a user or a password")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise SettingsError(f"`{what}` has to be https: the token would be readable on the way")
    return url.rstrip("/")


class VendorApi:
    """Used as `async with`, for one run. Every method raises ConnectorError, and nothing else on purpose."""

    def __init__(self, setup: Setup, base_url: str, grant: Grant, limits: Limits = LIMITS) -> None:
        self._setup = setup
        self._base = safe_url(base_url, "url")
        self._grant = grant
        self._limits = limits
        self._client = setup.http()
        self._waited_s = 0.0
        self._exchanges = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """The object at a path below the base address."""
        return await self._object("GET", self._base + path, params=params)

    async def follow(self, link: object) -> dict[str, Any]:
        """The object at a link that an earlier answer gave."""
        return await self._object("GET", self._own(link))

    async def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question that is asked by POST and changes nothing, so that it may be asked again."""
        return await self._object("POST", self._base + path, body=msgspec.json.encode(document))

    async def pause(self, retry_after_s: float | None, turn: int, why: ConnectorError) -> None:
        """Wait as rule 5 says before try number `turn` + 1, or raise `why` where that is not possible."""
        wait = float(2**turn) if retry_after_s is None else retry_after_s
        if turn + 1 >= self._limits.tries or wait > self._limits.wait_s or self._waited_s + wait > self._limits.waits_s:
            raise why
        self._waited_s += wait
        await self._setup.sleep(wait)

    async def _object(
        self, method: str, url: str, *, params: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> dict[str, Any]:
        renewed = False
        while True:
            headers = {"Authorization": await self._grant.authorization(self._send_form)}
            if body is not None:
                headers["Content-Type"] = "application/json"
            answer = await self._patiently(method, url, params, headers, body)
            if answer.status == _UNAUTHORIZED and not renewed and self._grant.forget():
                renewed = True
                continue
            return self._understood(answer, _shown(url))

    async def _send_form(self, url: str, form: str) -> dict[str, Any]:
        """A request for a token. The error word of RFC 6749 section 5.2 is shown, its description is not."""
        try:
            safe_url(url, "token address")
        except SettingsError as fault:
            raise ConnectorError(fault.message, fault="refused") from None
        answer = await self._patiently("POST", url, (), {"Content-Type": _FORM}, form.encode())
        if answer.status != _OK:
            raise ConnectorError(
                f"the token endpoint refused us: {answer.status}{_error_word(answer)}", fault="refused"
            )
        return self._understood(answer, "the token endpoint")

    async def _patiently(
        self, method: str, url: str, params: Sequence[tuple[str, str]], headers: dict[str, str], body: bytes | None
    ) -> _Answer:
        turn = 0
        while True:
            try:
                return await self._once(method, url, params, headers, body)
            except _PassingError as fault:
                why = ConnectorError(f"`{_shown(url)}`: {fault}", fault=fault.fault, retry_after_s=fault.retry_after_s)
                await self.pause(fault.retry_after_s, turn, why)
                turn += 1

    async def _once(
        self, method: str, url: str, params: Sequence[tuple[str, str]], headers: dict[str, str], body: bytes | None
    ) -> _Answer:
        self._exchanges += 1
        if self._exchanges > self._limits.exchanges:
            raise ConnectorError(f"the run took more than {self._limits.exchanges} requests", fault="inconsistent")
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            request = self._client.build_request(method, url, params=list(params) or None, headers=asked, content=body)
            async with asyncio.timeout(self._limits.exchange_s):
                answer = await self._read(request)
        except (TimeoutError, httpx.TimeoutException):
            raise _PassingError("no whole answer in time", "timeout") from None
        except httpx.InvalidURL:
            raise ConnectorError("the source gave a link that is not an address", fault="malformed") from None
        except httpx.HTTPError as fault:
            raise _PassingError(f"the connection failed ({type(fault).__name__})", "unreachable") from None
        if answer.status in _PASSING:
            word = "throttled" if answer.status == _THROTTLED else "unreachable"
            raise _PassingError(f"answered {answer.status}", word, answer.retry_after_s)
        return answer

    async def _read(self, request: httpx.Request) -> _Answer:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            whole = response.status_code == _OK
            bound = self._limits.body_bytes if whole else self._limits.refusal_bytes
            if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                if whole:
                    raise ConnectorError("the source compressed an answer unasked", fault="malformed")
                bound = 0
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > bound:
                    if whole:
                        raise ConnectorError(f"an answer of the source is larger than {bound} bytes", fault="malformed")
                    break
                parts.append(part)
        finally:
            await response.aclose()
        return _Answer(
            status=response.status_code,
            body=b"".join(parts),
            retry_after_s=retry_after_s(response.headers.get("retry-after"), self._setup.clock()),
            is_json=_JSON.fullmatch(response.headers.get("content-type", "").strip()) is not None,
        )

    def _understood(self, answer: _Answer, where: str) -> dict[str, Any]:
        if answer.status != _OK:
            raise ConnectorError(f"`{where}`: answered {answer.status}", fault="refused")
        if not answer.is_json:
            raise ConnectorError(f"`{where}`: the answer is not JSON by its type", fault="malformed")
        try:
            return parse_object(answer.body)
        except NotStrictJsonError as fault:
            raise ConnectorError(f"`{where}`: {fault}", fault="malformed") from None

    def _own(self, link: object) -> str:
        """The link, if it leads to the origin and below the path of the base address (rule 2)."""
        if not isinstance(link, str) or len(link) > _LONGEST_LINK or not link.isprintable():
            raise ConnectorError("the source gave a link that is not an address", fault="malformed")
        try:
            given, base = httpx.URL(link), httpx.URL(self._base)
        except httpx.InvalidURL:
            raise ConnectorError("the source gave a link that is not an address", fault="malformed") from None
        here = (base.scheme, base.host, _port(base))
        if given.userinfo or (given.scheme, given.host, _port(given)) != here:
            raise ConnectorError("the source gave a link to another host, which was not followed", fault="inconsistent")
        path = base.path.rstrip("/") + "/"
        if not given.path.startswith(path) or ".." in given.path.split("/"):
            raise ConnectorError("the source gave a link out of its API, which was not followed", fault="inconsistent")
        return link


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """The pause that `Retry-After` asks for, at most a day: seconds or an HTTP date; None where it is neither."""
    if header is None:
        return None
    header = header.strip()
    if seconds := _SECONDS.fullmatch(header):
        return min(float(seconds[1]), _LONGEST_PAUSE_S)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)  # "-0000": GMT, of which nobody says where
    return min(max(0.0, (until - now).total_seconds()), _LONGEST_PAUSE_S)


def _port(url: httpx.URL) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)


def _error_word(answer: _Answer) -> str:
    try:
        word = parse_object(answer.body).get("error")
    except NotStrictJsonError:
        return ""
    return f" ({word})" if isinstance(word, str) and _ERROR_WORD.fullmatch(word) else ""


def _shown(url: str) -> str:
    """The path: no host, and no query, which may hold page tokens."""
    path = urlsplit(url).path
    return path if path.isprintable() else "?"
