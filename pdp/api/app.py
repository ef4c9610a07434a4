"""The FastAPI application behind the lane: health, readiness, metrics, the OpenAPI document, other routers.

FastAPI's own habits that are taken off: 422 becomes 400, `{"detail": …}` becomes our form of problem details, a path
with one slash more or less is another path, and no page loads its scripts from a foreign host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from pdp import __version__
from pdp.api.lane import Lane
from pdp.api.openapi import complete_document
from pdp.errors import SekishoError
from pdp.posture.problem import PROBLEM, problem, problem_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from pdp.api.surface import Probe, Surface

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Code and next step for what HTTP itself refuses.
_HTTP: Final[Mapping[int, tuple[str, str, str]]] = {
    404: ("not_found", "there is nothing at this path", "see `/openapi.json` for what there is"),
    405: ("method_not_allowed", "this path does not take this method", "use a method of the header `Allow`"),
}


def serve_app(surface: Surface) -> Lane:
    """The whole HTTP surface as one ASGI application, for the server and for tests."""
    return Lane(
        create_app(surface),
        exact=surface.exact,
        prefixes=surface.prefixes,
        prefix_limits=surface.prefix_limits,
        limits=surface.limits,
        on_bug=surface.on_bug,
    )


def create_app(surface: Surface) -> FastAPI:
    """The application behind the lane; its OpenAPI document has the lane's paths too."""
    app = FastAPI(
        title="Sekisho",
        summary="A zero-trust policy decision point",
        version=__version__,
        docs_url=None,  # the pages of FastAPI load scripts from a foreign host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=surface.lifespan,
    )
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SekishoError, _refused)
    app.add_exception_handler(Exception, _bug)
    _add_probes(app, surface)
    for router in surface.routers:
        app.include_router(router)
    plain = app.openapi
    app.openapi = lambda: complete_document(plain(), surface.documents)  # type: ignore[method-assign]
    return app


def _add_probes(app: FastAPI, surface: Surface) -> None:
    @app.get("/healthz", tags=["operation"], summary="The process runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], summary="Decisions are answered; 503 says what is missing")
    async def readyz() -> JSONResponse:
        checks = surface.readiness()
        ready = bool(checks) and all(check.ok for check in checks)  # nothing checked is not ready
        body = {"ready": ready, "checks": [_shown(check) for check in checks]}
        return JSONResponse(body, status_code=200 if ready else 503)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(surface.metrics(), media_type=METRICS_TYPE)


def _shown(check: Probe) -> dict[str, Any]:
    return {"name": check.name, "ok": check.ok, "detail": check.detail}


async def _http_error(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code, message, next_step = _HTTP.get(fault.status_code, ("http_error", str(fault.detail), "see `/openapi.json`"))
    return _problem(fault.status_code, code, message, next_step, fault.headers)


async def _invalid(_: Request, fault: Exception) -> Response:
    """400 with the first fault's place; the value itself is not repeated."""
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    place = "/".join(str(part) for part in first["loc"])
    message = f"{str(first['msg']).lower()}, at `{place}`"
    return _problem(400, "bad_request", message, "correct the request and send it again")


async def _refused(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, SekishoError)
    answer = problem_answer(fault)
    return Response(answer.body, answer.status, headers=dict(answer.headers))


async def _bug(_: Request, __: Exception) -> Response:
    """The framework raises the error again after this answer, and the lane reports it."""
    return _problem(
        500, "internal_error", "the request could not be served", "tell the operator the request id and the time"
    )


def _problem(
    status: int, code: str, message: str, next_step: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    members = problem(status, code, message, next_step)
    return JSONResponse(members, status, headers=headers, media_type=PROBLEM[1])
