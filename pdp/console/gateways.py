"""Gateways and other callers: what each may do, its credentials, and what it asked lately."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.console.decisions import READERS
from pdp.console.pages import Page
from pdp.console.words import N_, moment

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit

SOON: Final = timedelta(days=30)  # a key that ends within is told


async def gateways(visit: Visit) -> Response:
    answer = await visit.ask("/admin/v1/callers")
    asked = await _asked(visit)
    callers: list[dict[str, Any]] = answer.data["callers"] if answer.ok else []
    for caller in callers:
        ends = [end for key in caller["keys"] if key["counts"] and (end := moment(key["expires_at"])) is not None]
        live = [key for key in caller["keys"] if key["counts"]]
        bound = [binding for binding in caller["bindings"] if binding["revoked_at"] is None]
        caller["live_keys"], caller["live_bindings"] = len(live), len(bound)
        caller["ends"] = min(ends, default=None) if len(ends) == len(live) else None
        caller["soon"] = caller["ends"] is not None and caller["ends"] - visit.now < SOON
        caller["asked"] = asked.get(caller["id"], {})
    return visit.page("gateways.html", status=200 if answer.ok else answer.status, answer=answer, callers=callers)


async def _asked(visit: Visit) -> dict[str, dict[str, int]]:
    """Decisions of the last 24 hours by caller and outcome."""
    until = visit.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    window = {"since": (until - timedelta(hours=24)).isoformat(), "until": until.isoformat()}
    answer = await visit.ask("/audit/v1/decisions/groups", **window, by="caller,outcome")
    found: dict[str, dict[str, int]] = {}
    for row in answer.data["groups"] if answer.ok else []:
        found.setdefault(str(row["caller"]), {})[row["outcome"]] = row["decisions"]
    return found


PAGES: Final = (Page("gateways", gateways, READERS, N_("Gateways and callers"), "register"),)
