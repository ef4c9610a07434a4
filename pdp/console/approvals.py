"""What waits for this person: revisions, exceptions, and reviews after an emergency. Closing a review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.exceptions_page import STEPS as EXCEPTION_STEPS
from pdp.console.exceptions_page import ExceptionWords
from pdp.console.pages import Page
from pdp.console.policy_steps import OFFERED
from pdp.console.policy_words import PolicyWords
from pdp.console.words import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

MOST: Final = 30  # revisions that are looked at; what waits longer comes up when these are done
_PEOPLE: Final[frozenset[Role]] = frozenset({"author", "approver", "operator", "auditor"})
_REVIEWERS: Final[frozenset[Role]] = frozenset({"approver", "auditor"})

# The step for which a revision waits in this state, and whose it is to take.
_AWAITED: Final[Mapping[str, tuple[str, Role]]] = {
    "checked": ("submit", "author"),
    "in_review": ("approve", "approver"),
    "approved": ("activate", "operator"),
}


async def approvals(visit: Visit) -> Response:
    return await _page(visit)


async def close(visit: Visit) -> Response:
    path = f"/admin/v1/reviews/{visit.path['number']}/close"
    closed = await visit.send("POST", path, {"note": visit.field("note")})
    if closed.ok:
        return visit.go("/console/approvals", done="review")
    return await _page(visit, refused=closed)


async def awaited(visit: Visit) -> int:
    """How many revisions and exceptions wait for this very person; 0 where it cannot be said."""
    if visit.session.person.roles.isdisjoint(_PEOPLE):
        return 0
    asked = await visit.ask("/admin/v1/exceptions", state="asked")
    exceptions = [one for one in asked.data["exceptions"] if "grant" in one["may"]] if asked.ok else []
    return len(await _mine(visit)) + len(exceptions)


async def _page(visit: Visit, refused: Answer | None = None) -> Response:
    roles = visit.session.person.roles
    waiting = await _mine(visit)
    asked = await visit.ask("/admin/v1/exceptions", state="asked")
    reviews = await visit.ask("/admin/v1/reviews")
    bad = next((answer for answer in (asked, reviews) if not answer.ok), None)
    if bad is not None:
        return visit.page("problem.html", status=bad.status, answer=bad)
    return visit.page(
        "approvals.html",
        status=200 if refused is None else refused.status,
        waiting=waiting,
        exceptions=[one for one in asked.data["exceptions"] if "grant" in one["may"]],
        reviews=reviews.data["reviews"] if not _REVIEWERS.isdisjoint(roles) else [],
        refused=refused,
        steps=EXCEPTION_STEPS,
        policy=PolicyWords(visit.lang),
        words=ExceptionWords(visit.lang),
    )


async def _mine(visit: Visit) -> list[dict[str, Any]]:
    """Revisions that wait for this very person: nobody is shown their own work as waiting for their approval."""
    states = [state for state, (_, role) in _AWAITED.items() if role in visit.session.person.roles]
    if not states:
        return []
    answer = await visit.ask("/admin/v1/revisions", state=",".join(states), size=str(MOST))
    found = []
    for told in answer.data["revisions"] if answer.ok else []:
        one = await visit.ask(f"/admin/v1/revisions/{told['number']}")
        step = _AWAITED[told["state"]][0]
        if one.ok and step in one.data["may"]:
            found.append({**told, "step": OFFERED[step]})
    return found


PAGES: Final = (
    Page("approvals", approvals, _PEOPLE, N_("Waiting for you"), "policy"),
    Page("approvals/reviews/{number}", close, _REVIEWERS, method="POST"),
)
