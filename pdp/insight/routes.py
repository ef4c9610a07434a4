"""The paths of this package, with their OpenAPI text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from pdp.audit.document import REFUSALS
from pdp.audit.routes import endpoint
from pdp.insight.registers import MAX_PAGE
from pdp.schema_words import COUNT, TEXT, Json, answers, asked, in_path, in_query, object_of, ref

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.insight.desk import Desk
    from pdp.wire.exchange import HttpAnswer

ADMIN: Final = "/admin/v1"
AUDIT: Final = "/audit/v1"


class _Route(NamedTuple):
    """`takes` are names of query parameters, `names` of parts of the path."""

    method: str
    path: str
    id: str
    summary: str
    gives: str
    takes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


_ROUTES: Final = (
    _Route("GET", f"{ADMIN}/health", "health", "各ワーカーの状態 / how each worker of this host is", "InsightHealth"),
    _Route("GET", f"{ADMIN}/words", "words", "判定理由とシステムの名称 / what codes and ids mean", "InsightWords"),
    _Route("GET", f"{ADMIN}/callers", "callers", "呼出元の一覧 / the callers, without secrets", "InsightCallers"),
    _Route("GET", f"{ADMIN}/directory", "summary", "台帳の概要 / the directory in numbers", "InsightDirectory"),
    _Route(
        "GET",
        f"{ADMIN}/directory/users",
        "users",
        "利用者を探す / people whose id or name holds a text",
        "InsightUsers",
        ("q", "department", "size", "after"),
    ),
    _Route(
        "GET",
        f"{ADMIN}/directory/users/{{id:path}}",
        "user",
        "利用者一人 / one person",
        "InsightUser",
        names=("id",),
    ),
    _Route(
        "GET",
        f"{ADMIN}/directory/devices",
        "devices",
        "端末を探す / devices whose id or owner holds a text",
        "InsightDevices",
        ("q", "class", "state", "size", "after"),
    ),
    _Route(
        "GET",
        f"{ADMIN}/directory/devices/{{id:path}}",
        "device",
        "端末一台と報告元ごとの状態 / one device, and what each source says of it",
        "InsightDevice",
        names=("id",),
    ),
    _Route(
        "GET",
        f"{AUDIT}/decisions/{{id}}/explanation",
        "explanation",
        "判定一件の説明 / why it was decided so, and what would change it",
        "InsightExplanation",
        names=("id",),
    ),
    _Route(
        "POST",
        f"{AUDIT}/decisions/{{id}}/replay",
        "replay",
        "判定一件の再現 / the same decision judged again by the same policy",
        "InsightReplay",
        names=("id",),
    ),
)


def insight_router(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["insight"])
    for route in _ROUTES:
        answer: Callable[..., Awaitable[HttpAnswer]] = getattr(desk, route.id)
        router.add_api_route(
            route.path,
            endpoint(answer),
            methods=[route.method],
            name=f"insight_{route.id}",
            operation_id=f"insight_{route.id}",
            summary=route.summary,
            response_class=Response,
            responses=_responses(route.gives),
            openapi_extra=asked([*(in_path(name, TEXT) for name in route.names), *map(_query, route.takes)], None),
        )
    return router


def insight_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    rows = {"type": "array", "items": {"type": "object"}}
    after = {"type": ["string", "null"], "description": "`after` of the next page; null where there is none"}
    found = {
        "InsightHealth": object_of({"node": TEXT, "now": TEXT, "workers": rows}, "node", "now", "workers"),
        "InsightWords": object_of(
            {"reasons": {"type": "object"}, "resources": {"type": "object"}}, "reasons", "resources"
        ),
        "InsightCallers": object_of({"callers": rows}, "callers"),
        "InsightDirectory": object_of({"epoch": COUNT, "posture": {"type": "object"}, "sources": rows}, "epoch"),
        "InsightUsers": object_of({"users": rows, "next": after}, "users", "next"),
        "InsightDevices": object_of({"devices": rows, "next": after}, "devices", "next"),
        "InsightUser": object_of({"id": TEXT, "devices": rows}, "id"),
        "InsightDevice": object_of({"id": TEXT, "reports": rows}, "id"),
        "InsightExplanation": object_of({"id": TEXT, "explained": {"type": "boolean"}}, "id", "explained"),
        "InsightReplay": object_of({"id": TEXT, "replayed": {"type": "boolean"}}, "id", "replayed"),
    }
    return {"components": {"schemas": found}}


_MEANINGS: Final = {
    "q": "a part of the id or the name",
    "department": "one that the person holds a post in",
    "class": "of the device",
    "state": "of the device",
    "after": "the last id of the page before",
}


def _responses(gives: str) -> dict[int | str, Json]:
    return answers({"application/json": {"schema": ref(gives)}}, REFUSALS)


def _query(name: str) -> Json:
    if name == "size":
        return in_query(name, {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50})
    return in_query(name, TEXT, _MEANINGS[name])
