"""What every AuthZEN endpoint does before its question: who calls, may they, is the body one JSON object.

The order is fixed, and each step stands before the next costs anything:

1. method: POST, or 405
2. `X-Request-ID`: echoed on every answer, errors too; one that cannot be echoed safely is 400
3. caller: its one credential, or 401; not more often than it may, or 429; nothing of the body has been parsed by then
   (AuthZEN 1.0 section 11.3)
4. permission of the endpoint, or 403; a body no larger than this caller's, or 413
5. `Content-Type: application/json`, or 400
6. strict JSON, one object, or 400: by the endpoint, which may know these very bytes already

`Cache-Control: no-cache` asks for a fresh evaluation; from a caller that may not ask for one it is ignored.

A refusal of a known caller is recorded in the decision log; one of an unknown caller is not, because the
log would then be anybody's to fill, nor is a 429, which would make the caller's flood the log's.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from pdp.callers.keys import shown_key
from pdp.errors import (
    BadRequestError,
    NotPermittedError,
    NotReadyError,
    PayloadTooLargeError,
    SekishoError,
    UnsupportedMediaError,
)
from pdp.recent import Recurring
from pdp.strict_json import parse_json
from pdp.wire.cache_control import wants_fresh
from pdp.wire.caller_credentials import CREDENTIAL_HEADERS, carried, on_connection
from pdp.wire.error_answer import error_answer, is_request_id, method_not_allowed
from pdp.wire.exchange import Promise, Refusal
from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pdp.callers.caller import Caller, Callers, Permission
    from pdp.callers.credentials import Credentials
    from pdp.wire.exchange import Decider, HttpAnswer, HttpRequest

WIRE: Final = "authzen"
MAX_HEADINGS: Final = 1_024  # as many as `pdp.api.heads` knows

_READ: Final = CREDENTIAL_HEADERS | {"cache-control", "content-type", "traceparent", "x-request-id"}


class Call:
    """One call by a known caller. `raw` is the body as it came.

    `fresh`: the caller wants a fresh evaluation, and may have it.
    """

    __slots__ = ("_body", "caller", "fresh", "raw", "request_id", "trace_id")

    def __init__(
        self, caller: Caller, request_id: str | None, trace_id: str | None, raw: bytes, *, fresh: bool = False
    ) -> None:
        self.caller = caller
        self.request_id = request_id
        self.trace_id = trace_id
        self.raw = raw
        self.fresh = fresh
        self._body: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The body as the JSON object that it must be, parsed once (step 6). Raises BadRequestError."""
        if self._body is None:
            body = parse_json(self.raw)
            if not isinstance(body, dict):
                raise BadRequestError("the body must be a JSON object")
            self._body = body
        return self._body


class Asked(NamedTuple):
    """What the headers say of the question."""

    is_json: bool
    trace_id: str | None
    fresh: bool


class Heading:
    """What the headers of a call say by themselves (steps 2, 3 and 5), for all calls with the very same headers.

    `credentials` raises BadRequestError where they are two different ones. `asked`: once `read_on` has been called.
    INVARIANT (nothing dynamic stays): who the caller is, and what it may, is asked for each call.
    """

    __slots__ = ("_carried", "_headers", "asked", "repeated", "request_id")

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers, self.repeated = _headers(headers)
        self._carried: Credentials | None = None
        self.request_id = _request_id(self._headers, self.repeated)
        self.asked: Asked | None = None

    def check(self) -> None:
        """Raises BadRequestError (step 2)."""
        if self.repeated:  # two parties could read two values
            raise BadRequestError(f"the header `{self.repeated[0]}` stands more than once")
        if self.request_id is None and self._headers.get("x-request-id"):
            raise BadRequestError("the header `x-request-id` must be 1 to 256 visible ASCII characters")

    def credentials(self, request: HttpRequest) -> Credentials:
        if self._carried is None:
            said = carried(self._headers)
            self._carried = said if said.key is None else replace(said, shown=shown_key(said.key))
        return on_connection(self._carried, request)

    def read_on(self) -> Asked:
        """What costs more to read than strangers shall be able to make us pay."""
        headers = self._headers
        self.asked = Asked(
            _is_json(headers.get("content-type", "")),
            trace_id_of(headers.get("traceparent")),
            wants_fresh(headers.get("cache-control")),
        )
        return self.asked


class Reception:
    """Receives calls for one endpoint after another, and answers those that do not get through."""

    def __init__(self, decider: Decider, callers: Callers) -> None:
        self.decider = decider
        self._callers = callers
        self._headings: Recurring[tuple[tuple[str, str], ...], Heading] = Recurring(MAX_HEADINGS)

    async def serve(
        self, request: HttpRequest, permission: Permission, answer: Callable[[Call], Coroutine[Any, Any, HttpAnswer]]
    ) -> HttpAnswer:
        """The endpoint's own answer, or the error that stands in its way. Raises only what is a bug."""
        begun = self.begin(request, permission, answer)
        assert not isinstance(begun, Promise)  # it is what `answer` gives
        return await begun

    def begin(
        self,
        request: HttpRequest,
        permission: Permission,
        answer: Callable[[Call], Promise | Coroutine[Any, Any, HttpAnswer]],
    ) -> Promise | Coroutine[Any, Any, HttpAnswer]:
        """As `serve`, for an endpoint that may promise its answer; else a coroutine, which has to be awaited."""
        heading = self._headings.get(request.headers)
        if heading is None:
            heading = Heading(request.headers)
            self._headings.keep(request.headers, heading)
        caller: Caller | None = None
        try:
            heading.check()
            if request.method != "POST":
                return _said(method_not_allowed("POST", heading.request_id))
            presented = heading.credentials(request)
            if presented.token is not None:  # its issuer's keys may have to be waited for
                return self._introduced(presented, request, heading, permission, answer)
            caller = self._callers.authenticate(presented)
            begun = answer(_call(caller, request, heading, permission))
        except SekishoError as fault:
            return self._refused(fault, request, heading.request_id, caller)
        return begun if isinstance(begun, Promise) else self._whole(begun, request, heading.request_id, caller)

    async def _introduced(
        self,
        presented: Credentials,
        request: HttpRequest,
        heading: Heading,
        permission: Permission,
        answer: Callable[[Call], Promise | Coroutine[Any, Any, HttpAnswer]],
    ) -> HttpAnswer:
        caller: Caller | None = None
        try:
            caller = await self._callers.introduce(presented)
            begun = answer(_call(caller, request, heading, permission))
            return await (answered(begun) if isinstance(begun, Promise) else begun)
        except SekishoError as fault:
            return await self._refused(fault, request, heading.request_id, caller)

    async def _whole(
        self, begun: Coroutine[Any, Any, HttpAnswer], request: HttpRequest, request_id: str | None, caller: Caller
    ) -> HttpAnswer:
        try:
            return await begun
        except SekishoError as fault:
            return await self._refused(fault, request, request_id, caller)

    async def _refused(
        self, fault: SekishoError, request: HttpRequest, request_id: str | None, caller: Caller | None
    ) -> HttpAnswer:
        if caller is None or isinstance(fault, NotReadyError):
            return error_answer(fault, request_id=request_id)
        refusal = Refusal(
            fault=fault,
            wire=WIRE,
            request_id=request_id,
            body_sha256=hashlib.sha256(request.body).hexdigest(),
            body_bytes=len(request.body),
        )
        try:
            decision_id = await self.decider.refuse(refusal, caller)
        except NotReadyError as unrecorded:
            return error_answer(unrecorded, request_id=request_id)
        # AuthZEN has 400 for another content type (certification scenario 2.4.3), where HTTP has 415.
        status = 400 if isinstance(fault, UnsupportedMediaError) else fault.status
        return error_answer(fault, status=status, request_id=request_id, decision_id=decision_id)


async def answered(promise: Promise) -> HttpAnswer:
    """What was promised. Raises nothing: an answer that could not be recorded says so."""
    with suppress(NotReadyError):
        await promise.kept
    return promise.answer()


async def _said(answer: HttpAnswer) -> HttpAnswer:
    return answer


def _call(caller: Caller, request: HttpRequest, heading: Heading, permission: Permission) -> Call:
    """Steps 4 and 5. Raises NotPermittedError, PayloadTooLargeError and UnsupportedMediaError."""
    require(caller, permission)
    if len(request.body) > caller.limits.body_bytes:
        raise PayloadTooLargeError(f"the body is larger than this caller's {caller.limits.body_bytes} bytes")
    is_json, trace_id, fresh = heading.asked or heading.read_on()
    if not is_json:
        raise UnsupportedMediaError("the content type must be `application/json`")
    return Call(caller, heading.request_id, trace_id, request.body, fresh=fresh and caller.may("bypass_cache"))


def require(caller: Caller, permission: Permission) -> None:
    """Raises NotPermittedError, which names the permission that is missing."""
    if not caller.may(permission):
        raise NotPermittedError(f"this caller lacks the permission `{permission}`")


def _headers(headers: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], list[str]]:
    """(the headers that are read here, those of them that stand more than once)."""
    found: dict[str, str] = {}
    repeated: list[str] = []
    for name, value in headers:
        if name not in _READ:
            continue
        if name not in found:
            found[name] = value
        elif name == "traceparent":
            found[name] = ""  # W3C Trace Context: several are as good as none
        elif name == "cache-control":
            found[name] += "," + value  # RFC 9110 section 5.3: a list may stand on several lines
        else:
            repeated.append(name)
    return found, repeated


def _request_id(headers: dict[str, str], repeated: list[str]) -> str | None:
    """What is echoed, before anything can be refused."""
    text = headers.get("x-request-id")
    return text if text and is_request_id(text) and "x-request-id" not in repeated else None


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.partition(";")[0].strip(" \t").lower() == "application/json"
