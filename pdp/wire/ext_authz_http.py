"""Envoy's external authorization over HTTP: the status code is the decision.

Envoy (`envoy.filters.http.ext_authz` with `http_service`) sends the client's method and its path below a
prefix, without the body, and reads exactly 200 as an allow; any other status below 500 goes to the client as
the answer, and 5xx, a timeout or a broken connection become `status_on_error` (or an allow, where an operator
set `failure_mode_allow`). So a request that is refused is answered 4xx, never 5xx: it must stay a deny there
too. 503 is kept for the case in which there is no answer at all. What Envoy does was observed with 1.40.0.

The way of one request:
1. The gateway proves itself with `x-pdp-key`. Until then nothing else is read.
2. What it says is checked and decided as on every gateway's wire (`pdp.wire.gateway_check`).
3. The outcome becomes the answer: 200 stands in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from pdp.errors import BadRequestError, CallerRefusedError, NotReadyError
from pdp.wire.caller_credentials import read_gateway_credentials
from pdp.wire.exchange import HttpAnswer
from pdp.wire.gateway_check import GatewayCheck, Permitted, not_ready, unknown_caller
from pdp.wire.gateway_facts import FACTS, KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.wire.exchange import Decider, HttpRequest
    from pdp.wire.gateway_check import CheckSettings

WIRE: Final = "ext_authz_http"
PREFIX: Final = "/envoy"  # Envoy's `path_prefix`

_TAKE_OFF: Final = ("x-envoy-auth-headers-to-remove", ",".join((KEY, *FACTS)))


class ExtAuthzHttp:
    """The check endpoint. Answers every method; implements `pdp.wire.exchange.Handler`.

    The lane mounts it at `PREFIX + "/"`, hands it the whole raw path, and keeps the body back from a HEAD.
    """

    def __init__(
        self, decider: Decider, callers: Callers, settings: CheckSettings, profile: Callable[[], Profile]
    ) -> None:
        """`profile` is that of the active policy; it raises NotReadyError where none is active."""
        self._check = GatewayCheck(decider, settings, profile)
        self._callers = callers

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one check. Raises nothing that the decider does not."""
        # 1. The gateway, before anything else.
        try:
            caller = await self._callers.introduce(read_gateway_credentials(request))
        except CallerRefusedError as refused:
            return HttpAnswer(*unknown_caller(refused).answer())
        # 2.
        fault = None
        if not request.path.startswith(PREFIX + "/"):
            fault = BadRequestError("the path does not begin with the gateway's prefix")
        asked = replace(request, path=request.path.removeprefix(PREFIX))
        try:
            outcome = await self._check.check(asked, caller, wire=WIRE, fault=fault)
        except NotReadyError:
            return HttpAnswer(*not_ready().answer())
        # 3.
        return _allowed(outcome) if isinstance(outcome, Permitted) else HttpAnswer(*outcome.answer())


def _allowed(permitted: Permitted) -> HttpAnswer:
    """INVARIANT (one 200): the only place in which this wire can let a request through."""
    no_store = ("cache-control", "no-store")
    return HttpAnswer(200, (*permitted.answer_headers(), _TAKE_OFF, *permitted.client_headers(), no_store))
