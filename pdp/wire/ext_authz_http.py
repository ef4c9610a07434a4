"""Envoy's external authorization over HTTP: the status code is the decision.

Envoy (`envoy.filters.http.ext_authz` with `http_service`) sends the client's method and its path below a
prefix, without the body, and reads exactly 200 as an allow; any other status below 500 goes to the client as
the answer, and 5xx, a timeout or a broken connection become `status_on_error` (or an allow, where an operator
set `failure_mode_allow`). So a request that is refused is answered 4xx, never 5xx: it must stay a deny there
too. 503 is kept for the case in which there is no answer at all. What Envoy does was observed with 1.40.0.

The way of one request:
1. The gateway proves itself with `x-pdp-key`. Until then nothing else is read.
2. The header profile becomes an `AccessRequest` (`pdp.wire.gateway_facts`); what breaks it is refused and recorded.
3. The gateway says no more than its permissions cover.
4. The path has one reading (`pdp.wire.raw_path`), unless the route does without.
5. The decision becomes the answer: 200 stands in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from pdp.errors import BadRequestError, NotAuthenticatedError, NotPermittedError, NotReadyError
from pdp.model.decision import Outcome, Text
from pdp.model.request import AssertedClaims, Network
from pdp.wire.exchange import HttpAnswer, Refusal
from pdp.wire.gateway_facts import FACTS, KEY, access_request, read_headers, request_id, strict_path
from pdp.wire.raw_path import ambiguity
from pdp.wire.refusal_page import Notice, body_of, prefers_page
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Caller, Callers
    from pdp.errors import SekishoError
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest
    from pdp.wire.exchange import Decider, HttpRequest
    from pdp.wire.gateway_facts import Headers
    from pdp.wire.refusal_page import NoticeKind

WIRE: Final = "ext_authz_http"

# What an upstream may rely on. None of these names is a fact's: Envoy first adds, then removes.
DECISION_ID: Final = "x-pdp-decision-id"
ANSWERS: Final = (DECISION_ID, "x-pdp-outcome", "x-pdp-reasons", "x-pdp-obligations", "x-pdp-expires-at")
_TAKE_OFF: Final = ("x-envoy-auth-headers-to-remove", ",".join((KEY, *FACTS)))
_SILENT: Final = Network()
_encode_time: Final = msgspec.json.Encoder().encode
_RETRY_AFTER_S: Final = "5"

_DENIED: Final = Text(ja="アクセスできません", en="Access denied")
_STEP_UP: Final = Text(ja="追加の本人確認が必要です", en="Further authentication is required")
_UNDECIDED: Final = Text(ja="判定できないため拒否しました", en="Access was refused because it could not be decided")
_AMBIGUOUS: Final = Text(
    ja="アドレスの形式が正しくないため拒否しました。アドレスを確認してください",
    en="Access was refused because the address can be read in more than one way. Please check the address",
)
_LATER: Final = Text(
    ja="ただいま判定できません。しばらくしてからもう一度お試しください",
    en="No decision is possible at the moment. Please try again later",
)


class AmbiguousPathError(BadRequestError):
    code = "ambiguous_path"


@dataclass(frozen=True, slots=True)
class ExtAuthzSettings:
    """`prefix` is Envoy's `path_prefix`. `trusted_hops` counts the entries of `x-forwarded-for` that our own
    proxies wrote, the gateway's included; 0: the header is not read. `strict_path` holds where the route says nothing.
    """

    prefix: str = "/envoy"
    strict_path: bool = True
    trusted_hops: int = 0
    step_up: StepUp = field(default_factory=StepUp)


class ExtAuthzHttp:
    """The check endpoint. Answers every method; implements `pdp.wire.exchange.Handler`.

    The lane mounts it at `prefix + "/"`, hands it the whole raw path, and keeps the body back from a HEAD.
    """

    def __init__(
        self, decider: Decider, callers: Callers, settings: ExtAuthzSettings, profile: Callable[[], Profile]
    ) -> None:
        """`profile` is that of the active policy; it raises NotReadyError where none is active."""
        self._decider = decider
        self._callers = callers
        self._settings = settings
        self._profile = profile

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one check. Raises nothing that the decider does not."""
        # 1. The gateway, before anything else.
        try:
            caller = self._callers.authenticate(_key(request))
        except NotAuthenticatedError:
            # Not 401: that would tell the client to authenticate, and it is the gateway that must.
            return _refused({}, 403, _UNDECIDED, None)
        try:
            return await self._check(request, caller)
        except NotReadyError:
            return _not_ready()

    async def _check(self, request: HttpRequest, caller: Caller) -> HttpAnswer:
        headers: Headers = {}
        try:
            headers = read_headers(request)
            asked = self._read(request, headers, caller)  # 2., 3., 4.
        except (BadRequestError, NotPermittedError) as fault:
            decision_id = await self._decider.refuse(_refusal(fault, headers, request), caller)
            text = _AMBIGUOUS if isinstance(fault, AmbiguousPathError) else _UNDECIDED
            return _refused(headers, fault.status, text, decision_id)
        decision = await self._decider.decide(asked, caller)
        # 5. The answer.
        if decision.permits:
            return _allowed(decision)
        if decision.verdict.outcome is Outcome.STEP_UP:
            return self._challenged(request, headers, asked, decision)
        return _denied(headers, decision)

    def _read(self, request: HttpRequest, headers: Headers, caller: Caller) -> AccessRequest:
        if not caller.may("decide"):
            raise NotPermittedError("this caller may not ask for decisions")
        prefix = self._settings.prefix
        path = request.path.removeprefix(prefix)
        if not request.path.startswith(prefix + "/"):
            raise BadRequestError("the path does not begin with the gateway's prefix")
        asked = access_request(
            headers,
            profile=self._profile(),
            method=request.method,
            path=path,
            wire=WIRE,
            trusted_hops=self._settings.trusted_hops,
        )
        _check_permissions(asked, caller)
        if asked.fresh and not caller.may("bypass_cache"):
            asked = replace(asked, fresh=False)
        fault = ambiguity(path)
        if fault is not None and strict_path(headers, default=self._settings.strict_path):
            raise AmbiguousPathError(fault)
        return asked

    def _challenged(
        self, request: HttpRequest, headers: Headers, asked: AccessRequest, decision: Decision
    ) -> HttpAnswer:
        level = decision.verdict.required_auth_level or 3
        step_up = self._settings.step_up
        body, body_headers = _body(headers, _notice(decision, "step_up", _STEP_UP))
        target = None
        if _navigates(request.method, headers) and ambiguity(asked.path or "") is None:
            target = step_up.redirect(level, host=headers.get("host"), path=asked.path or "/", query=request.query)
        if target is not None:
            return HttpAnswer(302, (("location", target), (DECISION_ID, decision.id), *body_headers), body)
        challenge = ("www-authenticate", step_up.challenge(level))
        return HttpAnswer(401, (challenge, (DECISION_ID, decision.id), *body_headers), body)


def _key(request: HttpRequest) -> str | None:
    """The gateway's credential. Twice is no credential: one of the two is the client's."""
    keys = [value for name, value in request.headers if name == KEY]
    return keys[0] if len(keys) == 1 else None


def _check_permissions(asked: AccessRequest, caller: Caller) -> None:
    """A gateway that says more than it may is misconfigured or not the gateway. Raises NotPermittedError."""
    if isinstance(asked.identity, AssertedClaims) and not caller.may("assert_identity"):
        raise NotPermittedError("this caller may not assert who the subject is")
    if (asked.network != _SILENT or asked.certificate_sha256 is not None) and not caller.may("assert_network"):
        raise NotPermittedError("this caller may not assert where the request came from")


def _navigates(method: str, headers: Mapping[str, str]) -> bool:
    """A person's browser that opens a page: it can follow a redirect and come back (Fetch Metadata, `navigate`)."""
    page = headers.get("sec-fetch-mode", "navigate") == "navigate" and prefers_page(headers.get("accept"))
    return method == "GET" and page


def _allowed(decision: Decision) -> HttpAnswer:
    """INVARIANT (one 200): the only place in which this wire can let a request through.

    Every answer header is always set, so that one of the same name from the client is overwritten even
    where the gateway's own clean-up is missing.
    """
    verdict = decision.verdict
    obligations = ";".join(f"{_safe(name)}={_safe(value)}" for name, value in verdict.obligations.items())
    values = (
        decision.id,
        verdict.outcome.value,
        " ".join(map(_safe, verdict.reasons)) or "none",
        obligations or "none",
        _whole_seconds(decision.expires_at),
    )
    return HttpAnswer(200, (*zip(ANSWERS, values, strict=True), _TAKE_OFF, ("cache-control", "no-store")))


def _whole_seconds(instant: datetime) -> str:
    """RFC 3339 in UTC, rounded down: an answer must not be relied on longer than it holds."""
    return _encode_time(instant.astimezone(UTC).replace(microsecond=0))[1:-1].decode()


@lru_cache(maxsize=1_024)  # reason codes and obligations: words of the policy, again and again
def _safe(value: str | int) -> str:
    """Without `;`, `=`, `,`, blanks or line breaks: what is not a plain character is percent-encoded (RFC 3986)."""
    return quote(str(value), safe=":+-._~/")


def _denied(headers: Headers, decision: Decision) -> HttpAnswer:
    body, body_headers = _body(headers, _notice(decision, "deny", _DENIED))
    return HttpAnswer(403, ((DECISION_ID, decision.id), *body_headers), body)


def _refused(headers: Headers, status: int, reason: Text, decision_id: str | None) -> HttpAnswer:
    notice = Notice("refused", _DENIED, reason, "help_desk", decision_id)
    body, body_headers = _body(headers, notice)
    number = () if decision_id is None else ((DECISION_ID, decision_id),)
    return HttpAnswer(status, (*number, *body_headers), body)


def _not_ready() -> HttpAnswer:
    body, body_headers = _body({}, Notice("not_ready", _DENIED, _LATER, "none", None))
    return HttpAnswer(503, (("retry-after", _RETRY_AFTER_S), *body_headers), body)


def _body(headers: Headers, notice: Notice) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    return body_of(notice, headers.get("accept"), headers.get("accept-language"))


def _notice(decision: Decision, outcome: NoticeKind, title: Text) -> Notice:
    return Notice(outcome, title, decision.reason_user, decision.fix, decision.id)


def _refusal(fault: SekishoError, headers: Headers, request: HttpRequest) -> Refusal:
    try:
        known = request_id(headers)
    except BadRequestError:  # it may be this very header that is refused
        known = None
    return Refusal(fault, WIRE, known, body_bytes=len(request.body))
