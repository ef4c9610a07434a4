"""The paths of `/admin/v1`: ordinary FastAPI, with the OpenAPI text. What is asked is the desk's matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from msgspec.structs import asdict, replace
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.errors import SekishoError
from pdp.governance.asking import MAX_CONTENTS as MAX_BODY
from pdp.governance.drafts_document import OPERATIONS as OF_DRAFTS
from pdp.governance.operations import OPERATIONS, REFUSALS
from pdp.governance.reception import Introduced, problem_of
from pdp.wire.plain_exchange import body_of, head_of, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pdp.governance.desk import Desk
    from pdp.governance.drafts_desk import DraftsDesk
    from pdp.governance.exceptions_desk import ExceptionsDesk
    from pdp.governance.reception import Reception
    from pdp.revisions.states import Step
    from pdp.schema_words import Operation
    from pdp.wire.exchange import HttpAnswer, HttpRequest

PREFIX: Final = "/admin/v1"
BODY_S: Final = 30.0  # a policy of some megabytes over a slow line
MAX_WORDS: Final = 64 * 1024  # of everything else

_SIMPLE: Final[tuple[Step, ...]] = ("submit", "withdraw", "discard", "approve", "reject", "endorse", "unschedule")
_DECISIONS: Final = ("grant", "refuse", "withdraw", "end")
_CONTENTS: Final = frozenset(
    {
        ("POST", "/revisions"),
        ("PUT", "/revisions/{number}/files"),
        ("POST", "/policy/check"),
        ("POST", "/policy/tests"),
    }
)
_WITH_BODY: Final = frozenset({"POST", "PUT"})


def governance_router(
    desk: Desk, exceptions: ExceptionsDesk, drafts: DraftsDesk, *, body_s: float = BODY_S
) -> APIRouter:
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
        ("POST", "/revisions/{number}/tests"): drafts.test_revision,
        ("POST", "/policy/check"): drafts.check,
        ("POST", "/policy/tests"): drafts.test,
        ("GET", "/policy/files"): drafts.start,
        ("GET", "/policy/vocabulary"): drafts.vocabulary,
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
    add_paths(router, {**OF_DRAFTS, **OPERATIONS}, answers, desk.reception, body_s=body_s)
    return router


def add_paths(
    router: APIRouter,
    operations: Mapping[tuple[str, str], Operation],
    answers: Mapping[tuple[str, str], Any],
    reception: Reception,
    *,
    body_s: float = BODY_S,
) -> None:
    """Every operation, answered by what `answers` has under the same method and path."""
    for (method, path), operation in operations.items():
        router.add_api_route(
            f"{PREFIX}{path}",
            _endpoint(
                answers[method, path],
                reception,
                MAX_BODY if (method, path) in _CONTENTS else MAX_WORDS,
                body_s,
            ),
            methods=[method],
            response_class=Response,
            **operation.route(REFUSALS),
        )


def _endpoint(
    answer: Callable[..., Awaitable[HttpAnswer]], reception: Reception, most: int, body_s: float
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            asked = await _request(request, reception, most, body_s)
        except SekishoError as fault:
            refused = problem_of(fault)
            if request.method in _WITH_BODY:  # what is left of the body must not become the next request
                refused = replace(refused, headers=(*refused.headers, ("connection", "close")))
            return response_of(refused)
        return response_of(await answer(asked, *request.path_params.values()))

    return endpoint


async def _request(request: Request, reception: Reception, most: int, body_s: float) -> HttpRequest:
    """Its body is read when it is known whose it is.

    Raises PayloadTooLargeError and SlowRequestError, and as `Reception.admitted`.
    """
    head = head_of(request)
    if request.method not in _WITH_BODY:
        return head
    caller = await reception.admitted(head)
    body = await body_of(request, most=most, within_s=body_s)
    return Introduced(**{**asdict(head), "body": body}, caller=caller)
