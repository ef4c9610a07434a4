"""The one way of every request: who asks, then the answer, written down before its first byte leaves.

INVARIANT (written down first): the event is on the disk of the trail before the answer is given; where it cannot be,
there is no answer. Refusals and failures are events too. Only who is nobody is not written down: the trail would be
anybody's to fill.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # a dataclass' field
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pdp.audit.metrics import NoWatch, Watch  # a dataclass' field
from pdp.audit.problem import NO_STORE, audit_problem
from pdp.audit.sight import roles_of
from pdp.errors import BadRequestError, CallerRefusedError, RecordFailedError, SekishoError, UnsupportedMediaError
from pdp.strict_json import parse_json
from pdp.trail.event import Actor, event_of
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pdp.audit.question import Lang
    from pdp.callers.caller import Caller
    from pdp.trail.event import Action, Event, Outcome
    from pdp.trail.keeping import TrailWriter
    from pdp.wire.exchange import HttpRequest

MAX_BODY: Final = 64 * 1024  # a statement has at most 10,000 characters
_OK: Final = 200


@dataclass(slots=True)
class Entry:
    """What will be written down of one request; filled as it becomes known."""

    actor: Actor
    action: Action
    peer: str | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    object: str | None = None
    reason: str | None = None
    rows: int | None = None
    answer_sha256: str | None = None
    begun: float = 0.0  # as the watch has it


@dataclass(frozen=True)
class Reception:
    """`introduce`: who calls. `clock`: aware times. `new_id`: uuid7. `watch`: what counts."""

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    trail: TrailWriter
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    watch: Watch = field(default_factory=NoWatch)

    async def served(
        self, request: HttpRequest, action: Action, serve: Callable[[Caller, Entry], Awaitable[bytes]]
    ) -> HttpAnswer:
        """One request. `serve` gives the answer's JSON, or raises a SekishoError; nothing of it is told before."""
        try:
            caller, entry = await self.entry(request, action)
        except SekishoError as fault:
            return audit_problem(fault)
        try:
            body = await serve(caller, entry)
        except SekishoError as fault:
            return await self.unanswered(entry, fault)
        try:
            await self.record(entry, "done")
        except RecordFailedError as fault:
            return audit_problem(fault)
        return HttpAnswer(_OK, (JSON, NO_STORE), body)

    async def entry(self, request: HttpRequest, action: Action) -> tuple[Caller, Entry]:
        """Raises as `introduce`."""
        begun = self.watch.begun()
        caller = await self.introduce(request)
        return caller, Entry(actor_of(caller), action, request.peer, begun=begun)

    async def unanswered(self, entry: Entry, fault: SekishoError) -> HttpAnswer:
        """The answer to what may not be asked, or could not be answered."""
        outcome: Outcome = "refused" if isinstance(fault, CallerRefusedError) else "failed"
        try:
            await self.record(entry, outcome, error=fault.code)
        except RecordFailedError as lost:
            return audit_problem(lost)
        return audit_problem(fault)

    async def record(self, entry: Entry, outcome: Outcome, *, error: str | None = None, of: str | None = None) -> Event:
        """Raises RecordFailedError."""
        event = event_of(
            self.new_id(),
            self.clock(),
            entry.actor,
            entry.action,
            outcome,
            object=entry.object,
            parameters=entry.parameters,
            reason=entry.reason,
            rows=entry.rows,
            answer_sha256=entry.answer_sha256,
            error=error,
            of=of,
            peer=entry.peer,
        )
        try:
            await self.trail.append(event)
        except RecordFailedError:
            self.watch.ended(_counted(entry.actor), entry.action, "failed", entry.begun, None)
            raise
        if outcome != "begun":
            self.watch.ended(_counted(entry.actor), entry.action, outcome, entry.begun, entry.rows)
        return event


def actor_of(caller: Caller) -> Actor:
    return Actor(kind="person" if caller.person else "caller", id=caller.id, roles=roles_of(caller))


def _counted(actor: Actor) -> str:
    """By what metrics name whoever asked: no label holds a person."""
    return "-console" if actor.kind == "person" else actor.id


def body_of(request: HttpRequest) -> dict[str, Any]:
    """A JSON object. Raises BadRequestError and UnsupportedMediaError."""
    media = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMediaError("the body is not `application/json`")
    found = parse_json(request.body)
    if not isinstance(found, dict):
        raise BadRequestError("the body is not a JSON object")
    return found


def language_of(request: HttpRequest) -> Lang:
    """By `Accept-Language`: the first of the two that stands there; Japanese where neither does."""
    try:
        wanted = request.header("accept-language") or ""
    except BadRequestError:
        return "ja"
    for part in wanted.split(",")[:16]:
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        if tag in ("ja", "en"):
            return "ja" if tag == "ja" else "en"
    return "ja"
