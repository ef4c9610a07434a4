"""The header profile: what a gateway says about a request, in headers, and how strictly it is read.

Every header that is read stands in `PROFILE`; docs/envoy.md says of each who sets it and who must not.
How the reading fails closed:

- A header of the profile that stands twice is refused, and so is an `x-pdp-` header that is not in it.
- No value may hold a comma, and lists are separated by spaces: where a proxy joins two headers into one
  (Envoy does, unless `encode_raw_headers` is set), a comma is what a second, forged header leaves behind.
- A value that is present is well formed or the request is refused. Absent is absent, never a guess.
- The subject comes with its claims or, where the gateway asserts none, from a token that is verified later.
- The resource is what the gateway's route says. It is never derived from the client's path.
- A `dpop` proof is the client's, but what it must be about is the gateway's word: method, host and path, over https.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import BadRequestError
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, Network, UnverifiedToken
from pdp.strict_json import parse_json
from pdp.wire.bearer import bearer_token, claimed_subject
from pdp.wire.client_certificate import CERTIFICATE
from pdp.wire.device_certificate import asserted_certificate
from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Profile
    from pdp.wire.exchange import HttpRequest

KEY: Final = "x-pdp-key"

# What the gateway asserts. All of it is taken off the request before the upstream sees it.
FACTS: Final = (
    "x-pdp-subject",
    "x-pdp-acr",
    "x-pdp-amr",
    "x-pdp-auth-time",
    "x-pdp-issuer",
    "x-pdp-session",
    "x-pdp-device",
    "x-pdp-certificate",
    "x-pdp-certificate-sha256",
    "x-pdp-resource",
    "x-pdp-action",
    "x-pdp-tenant",
    "x-pdp-organisation",
    "x-pdp-source-ip",
    "x-pdp-tunnel",
    "x-pdp-underlay",
    "x-pdp-country",
    "x-pdp-path-encrypted",
    "x-pdp-risk",
    "x-pdp-pep",
    "x-pdp-strict-path",
    "x-pdp-cache-control",
)
_OF_THE_REQUEST: Final = (
    "authorization",
    CERTIFICATE,
    "x-forwarded-for",
    "x-request-id",
    "traceparent",
    "host",
    "dpop",
    "sec-fetch-mode",
)
# RFC 9110 section 5.3: these may stand on several lines. They choose words and never an outcome.
_PREFERENCES: Final = ("accept", "accept-language")
PROFILE: Final = frozenset((KEY, *FACTS, *_OF_THE_REQUEST, *_PREFERENCES))

MAX_WORDS: Final = 32  # obligations, risk signals or methods in one list; the contract knows fourteen

_ID: Final = re.compile(r"[!-+\--~]{1,256}")  # visible ASCII without the comma
_WORD: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")  # up to the year 5138
_COUNTRY: Final = re.compile(r"[A-Z]{2}")  # ISO 3166-1 alpha-2
# `["` or `[]` in base64: how Envoy's claim_to_headers writes a claim that is a list. No method of RFC 8176 begins so.
_BASE64_LIST: Final = re.compile(r"(?:Wy[A-Za-z0-9+/_-]{1,2048}|W10)={0,2}")
_COMPACT_JWS: Final = re.compile(r"(?=.{1,8192}\Z)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_CLAIMS: Final = ("x-pdp-acr", "x-pdp-amr", "x-pdp-auth-time", "x-pdp-issuer")

Headers = dict[str, str]


def read_headers(request: HttpRequest) -> Headers:
    """The headers of the profile, each once. Raises BadRequestError for a repeated or an unlisted one."""
    found: Headers = {}
    for name, value in request.headers:
        if name not in PROFILE:
            if name.startswith("x-pdp-"):  # a misspelt fact would be a fact that is silently missing
                raise BadRequestError(f"`{name[:64]}` is not a header of this profile")
            continue
        if name not in found:
            found[name] = value
        elif name in _PREFERENCES:
            found[name] += "," + value
        else:
            raise BadRequestError(f"the header `{name}` stands more than once")
    return found


def access_request(  # noqa: PLR0913  # each has its name at the call
    headers: Headers, *, profile: Profile, method: str, path: str, wire: str, trusted_hops: int
) -> AccessRequest:
    """The access that a gateway asks about. `path` is the client's raw path, without the gateway's prefix.

    A policy of profile `plain` sees the `document` and verifies no token, so for it the subject must be asserted:
    the client's own token would be the client's own word. Raises BadRequestError where the subject or the
    resource is missing or a value cannot be read.
    """
    subject_id, identity = _subject(headers)
    if profile == "plain" and not isinstance(identity, AssertedClaims):
        raise BadRequestError("no subject: this policy verifies no token, so `x-pdp-subject` is needed")
    resource_id = _text(headers, "x-pdp-resource")
    if resource_id is None:
        raise BadRequestError("`x-pdp-resource` is missing: the gateway's route names no resource")
    asked = AccessRequest(
        subject_id=subject_id,
        resource_id=resource_id,
        action=_text(headers, "x-pdp-action") or "access",
        identity=identity,
        device_id=_text(headers, "x-pdp-device"),
        certificate_sha256=asserted_certificate(headers),
        network=_network(headers, trusted_hops),
        risk=_words(headers, "x-pdp-risk"),
        pep=_words(headers, "x-pdp-pep"),
        tenant=_text(headers, "x-pdp-tenant"),
        organisation=_text(headers, "x-pdp-organisation"),
        path=path,
        session_id=_text(headers, "x-pdp-session"),
        request_id=request_id(headers),
        trace_id=trace_id_of(headers.get("traceparent")),
        wire=wire,
        fresh=_fresh(headers),
        client_request=_client_request(headers, method, path) if isinstance(identity, UnverifiedToken) else None,
    )
    return msgspec.structs.replace(asked, document=_document(asked, method)) if profile == "plain" else asked


def _document(asked: AccessRequest, method: str) -> dict[str, Any]:
    """The same as an AuthZEN request (access-rules, section 6), for policies of profile `plain`. Never the token."""
    resource = _known(path=asked.path, tenant=asked.tenant, organisation=asked.organisation)
    device = _known(id=asked.device_id, certificate_sha256=asked.certificate_sha256)
    network = asked.network
    return {
        "subject": {"type": "user", "id": asked.subject_id},
        "action": {"name": asked.action, "properties": {"method": method}},
        "resource": {"type": "application", "id": asked.resource_id, "properties": resource},
        "context": {
            **({"device": device} if device else {}),
            "network": _known(
                source_ip=network.source_ip,
                tunnel=network.tunnel,
                underlay=network.underlay,
                path_encrypted=network.path_encrypted,
                country=network.country,
            ),
            "risk": list(asked.risk),
            "pep": list(asked.pep),
        },
    }


def request_id(headers: Mapping[str, str]) -> str | None:
    return _text(headers, "x-request-id")


def strict_path(headers: Mapping[str, str], *, default: bool) -> bool:
    """Whether this route refuses a path with two readings. Raises BadRequestError."""
    said = _flag(headers, "x-pdp-strict-path")
    return default if said is None else said


def _subject(headers: Headers) -> tuple[str, AssertedClaims | UnverifiedToken]:
    subject_id = _text(headers, "x-pdp-subject")
    if subject_id is not None:
        claims = AssertedClaims(
            acr=_text(headers, "x-pdp-acr"),
            amr=_methods(headers),
            auth_time=_auth_time(headers),
            issuer=_text(headers, "x-pdp-issuer"),
        )
        return subject_id, claims
    for name in _CLAIMS:
        if name in headers:  # a gateway that lost the subject must not fall back to the client's own token
            raise BadRequestError(f"`{name}` is given without `x-pdp-subject`")
    token = bearer_token(headers.get("authorization"))
    if token is None:
        raise BadRequestError("no subject: neither `x-pdp-subject` nor a bearer token is given")
    return claimed_subject(token), token


def _client_request(headers: Headers, method: str, path: str) -> ClientRequest | None:
    """What a proof of possession must be about. The scheme is https: a token has no business on anything else."""
    proof = headers.get("dpop")
    if proof is None:
        return None
    if _COMPACT_JWS.fullmatch(proof) is None:  # also two headers that a proxy joined with a comma
        raise BadRequestError("`dpop` is not one proof")
    host = headers.get("host")
    if host is None or _HOST.fullmatch(host) is None:
        raise BadRequestError("`dpop` is given, and `host` does not say which host it is for")
    return ClientRequest(method, f"https://{host}{path}", proof)


def _network(headers: Headers, trusted_hops: int) -> Network:
    country = headers.get("x-pdp-country")
    if country is not None and _COUNTRY.fullmatch(country) is None:
        raise BadRequestError("`x-pdp-country` is not two capital letters")
    underlay = headers.get("x-pdp-underlay")
    if underlay is not None and _WORD.fullmatch(underlay) is None:
        raise BadRequestError("`x-pdp-underlay` is not one word")
    return Network(
        source_ip=_source_ip(headers, trusted_hops),
        tunnel=_flag(headers, "x-pdp-tunnel") or False,
        underlay=underlay,
        path_encrypted=(
            "unknown" if headers.get("x-pdp-path-encrypted") == "unknown" else _flag(headers, "x-pdp-path-encrypted")
        ),
        country=country,
    )


def _source_ip(headers: Headers, trusted_hops: int) -> str | None:
    """The gateway's word, or the entry of `x-forwarded-for` that our own proxies wrote.

    Each proxy appends the address of its peer, so everything left of the last `trusted_hops` entries is the
    client's own invention.
    """
    if "x-pdp-source-ip" in headers:
        return _address(headers["x-pdp-source-ip"], "x-pdp-source-ip")
    if trusted_hops == 0 or "x-forwarded-for" not in headers:
        return None
    hops = headers["x-forwarded-for"].rsplit(",", trusted_hops)
    if len(hops) < trusted_hops:
        raise BadRequestError("`x-forwarded-for` has fewer entries than there are proxies")
    return _address(hops[-trusted_hops].strip(" \t"), "x-forwarded-for")


@lru_cache(maxsize=4_096)  # people come from the same places again and again; 3 microseconds each
def _address(text: str, name: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise BadRequestError(f"`{name}` is not an IP address") from None
    if getattr(address, "scope_id", None) is not None:
        raise BadRequestError(f"`{name}` has a scope, which means nothing beyond the gateway's own link")
    return str(address)


def _auth_time(headers: Headers) -> datetime | None:
    text = headers.get("x-pdp-auth-time")
    if text is None:
        return None
    if _SECONDS.fullmatch(text) is None:
        raise BadRequestError("`x-pdp-auth-time` is not whole seconds since 1970")
    return datetime.fromtimestamp(int(text), UTC)


def _methods(headers: Headers) -> tuple[str, ...]:
    """`amr` as words, or as a JSON list that is base64-encoded (Envoy's form for a claim that is a list)."""
    text = headers.get("x-pdp-amr")
    if text is None or _BASE64_LIST.fullmatch(text) is None:
        return _words(headers, "x-pdp-amr")
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        methods: Any = parse_json(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, BadRequestError):
        raise BadRequestError("`x-pdp-amr` is not a base64-encoded JSON list") from None
    if not isinstance(methods, list) or len(methods) > MAX_WORDS:
        raise BadRequestError(f"`x-pdp-amr` is not a list of at most {MAX_WORDS} words")
    if not all(isinstance(method, str) and _WORD.fullmatch(method) for method in methods):
        raise BadRequestError("`x-pdp-amr` has an entry that is not a word")
    return tuple(methods)


def _fresh(headers: Headers) -> bool:
    """The gateway's own wish for a fresh evaluation. The client's `cache-control` is no wish of the gateway: anybody
    could then make every answer cost an evaluation.
    """
    said = headers.get("x-pdp-cache-control")
    if said is not None and said.lower() != "no-cache":
        raise BadRequestError("`x-pdp-cache-control` is not `no-cache`")
    return said is not None


def _words(headers: Headers, name: str) -> tuple[str, ...]:
    text = headers.get(name)
    if text is None:
        return ()
    words = text.split(" ")
    if len(words) > MAX_WORDS or not all(_WORD.fullmatch(word) for word in words):
        raise BadRequestError(f"`{name}` is not a list of words, separated by single spaces")
    return tuple(words)


def _text(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    if value is not None and _ID.fullmatch(value) is None:
        raise BadRequestError(f"`{name}` is not 1 to 256 visible ASCII characters without a comma")
    return value


def _flag(headers: Mapping[str, str], name: str) -> bool | None:
    value = headers.get(name)
    if value not in (None, "true", "false"):
        raise BadRequestError(f"`{name}` is neither `true` nor `false`")
    return None if value is None else value == "true"


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
