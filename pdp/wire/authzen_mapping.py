"""From an AuthZEN question to an `AccessRequest`, for both profiles. Pure.

Profile `zta` (access-rules, section 6). Read are exactly:

| member | into | needs |
|---|---|---|
| `subject.type`, `subject.id` | `subject_id` | |
| `subject.properties.token` | `identity`, verified later | |
| `subject.properties.claims.{acr, amr, auth_time, iss}` | `identity` | `assert_identity` |
| `action.name` | `action` | |
| `resource.type`, `resource.id`, `resource.properties.{tenant, path, organisation}` | `resource_id`, … | |
| `context.device.id` | `device_id` | |
| `context.device.certificate_sha256` | `certificate_sha256` | `assert_network` |
| `context.network.{source_ip, tunnel, underlay, country, path_encrypted}` | `network` | `assert_network` |
| `context.{risk, pep, session_id}` | `risk`, `pep`, `session_id` | |

A wrong type in one of them is a 400. Everything else is ignored, posture above all: what a caller says
about a device's health is nobody's word. `document` stays empty, because it would carry the token into
the decision log.

A question about a kind of thing that this profile does not know (`subject.type` other than `user`,
`resource.type` other than `application`) is well formed, so it is decided, and the answer is a recorded
deny: the id is looked up as `TYPE:ID`, which no register holds, and the policy sees an unknown subject or
resource. It cannot reach a registered id that the caller could not have named outright.

Profile `plain`: `document` is the four members as they came, and nothing else is read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pdp.errors import BadRequestError
from pdp.model.request import AccessRequest, AssertedClaims, Network, UnverifiedToken
from pdp.wire.authzen_call import WIRE, require
from pdp.wire.authzen_entities import MAX_TEXT
from pdp.wire.bearer import MAX_TOKEN
from pdp.wire.raw_path import MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Profile
    from pdp.wire.authzen_call import Call
    from pdp.wire.authzen_entities import Question

SUBJECT_TYPE: Final = "user"
RESOURCE_TYPE: Final = "application"
MAX_WORDS: Final = 64  # entries of `amr`, `risk` and `pep`; the contract knows six obligations and four signals

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Words = Annotated[list[Text], Meta(max_length=MAX_WORDS)]


class _Claims(msgspec.Struct, frozen=True):
    acr: Text | UnsetType = UNSET
    amr: Words = []
    auth_time: float | Text | UnsetType = UNSET
    iss: Text | UnsetType = UNSET


class _OfSubject(msgspec.Struct, frozen=True):
    token: Annotated[str, Meta(max_length=MAX_TOKEN)] | UnsetType = UNSET
    claims: _Claims | UnsetType = UNSET


class _OfResource(msgspec.Struct, frozen=True):
    tenant: Text | UnsetType = UNSET
    organisation: Text | UnsetType = UNSET
    path: Annotated[str, Meta(max_length=MAX_PATH)] | UnsetType = UNSET


class _Device(msgspec.Struct, frozen=True):
    id: Text | UnsetType = UNSET
    certificate_sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}\\Z")] | UnsetType = UNSET


class _Network(msgspec.Struct, frozen=True):
    source_ip: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET  # an IPv6 address has at most 45
    tunnel: bool = False
    underlay: Text | UnsetType = UNSET
    country: Text | UnsetType = UNSET
    path_encrypted: bool | Literal["unknown"] | UnsetType = UNSET


class _OfContext(msgspec.Struct, frozen=True):
    device: _Device = _Device()
    network: _Network | UnsetType = UNSET
    risk: Words = []
    pep: Words = []
    session_id: Text | UnsetType = UNSET


_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FAULT: Final = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_NOTHING: Final[Mapping[str, Any]] = {}

_T = TypeVar("_T")


def access_request(question: Question, profile: Profile, call: Call, at: str = "") -> AccessRequest:
    """What the question asks, for this profile; `at` is the pointer of the question in the body.

    Raises BadRequestError with a pointer, and NotPermittedError where the question says something that
    this caller may not say.
    """
    if profile == "plain":
        return AccessRequest(
            subject_id=question.subject["id"],
            resource_id=question.resource["id"],
            action=question.action["name"],
            request_id=call.request_id,
            trace_id=call.trace_id,
            wire=WIRE,
            document=question.document(),
        )
    subject = _read(question.subject.get("properties"), _OfSubject, f"{at}/subject/properties")
    resource = _read(question.resource.get("properties"), _OfResource, f"{at}/resource/properties")
    context = _read(question.context, _OfContext, f"{at}/context")
    fingerprint = _given(context.device.certificate_sha256)
    if fingerprint is not None:
        require(call.caller, "assert_network")
    return AccessRequest(
        subject_id=_looked_up(question.subject, SUBJECT_TYPE),
        resource_id=_looked_up(question.resource, RESOURCE_TYPE),
        action=question.action["name"],
        identity=_identity(subject, call, f"{at}/subject/properties"),
        device_id=_given(context.device.id),
        certificate_sha256=None if fingerprint is None else fingerprint.lower(),
        network=_network(context, call, f"{at}/context/network"),
        risk=tuple(context.risk),
        pep=tuple(context.pep),
        tenant=_given(resource.tenant),
        organisation=_given(resource.organisation),
        path=_given(resource.path),
        session_id=_given(context.session_id),
        request_id=call.request_id,
        trace_id=call.trace_id,
        wire=WIRE,
    )


def _read(members: Mapping[str, Any] | None, form: type[_T], at: str) -> _T:
    """The members that `form` knows. Raises BadRequestError with the pointer of the first wrong type."""
    try:
        return msgspec.convert(members or _NOTHING, form)
    except msgspec.ValidationError as fault:
        said = _FAULT.fullmatch(str(fault))
        what, path = said.groups("") if said is not None else (str(fault), "")
        pointer = at + path.replace("[", "/").replace("]", "").replace(".", "/")
        raise BadRequestError(what[:1].lower() + what[1:], pointer=pointer) from None


def _given(value: _T | UnsetType) -> _T | None:
    return None if isinstance(value, UnsetType) else value


def _looked_up(entity: dict[str, Any], known_type: str) -> str:
    name: str = entity["id"]
    return name if entity["type"] == known_type else f"{entity['type']}:{name}"


def _identity(subject: _OfSubject, call: Call, at: str) -> AssertedClaims | UnverifiedToken | None:
    token, claims = _given(subject.token), _given(subject.claims)
    if token is not None and claims is not None:
        raise BadRequestError("`token` and `claims` are two words on one identity; send one", pointer=at)
    if token is not None:
        return UnverifiedToken(token)
    if claims is None:
        return None
    require(call.caller, "assert_identity")
    return AssertedClaims(
        acr=_given(claims.acr),
        amr=tuple(claims.amr),
        auth_time=_auth_time(claims.auth_time, f"{at}/claims/auth_time"),
        issuer=_given(claims.iss),
    )


def _auth_time(value: float | str | UnsetType, at: str) -> datetime | None:
    """Seconds since 1970 (OpenID Connect Core section 2) or RFC 3339 with its offset."""
    if isinstance(value, UnsetType):
        return None
    try:
        if not isinstance(value, str):
            return datetime.fromtimestamp(value, UTC)
        if _RFC3339.fullmatch(value) is not None:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the 30th of February, the year 60000
        pass
    raise BadRequestError("expected seconds since 1970 or an RFC 3339 time", pointer=at)


def _network(context: _OfContext, call: Call, at: str) -> Network:
    said = _given(context.network)
    if said is None:
        return Network()
    require(call.caller, "assert_network")
    source_ip = _given(said.source_ip)
    return Network(
        source_ip=None if source_ip is None else _address(source_ip, f"{at}/source_ip"),
        tunnel=said.tunnel,
        underlay=_given(said.underlay),
        path_encrypted=_given(said.path_encrypted),
        country=_given(said.country),
    )


def _address(text: str, at: str) -> str:
    known = _canonical(text)
    if known is None:
        raise BadRequestError("expected an IP address without a scope", pointer=at)
    return known


@lru_cache(maxsize=4_096)  # people come from the same places again and again; 6 microseconds each
def _canonical(text: str) -> str | None:
    """The one spelling of an address; None for what is none, or names a link of the gateway (`%eth0`)."""
    try:
        return None if "%" in text else str(ip_address(text))
    except ValueError:
        return None
