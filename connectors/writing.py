"""One vendor's web API that is written to: `VendorApi` at an even pace, and no write is repeated blindly.

1. every exchange takes a token of a bucket, so that a plan of hundreds of steps stays below the vendor's limit;
2. 429 was not done: it is waited for as `Retry-After` says, and asked for again;
3. a write after which nobody knows whether it was done (no answer, a broken connection, 408, 5xx) raises ConnectorError
   with `UNSURE` and is not repeated: who asked looks first (`pdp.delivery.applying`);
4. reading is repeated as `VendorApi` does; 404 is an answer: nothing is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from connectors.http import LIMITS, VendorApi, _Answer, _PassingError
from connectors.strict_json import NotStrictJsonError, parse_object
from pdp.delivery.port import UNSURE
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from connectors.grants import Grant
    from connectors.http import Limits
    from connectors.setup import Setup

_OK: Final = 200
_DONE: Final = frozenset({200, 201, 202, 204})
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNAUTHORIZED: Final = 401
_MAX_EXPLANATION: Final = 200  # characters of a vendor's reason that are shown


class Pace:
    """A token bucket: `per_second` exchanges in the long run, `burst` at once."""

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._at = clock()

    async def turn(self) -> None:
        """Wait until the next exchange may begin."""
        now = self._clock()
        passed = max(0.0, (now - self._at).total_seconds())
        self._at = now
        self._tokens = min(self._burst, self._tokens + passed * self._rate) - 1.0
        if self._tokens < 0.0:
            await self._sleep(-self._tokens / self._rate)


class WritingApi(VendorApi):
    """Used as `async with`, for one apply. Every method raises ConnectorError, and nothing else on purpose."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        setup: Setup,
        base_url: str,
        grant: Grant,
        pace: Pace,
        explain: Callable[[dict[str, Any]], str] = lambda _: "",
        limits: Limits = LIMITS,
        header: str = "Authorization",
    ) -> None:
        """`explain`: the vendor's reason in the object of a refusal, for the administrator. `header`: of the token."""
        super().__init__(setup, base_url, grant, limits)
        self._pace = pace
        self._header = header
        self._explain = explain

    async def find(self, path: str, params: Sequence[tuple[str, str]] = ()) -> dict[str, Any] | None:
        """The object at a path; None where nothing is there."""
        answer = await self._authorised("GET", path, params, None, patient=True)
        if answer.status == _NOT_FOUND:
            return None
        if answer.status != _OK:
            raise self._refusal(answer, path)
        return self._understood(answer, path)

    async def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """The object at a path below the base address."""
        found = await self.find(path, params)
        if found is None:
            raise ConnectorError(f"`{_path(path)}`: nothing is there", fault="refused")
        return found

    async def write(
        self, method: str, path: str, document: Any = None, params: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Change something; what the vendor answered, or an empty object. `fault`: `refused`, `conflict`, or UNSURE."""
        body = None if document is None else msgspec.json.encode(document)
        answer = await self._authorised(method, path, params, body, patient=False)
        if answer.status not in _DONE:
            raise self._refusal(answer, path)
        if not answer.body.strip() or not answer.is_json:
            return {}
        try:
            return parse_object(answer.body)
        except NotStrictJsonError:
            return {}  # it was done; what came with it is of no use

    async def _authorised(
        self, method: str, path: str, params: Sequence[tuple[str, str]], body: bytes | None, *, patient: bool
    ) -> _Answer:
        renewed = False
        while True:
            headers = {self._header: await self._grant.authorization(self._send_form)}
            if body is not None:
                headers["Content-Type"] = "application/json"
            way = self._patiently if patient else self._carefully
            answer = await way(method, self._base + path, params, headers, body)
            if answer.status == _UNAUTHORIZED and not renewed and self._grant.forget():
                renewed = True
                continue
            return answer

    async def _carefully(
        self, method: str, url: str, params: Sequence[tuple[str, str]], headers: dict[str, str], body: bytes | None
    ) -> _Answer:
        """Rules 2 and 3."""
        turn = 0
        while True:
            try:
                return await self._once(method, url, params, headers, body)
            except _PassingError as fault:
                text = f"`{_path(url)}`: {fault}"
                if fault.fault != "throttled":
                    raise ConnectorError(text, fault=UNSURE, retry_after_s=fault.retry_after_s) from None
                why = ConnectorError(text, fault="throttled", retry_after_s=fault.retry_after_s)
                await self.pause(fault.retry_after_s, turn, why)
                turn += 1

    async def _once(
        self, method: str, url: str, params: Sequence[tuple[str, str]], headers: dict[str, str], body: bytes | None
    ) -> _Answer:
        await self._pace.turn()
        return await super()._once(method, url, params, headers, body)

    def _refusal(self, answer: _Answer, path: str) -> ConnectorError:
        try:
            reason = self._explain(parse_object(answer.body)) if answer.is_json else ""
        except (NotStrictJsonError, KeyError, TypeError, IndexError, AttributeError):
            reason = ""
        shown = "".join(letter if letter.isprintable() else " " for letter in reason)[:_MAX_EXPLANATION]
        text = f"`{_path(path)}`: answered {answer.status}" + (f": {shown}" if shown else "")
        return ConnectorError(text, fault="conflict" if answer.status == _CONFLICT else "refused")


def _path(url: str) -> str:
    return urlsplit(url).path


class OneApi:
    """What works by one API, for one apply: it closes that with itself."""

    _api: WritingApi

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.__aexit__(kind, fault, trace)
