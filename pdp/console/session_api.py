"""Who is logged in to the console, over the API: `/admin/v1/sessions`. The page for administrators asks here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from pdp.audit.desk import noted
from pdp.audit.document import REFUSALS
from pdp.audit.routes import endpoint
from pdp.audit.sight import require
from pdp.errors import NotFoundError
from pdp.schema_words import OBJECT, TEXT, answers, asked, in_path

if TYPE_CHECKING:
    from pdp.audit.reception import Entry, Reception
    from pdp.callers.caller import Caller
    from pdp.console.sessions import Session, Sessions
    from pdp.wire.exchange import HttpAnswer, HttpRequest

PATH: Final = "/admin/v1/sessions"
_encode: Final = msgspec.json.Encoder().encode


def sessions_router(reception: Reception, sessions: Sessions) -> APIRouter:
    async def listed(request: HttpRequest) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            noted(entry, request)
            require(caller, "manage_sessions")
            found = await asyncio.to_thread(sessions.live)
            entry.rows = len(found)
            return _encode({"sessions": [_shown(session) for session in found]})

        return await reception.served(request, "console.sessions", serve)

    async def ended(request: HttpRequest, number: str) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            noted(entry, request, number)
            require(caller, "manage_sessions")
            found = await asyncio.to_thread(sessions.end, number, caller.id)
            if found is None:
                raise NotFoundError("no session of this number lives")
            return _encode({"number": number, "person": found.person.id, "ended": True})

        return await reception.served(request, "console.sessions.end", serve)

    router = APIRouter(tags=["console"])
    for method, path, answer, summary in (
        ("GET", PATH, listed, "管理画面に接続中の者 / who is logged in to the console"),
        ("DELETE", f"{PATH}/{{number}}", ended, "接続の打切り / end a session"),
    ):
        names = ["number"] if "{" in path else []
        parameters = [in_path(name, TEXT) for name in names]
        router.add_api_route(
            path,
            endpoint(answer),
            methods=[method],
            operation_id=f"console_sessions_{method.lower()}",
            summary=summary,
            response_class=Response,
            responses=answers({"application/json": {"schema": OBJECT}}, REFUSALS),
            openapi_extra=asked(parameters, None),
        )
    return router


def _shown(session: Session) -> dict[str, Any]:
    return {
        "number": session.number,
        "person": session.person.id,
        "name": session.person.name,
        "roles": sorted(session.person.roles),
        "method": session.method,
        "peer": session.peer,
        "created_at": session.created_at.isoformat(),
        "seen_at": session.seen_at.isoformat(),
        "ends_at": session.ends_at.isoformat(),
    }
