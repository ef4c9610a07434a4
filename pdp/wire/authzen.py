"""AuthZEN Authorization API 1.0, the whole of it: this module has the single evaluation and the routes.

Read in this order: `authzen_call` (what comes before every question), `authzen_entities` (its form),
`authzen_mapping` (what it asks of us), `authzen_answer`, then `authzen_batch`, `authzen_search` and
`authzen_metadata` for the other endpoints. docs/authzen.md is for callers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pdp.callers.caller import require_profile
from pdp.errors import NotReadyError
from pdp.steps import Recording
from pdp.wire.authzen_answer import decision_answer
from pdp.wire.authzen_batch import Evaluations
from pdp.wire.authzen_call import Reception, answered
from pdp.wire.authzen_entities import REQUIRED
from pdp.wire.authzen_metadata import ENDPOINTS, WELL_KNOWN, Metadata, well_known_path
from pdp.wire.authzen_readings import Readings
from pdp.wire.authzen_search import Search
from pdp.wire.dpop_nonce import nonce_offer
from pdp.wire.error_answer import error_answer
from pdp.wire.exchange import HttpAnswer, Promise

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.identity.nonces import Nonces
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest
    from pdp.wire.authzen_call import Call
    from pdp.wire.authzen_search import Searching
    from pdp.wire.exchange import Decider, Handler, HttpRequest


class Evaluation:
    """`POST /access/v1/evaluation`: one question, one answer (section 6)."""

    def __init__(
        self,
        reception: Reception,
        profile: Callable[[], Profile],
        readings: Readings,
        nonces: Nonces | None = None,
    ) -> None:
        self._reception = reception
        self._profile = profile
        self._readings = readings
        self._nonces = nonces

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        begun = self.begin(request)
        return await (answered(begun) if isinstance(begun, Promise) else begun)

    def begin(self, request: HttpRequest) -> Promise | Coroutine[Any, Any, HttpAnswer]:
        """As `PromptHandler` says."""
        return self._reception.begin(request, "decide", self._answer)

    def _answer(self, call: Call) -> Promise | Coroutine[Any, Any, HttpAnswer]:
        profile = require_profile(call.caller, self._profile())
        asked = self._readings.asked(call, profile)
        begun = self._reception.decider.begin(asked, call.caller)
        if isinstance(begun, Recording):
            return Promise(begun.kept, lambda: _recorded(begun, profile, call))
        return self._decided(begun, asked, profile, call)

    async def _decided(
        self, deciding: Coroutine[Any, Any, Decision], asked: AccessRequest, profile: Profile, call: Call
    ) -> HttpAnswer:
        decision = await deciding
        answer = decision_answer(decision, profile, call.caller, call.request_id)
        offer = nonce_offer(self._nonces, asked, decision)
        return answer if offer is None else HttpAnswer(answer.status, (*answer.headers, *offer.headers()), answer.body)


def _recorded(recording: Recording, profile: Profile, call: Call) -> HttpAnswer:
    try:
        return decision_answer(recording.decision(), profile, call.caller, call.request_id)
    except NotReadyError as fault:
        return error_answer(fault, request_id=call.request_id)


def authzen_routes(  # noqa: PLR0913  # the parts of one wire format
    decider: Decider,
    callers: Callers,
    *,
    profile: Callable[[], Profile],
    public_url: str,
    searching: Searching | None,
    nonces: Nonces | None = None,
) -> dict[str, Handler]:
    """Every endpoint by its raw path; without `searching` there are no search endpoints.

    `profile` is asked once for each call and may raise NotReadyError. Where `public_url` has a path, the
    endpoints stand below that path too, for a gateway that does not take it off. Raises SettingsError for
    a `public_url` that cannot be a PDP identifier.
    """
    reception, readings = Reception(decider, callers), Readings()
    by_path: dict[str, Handler] = {
        ENDPOINTS["access_evaluation_endpoint"]: Evaluation(reception, profile, readings, nonces),
        ENDPOINTS["access_evaluations_endpoint"]: Evaluations(reception, profile, readings),
    }
    if searching is not None:
        for kind in REQUIRED:
            by_path[ENDPOINTS[f"search_{kind}_endpoint"]] = Search(kind, reception, profile, searching)
    metadata = Metadata(public_url, search=searching is not None)
    below = {urlsplit(public_url).path + path: handler for path, handler in by_path.items()}
    return {**by_path, **below, WELL_KNOWN: metadata, well_known_path(public_url): metadata}
