"""The paths of the transmitter: ordinary FastAPI, with the OpenAPI text."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.errors import SekishoError
from pdp.ssf.sending import metadata
from pdp.ssf.sending.desk import refused
from pdp.ssf.sending.requests import MAX_BODY
from pdp.ssf.sending.streams import POLL_PATH
from pdp.wire.plain_exchange import body_of, head_of, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.ssf.sending.desk import StreamDesk
    from pdp.ssf.sending.metadata import Metadata
    from pdp.ssf.sending.poll_desk import PollDesk
    from pdp.wire.exchange import HttpAnswer, HttpRequest

    Ask = Callable[[HttpRequest], Awaitable[HttpAnswer]]

BODY_S: Final = 10.0
_TAG: Final = "ssf"
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_OBJECT: Final = {"application/json": {"schema": {"type": "object"}}}
_REFUSALS: Final = {
    400: "It cannot be asked so",
    401: "No credential, or none that is known",
    403: "The caller may not do this",
    404: "The caller has no such stream",
    409: "The caller, or the house, has as many streams as it may",
    413: "The body is too large",
    415: "The body is not `application/json`",
    429: "The caller asks more often than its limit, or than this call may be asked",
    500: "The store cannot be read or written",
    503: "The store does not answer in time",
}
_ID: Final = {"name": "stream_id", "in": "query", "schema": {"type": "string"}}


class _Call(NamedTuple):
    method: str
    path: str
    name: str  # of the desk's method
    summary: str
    status: int  # of success


_CALLS: Final = (
    _Call("POST", metadata.STREAM, "create", "ストリームを作る / make a stream of security events", 201),
    _Call("GET", metadata.STREAM, "look", "自分のストリームを見る / one stream, or all that are the caller's", 200),
    _Call("PATCH", metadata.STREAM, "change", "ストリームを一部変える / change what is said", 200),
    _Call("PUT", metadata.STREAM, "replace", "ストリームを置き換える / replace all that the receiver says", 200),
    _Call("DELETE", metadata.STREAM, "end", "ストリームを終える / end a stream", 204),
    _Call("GET", metadata.STATUS, "status", "ストリームの状態を見る / the status of a stream", 200),
    _Call("POST", metadata.STATUS, "set_status", "ストリームを止める・再開する / pause, disable or enable it", 200),
    _Call("POST", metadata.ADD_SUBJECT, "add_subject", "対象者を加える / events about a subject again", 200),
    _Call("POST", metadata.REMOVE_SUBJECT, "remove_subject", "対象者を外す / no events about a subject", 204),
    _Call("POST", metadata.VERIFY, "verify", "疎通を確かめる / ask for a verification event", 204),
)
_POLL: Final = _Call(
    "POST",
    f"{POLL_PATH}/{{stream_id}}",
    "poll",
    "イベントを受け取る（RFC 8936） / take events, and acknowledge them",
    200,
)


def transmitter_router(desk: StreamDesk, poll: PollDesk, public: Metadata, issuer: str) -> APIRouter:
    """Metadata and keys for everybody, the stream API and polling for callers."""
    router = APIRouter(tags=[_TAG])
    for call in _CALLS:
        _add(router, call, _bodied(getattr(desk, call.name)))

    async def polled(request: Request) -> Response:
        stream_id: str = request.path_params["stream_id"]
        return await _bodied(lambda asked: poll.answer(asked, stream_id))(request)

    _add(router, _POLL, polled)

    async def configuration(request: Request) -> Response:  # noqa: ARG001  # FastAPI gives it
        return response_of(public.configuration())

    async def key_set(request: Request) -> Response:  # noqa: ARG001
        return response_of(public.key_set())

    for path, name, endpoint, summary in (
        (metadata.well_known_path(issuer), "ssf_configuration", configuration, "送信側の設定 / the transmitter"),
        (metadata.JWKS, "ssf_keys", key_set, "署名鍵（公開鍵） / the public keys of signatures"),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            name=name,
            operation_id=name,
            summary=summary,
            response_class=Response,
            responses={200: {"description": "The document", "content": _OBJECT}},
        )
    return router


def _bodied(ask: Ask) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        head = head_of(request)
        try:
            body = await body_of(request, most=MAX_BODY, within_s=BODY_S)
        except SekishoError as fault:
            return response_of(refused(fault))
        return response_of(await ask(msgspec.structs.replace(head, body=body)))

    return endpoint


def _add(router: APIRouter, call: _Call, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
    extra: dict[str, Any] = {"security": [{"bearer": []}, {"apiKey": []}, {"basic": []}]}
    if call.method in ("GET", "DELETE"):
        extra["parameters"] = [_ID]
    else:
        extra["requestBody"] = {"required": True, "content": _OBJECT}
        if "{" in call.path:
            extra["parameters"] = [{**_ID, "in": "path", "required": True}]
    answers: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": _ERROR} for code, text in _REFUSALS.items()
    }
    good: dict[str, Any] = {"description": "Done"}
    if call.status != HTTPStatus.NO_CONTENT and call.path != metadata.ADD_SUBJECT:
        good["content"] = _OBJECT
    router.add_api_route(
        call.path,
        endpoint,
        methods=[call.method],
        name=f"ssf_{call.name}",
        operation_id=f"ssf_{call.name}",
        summary=call.summary,
        status_code=call.status,
        response_class=Response,
        responses={call.status: good, **answers},
        openapi_extra=extra,
    )
