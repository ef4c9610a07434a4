"""The path of the bundle: ordinary FastAPI, with the OpenAPI text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.schema_words import TEXT, Operation, in_path, ref
from pdp.wire.plain_exchange import head_of, response_of

if TYPE_CHECKING:
    from pdp.opa_bundles.desk import BundleDesk

PATH: Final = "/bundles/{name}"
_OPERATION: Final = Operation(
    "opa_bundle",
    "ポリシーを OPA バンドルとして配る / the policy as an OPA bundle",
    "`Prefer: modes=snapshot;wait=N` で変更を待てる。署名（`.signatures.json`）は署名鍵を設定した場合に付く。\n\n"
    "With `Prefer: modes=snapshot;wait=N` it waits for a change. Signed where a key is set. Needs `read_bundles`.",
    "",
    (in_path("name", TEXT),),
    media=("application/gzip",),
)
_ERROR: Final = {"application/json": {"schema": ref("Error")}}
_REFUSALS: Final = {
    400: "It cannot be asked so",
    401: "No credential, or none that is known",
    403: "The caller may not pull bundles",
    404: "There is no bundle of this name",
    429: "The caller asks more often than its limit",
    500: "The bundle cannot be signed",
    503: "No policy is active",
}


def bundle_router(desk: BundleDesk) -> APIRouter:
    router = APIRouter(tags=["bundles"])

    async def endpoint(request: Request) -> Response:
        return response_of(await desk.answer(head_of(request), request.path_params["name"]))

    told = _OPERATION.route(_REFUSALS, _ERROR)
    told["responses"] |= {304: {"description": "Nothing has changed"}}
    router.add_api_route(PATH, endpoint, methods=["GET"], response_class=Response, **told)
    return router
