"""Questions to the decision log over HTTP, without the web framework.

Each: which eyes and which right (`sight.py`), what is asked, checked as far as it can be without the engine
(`asked.py`), then the answer from a process of its own (`askers.py`). Nothing here blocks the event loop.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.audit.asked import (
    count_of,
    decision_id,
    decisions_of,
    everywhere_of,
    export_of,
    grouping_of,
    language_in,
    params_of,
    report_of,
    reveal_of,
    sql_of,
    trail_of,
)
from pdp.audit.exported import Streamed
from pdp.audit.problem import NO_STORE, audit_problem
from pdp.audit.question import One, Proof, Question
from pdp.audit.reception import body_of, language_of
from pdp.audit.reporting import disposition_of
from pdp.audit.sight import Sight, require, sight_of
from pdp.audit.told import columns_told, reports_told
from pdp.errors import SekishoError
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.audit.askers import Askers
    from pdp.audit.question import Ask, Params, Report
    from pdp.audit.reception import Entry, Reception
    from pdp.callers.caller import Caller
    from pdp.trail.event import Action, Outcome
    from pdp.wire.exchange import HttpRequest

_OK: Final = 200
CSV: Final = ("content-type", "text/csv; charset=utf-8")
_TRAIL_ONLY: Final = Sight(veiled=True)  # of a caller that may read the trail and nothing else
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Desk:
    """`departments`: by which a caller is bound, by its id. No method raises but for what is a bug."""

    reception: Reception
    askers: Askers
    departments: Mapping[str, Sequence[str]]

    async def decisions(self, request: HttpRequest) -> HttpAnswer:
        """A page, newest first."""
        return await self._by_params(request, "audit.query", decisions_of)

    async def count(self, request: HttpRequest) -> HttpAnswer:
        return await self._by_params(request, "audit.count", count_of)

    async def groups(self, request: HttpRequest) -> HttpAnswer:
        return await self._by_params(request, "audit.group", grouping_of)

    async def one(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        """The whole record to an auditor, what is not hidden of it to an operator."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request, wanted)
            return await self.ask(entry, Question(One(decision_id(wanted), everywhere_of(params)), self.sight(caller)))

        return await self.reception.served(request, "audit.query", serve)

    async def proof(self, request: HttpRequest, wanted: str) -> HttpAnswer:
        """As `pdp audit prove` writes it; it holds the whole record."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request, wanted)
            require(caller, "audit_read")
            ask = Proof(decision_id(wanted), everywhere_of(params))
            return await self.ask(entry, Question(ask, self.sight(caller)))

        return await self.reception.served(request, "audit.proof", serve)

    async def report(self, request: HttpRequest, name: str) -> HttpAnswer:
        """The answer to a named question; `format=csv` for a spreadsheet."""
        asked: list[Report] = []

        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request, name)
            sight = self.sight(caller)
            asked.append(report_of(name, params, sight, caller, language_of(request)))
            return await self.ask(entry, Question(asked[0], sight))

        answer = await self.reception.served(request, "audit.report", serve)
        if answer.status != _OK or asked[0].format == "json":
            return answer
        disposition = ("content-disposition", disposition_of(asked[0]))
        return HttpAnswer(_OK, (CSV, NO_STORE, disposition), answer.body)

    async def sql(self, request: HttpRequest) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            require(caller, "audit_read", "audit_sql")
            body = body_of(request)
            entry.parameters = body
            return await self.ask(entry, Question(sql_of(body), self.sight(caller)))

        return await self.reception.served(request, "audit.sql", serve)

    async def reveal(self, request: HttpRequest) -> HttpAnswer:
        """A name for a pseudonym. What it is stands in the answer, and never in the trail."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            require(caller, "audit_reveal")
            sight = self.sight(caller)
            body = body_of(request)
            entry.object, entry.reason = (
                None if value is None else str(value)
                for value in (body.get("id", body.get("pseudonym")), body.get("reason"))
            )
            entry.parameters = {name: body[name] for name in ("since", "until") if name in body}
            ask, entry.reason = reveal_of(body)
            found = await self.ask(entry, Question(ask, sight))
            entry.answer_sha256 = None  # of something so short it could be tried out
            return found

        return await self.reception.served(request, "audit.reveal", serve)

    async def events(self, request: HttpRequest) -> HttpAnswer:
        """The trail: in full to those who see everything, to others with its people as pseudonyms."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request)
            require(caller, "audit_trail")
            reads = caller.may("audit_read") or caller.may("audit_operate")
            return await self.ask(entry, Question(trail_of(params), self.sight(caller) if reads else _TRAIL_ONLY))

        return await self.reception.served(request, "audit.trail", serve)

    async def reports(self, request: HttpRequest) -> HttpAnswer:
        """Which named questions there are."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            lang = language_in(noted(entry, request), language_of(request))
            self.sight(caller)
            return _encode(reports_told(lang, caller))

        return await self.reception.served(request, "audit.reports", serve)

    async def columns(self, request: HttpRequest) -> HttpAnswer:
        """Which columns there are, and what they say."""

        async def serve(caller: Caller, entry: Entry) -> bytes:
            lang = language_in(noted(entry, request), language_of(request))
            return _encode(columns_told(lang, self.sight(caller)))

        return await self.reception.served(request, "audit.columns", serve)

    async def export(self, request: HttpRequest) -> HttpAnswer | Streamed:
        """A file, bit by bit. That it has begun is written down before the first byte, how it ended before the last."""
        reception = self.reception
        try:
            caller, entry = await reception.entry(request, "audit.export")
        except SekishoError as fault:
            return audit_problem(fault)
        async with AsyncExitStack() as stack:
            try:
                params = noted(entry, request)
                sight = sight_of(caller, self.departments, "audit_export")
                ask = export_of(params, sight)
                answer = await stack.enter_async_context(self.askers.asking(Question(ask, sight), caller.id))
                begun = await reception.record(entry, "begun")
            except SekishoError as fault:
                return await reception.unanswered(entry, fault)

            async def finish(outcome: Outcome, error: str | None = None) -> None:
                if answer.tail is not None:
                    entry.rows, entry.answer_sha256 = answer.tail.rows, answer.tail.sha256
                await reception.record(entry, outcome, error=error, of=begun.id)

            return Streamed(ask, answer, stack.pop_all(), finish)

    def sight(self, caller: Caller) -> Sight:
        """Raises NotPermittedError."""
        return sight_of(caller, self.departments)

    async def ask(self, entry: Entry, question: Question) -> bytes:
        """The answer's JSON. Raises as `Askers.asking`."""
        async with self.askers.asking(question, entry.actor.id) as answer:
            body = await answer.whole()
        entry.rows, entry.answer_sha256 = answer.head.rows, answer.head.sha256
        if answer.head.note is not None:
            entry.parameters = {**entry.parameters, "found": answer.head.note}
        return body

    async def _by_params(
        self, request: HttpRequest, action: Action, ask_of: Callable[[Params, Sight], Ask]
    ) -> HttpAnswer:
        async def serve(caller: Caller, entry: Entry) -> bytes:
            params = noted(entry, request)
            sight = self.sight(caller)
            return await self.ask(entry, Question(ask_of(params, sight), sight))

        return await self.reception.served(request, action, serve)


def noted(entry: Entry, request: HttpRequest, wanted: str | None = None) -> Params:
    """The parameters of a request, which will be written down with what it wanted. Raises BadRequestError."""
    entry.object = wanted
    entry.parameters = {"query": request.query}  # where they cannot be read, as they came
    params = params_of(request.query)
    entry.parameters = {name: values[0] if len(values) == 1 else values for name, values in params.items()}
    return params
