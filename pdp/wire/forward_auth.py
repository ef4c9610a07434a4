"""Forward-auth: a gateway asks with headers whether a request may go on, and obeys the status of the answer.

`/authz/forward/{profile}`. A profile is a fixed list of headers in which one kind of gateway says what its client asked
for, and how much of an answer it passes on; what it knows besides travels as `x-pdp-` facts, as on Envoy's wires.

| profile | method, URI, host of the request | what a client sees of a denial |
|---|---|---|
| `nginx` | `x-original-method`, `x-original-uri`, `x-original-host` | 401 or 403; the rest by variables |
| `traefik` | `x-forwarded-method`, `x-forwarded-uri`, `x-forwarded-host` | all of it |
| `haproxy` | as `nginx` | all of it, by the Lua action of deploy/haproxy |
| `generic` | as `traefik` | the status |

All of these are names that a client can send too. So the gateway proves itself before any is read, and each must stand
exactly once: a gateway that appends its own behind the client's is refused, and so is one that forgets it.

nginx makes a 500 of every status but 2xx, 401 and 403, so a profile that passes little on gets only these and 503,
which means that there is no answer. Its page is made of variables: the reason comes in headers, in pure ASCII
and already escaped for HTML, and so does the address of a step-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from pdp.errors import BadRequestError, CallerRefusedError, NotReadyError
from pdp.wire.caller_credentials import read_gateway_credentials
from pdp.wire.device_certificate import WHOLE
from pdp.wire.exchange import HttpAnswer
from pdp.wire.gateway_check import (
    AmbiguousPathError,
    GatewayCheck,
    Permitted,
    not_ready,
    refusal,
    unknown_caller,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Caller, Callers
    from pdp.model.decision import Text
    from pdp.wire.exchange import Decider, HttpRequest
    from pdp.wire.gateway_check import CheckSettings, Denial

WIRE: Final = "forward_auth"
PREFIX: Final = "/authz/forward/"

REASON_JA: Final = "x-pdp-reason-ja"
REASON_EN: Final = "x-pdp-reason-en"
STEP_UP_LOCATION: Final = "x-pdp-step-up-location"
_SOURCE: Final = "x-pdp-source-ip"
_FORWARDED_FOR: Final = "x-forwarded-for"


@dataclass(frozen=True, slots=True)
class ForwardProfile:
    """Names of headers. `normal`, where the gateway says it, is the path by which it chose its route: unescaped and
    cleaned. `passes_on`: status, headers and body of a denial reach the client. `names_peer`: the last entry of
    `x-forwarded-for` is always the gateway's own word. `chain`: base64 of the certificates that its client showed, the
    client's own first, separated by commas.
    """

    method: str
    uri: str
    host: str
    normal: str | None = None
    passes_on: bool = False
    names_peer: bool = False
    chain: str | None = None


_ORIGINAL: Final = ("x-original-method", "x-original-uri", "x-original-host")
_FORWARDED: Final = ("x-forwarded-method", "x-forwarded-uri", "x-forwarded-host")
PROFILES: Final[Mapping[str, ForwardProfile]] = {
    "nginx": ForwardProfile(*_ORIGINAL, normal="x-original-path"),
    "traefik": ForwardProfile(*_FORWARDED, passes_on=True, names_peer=True, chain="x-forwarded-tls-client-cert"),
    "haproxy": ForwardProfile(*_ORIGINAL, passes_on=True),
    "generic": ForwardProfile(*_FORWARDED),
}


class ForwardAuth:
    """The endpoint. Answers every method; implements `pdp.wire.exchange.Handler`. The lane mounts it at `PREFIX`."""

    def __init__(
        self, decider: Decider, callers: Callers, settings: CheckSettings, profile: Callable[[], Profile]
    ) -> None:
        """`profile` is that of the active policy; it raises NotReadyError where none is active."""
        self._check = GatewayCheck(decider, settings, profile)
        self._callers = callers
        self._counts_hops = settings.trusted_hops > 0

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one check. Raises nothing that the decider does not."""
        form = PROFILES.get(request.path.removeprefix(PREFIX))
        if form is None:  # a misspelt address in a gateway's configuration: nobody is let through
            return HttpAnswer(*refusal(404, heard={}, decision_id=None).answer())
        try:
            caller = await self._callers.introduce(read_gateway_credentials(request))
        except CallerRefusedError as refused:
            return _denied(unknown_caller(refused), form)
        asked, fault = replace(request, path="", query="", headers=()), None
        try:
            asked = self._client_request(request, form, caller)
        except BadRequestError as found:
            fault = found
        try:
            outcome = await self._check.check(asked, caller, wire=WIRE, fault=fault)
        except NotReadyError:
            return _denied(not_ready(), form)
        return _allowed(outcome) if isinstance(outcome, Permitted) else _denied(outcome, form)

    def _client_request(self, request: HttpRequest, form: ForwardProfile, caller: Caller) -> HttpRequest:
        """The request that the gateway's client made. Raises BadRequestError."""
        method, uri, host = (_said(request, name) for name in (form.method, form.uri, form.host))
        path, _, query = uri.partition("?")
        if form.normal is not None:
            _check_reading(path, request.header(form.normal))
        headers = [("host", host), *(pair for pair in request.headers if pair[0] != "host")]
        if form.names_peer and not self._counts_hops and caller.may("assert_network"):
            forwarded = request.header(_FORWARDED_FOR)
            if forwarded is not None and request.header(_SOURCE) is None:
                headers.append((_SOURCE, forwarded.rpartition(",")[2].strip(" ")))
        chain = None if form.chain is None else request.header(form.chain)
        if chain is not None:
            headers.append((WHOLE, chain.partition(",")[0]))
        return replace(request, method=method, path=path, query=query, headers=tuple(headers), body=b"")


def _said(request: HttpRequest, name: str) -> str:
    """What this profile's gateway must say, once. Raises BadRequestError."""
    value = request.header(name)
    if not value:
        raise BadRequestError(f"`{name}` is missing: the gateway is not configured for this profile")
    return value


def _check_reading(path: str, normal: str | None) -> None:
    """The attack: the gateway chose its route by a cleaned path and forwards the raw one (or rewrites it).

    Raises AmbiguousPathError where both are known and differ, whatever the route says about strictness.
    """
    if normal is not None and unquote_to_bytes(path).decode("latin-1") != normal:
        raise AmbiguousPathError("the gateway chose its route by another reading of the path")


def _allowed(permitted: Permitted) -> HttpAnswer:
    """INVARIANT (one 200): the only place in which this wire can let a request through."""
    return HttpAnswer(200, (*permitted.answer_headers(), *permitted.client_headers(), ("cache-control", "no-store")))


def _denied(denial: Denial, form: ForwardProfile) -> HttpAnswer:
    if form.passes_on:
        return HttpAnswer(*denial.answer())
    status = denial.status if denial.status in (401, 403) else 403 if denial.status < 429 else 503  # noqa: PLR2004
    _, headers, body = denial.unredirected().answer()
    location = () if denial.redirect is None else ((STEP_UP_LOCATION, denial.redirect),)
    return HttpAnswer(status, (*headers, *_in_ascii(denial.notice.reason), *location), body)


def _in_ascii(reason: Text) -> tuple[tuple[str, str], ...]:
    """For a page that the gateway makes: character references, so that neither HTML nor a header can be broken."""
    return tuple(
        (name, escape(text).encode("ascii", "xmlcharrefreplace").decode().replace("\r", " ").replace("\n", " "))
        for name, text in ((REASON_JA, reason.ja), (REASON_EN, reason.en))
    )
