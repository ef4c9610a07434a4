"""AuthZEN Authorization API 1.0, the whole of it: this module has the single evaluation and the routes.

Read in this order: `authzen_call` (what comes before every question), `authzen_entities` (its form),
`authzen_mapping` (what it asks of us), `authzen_answer`, then `authzen_batch`, `authzen_search` and
`authzen_metadata` for the other endpoints. docs/authzen.md is for callers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pdp.callers.caller import require_profile
from pdp.wire.authzen_answer import decision_answer
from pdp.wire.authzen_batch import Evaluations
from pdp.wire.authzen_call import Reception
from pdp.wire.authzen_entities import REQUIRED
from pdp.wire.authzen_metadata import ENDPOINTS, WELL_KNOWN, Metadata, well_known_path
from pdp.wire.authzen_readings import Readings
from pdp.wire.authzen_search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.wire.authzen_call import Call
    from pdp.wire.authzen_search import Searching
    from pdp.wire.exchange import Decider, Handler, HttpAnswer, HttpRequest


class Evaluation:
    """`POST /access/v1/evaluation`: one question, one answer (section 6)."""

    def __init__(self, reception: Reception, profile: Callable[[], Profile], readings: Readings) -> None:
        self._reception = reception
        self._profile = profile
        self._readings = readings

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        return await self._reception.serve(request, "decide", self._answer)

    async def _answer(self, call: Call) -> HttpAnswer:
        profile = require_profile(call.caller, self._profile())
        decision = await self._reception.decider.decide(self._readings.asked(call, profile), call.caller)
        return decision_answer(decision, profile, call.caller, call.request_id)


def authzen_routes(
    decider: Decider,
    callers: Callers,
    *,
    profile: Callable[[], Profile],
    public_url: str,
    searching: Searching | None,
) -> dict[str, Handler]:
    """Every endpoint by its raw path; without `searching` there are no search endpoints.

    `profile` is asked once for each call and may raise NotReadyError. Where `public_url` has a path, the
    endpoints stand below that path too, for a gateway that does not take it off. Raises SettingsError for
    a `public_url` that cannot be a PDP identifier.
    """
    reception, readings = Reception(decider, callers), Readings()
    by_path: dict[str, Handler] = {
        ENDPOINTS["access_evaluation_endpoint"]: Evaluation(reception, profile, readings),
        ENDPOINTS["access_evaluations_endpoint"]: Evaluations(reception, profile, readings),
    }
    if searching is not None:
        for kind in REQUIRED:
            by_path[ENDPOINTS[f"search_{kind}_endpoint"]] = Search(kind, reception, profile, searching)
    metadata = Metadata(public_url, search=searching is not None)
    below = {urlsplit(public_url).path + path: handler for path, handler in by_path.items()}
    return {**by_path, **below, WELL_KNOWN: metadata, well_known_path(public_url): metadata}
