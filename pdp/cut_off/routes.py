"""The paths of the lists: ordinary FastAPI, with the OpenAPI text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.cut_off.desk import NAMES
from pdp.schema_words import Operation, in_path, ref, words
from pdp.wire.plain_exchange import head_of, response_of

if TYPE_CHECKING:
    from pdp.cut_off.desk import CutOffDesk

PATH: Final = "/edl/{name}"
_OPERATION: Final = Operation(
    "external_dynamic_list",
    "直ちに遮断するものの一覧（外部動的リスト） / what is cut off at once, as an external dynamic list",
    "1行に1件のテキスト。`If-None-Match` で変更の有無を確かめられる。`cut-off` はアドレス、"
    "`cut-off-devices` は紛失・盗難の端末、`cut-off-certificates` はその端末証明書、`cut-off-people` はその利用者。\n\n"
    "Plain text, one entry in a line, with entity tags: addresses, lost or stolen devices, their certificates "
    "(SHA-256), and the people whose they are. Needs `read_cut_off`.",
    "",
    (in_path("name", words(*NAMES)),),
    media=("text/plain",),
)
_ERROR: Final = {"application/json": {"schema": ref("Error")}}
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

    async def endpoint(request: Request) -> Response:
        return response_of(await desk.answer(head_of(request), request.path_params["name"]))

    told = _OPERATION.route(_REFUSALS, _ERROR)
    told["responses"] |= {304: {"description": "Nothing has changed"}}
    router.add_api_route(PATH, endpoint, methods=["GET"], response_class=Response, **told)
    return router
