"""The one way of every request: who asks, by what right, and, where something is changed, written down before it is.

INVARIANT (written down first): a change has its `begun` in the trail before it is made, and its end after it, with the
other's id. Where the trail cannot be written, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.audit.problem import NO_STORE, audit_problem
from pdp.callers.caller import Caller  # noqa: TC001  # msgspec reads the type of `Introduced`
from pdp.errors import CallerRefusedError, DirectoryError, NotReadyError, SekishoError
from pdp.governance.asking import person_of
from pdp.trail.event import Actor, event_of
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from pdp.revisions.person import Person
    from pdp.trail.event import Action, Outcome
    from pdp.trail.keeping import TrailWriter

_encode: Final = msgspec.json.Encoder().encode


class Introduced(HttpRequest, frozen=True, kw_only=True, gc=False):
    """A request whose caller was asked for before its body was read."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be changed, as the trail tells it; nothing in it is contents."""

    action: Action
    object: str | None = None
    reason: str | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reception:
    """`introduce`: who calls. `clock`: aware times. `new_id`: uuid7."""

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    trail: TrailWriter
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    async def admitted(self, head: HttpRequest) -> Caller:
        """Who calls, before a body of theirs is read: nobody without a part in policies sends us megabytes.

        Raises as `introduce`, and NotPermittedError.
        """
        caller = await self.introduce(head)
        person_of(caller)
        return caller

    async def _caller(self, request: HttpRequest) -> Caller:
        return request.caller if isinstance(request, Introduced) else await self.introduce(request)

    async def shown(self, request: HttpRequest, show: Callable[[Person], Awaitable[Any]]) -> HttpAnswer:
        """An answer that changes nothing."""
        try:
            person = person_of(await self._caller(request))
            person.require("read")
            return _good(200, await show(person))
        except SekishoError as fault:
            return problem_of(fault)

    async def changed(
        self,
        request: HttpRequest,
        change: Change,
        make: Callable[[Person, datetime], Awaitable[Any]],
        *,
        status: int = 200,
    ) -> HttpAnswer:
        """One change. `make` raises a SekishoError where it is refused; then nothing has changed."""
        try:
            caller = await self._caller(request)
            person = person_of(caller)
        except SekishoError as fault:
            return problem_of(fault)
        kind: Any = "person" if caller.person else "caller"
        actor = Actor(kind=kind, id=caller.id, roles=sorted(person.roles))
        try:
            begun = await self._write(actor, change, "begun", request.peer)
            try:
                body = await make(person, self.clock())
            except SekishoError as fault:
                outcome: Outcome = "refused" if isinstance(fault, CallerRefusedError) else "failed"
                await self._write(actor, change, outcome, request.peer, of=begun, error=fault.code)
                return problem_of(fault)
            await self._write(actor, change, "done", request.peer, of=begun)
        except SekishoError as fault:
            return problem_of(fault)
        return _good(status, body)

    async def _write(  # noqa: PLR0913  # what an event says is much, and each has its name
        self,
        actor: Actor,
        change: Change,
        outcome: Outcome,
        peer: str | None,
        *,
        of: str | None = None,
        error: str | None = None,
    ) -> str:
        event = event_of(
            self.new_id(),
            self.clock(),
            actor,
            change.action,
            outcome,
            object=change.object,
            parameters=change.parameters,
            reason=change.reason,
            error=error,
            of=of,
            peer=peer,
        )
        await self.trail.append(event)
        return event.id


def _good(status: int, body: Any) -> HttpAnswer:
    return HttpAnswer(status, (JSON, NO_STORE), _encode(body))


def problem_of(fault: SekishoError) -> HttpAnswer:
    """The answer to what was refused or could not be done."""
    if isinstance(fault, DirectoryError):  # the database does not answer: ours, and it will come back
        fault = NotReadyError("the database does not answer")
    return audit_problem(fault)
