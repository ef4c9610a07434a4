"""The HTTP exchange: from a request below `/scim/v2` to its answer. The order is fixed, cheap steps first.

1. the caller: its one credential, or 401; not more often than it may, or 429
2. the permission `provision`, and a table in the settings for this caller, or 403
3. the URL: of ordinary length, each parameter once, no path but ours
4. the body: at most 1 MiB, or 413
5. a turn: few requests are worked on at once, or 503 with `Retry-After`
6. the work, in a thread, in one transaction for each operation (`pdp.scim.storage`)
7. the news: the others are told to look with each commit, and before the answer this worker has looked

Every error is one of RFC 7644 section 3.12, and says nothing of what goes on inside.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from scim2_models import InvalidSyntaxException, NotFoundException
from scim2_server.requests import ScimRequest

from pdp.errors import (
    BadRequestError,
    CallerRefusedError,
    NotPermittedError,
    PayloadTooLargeError,
    TooManyRequestsError,
)
from pdp.logs import get_log
from pdp.scim import limits
from pdp.scim.counting import NOBODY, Count, outcome_of, resource_at
from pdp.scim.faults import NotAnsweringError, RefusedError
from pdp.scim.protocol import Handler, Protocol
from pdp.scim.storage import Tenant, TenantStorage
from pdp.wire.caller_credentials import CREDENTIAL_HEADERS, read_credentials
from pdp.wire.error_answer import is_request_id
from pdp.wire.exchange import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from scim2_server.responses import ScimResponse

    from pdp.callers.caller import Caller, Callers
    from pdp.model.provisioning import ScimTenant
    from pdp.store.store import Store

PREFIX: Final = "/scim/v2"
_log = get_log("pdp.scim")
_READS: Final = frozenset({"GET", "HEAD"})
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._:-]+")
_ONCE: Final = CREDENTIAL_HEADERS | {"content-type", "if-match", "if-none-match"}
_MAX_PARAMETERS: Final = 16
_SLASH: Final = "/"
_SEARCH: Final = "/.search"


@dataclass(frozen=True)
class Place:
    """What a desk works with. `public_url` is this service's, without a path; `secret` seals cursors.

    `stopwatch` gives monotonic seconds. `tell` is called on the event loop with the directory's new epoch after each
    commit that moved it; `look` is awaited before the answer to a request that did. `count` hears of every request
    and its end. None of them may raise.
    """

    store: Store
    callers: Callers
    tenants: Mapping[str, ScimTenant]
    public_url: str
    secret: bytes
    clock: Callable[[], datetime]
    stopwatch: Callable[[], float]
    new_id: Callable[[], str]
    tell: Callable[[int], None]
    look: Callable[[], Awaitable[None]]
    count: Count = lambda _client, _resource, _outcome, _now: None


class Desk:
    """`pdp.wire.exchange.Handler` for every method and path below `PREFIX`."""

    def __init__(self, place: Place, *, wait_s: float = limits.WAIT_S) -> None:
        self._place = place
        self._base_url = place.public_url.rstrip(_SLASH) + PREFIX
        self._protocol = Protocol(place.secret)
        self._wait_s = wait_s
        self._turns = asyncio.Semaphore(limits.AT_ONCE)
        self._running: set[asyncio.Task[ScimResponse]] = set()

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """The answer, whatever happens."""
        caller: Caller | None = None
        tenant: Tenant | None = None
        try:
            caller = await self._place.callers.introduce(read_credentials(_headers(request), request))
            tenant = self._tenant(caller)
            response = await self._served(self._asked(request), tenant)
        except Exception as fault:  # noqa: BLE001  # SCIM's own form for what nobody foresaw, too
            response = self._refused(fault)
        self._count(request, None if tenant is None else tenant.id, response)
        if caller is not None:  # of strangers there is no line: the log would be anybody's to fill
            _tell_operator(caller, request, int(response.status))
        return _answer(response, request)

    def _count(self, request: HttpRequest, tenant: str | None, response: ScimResponse) -> None:
        below = request.path.removeprefix(PREFIX)
        held_back = response.status == HTTPStatus.TOO_MANY_REQUESTS and request.method == "DELETE"
        writes = request.method not in _READS and not below.endswith(_SEARCH)
        outcome = outcome_of(int(response.status), writes=writes, held_back=held_back and tenant is not None)
        self._place.count(tenant or NOBODY, resource_at(below), outcome, self._place.clock())

    def _tenant(self, caller: Caller) -> Tenant:
        """Raises NotPermittedError."""
        if not caller.may("provision"):
            raise NotPermittedError("this caller lacks the permission `provision`")
        settings = self._place.tenants.get(caller.id)
        if settings is None:
            raise NotPermittedError("this caller has no table `scim` in the settings of the service")
        return Tenant(caller.id, settings)

    def _asked(self, request: HttpRequest) -> ScimRequest:
        if len(request.path) + len(request.query) > limits.URL_CHARACTERS:
            raise RefusedError(BadRequestError("the URL is too long"), status=414)
        if len(request.body) > limits.BODY_BYTES:
            raise PayloadTooLargeError(f"the body is larger than {limits.BODY_BYTES} bytes")
        return ScimRequest(
            method=request.method,
            base_url=self._base_url,
            path=_path(request.path),
            query=_query(request.query),
            headers=request.headers,
            body=request.body,
        )

    async def _served(self, asked: ScimRequest, tenant: Tenant) -> ScimResponse:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise NotAnsweringError(detail="too many requests at once; nothing was changed") from None
        # A client that goes away does not end the thread: what it commits must be told all the same.
        work = asyncio.create_task(self._worked(asked, tenant), name="scim")
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        return await asyncio.shield(work)

    async def _worked(self, asked: ScimRequest, tenant: Tenant) -> ScimResponse:
        place = self._place
        loop = asyncio.get_running_loop()
        commits: list[int] = []

        def committed(epoch: int) -> None:  # at once: the first of a thousand operations may disable somebody
            commits.append(epoch)
            loop.call_soon_threadsafe(place.tell, epoch)

        storage = TenantStorage(place.store, tenant, place.clock(), place.new_id, committed, writes=_writes(asked))
        try:
            return await asyncio.to_thread(self._handled, asked, storage)
        finally:
            self._turns.release()
            if commits:
                await place.look()

    def _handled(self, asked: ScimRequest, storage: TenantStorage) -> ScimResponse:
        """In a thread. What fails after an operation of a bulk request was committed is an answer too."""
        stopwatch = self._place.stopwatch
        until = stopwatch() + limits.REQUEST_S
        try:
            return Handler(self._protocol, storage, lambda: stopwatch() > until).handle(asked)
        except Exception as fault:  # noqa: BLE001  # the protocol says which of them are told, and logs the others
            return self._protocol.error_response(fault)

    def _refused(self, fault: Exception) -> ScimResponse:
        told = RefusedError(fault) if isinstance(fault, BadRequestError | CallerRefusedError) else fault
        response = self._protocol.error_response(told)
        if isinstance(fault, TooManyRequestsError):
            response.headers["Retry-After"] = str(fault.retry_after_s)
        return response


def _tell_operator(caller: Caller, request: HttpRequest, status: int) -> None:
    """A line for what changed, and for what failed."""
    if request.method not in _READS or status >= HTTPStatus.BAD_REQUEST:
        _log.info("SCIM", tenant=caller.id, method=request.method, path=request.path[:200], status=status)


def _headers(request: HttpRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name in found and name in _ONCE:
            raise BadRequestError(f"the header `{name}` stands more than once")
        found[name] = value
    return found


def _path(raw: str) -> str:
    """Relative to the SCIM root. Raises NotFoundException for a path that only looks like one of ours."""
    below = raw.removeprefix(PREFIX).removeprefix(_SLASH)
    segments = [unquote(segment, errors="replace") for segment in below.split(_SLASH)] if below else []
    for segment in segments:
        named = _SEGMENT.fullmatch(segment) is not None and segment not in (".", "..")
        if not named or len(segment) > limits.ID_CHARACTERS:
            raise NotFoundException(detail="there is nothing at this path")
    return _SLASH + _SLASH.join(segments)


def _query(raw: str) -> dict[str, str]:
    """Raises InvalidSyntaxException for a parameter that stands twice: two readers could take two values."""
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:  # too many, or bytes that are not UTF-8
        raise InvalidSyntaxException(detail="the query cannot be read") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidSyntaxException(detail="a parameter of the query stands more than once")
    return found


def _writes(asked: ScimRequest) -> bool:
    return asked.method not in _READS and not asked.path.endswith(_SEARCH)


def _answer(response: ScimResponse, request: HttpRequest) -> HttpAnswer:
    headers = [(name.lower(), value) for name, value in response.headers.items()]
    echoed = [value for name, value in request.headers if name == "x-request-id"]
    if len(echoed) == 1 and is_request_id(echoed[0]):
        headers.append(("x-request-id", echoed[0]))
    body = b"" if response.body is None else _encode(response.body)
    return HttpAnswer(int(response.status), tuple(headers), body)


_encode: Final = partial(msgspec.json.encode, enc_hook=str)  # the library's URNs and references are texts of their own
