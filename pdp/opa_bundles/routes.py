"""The path of the bundle: ordinary FastAPI, with the OpenAPI text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.wire.plain_exchange import head_of, response_of

if TYPE_CHECKING:
    from pdp.opa_bundles.desk import BundleDesk

PATH: Final = "/bundles/{name}"
_SUMMARY: Final = "ポリシーを OPA バンドルとして配る / the policy as an OPA bundle"
_TEXT: Final = (
    "`Prefer: modes=snapshot;wait=N` で変更を待てる。署名（`.signatures.json`）は署名鍵を設定した場合に付く。\n\n"
    "With `Prefer: modes=snapshot;wait=N` it waits for a change. Signed where a key is set. Needs `read_bundles`."
)
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
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
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": _ERROR} for status, text in _REFUSALS.items()
    }
    good = {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}

    async def endpoint(request: Request) -> Response:
        return response_of(await desk.answer(head_of(request), request.path_params["name"]))

    router.add_api_route(
        PATH,
        endpoint,
        methods=["GET"],
        name="opa_bundle",
        operation_id="opa_bundle",
        summary=_SUMMARY,
        description=_TEXT,
        response_class=Response,
        responses={
            200: {"description": "The bundle", "content": good},
            304: {"description": "Nothing has changed"},
            **answers,
        },
        openapi_extra={
            "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
        },
    )
    return router
