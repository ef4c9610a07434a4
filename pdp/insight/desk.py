"""Questions about the service and its registers over HTTP, without the web framework.

Whoever looks at people, devices or callers stands in the trail, as whoever looks at decisions does. How the workers
are is nobody's personal data, and is not written down.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.audit.asked import decision_id, params_of
from pdp.audit.desk import noted
from pdp.audit.problem import NO_STORE, audit_problem
from pdp.audit.question import One, Question
from pdp.audit.sight import Sight, require
from pdp.callers.listing import list_callers
from pdp.declog.record import read_record
from pdp.directory.aliases import MAX_LENGTH
from pdp.directory.freshness import stale_after
from pdp.directory.reading import read_aliases, read_posture
from pdp.directory.rows import Reader
from pdp.errors import BadRequestError, NotReadyError, SekishoError
from pdp.explain.report import text_json
from pdp.insight.registers import MAX_PAGE, Registers, callers_json
from pdp.insight.workers import read_workers, workers_json
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from pdp.active_policy import ActivePolicy
    from pdp.audit.desk import Desk as AuditDesk
    from pdp.audit.question import Params
    from pdp.audit.reception import Entry, Reception
    from pdp.callers.caller import Caller
    from pdp.declog.record import Record
    from pdp.directory.source import DirectorySource
    from pdp.insight.recomputing import Recomputing
    from pdp.model.directory import PostureReport
    from pdp.store.store import Store
    from pdp.trail.event import Action
    from pdp.wire.exchange import HttpRequest

_OK: Final = 200
_MAX_TEXT: Final = MAX_LENGTH
_PAGE: Final = 50
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Desk:
    """`policy`: the active one. `workers`: where their files are. No method raises but for what is a bug."""

    reception: Reception
    audit: AuditDesk
    directory: DirectorySource
    store: Store
    policy: Callable[[], ActivePolicy]
    workers: Path
    node: str
    recomputing: Recomputing
    clock: Callable[[], datetime]

    async def health(self, request: HttpRequest) -> HttpAnswer:
        """Every worker of this host."""
        try:
            require(await self.reception.introduce(request), "read_service")
            _only(params_of(request.query))
        except SekishoError as fault:
            return audit_problem(fault)
        now = self.clock()
        workers = await asyncio.to_thread(read_workers, self.workers, now)
        body = {"node": self.node, "now": now.isoformat(), "workers": workers_json(workers, now, os.getpid())}
        return HttpAnswer(_OK, (JSON, NO_STORE), _encode(body))

    async def words(self, request: HttpRequest) -> HttpAnswer:
        """What the codes of reasons and the ids of applications mean, in both languages."""
        try:
            require(await self.reception.introduce(request), "read_service")
            _only(params_of(request.query))
            policy, overlaid = self.policy(), self.directory.current().resources
        except SekishoError as fault:
            return audit_problem(fault)
        rows = {**({} if policy.reference is None else policy.reference.catalogue), **overlaid}
        body = {
            "reasons": {
                code: {"user": text_json(r.user), "admin": text_json(r.admin), "fix": r.fix}
                for code, r in policy.bundle.reasons.items()
            },
            "resources": {
                row.id: {"ja": row.title_ja or row.id, "en": row.title_en or row.id, "group": row.group}
                for row in rows.values()
            },
        }
        return HttpAnswer(_OK, (JSON, NO_STORE), _encode(body))

    async def callers(self, request: HttpRequest) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            _only(noted(entry, request))
            require(caller, "read_service")
            listed = await asyncio.to_thread(list_callers, self.store)
            entry.rows = len(listed)
            return _encode({"callers": callers_json(listed, self.clock())})

        return await self.reception.served(request, "callers.read", serve)

    async def summary(self, request: HttpRequest) -> HttpAnswer:
        def answer(registers: Registers, params: Params) -> dict[str, Any]:
            _only(params)
            return registers.summary(self.directory.age())

        return await self._registers(request, answer)

    async def users(self, request: HttpRequest) -> HttpAnswer:
        def answer(registers: Registers, params: Params) -> dict[str, Any]:
            _only(params, "q", "department", "size", "after")
            return registers.users(
                _text(params, "q"), _text(params, "department"), _size(params), _text(params, "after")
            )

        return await self._registers(request, answer)

    async def devices(self, request: HttpRequest) -> HttpAnswer:
        def answer(registers: Registers, params: Params) -> dict[str, Any]:
            _only(params, "q", "class", "state", "size", "after")
            text, class_, state = (_text(params, name) for name in ("q", "class", "state"))
            return registers.devices(text, class_, state, _size(params), _text(params, "after"))

        return await self._registers(request, answer)

    async def user(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        def answer(registers: Registers, params: Params) -> dict[str, Any]:
            _only(params)
            return registers.user(wanted)

        return await self._registers(request, answer, wanted)

    async def device(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            _only(noted(entry, request, wanted))
            registers = self._seen_by(caller)
            reports, names = await asyncio.to_thread(self._of_device, wanted)
            return _encode(registers.device(wanted, reports, names))

        return await self.reception.served(request, "directory.read", serve)

    async def explanation(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        return await self._recomputed(request, wanted, "audit.explain", self.recomputing.explanation)

    async def replay(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        return await self._recomputed(request, wanted, "audit.replay", self.recomputing.replay)

    async def _recomputed(
        self, request: HttpRequest, wanted: str, action: Action, work: Callable[..., Awaitable[dict[str, Any]]]
    ) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            _only(noted(entry, request, wanted))
            sight = self.audit.sight(caller)
            # The whole record is needed to judge it; what is told of it is the work's matter.
            whole = Sight(veiled=False, within=sight.within)
            found = await self.audit.ask(entry, Question(One(decision_id(wanted)), whole))
            entry.answer_sha256 = None  # of the record, and not of this answer
            return _encode(await work(_record(found), veiled=sight.veiled))

        return await self.reception.served(request, action, serve)

    async def _registers(
        self,
        request: HttpRequest,
        answer: Callable[[Registers, Params], dict[str, Any]],
        wanted: str | None = None,
    ) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request, wanted)
            found = answer(self._seen_by(caller), params)
            entry.rows = next((len(rows) for rows in found.values() if isinstance(rows, list)), None)
            return _encode(found)

        return await self.reception.served(request, "directory.read", serve)

    def _seen_by(self, caller: Caller) -> Registers:
        """Raises NotPermittedError."""
        require(caller, "read_directory")
        bound = self.audit.departments.get(caller.id)
        within = None if bound is None else tuple(bound)
        return Registers(self.directory.current(), self.clock(), stale_after(self.policy().bundle.data), within)

    def _of_device(self, wanted: str) -> tuple[list[PostureReport], list[str]]:
        with self.store.read() as connection:
            reports = read_posture(connection, Reader(), [wanted])
            names = read_aliases(connection, [wanted])
        return list(reports.values()), list(names)


def _record(found: bytes) -> Record:
    """Raises NotReadyError for a record that is not one of ours as it was written."""
    kept = msgspec.json.decode(found, type=_Kept).record
    if bytes(kept) == b"null":
        raise NotReadyError("the record is not in a form that can be judged")
    return read_record(bytes(kept))


class _Kept(msgspec.Struct):
    record: msgspec.Raw = msgspec.Raw(b"null")


def _only(params: Params, *names: str) -> None:
    if params.keys() - set(names):
        raise BadRequestError("there is no such parameter", next_step=f"use {', '.join(names) or 'none'}")


def _text(params: Params, name: str) -> str:
    values = params.get(name, [""])
    if len(values) > 1 or len(values[0]) > _MAX_TEXT:
        raise BadRequestError(f"`{name}` is given twice, or has more than {_MAX_TEXT} characters")
    return values[0]


def _size(params: Params) -> int:
    text = _text(params, "size") or str(_PAGE)
    if not (text.isascii() and text.isdigit() and len(text) <= 4) or not 1 <= int(text) <= MAX_PAGE:  # noqa: PLR2004
        raise BadRequestError(f"`size` is not a whole number from 1 to {MAX_PAGE}")
    return int(text)
