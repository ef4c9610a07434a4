"""Cloudflare as a caller: the application token that Access puts into the requests that it lets through.

Source: Cloudflare One documentation, "Custom device posture integration" (the API should validate the application
token) and "Validate JWTs" (header `Cf-Access-Jwt-Assertion`; a service token's own client id is `common_name`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from pdp.callers.caller import Caller
from pdp.errors import BadRequestError, CallerRefusedError, NotAuthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

HEADER: Final = "cf-access-jwt-assertion"
CALLER: Final = Caller("cloudflare-posture", frozenset({"read_posture"}))
LEEWAY: Final = timedelta(seconds=60)  # between Cloudflare's clock and ours
MAX_TOKEN: Final = 16_384  # characters; a service token's assertion has 900


class Assertions(Protocol):
    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a statement that the account signed. Raises a SekishoError for any other."""
        ...


class AccessCaller:
    """`audience`: the tag of the Access application that stands before us. `client_id`: of the one service token.

    A log-in of a person at the same application has no `common_name`, and another service token another one.
    """

    def __init__(self, assertions: Assertions, audience: str, client_id: str, clock: Callable[[], datetime]) -> None:
        """Raises ValueError where one of them is empty: it would let in whatever has none."""
        if not audience or not client_id:
            raise ValueError("an audience and a client id are needed")
        self._assertions = assertions
        self._audience = audience
        self._client_id = client_id
        self._clock = clock

    async def __call__(self, token: str) -> Caller:
        """The caller of a request with this assertion. Raises NotAuthenticatedError; which check failed is not told.

        Where the account's keys cannot be had, what the assertions raise for that.
        """
        now = self._clock()
        if len(token) > MAX_TOKEN:
            raise _refused()
        try:
            claims = await self._assertions.claims(token, now)
        except (BadRequestError, CallerRefusedError):
            raise _refused() from None
        if not self._is_ours(claims, now):
            raise _refused()
        return CALLER

    def _is_ours(self, claims: Mapping[str, Any], now: datetime) -> bool:
        audiences = claims.get("aud")
        named = audiences if isinstance(audiences, list) else [audiences]
        seconds = now.timestamp()
        return (
            self._audience in named
            and claims.get("type") == "app"
            and claims.get("common_name") == self._client_id
            and _number(claims.get("exp"), default=0.0) > seconds
            and _number(claims.get("iat"), default=float("inf")) <= seconds + LEEWAY.total_seconds()
        )


def _number(value: object, *, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def _refused() -> NotAuthenticatedError:
    return NotAuthenticatedError("a valid credential is needed")
