"""Saved questions over HTTP: kept, listed, asked again, deleted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.audit.desk import noted
from pdp.audit.question import Question
from pdp.audit.reception import body_of
from pdp.audit.saved import check_draft, draft_of, question_of
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.audit.desk import Desk
    from pdp.audit.question import Params
    from pdp.audit.reception import Entry
    from pdp.audit.saved import SavedQueries
    from pdp.callers.caller import Caller
    from pdp.trail.event import Action
    from pdp.wire.exchange import HttpAnswer, HttpRequest

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class SavedDesk:
    """No method raises but for what is a bug."""

    desk: Desk
    saved: SavedQueries

    async def all(self, request: HttpRequest) -> HttpAnswer:
        """One's own, and what others share."""

        def found(caller: Caller, entry: Entry) -> Any:
            _nothing_else(noted(entry, request))
            queries = self.saved.visible(caller.id, self.desk.sight(caller))
            entry.rows = len(queries)
            return {"queries": queries}

        return await self._told(request, "audit.queries", found)

    async def get(self, request: HttpRequest, name: str) -> HttpAnswer:
        """One's own of this name, or that of the `owner` who is named."""

        def found(caller: Caller, entry: Entry) -> Any:
            params = noted(entry, request, name)
            owner = _owner(params, caller)
            _nothing_else(params)
            return self.saved.get(owner, name, caller.id, self.desk.sight(caller))

        return await self._told(request, "audit.queries", found)

    async def put(self, request: HttpRequest, name: str) -> HttpAnswer:
        """Keep a question under a name, in the place of one's own that has it."""

        def kept(caller: Caller, entry: Entry) -> Any:
            _nothing_else(noted(entry, request, name))
            sight = self.desk.sight(caller)
            body = body_of(request)
            entry.parameters = body
            draft = draft_of(body)
            params = check_draft(draft, sight, caller)
            created = self.saved.put(caller.id, name, draft, params, self.desk.reception.clock())
            return {"name": name, "created": created}

        return await self._told(request, "audit.queries.save", kept)

    async def delete(self, request: HttpRequest, name: str) -> HttpAnswer:
        """One's own."""

        def gone(caller: Caller, entry: Entry) -> Any:
            _nothing_else(noted(entry, request, name))
            self.desk.sight(caller)
            self.saved.delete(caller.id, name)
            return {"name": name, "deleted": True}

        return await self._told(request, "audit.queries.delete", gone)

    async def ask(self, request: HttpRequest, name: str) -> HttpAnswer:
        """Ask a saved question now, by the asker's own rights. Parameters of the request replace the saved ones."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request, name)
            owner = _owner(params, caller)
            sight = self.desk.sight(caller)
            saved = await asyncio.to_thread(self.saved.get, owner, name, caller.id, sight)
            merged = saved.parameters | params
            entry.parameters, entry.object = {**merged, "kind": saved.kind}, f"{owner}/{name}"
            question = Question(question_of(saved.kind, merged, sight, caller), sight)
            return await self.desk.ask(entry, question)

        return await self.desk.reception.served(request, "audit.query", serve)

    async def _told(self, request: HttpRequest, action: Action, tell: Callable[[Caller, Entry], Any]) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            return _encode(await asyncio.to_thread(tell, caller, entry))

        return await self.desk.reception.served(request, action, serve)


def _owner(params: Params, caller: Caller) -> str:
    values = params.pop("owner", [caller.id])
    if len(values) > 1:
        raise BadRequestError("`owner` is given more than once", next_step="give it once")
    return values[0]


def _nothing_else(params: Params) -> None:
    if params:
        raise BadRequestError("there is no such parameter", next_step="see `/openapi.json` for what there is")
