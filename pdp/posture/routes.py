"""The paths of the push API and of Cloudflare's scores: ordinary FastAPI, with the OpenAPI text.

Bodies are read here, whole, bounded and with a deadline; what they say is the desk's matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  # FastAPI reads the type
from starlette.responses import Response

from pdp.errors import PayloadTooLargeError, SlowRequestError
from pdp.posture.desk import MAX_BATCH_BYTES
from pdp.posture.message import MAX_NAME, MAX_REPORTS, DeviceReport, Report
from pdp.posture.problem import problem_answer
from pdp.schema_words import TEXT, Json, in_path, object_of, ref
from pdp.wire import cloudflare_posture
from pdp.wire.plain_exchange import body_of, head_of, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.posture.desk import Desk
    from pdp.posture.scoring import Scorer
    from pdp.wire.exchange import HttpAnswer, HttpRequest


PREFIX: Final = "/posture/v1"
BODY_S: Final = 10.0  # as the lane's own deadline
_TAG: Final = "posture"


def posture_router(desk: Desk, scorer: Scorer, *, body_s: float = BODY_S) -> APIRouter:
    """Every path of this package. `body_s`: how long a body may take."""
    router = APIRouter(tags=[_TAG])

    @router.put(
        f"{PREFIX}/devices/{{device:path}}",
        summary="端末の状態を報告する / report the state of one device",
        description=_PUT,
        response_class=Response,
        responses=_responses("PostureKept", 404, 409, 412),
        openapi_extra=_DEVICE | _body("PostureReport", _EXAMPLE),
    )
    async def put_report(request: Request) -> Response:
        return await _served(request, lambda asked: desk.put(asked, request.path_params["device"]), body_s)

    @router.get(
        f"{PREFIX}/devices/{{device:path}}",
        summary="保持している端末の状態を見る / what is held of one device",
        description=_GET,
        response_class=Response,
        responses=_responses("PostureHeld", 404) | {304: {"description": "`If-None-Match` has the present entity tag"}},
        openapi_extra=_DEVICE | _SECURITY,
    )
    async def get_reports(request: Request) -> Response:
        return await _served(request, lambda asked: desk.get(asked, request.path_params["device"]), body_s)

    @router.post(
        f"{PREFIX}/devices",
        summary="複数の端末の状態を報告する / report the states of several devices",
        description=_POST,
        response_class=Response,
        responses=_responses("PostureBatchKept") | {207: _answer("Some reports were refused", "PostureBatchKept")},
        openapi_extra=_body("PostureBatch", {"reports": [{"device": "serial:5CG12345AB", **_EXAMPLE}]}),
    )
    async def post_reports(request: Request) -> Response:
        return await _served(request, desk.batch, body_s)

    @router.post(
        f"{PREFIX}/hip",
        summary="GlobalProtect の HIP レポートを渡す / hand over a GlobalProtect HIP report",
        description=_HIP,
        response_class=Response,
        responses=_responses("PostureKept", 404, 409, 412),
        openapi_extra=_SECURITY
        | {"requestBody": {"required": True, "content": {"application/xml": {"schema": {"type": "string"}}}}},
    )
    async def post_hip(request: Request) -> Response:
        return await _served(request, desk.hip, body_s)

    @router.post(
        cloudflare_posture.PATH,
        summary="Cloudflare の端末スコア / scores for Cloudflare's custom device posture integration",
        description=_SCORES,
        response_class=Response,
        responses=_responses("CloudflareScores"),
        openapi_extra=_body("CloudflareDevices", {"devices": [{"device_id": "9ece5fab", "serial_number": "jdR44P3d"}]}),
    )
    async def post_cloudflare(request: Request) -> Response:
        return await _served(request, scorer.scores, body_s)

    @router.post(
        cloudflare_posture.SETS_PATH + "/{name}",
        summary="書き出した規則の端末集合 / who is in a set of devices of the exported rules",
        description=_SETS,
        response_class=Response,
        responses=_responses("CloudflareScores", 404),
        openapi_extra=_SET
        | _body("CloudflareDevices", {"devices": [{"device_id": "9ece5fab", "serial_number": "jdR44P3d"}]}),
    )
    async def post_cloudflare_set(request: Request) -> Response:
        return await _served(request, lambda asked: scorer.memberships(asked, request.path_params["name"]), body_s)

    return router


def posture_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    _, ours = msgspec.json.schema_components((Report, DeviceReport), ref_template="#/components/schemas/{name}")
    schemas: Json = {"PostureReport": ours.pop("Report"), "PostureBatchEntry": ours.pop("DeviceReport"), **ours}
    reports = {"type": "array", "minItems": 1, "maxItems": MAX_REPORTS, "items": ref("PostureBatchEntry")}
    schemas["PostureBatch"] = object_of({"reports": reports}, "reports")
    schemas["PostureKept"] = object_of(_KEPT, *_KEPT)
    result = {"oneOf": [ref("PostureKept"), ref("Problem")], "description": "each with `status`, and `asked`"}
    results = {"type": "array", "items": result}
    schemas["PostureBatchKept"] = object_of({"taken": _COUNT, "refused": _COUNT, "results": results}, "results")
    held = {"source": TEXT, "observed_at": TEXT, "facts": {"type": "object"}}
    schemas["PostureHeld"] = object_of(
        {"device": TEXT, "reports": {"type": "array", "items": object_of(held, *held)}, "together": object_of(held)},
        "device",
        "reports",
    )
    asked = {"device_id": TEXT, "serial_number": TEXT}
    schemas["CloudflareDevices"] = object_of(
        {"devices": {"type": "array", "maxItems": 1_000, "items": object_of(asked, "device_id")}}, "devices"
    )
    score = object_of({"s2s_id": TEXT, "score": {"type": "integer", "minimum": 0, "maximum": 100}}, "s2s_id", "score")
    schemas["CloudflareScores"] = object_of({"result": {"type": "object", "additionalProperties": score}}, "result")
    return {"components": {"schemas": schemas}}


async def _served(request: Request, answer: Callable[[HttpRequest], Awaitable[HttpAnswer]], body_s: float) -> Response:
    try:
        body = await body_of(request, most=MAX_BATCH_BYTES, within_s=body_s)
    except (PayloadTooLargeError, SlowRequestError) as fault:
        return response_of(problem_answer(fault))
    return response_of(await answer(msgspec.structs.replace(head_of(request), body=body)))


_PUT: Final = (
    "`device` は端末ID、または `serial:…` のような別名。`observed_at` は端末を確認した時刻（オフセット必須）。"
    "書かなかった事実は「不明」になる。より新しい報告があれば何も変えず `kept: newer` を返す。\n\n"
    "`device` is the device's id, or another name of it such as `serial:5CG12345AB`. `observed_at` is when the device "
    "was seen, with its offset. A fact that is left out is unknown. Where a newer report of this source is held, "
    f"nothing changes and the answer says `kept: newer`. A name has at most {MAX_NAME} characters."
)
_GET: Final = (
    "権限 `read_posture` があれば全ての報告元、なければ自分の報告だけを返す。\n\n"
    "What every source says, for callers with `read_posture`; else the caller's own report alone."
)
_POST: Final = (
    f"最大 {MAX_REPORTS} 件。一件ごとに結果を返し、拒否があれば全体の状態は 207 となる。\n\n"
    f"At most {MAX_REPORTS} reports, each kept or refused by itself; 207 where any was refused."
)
_HIP: Final = (
    "端末はレポート自身の名前（シリアル番号、ホストID、ホスト名）で特定する。\n\n"
    "The report names its device itself: serial number, host id, host name."
)
_SCORES: Final = (
    "既知でない端末のスコアは 0。表は docs/posture.md にある。\n\n"
    "A device that is not known has the score 0; docs/posture.md has the table."
)
_SETS: Final = (
    "書き出した規則の端末集合（sets.json）に入る端末は 100、入らない端末は 0。\n\n"
    "100 for a device that is in the set of the exported rules (sets.json), 0 for any other."
)
_COUNT: Final[Json] = {"type": "integer"}
_KEPT: Final[Json] = {
    "device": TEXT,
    "source": TEXT,
    "kept": {"type": "string", "enum": ["this", "same", "newer"]},
    "observed_at": {"type": "string", "format": "date-time"},
    "etag": TEXT,
}
_EXAMPLE: Final[Json] = {
    "observed_at": "2026-07-01T09:00:00+09:00",
    "facts": {"edr_running": True, "edr_risk": "none", "tampered": False, "patch_age_days": 3},
}
_SECURITY: Final[Json] = {"security": [{"bearer": []}, {"apiKey": []}]}
_DEVICE: Final[Json] = {"parameters": [in_path("device", TEXT)]}
_SET: Final[Json] = {"parameters": [in_path("name", TEXT)]}
_REFUSALS: Final = {
    400: "The request breaks its form",
    401: "No credential, or none that is known",
    403: "The caller lacks the permission, or may not report this fact",
    404: "No device or set of this name is there",
    409: "The names belong to different devices",
    412: "The held report has the entity tag of `If-None-Match`",
    413: "The body or the batch is too large",
    415: "Another content type is needed",
    429: "The caller asks more often than its limit",
    503: "Nothing was kept; try again",
}
_EVERYWHERE: Final = (400, 401, 403, 413, 415, 429, 503)


def _answer(description: str, schema: str, media: str = "application/json") -> Json:
    return {"description": description, "content": {media: {"schema": ref(schema)}}}


def _responses(good: str, *more: int) -> dict[int | str, Json]:
    answers: dict[int | str, Json] = {200: _answer("The answer", good)}
    for status in sorted({*_EVERYWHERE, *more}):
        answers[status] = _answer(_REFUSALS[status], "Problem", "application/problem+json")
    return answers


def _body(schema: str, example: Json) -> Json:
    content = {"application/json": {"schema": ref(schema), "example": example}}
    return {**_SECURITY, "requestBody": {"required": True, "content": content}}
