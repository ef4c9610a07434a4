"""The data API of an OPA server, for clients that speak it already: `/v1/data/…`, `/v0/data/…` and `/health`.

A facade, and not an engine to play with: a client asks for the active policy's decision, and its question goes
the whole way of a decision (facts from the directory, cache, record). docs/gateways.md has the table of what is
answered and what is refused.

- `input` is the question in AuthZEN form (`subject`, `action`, `resource`, `context`), in both profiles: what a
  client says of people and devices is nobody's word, so a ready-made `pdp.input/v1` is no question.
- The document stands at the bundle's entry point (`/v1/data/pdp/decision`). It has `allow` beside the members of
  the verdict, and each member has its own path below (`…/decision/allow` is true or false).
- Every other path is undefined, as in OPA: `{}` without a `result`, which a client must take for a deny.
- An `input` that is no question is a recorded deny, as a policy of OPA would have it, and not an error.

INVARIANT (one door): `allow` is written from `Verdict.permits`, in `_document` and nowhere else.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from pdp import __version__
from pdp.errors import (
    BadRequestError,
    CallerRefusedError,
    NotAuthenticatedError,
    NotPermittedError,
    NotReadyError,
    PayloadTooLargeError,
    SekishoError,
    TooManyRequestsError,
)
from pdp.model.decision import BAD_INPUT, Outcome
from pdp.wire.authzen_call import Call, require
from pdp.wire.authzen_mapping import access_request
from pdp.wire.cache_control import wants_fresh
from pdp.wire.error_answer import CHALLENGE, JSON, echo, request_id_of, told
from pdp.wire.exchange import HttpAnswer, Refusal
from pdp.wire.opa_question import ABSENT, V0, V1, RefusedError, UndefinedError, input_of, member_of, parameters_of
from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision
    from pdp.wire.exchange import Decider, HttpRequest

WIRE: Final = "opa"
HEALTH: Final = "/health"
# Paths of an OPA server that change it or ask it anything; here policies are published with a second person's word.
CLOSED: Final = ("/v1/policies", "/v1/query", "/v1/compile", "/v1/config", "/v1/status")

_NO_INPUT: Final = {"code": "api_usage_warning", "message": "'input' key missing from the request"}
_encode: Final = msgspec.json.Encoder().encode


class Probe(Protocol):
    """One thing that must be well before decisions are answered."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...


class OpaData:
    """The handler of `V1`, `V0` and everything below them.

    `admit` says which caller this is, or raises CallerRefusedError; it is asked before anything is read.
    """

    def __init__(
        self, decider: Decider, admit: Callable[[HttpRequest], Awaitable[Caller]], bundle: Callable[[], Bundle]
    ) -> None:
        self._decider = decider
        self._admit = admit
        self._bundle = bundle

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Raises only what is a bug."""
        begun_ns = perf_counter_ns()
        request_id = request_id_of(request)
        caller: Caller | None = None
        try:
            caller = await self._admit(request)
            require(caller, "opa_api")
            if max(len(request.body), len(request.query)) > caller.limits.body_bytes:
                raise PayloadTooLargeError(
                    f"the question is larger than this caller's {caller.limits.body_bytes} bytes"
                )
            return await self._answer(request, caller, request_id, begun_ns)
        except RefusedError as refused:
            return _error(refused.status, refused.code, refused.message, request_id)
        except TooManyRequestsError as fault:
            answer = _error(fault.status, fault.code, fault.message, request_id)
            return replace(answer, headers=(*answer.headers, ("retry-after", str(fault.retry_after_s))))
        except CallerRefusedError as fault:
            answer = _error(fault.status, "unauthorized", fault.message, request_id)
            headers = (*answer.headers, CHALLENGE) if isinstance(fault, NotAuthenticatedError) else answer.headers
            return replace(answer, headers=headers)
        except BadRequestError as fault:  # two credentials, or a question that is too large
            return _error(fault.status, "invalid_parameter", told(fault), request_id)
        except NotReadyError as fault:
            return _error(fault.status, "internal_error", told(fault), request_id)

    async def _answer(self, request: HttpRequest, caller: Caller, request_id: str | None, begun_ns: int) -> HttpAnswer:
        if request.method not in ("GET", "POST"):
            return HttpAnswer(405, (("allow", "GET, POST"), *echo(request_id, None)))
        raw = request.path.startswith(V0)
        parameters = parameters_of(request)
        bundle = self._bundle()
        given = input_of(request, parameters, raw=raw)
        try:
            member = member_of(request.path, bundle.entrypoint)
            decision_id, document = await self._decided(given, request, caller, request_id, bundle)
            result = document if member is None else document.get(member, ABSENT)
        except UndefinedError as undefined:
            fault = BadRequestError(f"no such document: `{str(undefined)[:128]}`")
            decision_id, result = await self._refused(fault, request, caller, request_id), ABSENT
        if raw:
            return self._raw(request, result, request_id, decision_id)
        body: dict[str, Any] = {"decision_id": decision_id}
        if "provenance" in parameters:
            body["provenance"] = _provenance(bundle)
        if parameters.keys() & {"metrics", "instrument"}:
            body["metrics"] = {"timer_server_handler_ns": perf_counter_ns() - begun_ns}
        if parameters.get("explain", "off") != "off":
            body["explanation"] = []
        if given is ABSENT and request.method == "POST":
            body["warning"] = _NO_INPUT
        if result is not ABSENT:
            body["result"] = result
        encoded = _encode(body)
        if "pretty" in parameters:
            encoded = msgspec.json.format(encoded, indent=2) + b"\n"
        return HttpAnswer(200, (JSON, *echo(request_id, decision_id)), encoded)

    def _raw(self, request: HttpRequest, result: Any, request_id: str | None, decision_id: str) -> HttpAnswer:
        """Version 0: the result alone, and 404 where there is none."""
        if result is ABSENT:
            name = request.path.removeprefix(V0).strip("/").replace("/", ".")
            answer = _error(404, "undefined_document", f"document undefined: data.{name[:128]}", request_id)
            return replace(answer, headers=(*answer.headers, ("x-decision-id", decision_id)))
        return HttpAnswer(200, (JSON, *echo(request_id, decision_id)), _encode(result))

    async def _decided(
        self, given: Any, request: HttpRequest, caller: Caller, request_id: str | None, bundle: Bundle
    ) -> tuple[str, dict[str, Any]]:
        """(the decision's id, the document at the entry point). Raises NotPermittedError and NotReadyError."""
        fresh = caller.may("bypass_cache") and wants_fresh(request.single("cache-control"))
        call = Call(caller, request_id, trace_id_of(request.single("traceparent")), request.body, fresh=fresh)
        try:
            asked = replace(access_request(_question(given), bundle.profile, call, "/input"), wire=WIRE)
        except NotPermittedError as fault:
            await self._refused(fault, request, caller, request_id)
            raise
        except BadRequestError as fault:
            decision_id = await self._refused(fault, request, caller, request_id)
            return decision_id, {"allow": False, "outcome": Outcome.DENY, "reasons": [BAD_INPUT], "obligations": {}}
        decision = await self._decider.decide(asked, caller)
        return decision.id, _document(decision)

    async def _refused(self, fault: SekishoError, request: HttpRequest, caller: Caller, request_id: str | None) -> str:
        refusal = Refusal(fault=fault, wire=WIRE, request_id=request_id, body_bytes=len(request.body))
        return await self._decider.refuse(refusal, caller)


class OpaHealth:
    """`GET /health`: 200 `{}` where decisions are answered, as load balancers in front of an OPA ask for it."""

    def __init__(self, readiness: Callable[[], Sequence[Probe]]) -> None:
        self._readiness = readiness

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "GET":
            return HttpAnswer(405, (("allow", "GET"),))
        missing = [probe.name for probe in self._readiness() if not probe.ok]
        if not missing:
            return HttpAnswer(200, (JSON,), b"{}")
        return HttpAnswer(500, (JSON,), _encode({"error": f"not ready: {', '.join(missing)}"}))


async def closed(request: HttpRequest) -> HttpAnswer:
    """What an OPA server would let its clients change or ask: not here, whoever calls."""
    message = "this service publishes policies with `pdp bundle`, and answers decisions only"
    return _error(404, "resource_not_found", message, request_id_of(request))


def _question(given: Any) -> dict[str, Any]:
    if type(given) is not dict:
        raise BadRequestError("must be an object with `subject`, `action` and `resource`", pointer="/input")
    return given


def _document(decision: Decision) -> dict[str, Any]:
    verdict = decision.verdict
    document: dict[str, Any] = {
        "allow": verdict.permits,
        "outcome": verdict.outcome,
        "reasons": verdict.reasons,
        "obligations": verdict.obligations,
    }
    if verdict.required_auth_level is not None:
        document["required_auth_level"] = verdict.required_auth_level
    if verdict.context is not None:
        document["context"] = verdict.context
    return document


def _provenance(bundle: Bundle) -> dict[str, Any]:
    """`version` is ours: a client that compares it with releases of OPA compares the wrong thing."""
    return {
        "version": f"sekisho-{__version__}",
        "build_commit": "",
        "build_timestamp": "",
        "build_hostname": "",
        "bundles": {"sekisho": {"revision": bundle.revision}},
    }


def _error(status: int, code: str, message: str, request_id: str | None) -> HttpAnswer:
    return HttpAnswer(status, (JSON, *echo(request_id, None)), _encode({"code": code, "message": message}))


def opa_routes(
    decider: Decider,
    admit: Callable[[HttpRequest], Awaitable[Caller]],
    bundle: Callable[[], Bundle],
    readiness: Callable[[], Sequence[Probe]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(handlers by exact path, handlers by prefix) of the facade."""
    data = OpaData(decider, admit, bundle)
    exact: dict[str, Any] = {V1: data, V0: data, HEALTH: OpaHealth(readiness), **dict.fromkeys(CLOSED, closed)}
    prefixes = {f"{V1}/": data, f"{V0}/": data, **{f"{path}/": closed for path in CLOSED}}
    return exact, prefixes
