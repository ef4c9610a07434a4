"""The audit trail: who asked what, and who did what at the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.console.pages import Page
from pdp.console.trail_words import TrailWords
from pdp.console.words import N_
from pdp.trail.event import ACTIONS

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit

SIZE: Final = 50


async def trail(visit: Visit) -> Response:
    names = ("actor", "action", "outcome")
    given = {name: visit.one(name) for name in names}
    answer = await visit.ask("/audit/v1/trail", **given, before=visit.one("before"), size=str(SIZE))
    return visit.page(
        "trail.html",
        status=200 if answer.ok else answer.status,
        answer=answer,
        given=given,
        actions=sorted(ACTIONS),
        outcomes=("done", "refused", "failed", "begun"),
        before=visit.one("before"),
        trail=TrailWords(visit.lang),
    )


PAGES: Final = (Page("trail", trail, frozenset({"auditor", "administrator"}), N_("Audit trail"), "log"),)
