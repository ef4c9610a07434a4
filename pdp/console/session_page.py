"""Who is logged in, for administrators; and what one's own session is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.console.pages import Page
from pdp.console.words import N_

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit
    from pdp.model.console import Role

_ADMINISTRATORS: Final[frozenset[Role]] = frozenset({"administrator"})


async def sessions(visit: Visit) -> Response:
    answer = await visit.ask("/admin/v1/sessions")
    return visit.page("sessions.html", status=200 if answer.ok else answer.status, answer=answer)


async def end(visit: Visit) -> Response:
    ended = await visit.send("DELETE", f"/admin/v1/sessions/{visit.path['number']}")
    if not ended.ok:
        return visit.page("problem.html", status=ended.status, answer=ended)
    return visit.go("/console/sessions")


async def own(visit: Visit) -> Response:
    return visit.page("own.html", permissions=sorted(visit.session.person.caller().permissions))


PAGES: Final = (
    Page("sessions", sessions, _ADMINISTRATORS, N_("Sessions"), "operation"),
    Page("sessions/{number}/end", end, _ADMINISTRATORS, method="POST"),
    Page("me", own),
)
