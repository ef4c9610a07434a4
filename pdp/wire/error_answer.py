"""An error as every JSON surface of ours answers it: `{"error": {"code", "message", "next_step", "id"?}}`.

`id` is the decision id under which a refusal stands in the decision log. The message of anything that is
not the caller's own fault is fixed here: detail goes to the log, never to the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import (
    BadRequestError,
    CallerRefusedError,
    NotAuthenticatedError,
    NotReadyError,
    TooManyRequestsError,
)
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.errors import SekishoError
    from pdp.wire.exchange import HttpRequest

JSON: Final = ("content-type", "application/json")
CHALLENGE: Final = ("www-authenticate", 'Bearer realm="sekisho"')  # RFC 6750 section 3
_MAX_REQUEST_ID: Final = 256  # a UUID has 36; gateways that join several stay below 200
_RETRY: Final = ("retry-after", "1")

_NOT_TOLD: Final = "no decision was made; the detail is in the service's own log"
_encode: Final = msgspec.json.Encoder().encode


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    next_step: str
    id: str | None = None


def error_body(code: str, message: str, next_step: str, decision_id: str | None = None) -> bytes:
    return b'{"error":' + _encode(_Error(code, message, next_step, decision_id)) + b"}"


def error_answer(
    fault: SekishoError, *, status: int | None = None, request_id: str | None = None, decision_id: str | None = None
) -> HttpAnswer:
    """The whole answer for a fault: status (its own, if none is given), body, and the headers of its kind."""
    headers = [JSON, *echo(request_id, decision_id)]
    if isinstance(fault, NotAuthenticatedError):
        headers.append(CHALLENGE)
    if isinstance(fault, NotReadyError):
        headers.append(_RETRY)
    if isinstance(fault, TooManyRequestsError):
        headers.append(("retry-after", str(fault.retry_after_s)))
    body = error_body(fault.code, told(fault), fault.next_step, decision_id)
    return HttpAnswer(status or fault.status, tuple(headers), body)


def told(fault: SekishoError) -> str:
    """What the caller is told: the fault itself where it is the caller's own, with its place."""
    if isinstance(fault, BadRequestError):
        return f"{fault.message}, at `{fault.pointer}`" if fault.pointer else fault.message
    if isinstance(fault, CallerRefusedError):
        return fault.message
    return "not ready to decide" if isinstance(fault, NotReadyError) else _NOT_TOLD


def echo(request_id: str | None, decision_id: str | None) -> list[tuple[str, str]]:
    """The headers that let both sides find one exchange again (AuthZEN 1.0 section 10.1.3)."""
    headers: list[tuple[str, str]] = []
    if decision_id is not None:
        headers.append(("x-decision-id", decision_id))
    if request_id is not None:
        headers.append(("x-request-id", request_id))
    return headers


def method_not_allowed(allowed: str, request_id: str | None = None) -> HttpAnswer:
    """405 with its `Allow` (RFC 9110 section 15.5.6)."""
    body = error_body("method_not_allowed", "this path does not take this method", f"use {allowed}")
    return HttpAnswer(405, (JSON, ("allow", allowed), *echo(request_id, None)), body)


def request_id_of(request: HttpRequest) -> str | None:
    """What the caller named the exchange, where that can be echoed and stands once."""
    text = request.single("x-request-id")
    return text if text is not None and is_request_id(text) else None


def is_request_id(text: str) -> bool:
    """1 to 256 visible ASCII characters: what can be echoed and logged without a second thought."""
    return 0 < len(text) <= _MAX_REQUEST_ID and text.isascii() and text.isprintable() and " " not in text
