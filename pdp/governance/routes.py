"""The paths of `/admin/v1`: ordinary FastAPI, with the OpenAPI text. What is asked is the desk's matter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pdp.audit.problem import audit_problem
from pdp.errors import PayloadTooLargeError, SekishoError, SlowRequestError
from pdp.governance.document import OPERATIONS
from pdp.wire.exchange import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.governance.desk import Desk
    from pdp.governance.exceptions_desk import ExceptionsDesk
    from pdp.revisions.states import Step

PREFIX: Final = "/admin/v1"
BODY_S: Final = 30.0  # a policy of some megabytes over a slow line
MAX_BODY: Final = 8 * 1024 * 1024  # of contents; the shipped policy has 0.2 MB
MAX_WORDS: Final = 64 * 1024  # of everything else
PEER: Final = "sekisho.peer"  # as `pdp.api.tls.PEER`, which stands above; a test holds the two together

_SIMPLE: Final[tuple[Step, ...]] = ("submit", "withdraw", "discard", "approve", "reject", "endorse", "unschedule")
_DECISIONS: Final = ("grant", "refuse", "withdraw", "end")
_CONTENTS: Final = frozenset({("POST", "/revisions"), ("PUT", "/revisions/{number}/files")})


def governance_router(desk: Desk, exceptions: ExceptionsDesk, *, body_s: float = BODY_S) -> APIRouter:
    """Every path of this package."""
    answers: dict[tuple[str, str], Any] = {
        ("GET", "/revisions"): desk.revisions,
        ("POST", "/revisions"): desk.create,
        ("GET", "/revisions/{number}"): desk.revision,
        ("GET", "/revisions/{number}/files"): desk.files,
        ("PUT", "/revisions/{number}/files"): desk.edit,
        ("GET", "/revisions/{number}/diff"): desk.diff,
        ("GET", "/revisions/{number}/statement"): desk.statement,
        ("POST", "/revisions/{number}/check"): desk.check,
        ("POST", "/revisions/{number}/schedule"): desk.schedule,
        ("POST", "/revisions/{number}/activate"): desk.activate,
        ("POST", "/revisions/{number}/rollback"): desk.rollback,
        ("GET", "/policy"): desk.policy,
        ("GET", "/policy/activations"): desk.activations,
        ("POST", "/policy/renew"): desk.renew,
        ("GET", "/reviews"): desk.reviews,
        ("POST", "/reviews/{review}/close"): desk.close_review,
        ("GET", "/exceptions"): exceptions.all,
        ("POST", "/exceptions"): exceptions.ask,
        **{("POST", f"/exceptions/{{exception}}/{step}"): exceptions.decide(step) for step in _DECISIONS},
        **{("POST", f"/revisions/{{number}}/{step}"): desk.simple(step) for step in _SIMPLE},
    }
    router = APIRouter(tags=["policies"])
    for (method, path), operation in OPERATIONS.items():
        router.add_api_route(
            f"{PREFIX}{path}",
            _endpoint(answers[method, path], MAX_BODY if (method, path) in _CONTENTS else MAX_WORDS, body_s),
            methods=[method],
            name=operation.id,
            operation_id=operation.id,
            summary=operation.summary,
            description=operation.description,
            status_code=operation.status,
            response_class=Response,
            responses=operation.responses(),
            openapi_extra=operation.extra(),
        )
    return router


def _endpoint(
    answer: Callable[..., Awaitable[HttpAnswer]], most: int, body_s: float
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            asked = await _request(request, most, body_s)
        except SekishoError as fault:
            return _response(audit_problem(fault))
        return _response(await answer(asked, *request.path_params.values()))

    return endpoint


def _response(answer: HttpAnswer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response


async def _request(request: Request, most: int, body_s: float) -> HttpRequest:
    """The request as plain values. Raises PayloadTooLargeError and SlowRequestError."""
    body = bytearray()
    try:
        async with asyncio.timeout(body_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise PayloadTooLargeError(f"the body is larger than {most} bytes")
    except TimeoutError:
        raise SlowRequestError(f"the body did not arrive within {body_s:g} seconds") from None
    except ClientDisconnect:  # nobody hears the answer; what is not whole is not read
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
