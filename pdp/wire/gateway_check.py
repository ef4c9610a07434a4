"""One check of a gateway, whatever carries it: from its headers to a decision, or to what its client is told.

Three wires bring the same profile of headers (`pdp.wire.gateway_facts`): ext_authz over HTTP, ext_authz over
gRPC, and forward-auth. Each authenticates its caller first and turns what it finds here into its own answer;
what happens between is the same for all:

1. The headers become an `AccessRequest`; what breaks the profile is refused and recorded.
2. The gateway says no more than its permissions cover.
3. The path has one reading (`pdp.wire.raw_path`), unless the route does without.
4. The decision is `Permitted`, or a `Denial` that says what the client is told and how.

A refusal is never 5xx: gateways can be set to let a request through where the PDP fails, so what a client
can provoke must stay a deny even there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as replace_field
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from pdp.callers.caller import require_profile
from pdp.errors import BadRequestError, NotPermittedError, TooManyRequestsError
from pdp.model.decision import Outcome, Text
from pdp.model.request import AssertedClaims, Network
from pdp.wire.dpop_nonce import CHALLENGE as NONCE_CHALLENGE
from pdp.wire.dpop_nonce import HEADER as NONCE
from pdp.wire.dpop_nonce import nonce_offer
from pdp.wire.exchange import Refusal
from pdp.wire.gateway_facts import access_request, read_headers, request_id, strict_path
from pdp.wire.raw_path import ambiguity
from pdp.wire.refusal_page import Notice, body_of, prefers_page
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Caller
    from pdp.errors import CallerRefusedError, SekishoError
    from pdp.identity.nonces import Nonces
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest
    from pdp.wire.exchange import Decider, HttpRequest
    from pdp.wire.gateway_facts import Headers
    from pdp.wire.refusal_page import NoticeKind

# What an upstream may rely on. None of these names is a fact's: Envoy first adds, then removes.
DECISION_ID: Final = "x-pdp-decision-id"
ANSWERS: Final = (
    DECISION_ID,
    "x-pdp-user",
    "x-pdp-outcome",
    "x-pdp-reasons",
    "x-pdp-obligations",
    "x-pdp-expires-at",
)

_SILENT: Final = Network()
_RETRY_AFTER_S: Final = 5
_encode_time: Final = msgspec.json.Encoder().encode

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
class CheckSettings:
    """`trusted_hops` counts the entries of `x-forwarded-for` that our own proxies wrote, the gateway's included;
    0: the header is not read. `strict_path` holds where the route says nothing. `nonces` are those that DPoP proofs
    must name; None: none is asked for.
    """

    strict_path: bool = True
    trusted_hops: int = 0
    step_up: StepUp = field(default_factory=StepUp)
    nonces: Nonces | None = None


@dataclass(frozen=True, slots=True)
class Permitted:
    """The request may go on. Only `GatewayCheck` makes one, of a decision that permits. `nonce`: the client's next."""

    decision: Decision
    nonce: str | None = None

    def client_headers(self) -> tuple[tuple[str, str], ...]:
        """For the client, where the gateway can add to the application's own answer."""
        return () if self.nonce is None else ((NONCE, self.nonce),)

    def answer_headers(self) -> tuple[tuple[str, str], ...]:
        """For the upstream. Every one is always set, so that one of the same name from the client is overwritten
        even where the gateway's own clean-up is missing.
        """
        verdict = self.decision.verdict
        obligations = ";".join(f"{_safe(name)}={_safe(value)}" for name, value in verdict.obligations.items())
        values = (
            self.decision.id,
            _safe(self.decision.subject_id),
            verdict.outcome.value,
            " ".join(map(_safe, verdict.reasons)) or "none",
            obligations or "none",
            _whole_seconds(self.decision.expires_at),
        )
        return tuple(zip(ANSWERS, values, strict=True))


@dataclass(frozen=True, slots=True)
class Denial:
    """What the client is told instead. `status` is 400, 401, 403, 429 or 503; `redirect` is where a browser may be sent
    instead of a challenge, for gateways that pass it on. `heard` are the request's headers, as far as they were read.
    """

    status: int
    notice: Notice
    heard: Headers
    challenge: str | None = None
    redirect: str | None = None
    decision: Decision | None = None
    retry_after_s: int | None = None
    nonce: str | None = None

    def unredirected(self) -> Denial:
        """For a gateway that passes no redirect on: the challenge."""
        return replace_field(self, redirect=None)

    def answer(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """Status, headers and body for a gateway that passes all three on."""
        body, of_body = body_of(self.notice, self.heard.get("accept"), self.heard.get("accept-language"))
        number = () if self.notice.decision_id is None else ((DECISION_ID, self.notice.decision_id),)
        if self.redirect is not None:
            return 302, (("location", self.redirect), *number, *of_body), body
        challenge = () if self.challenge is None else (("www-authenticate", self.challenge),)
        later = () if self.retry_after_s is None else (("retry-after", str(self.retry_after_s)),)
        nonce = () if self.nonce is None else ((NONCE, self.nonce),)
        return self.status, (*challenge, *nonce, *later, *number, *of_body), body


class GatewayCheck:
    """The way of one check behind its wire, once the caller is known."""

    def __init__(self, decider: Decider, settings: CheckSettings, profile: Callable[[], Profile]) -> None:
        """`profile` is that of the active policy; it raises NotReadyError where none is active."""
        self._decider = decider
        self._settings = settings
        self._profile = profile

    async def check(
        self, request: HttpRequest, caller: Caller, *, wire: str, fault: BadRequestError | None = None
    ) -> Permitted | Denial:
        """`request` is the client's: its method, its raw path and query; `headers` are the profile's.

        `fault` is what the wire itself found wrong: it is refused and recorded like any other. Raises NotReadyError
        and its children, and nothing else that the decider does not.
        """
        headers: Headers = {}
        try:
            if fault is not None:
                raise fault
            headers = read_headers(request)
            asked = self._read(request, headers, caller, wire)  # 1., 2., 3.
        except (BadRequestError, NotPermittedError) as refused:
            decision_id = await self._decider.refuse(_refusal(refused, headers, request, wire), caller)
            text = _AMBIGUOUS if isinstance(refused, AmbiguousPathError) else _UNDECIDED
            return refusal(refused.status, text, heard=headers, decision_id=decision_id)
        decision = await self._decider.decide(asked, caller)
        # 4.
        offer = nonce_offer(self._settings.nonces, asked, decision)
        nonce = None if offer is None else offer.nonce
        if decision.permits:
            return Permitted(decision, nonce)
        if offer is not None and offer.needed:
            notice = _notice(decision, "deny", _DENIED)
            return Denial(401, notice, headers, challenge=NONCE_CHALLENGE, decision=decision, nonce=nonce)
        if decision.verdict.outcome is Outcome.STEP_UP:
            return self._challenged(request, headers, decision)
        return Denial(403, _notice(decision, "deny", _DENIED), headers, decision=decision)

    def _read(self, request: HttpRequest, headers: Headers, caller: Caller, wire: str) -> AccessRequest:
        if not caller.may("decide"):
            raise NotPermittedError("this caller may not ask for decisions")
        asked = access_request(
            headers,
            profile=require_profile(caller, self._profile()),
            method=request.method,
            path=request.path,
            wire=wire,
            trusted_hops=self._settings.trusted_hops,
        )
        _check_permissions(asked, caller)
        if asked.fresh and not caller.may("bypass_cache"):
            asked = replace(asked, fresh=False)
        fault = ambiguity(request.path)
        if fault is not None and strict_path(headers, default=self._settings.strict_path):
            raise AmbiguousPathError(fault)
        return asked

    def _challenged(self, request: HttpRequest, headers: Headers, decision: Decision) -> Denial:
        level = decision.verdict.required_auth_level or 3
        step_up, target = self._settings.step_up, None
        if _navigates(request.method, headers) and ambiguity(request.path) is None:
            target = step_up.redirect(level, host=headers.get("host"), path=request.path, query=request.query)
        notice = _notice(decision, "step_up", _STEP_UP)
        return Denial(401, notice, headers, challenge=step_up.challenge(level), redirect=target, decision=decision)


def refusal(status: int, reason: Text = _UNDECIDED, *, heard: Headers, decision_id: str | None) -> Denial:
    """A request that nobody decided: of a gateway that is unknown, or that breaks the rules."""
    return Denial(status, Notice("refused", _DENIED, reason, "help_desk", decision_id), heard)


def unknown_caller(fault: CallerRefusedError) -> Denial:
    """The gateway itself is refused, before anything that it says is read.

    Not 401: that would tell the client to authenticate, and it is the gateway that must.
    """
    if isinstance(fault, TooManyRequestsError):
        return Denial(429, Notice("not_ready", _DENIED, _LATER, "none", None), {}, retry_after_s=fault.retry_after_s)
    return refusal(403, heard={}, decision_id=None)


def not_ready() -> Denial:
    """There is no answer at all: no policy, no directory, no writable log."""
    return Denial(503, Notice("not_ready", _DENIED, _LATER, "none", None), {}, retry_after_s=_RETRY_AFTER_S)


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


def _whole_seconds(instant: datetime) -> str:
    """RFC 3339 in UTC, rounded down: an answer must not be relied on longer than it holds."""
    return _encode_time(instant.astimezone(UTC).replace(microsecond=0))[1:-1].decode()


@lru_cache(maxsize=1_024)  # reason codes and obligations: words of the policy, again and again
def _safe(value: str | int) -> str:
    """Without `;`, `=`, `,`, blanks or line breaks: what is not a plain character is percent-encoded (RFC 3986)."""
    return quote(str(value), safe=":+-._~/")


def _notice(decision: Decision, outcome: NoticeKind, title: Text) -> Notice:
    return Notice(outcome, title, decision.reason_user, decision.fix, decision.id)


def _refusal(fault: SekishoError, headers: Headers, request: HttpRequest, wire: str) -> Refusal:
    try:
        known = request_id(headers)
    except BadRequestError:  # it may be this very header that is refused
        known = None
    return Refusal(fault, wire, known, body_bytes=len(request.body))
