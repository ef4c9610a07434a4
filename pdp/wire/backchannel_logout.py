"""`POST /oidc/backchannel-logout`: the identity provider says that somebody has logged out.

The logout token is its own credential: it is signed by a configured issuer, so no API key is asked for. 200 is said
after the mark is in the store, and every worker has been told; whoever asks from then on with a token of that session
is denied. Every other answer is 400 with an OAuth error and `Cache-Control: no-store` (section 2.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl

import msgspec

from pdp.errors import BadRequestError, DirectoryError
from pdp.logs import get_log
from pdp.wire.error_answer import JSON, method_not_allowed
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pdp.identity.logout import LoggedOut
    from pdp.wire.exchange import HttpRequest

PATH: Final = "/oidc/backchannel-logout"
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 4
_NO_STORE: Final = ("cache-control", "no-store")
_log: Final = get_log("pdp.wire.backchannel_logout")


class LogoutReader(Protocol):
    async def read(self, token: str, now: datetime) -> LoggedOut:
        """Raises BadRequestError for what is no logout token."""
        ...

    def forget(self, token: str) -> None:
        """What this token said could not be kept: it counts when it is sent again."""
        ...


class BackchannelLogout:
    """`end` marks what has ended, in the store and in this worker, and tells the others. Raises DirectoryError."""

    def __init__(
        self, reader: LogoutReader, end: Callable[[LoggedOut], Awaitable[None]], clock: Callable[[], datetime]
    ) -> None:
        self._reader = reader
        self._end = end
        self._clock = clock

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "POST":
            return method_not_allowed("POST")
        try:
            token = _logout_token(request)
            ended = await self._reader.read(token, self._clock())
        except BadRequestError as fault:
            _log.warning("a logout token was refused", reason=fault.message)
            return _refused(400, "invalid_request", fault.message)
        try:
            await self._kept(ended, token)
        except DirectoryError as fault:  # not marked: the provider tries again, or tells its administrator
            _log.error("a logout could not be kept", code=fault.code)
            return _refused(503, "temporarily_unavailable", "the logout could not be kept; send it again")
        return HttpAnswer(200, (_NO_STORE,))

    async def _kept(self, ended: LoggedOut, token: str) -> None:
        """The attack: an outage. A token that counts once would be refused when the provider sends it again."""
        kept = False
        try:
            await self._end(ended)
            kept = True
        finally:
            if not kept:
                self._reader.forget(token)


def _logout_token(request: HttpRequest) -> str:
    """Section 2.5: one form field. Raises BadRequestError."""
    if (request.header("content-type") or "").partition(";")[0].strip().lower() != _FORM:
        raise BadRequestError(f"the content type must be `{_FORM}`")
    try:
        fields = parse_qsl(
            request.body.decode("ascii"), strict_parsing=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequestError("the body is not a form") from None
    tokens = [value for name, value in fields if name == "logout_token"]
    if len(tokens) != 1:
        raise BadRequestError("the form must have one `logout_token`")
    return tokens[0]


def _refused(status: int, code: str, description: str) -> HttpAnswer:
    body = msgspec.json.encode({"error": code, "error_description": description})
    return HttpAnswer(status, (JSON, _NO_STORE), body)
