"""The paths of the audit API: ordinary FastAPI, with the OpenAPI text. What is asked is the desks' matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import APIRouter
from msgspec.structs import replace
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.audit.document import OPERATIONS, REFUSALS
from pdp.audit.problem import audit_problem
from pdp.audit.reception import MAX_BODY
from pdp.errors import SekishoError
from pdp.wire.plain_exchange import body_of, head_of, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.audit.desk import Desk
    from pdp.audit.saved_desk import SavedDesk
    from pdp.wire.exchange import HttpAnswer

PREFIX: Final = "/audit/v1"
BODY_S: Final = 10.0  # as the lane's own deadline


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
            response_class=Response,
            **operation.route(REFUSALS),
        )
    return router


def endpoint(
    answer: Callable[..., Awaitable[HttpAnswer | Response]], body_s: float = BODY_S
) -> Callable[[Request], Awaitable[Response]]:
    """`answer` takes the request as plain values, and the parts of its path that have a name."""

    async def served(request: Request) -> Response:
        try:
            body = await body_of(request, most=MAX_BODY, within_s=body_s)
        except SekishoError as fault:
            return response_of(audit_problem(fault))
        found = await answer(replace(head_of(request), body=body), *request.path_params.values())
        return found if isinstance(found, Response) else response_of(found)

    return served
