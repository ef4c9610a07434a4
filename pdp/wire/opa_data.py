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

import re
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

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
from pdp.strict_json import parse_json
from pdp.wire.authzen_call import Call, require
from pdp.wire.authzen_mapping import access_request
from pdp.wire.cache_control import wants_fresh
from pdp.wire.error_answer import CHALLENGE, JSON, echo, is_request_id, told
from pdp.wire.exchange import HttpAnswer, Refusal
from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.callers.caller import Caller
    from pdp.model.decision import Decision
    from pdp.wire.exchange import Decider, HttpRequest

    Parameters = Mapping[str, str]

WIRE: Final = "opa"
V1: Final = "/v1/data"
V0: Final = "/v0/data"
HEALTH: Final = "/health"
# Paths of an OPA server that change it or ask it anything; here policies are published with a second person's word.
CLOSED: Final = ("/v1/policies", "/v1/query", "/v1/compile", "/v1/config", "/v1/status")

_SEGMENTS: Final = re.compile(
    r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?", re.ASCII
)  # no escapes: none of our names needs one
_MAX_QUERY: Final = 256 * 1024  # characters; `GET …?input=` carries a whole question
_MAX_PARAMETERS: Final = 32
_PARAMETERS: Final = frozenset(
    {"pretty", "metrics", "instrument", "provenance", "explain", "strict-builtin-errors", "input", "bundles", "plugins"}
)
_EXPLANATIONS: Final = ("off", "notes")  # no policy of ours writes notes; the others would need OPA's own tracer
_NO_INPUT: Final = {"code": "api_usage_warning", "message": "'input' key missing from the request"}
_ABSENT: Final[Any] = object()
_encode: Final = msgspec.json.Encoder().encode


class Probe(Protocol):
    """One thing that must be well before decisions are answered."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...


class _UndefinedError(Exception):
    """There is no such document."""


class _RefusedError(Exception):
    """OPA's own form of an error: a code that its clients know."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


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
        request_id = _request_id(request)
        caller: Caller | None = None
        try:
            caller = await self._admit(request)
            require(caller, "opa_api")
            if max(len(request.body), len(request.query)) > caller.limits.body_bytes:
                raise PayloadTooLargeError(
                    f"the question is larger than this caller's {caller.limits.body_bytes} bytes"
                )
            return await self._answer(request, caller, request_id, begun_ns)
        except _RefusedError as refused:
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
        parameters = _parameters(request)
        bundle = self._bundle()
        given = _input(request, parameters, raw=raw)
        try:
            member = _member(request.path, bundle.entrypoint)
            decision_id, document = await self._decided(given, request, caller, request_id, bundle)
            result = document if member is None else document.get(member, _ABSENT)
        except _UndefinedError as undefined:
            fault = BadRequestError(f"no such document: `{str(undefined)[:128]}`")
            decision_id, result = await self._refused(fault, request, caller, request_id), _ABSENT
        if raw:
            return self._raw(request, result, request_id, decision_id)
        body: dict[str, Any] = {"decision_id": decision_id}
        if "provenance" in parameters:
            body["provenance"] = _provenance(bundle)
        if parameters.keys() & {"metrics", "instrument"}:
            body["metrics"] = {"timer_server_handler_ns": perf_counter_ns() - begun_ns}
        if parameters.get("explain", "off") != "off":
            body["explanation"] = []
        if given is _ABSENT and request.method == "POST":
            body["warning"] = _NO_INPUT
        if result is not _ABSENT:
            body["result"] = result
        encoded = _encode(body)
        if "pretty" in parameters:
            encoded = msgspec.json.format(encoded, indent=2) + b"\n"
        return HttpAnswer(200, (JSON, *echo(request_id, decision_id)), encoded)

    def _raw(self, request: HttpRequest, result: Any, request_id: str | None, decision_id: str) -> HttpAnswer:
        """Version 0: the result alone, and 404 where there is none."""
        if result is _ABSENT:
            name = request.path.removeprefix(V0).strip("/").replace("/", ".")
            answer = _error(404, "undefined_document", f"document undefined: data.{name[:128]}", request_id)
            return replace(answer, headers=(*answer.headers, ("x-decision-id", decision_id)))
        return HttpAnswer(200, (JSON, *echo(request_id, decision_id)), _encode(result))

    async def _decided(
        self, given: Any, request: HttpRequest, caller: Caller, request_id: str | None, bundle: Bundle
    ) -> tuple[str, dict[str, Any]]:
        """(the decision's id, the document at the entry point). Raises NotPermittedError and NotReadyError."""
        fresh = caller.may("bypass_cache") and wants_fresh(_single(request, "cache-control"))
        call = Call(caller, request_id, trace_id_of(_single(request, "traceparent")), request.body, fresh=fresh)
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
    return _error(404, "resource_not_found", message, _request_id(request))


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


def _member(path: str, entrypoint: str) -> str | None:
    """Which member of the document the path names; None: the whole. Raises _UndefinedError."""
    below = path.removeprefix(V0).removeprefix(V1)
    if _SEGMENTS.fullmatch(below) is None:
        raise _UndefinedError(below)
    names, own = below.strip("/").split("/"), entrypoint.split("/")
    if names[: len(own)] != own or len(names) > len(own) + 1:
        raise _UndefinedError(below)
    return names[len(own)] if len(names) > len(own) else None


def _parameters(request: HttpRequest) -> Parameters:
    """The query parameters that count; one that is `false` is as good as absent. Raises _RefusedError."""
    if len(request.query) > _MAX_QUERY:
        raise _RefusedError(400, "invalid_parameter", "the query is too long")
    try:
        pairs = parse_qsl(
            request.query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS, encoding="utf-8"
        )
    except ValueError:
        raise _RefusedError(400, "invalid_parameter", "the query parameters cannot be read") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS or name in found:
            what = "stands twice" if name in found else "is not supported"
            raise _RefusedError(400, "invalid_parameter", f"the query parameter `{name[:64]}` {what}")
        found[name] = value
    if found.get("explain", "off") not in _EXPLANATIONS:
        raise _RefusedError(400, "invalid_parameter", "`explain` may be `off` or `notes`; see `pdp replay`")
    return {name: value for name, value in found.items() if name in ("explain", "input") or value.lower() != "false"}


def _input(request: HttpRequest, parameters: Parameters, *, raw: bool) -> Any:
    """The `input`, or _ABSENT. Raises _RefusedError for what is no JSON, as OPA does."""
    if request.method == "GET":
        text = parameters.get("input")
        return _ABSENT if text is None or raw else _parsed(text.encode())
    if "input" in parameters:
        raise _RefusedError(400, "invalid_parameter", "`input` belongs into the body of a POST")
    if (coding := _single(request, "content-encoding")) not in (None, "", "identity"):
        raise _RefusedError(
            415, "invalid_parameter", f"the content coding `{str(coding)[:32]}` is not read; send plain JSON"
        )
    if not request.body.strip():
        return _ABSENT
    body = _parsed(request.body)
    if raw:
        return body
    if type(body) is not dict:
        raise _RefusedError(400, "invalid_parameter", "body contains malformed input document: it must be an object")
    return body.get("input", _ABSENT)


def _parsed(text: bytes) -> Any:
    try:
        return parse_json(text)
    except PayloadTooLargeError as fault:
        raise _RefusedError(fault.status, "invalid_parameter", told(fault)) from None
    except BadRequestError as fault:
        message = f"body contains malformed input document: {told(fault)}"
        raise _RefusedError(400, "invalid_parameter", message) from None


def _provenance(bundle: Bundle) -> dict[str, Any]:
    """`version` is ours: a client that compares it with releases of OPA compares the wrong thing."""
    return {
        "version": f"sekisho-{__version__}",
        "build_commit": "",
        "build_timestamp": "",
        "build_hostname": "",
        "bundles": {"sekisho": {"revision": bundle.revision}},
    }


def _single(request: HttpRequest, name: str) -> str | None:
    """The header's value; None where it is absent or stands more than once, which is then nobody's word."""
    values = [value for known, value in request.headers if known == name]
    return values[0] if len(values) == 1 else None


def _request_id(request: HttpRequest) -> str | None:
    text = _single(request, "x-request-id")
    return text if text is not None and is_request_id(text) else None


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
