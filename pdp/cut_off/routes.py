"""The paths of the lists: ordinary FastAPI, with the OpenAPI text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.cut_off.desk import NAMES
from pdp.wire.plain_exchange import head_of, response_of

if TYPE_CHECKING:
    from pdp.cut_off.desk import CutOffDesk

PATH: Final = "/edl/{name}"
_SUMMARY: Final = "直ちに遮断するものの一覧（外部動的リスト） / what is cut off at once, as an external dynamic list"
_TEXT: Final = (
    "1行に1件のテキスト。`If-None-Match` で変更の有無を確かめられる。`cut-off` はアドレス、"
    "`cut-off-devices` は紛失・盗難の端末、`cut-off-certificates` はその端末証明書、`cut-off-people` はその利用者。\n\n"
    "Plain text, one entry in a line, with entity tags: addresses, lost or stolen devices, their certificates "
    "(SHA-256), and the people whose they are. Needs `read_cut_off`."
)
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_REFUSALS: Final = {
    400: "It cannot be asked so",
    401: "No credential, or none that is known",
    403: "The caller may not pull what is cut off",
    404: "There is no list of this name",
    429: "The caller asks more often than its limit",
    500: "The store cannot be read",
    503: "No directory has been read yet, or nobody could confirm it for too long",
}


def cut_off_router(desk: CutOffDesk) -> APIRouter:
    """One path for all lists."""
    router = APIRouter(tags=["edl"])
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": _ERROR} for status, text in _REFUSALS.items()
    }

    async def endpoint(request: Request) -> Response:
        return response_of(await desk.answer(head_of(request), request.path_params["name"]))

    router.add_api_route(
        PATH,
        endpoint,
        methods=["GET"],
        name="external_dynamic_list",
        operation_id="external_dynamic_list",
        summary=_SUMMARY,
        description=_TEXT,
        response_class=Response,
        responses={
            200: {"description": "The list", "content": {"text/plain": {"schema": {"type": "string"}}}},
            304: {"description": "Nothing has changed"},
            **answers,
        },
        openapi_extra={
            "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
            "parameters": [
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": list(NAMES)}}
            ],
        },
    )
    return router
