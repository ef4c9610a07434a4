"""Exceptions and declarations of a disaster over HTTP. Each method is one path; `routes.py` says which."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from pdp.declog.marks import rfc3339
from pdp.errors import BadRequestError
from pdp.governance.asking import Members, number_in, query_of
from pdp.governance.desk import Asked
from pdp.governance.reception import Change, Reception
from pdp.revisions.exceptions import Kind, Scope, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.revisions.exceptions import Exceptions, Exemption
    from pdp.revisions.person import Person
    from pdp.wire.exchange import HttpAnswer, HttpRequest

_KINDS: Final = get_args(Kind)
_STATES: Final = frozenset(get_args(State))


@dataclass(frozen=True)
class ExceptionsDesk:
    """`tell` is called with the directory's epoch where it was changed: the workers then look at once."""

    reception: Reception
    exceptions: Exceptions
    tell: Callable[[int], None]

    async def all(self, request: HttpRequest) -> HttpAnswer:
        async def show(person: Person) -> Any:
            asked = Members(query_of(request))
            states = states_in(asked.maybe_text("state") or "")
            asked.done()
            found = await asyncio.to_thread(self.exceptions.all, self.reception.clock(), states)
            may = self.exceptions.may
            return {
                "exceptions": [
                    {**exemption_told(one.exemption), "in_force": one.in_force, "may": list(may(person, one.exemption))}
                    for one in found
                ]
            }

        return await self.reception.shown(request, show)

    async def ask(self, request: HttpRequest) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            one = _asked_for(asked.members())
            ask = self.exceptions.ask
            made = await asyncio.to_thread(
                lambda: ask(person, one.kind, one.scope, starts=one.starts, ends=one.ends, reason=one.reason, now=now)
            )
            return exemption_told(made)

        return await self.reception.changed(request, Change("exception.ask", None, asked.reason), make, status=201)

    def decide(self, step: str) -> Callable[[HttpRequest, str], Any]:
        """The paths of `grant`, `refuse`, `withdraw` and `end`."""

        async def answer(request: HttpRequest, exception: str) -> HttpAnswer:
            asked = Asked(request)

            async def make(person: Person, now: datetime) -> Any:
                said = asked.members()
                note = said.text("note")
                said.done()
                found = await asyncio.to_thread(getattr(self.exceptions, step), person, number_in(exception), note, now)
                if isinstance(found, tuple):
                    found, epoch = found
                    self.tell(epoch)
                return exemption_told(found)

            action: Any = f"exception.{step}"
            change = Change(action, f"exception {exception}"[:64], asked.reason)
            return await self.reception.changed(request, change, make)

        return answer


class AskedFor(NamedTuple):
    """What somebody asks for, as the register takes it."""

    kind: Kind
    scope: Scope
    starts: datetime
    ends: datetime
    reason: str


def asked_for(said: Mapping[str, Any]) -> AskedFor:
    """What these members of a request ask for. Raises BadRequestError."""
    return _asked_for(Members(said))


def _asked_for(said: Members) -> AskedFor:
    kind: Any = said.text("kind")
    if kind not in _KINDS:
        raise BadRequestError(f"`kind` is one of {', '.join(_KINDS)}", pointer="/kind")
    reason, starts, ends = said.text("reason"), said.time("starts"), said.time("ends")
    scope = Scope(said.texts("users"), said.texts("devices"), said.texts("resources"))
    said.done()
    return AskedFor(kind, scope, starts, ends, reason)


def states_in(text: str) -> list[State]:
    """States with commas between them; none: all. Raises BadRequestError."""
    states: list[Any] = [word for word in text.split(",") if word]
    if unknown := [word for word in states if word not in _STATES]:
        raise BadRequestError(f"there is no state `{unknown[0][:32]}`")
    return states


def exemption_told(one: Exemption) -> dict[str, Any]:
    """Plain JSON values."""
    values = asdict(one)
    scope = values.pop("scope")
    plain = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
    return {**plain, **{name: list(names) for name, names in scope.items()}}
