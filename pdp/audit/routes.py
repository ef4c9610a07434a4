"""The paths of the audit API: ordinary FastAPI, with the OpenAPI text. What is asked is the desks' matter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pdp.audit.document import OPERATIONS
from pdp.audit.problem import audit_problem
from pdp.audit.reception import MAX_BODY
from pdp.errors import PayloadTooLargeError, SekishoError, SlowRequestError
from pdp.wire.exchange import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.audit.desk import Desk
    from pdp.audit.saved_desk import SavedDesk

PREFIX: Final = "/audit/v1"
BODY_S: Final = 10.0  # as the lane's own deadline
PEER: Final = "sekisho.peer"  # as `pdp.api.tls.PEER`, which stands above; a test holds the two together


class _Route(NamedTuple):
    method: str
    path: str
    answer: Callable[..., Awaitable[HttpAnswer | Response]]


def audit_router(desk: Desk, saved: SavedDesk, *, body_s: float = BODY_S) -> APIRouter:
    """Every path of this package. What stands before `{…}` of its own kind comes first."""
    router = APIRouter(tags=["audit"])
    for method, path, answer in (
        _Route("GET", "/decisions", desk.decisions),
        _Route("GET", "/decisions/count", desk.count),
        _Route("GET", "/decisions/groups", desk.groups),
        _Route("GET", "/decisions/export", desk.export),
        _Route("GET", "/decisions/{id}", desk.one),
        _Route("GET", "/decisions/{id}/proof", desk.proof),
        _Route("GET", "/reports", desk.reports),
        _Route("GET", "/reports/{name}", desk.report),
        _Route("POST", "/sql", desk.sql),
        _Route("POST", "/reveal", desk.reveal),
        _Route("GET", "/queries", saved.all),
        _Route("GET", "/queries/{name}", saved.get),
        _Route("PUT", "/queries/{name}", saved.put),
        _Route("DELETE", "/queries/{name}", saved.delete),
        _Route("GET", "/queries/{name}/answer", saved.ask),
        _Route("GET", "/trail", desk.events),
        _Route("GET", "/columns", desk.columns),
    ):
        operation = OPERATIONS[method, path]
        router.add_api_route(
            f"{PREFIX}{path}",
            endpoint(answer, body_s),
            methods=[method],
            name=operation.id,
            operation_id=operation.id,
            summary=operation.summary,
            description=operation.description,
            response_class=Response,
            responses=operation.responses(),
            openapi_extra=operation.extra(),
        )
    return router


def endpoint(
    answer: Callable[..., Awaitable[HttpAnswer | Response]], body_s: float = BODY_S
) -> Callable[[Request], Awaitable[Response]]:
    """`answer` takes the request as plain values, and the parts of its path that have a name."""

    async def served(request: Request) -> Response:
        try:
            asked = await _request(request, body_s)
        except SekishoError as fault:
            return _response(audit_problem(fault))
        found = await answer(asked, *request.path_params.values())
        return found if isinstance(found, Response) else _response(found)

    return served


def _response(answer: HttpAnswer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response


async def _request(request: Request, body_s: float) -> HttpRequest:
    """The request as plain values. Raises PayloadTooLargeError and SlowRequestError."""
    body = bytearray()
    try:
        async with asyncio.timeout(body_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise PayloadTooLargeError(f"the body is larger than {MAX_BODY} bytes")
    except TimeoutError:
        raise SlowRequestError(f"the body did not arrive within {body_s:g} seconds") from None
    except ClientDisconnect:  # nobody hears the answer
        raise SlowRequestError("the client has gone") from None
    return HttpRequest(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw),
        body=bytes(body),
        peer=request.client.host if request.client else None,
        peer_certificate=request.scope.get("extensions", {}).get(PEER),
    )
