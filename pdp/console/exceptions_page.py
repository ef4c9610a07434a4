"""例外措置 and 災害時運用: what there is, asking for one, and granting, refusing, taking back or ending one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.console.pages import Page, Step
from pdp.console.words import N_, say
from pdp.console.written import in_japan
from pdp.revisions.exceptions import LONGEST, Kind, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.console.words import Lang
    from pdp.model.console import Role

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STATES: Final[tuple[State, ...]] = get_args(State)
_ASKERS: Final[frozenset[Role]] = frozenset({"author", "operator"})
_DECIDERS: Final[frozenset[Role]] = frozenset({"author", "operator", "approver"})
_NO_PAGE: Final = 404
_BETWEEN: Final = re.compile(r"[\s,、，]+")

_KINDS: Final[Mapping[str, str]] = {
    "disaster": N_("Declaration of a disaster"),
    "work": N_("Work permit"),
    "device": N_("Permit for a private device"),
}
_STATES: Final[Mapping[str, str]] = {
    "asked": N_("Waiting for approval"),
    "granted": N_("Approved"),
    "refused": N_("Refused"),
    "withdrawn": N_("Taken back"),
    "ended": N_("Ended early"),
}


STEPS: Final[Mapping[str, Step]] = {
    step.word: step
    for step in (
        Step("grant", N_("Approve"), N_("It counts from its beginning to its end, and ends by itself.")),
        Step("refuse", N_("Refuse"), N_("It never counts. Whoever asked sees the reason.")),
        Step("withdraw", N_("Take back"), N_("It never counts.")),
        Step("end", N_("End now"), N_("It counts no longer, on every worker within a second."), grave=True),
    )
}


class ExceptionWords:
    """One language's words."""

    def __init__(self, lang: Lang) -> None:
        self._lang: Final = lang

    def kind(self, kind: str) -> str:
        return say(self._lang, _KINDS.get(kind, kind))

    def state(self, state: str) -> str:
        return say(self._lang, _STATES.get(state, state))


async def exceptions(visit: Visit) -> Response:
    state = visit.one("state") if visit.one("state") in STATES else ""
    answer = await visit.ask("/admin/v1/exceptions", state=state)
    return visit.page(
        "exceptions.html",
        status=200 if answer.ok else answer.status,
        answer=answer,
        state=state,
        states=STATES,
        steps=STEPS,
        kinds=KINDS if not _ASKERS.isdisjoint(visit.session.person.roles) else (),
        words=ExceptionWords(visit.lang),
    )


async def new(visit: Visit) -> Response:
    return _new(visit, visit.one("kind"))


async def make(visit: Visit) -> Response:
    kind = visit.field("kind")
    body = {name: visit.field(name) for name in ("kind", "reason")}
    times = {name: in_japan(visit.field(name)) for name in ("starts", "ends")}
    names = {name: _names(visit.field(name)) for name in ("users", "devices", "resources")}
    made = await visit.send("POST", "/admin/v1/exceptions", {**body, **times, **names})
    if made.ok:
        return visit.go("/console/exceptions", done="ask")
    return _new(visit, kind, refused=made)


def _new(visit: Visit, kind: str, refused: Answer | None = None) -> Response:
    chosen: Kind = kind if kind in KINDS else "work"
    return visit.page(
        "exception_new.html",
        status=200 if refused is None else refused.status,
        kind=chosen,
        kinds=KINDS,
        days=LONGEST[chosen].days,
        refused=refused,
        given={name: visit.field(name) for name in ("reason", "starts", "ends", "users", "devices", "resources")},
        words=ExceptionWords(visit.lang),
    )


def _names(text: str) -> list[str]:
    """Ids as people write them: one a line, or with blanks or commas between."""
    return [name for name in _BETWEEN.split(text) if name]


async def ask(visit: Visit) -> Response:
    """The form, before anything is decided."""
    return await _decision(visit)


async def decide(visit: Visit) -> Response:
    step = visit.path["step"]
    if step not in STEPS:
        return visit.page("problem.html", status=_NO_PAGE, answer=None)
    number = visit.path["number"]
    done = await visit.send("POST", f"/admin/v1/exceptions/{number}/{step}", {"note": visit.field("note")})
    if done.ok:
        return visit.go("/console/exceptions", done=step)
    return await _decision(visit, refused=done)


async def _decision(visit: Visit, refused: Answer | None = None) -> Response:
    step = STEPS.get(visit.path["step"])
    answer = await visit.ask("/admin/v1/exceptions")
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    found = [one for one in answer.data["exceptions"] if str(one["id"]) == visit.path["number"]]
    if step is None or not found:
        return visit.page("problem.html", status=_NO_PAGE, answer=refused)
    one: dict[str, Any] = found[0]
    return visit.page(
        "exception_step.html",
        status=200 if refused is None else refused.status,
        one=one,
        step=step,
        may=step.word in one["may"],
        refused=refused,
        note=visit.field("note"),
        words=ExceptionWords(visit.lang),
    )


PAGES: Final = (
    Page("exceptions", exceptions, title=N_("Exceptions and disasters"), group="policy"),
    Page("exceptions/new", new, _ASKERS),
    Page("exceptions/new", make, _ASKERS, method="POST"),
    Page("exceptions/{number}/{step}", ask, _DECIDERS),
    Page("exceptions/{number}/{step}", decide, _DECIDERS, method="POST"),
)
