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
| `context.client_request.{method, uri, dpop}` | `client_request`: what a DPoP proof is about | `assert_network` |
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
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, Network, UnverifiedToken
from pdp.wire.authzen_call import WIRE, require
from pdp.wire.authzen_entities import MAX_TEXT, read_question
from pdp.wire.bearer import MAX_TOKEN
from pdp.wire.raw_path import MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Profile
    from pdp.wire.authzen_call import Call

SUBJECT_TYPE: Final = "user"
RESOURCE_TYPE: Final = "application"
MAX_WORDS: Final = 64  # entries of `amr`, `risk` and `pep`; the contract knows six obligations and four signals

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Words = Annotated[tuple[Text, ...], Meta(max_length=MAX_WORDS)]


# What is absent is None and `null` is refused, since no type below names it: msgspec takes a default as it is.
_ABSENT: Final[Any] = None


class _Claims(msgspec.Struct, frozen=True):
    acr: Text = _ABSENT
    amr: Words = ()
    auth_time: float | Text = _ABSENT
    iss: Text = _ABSENT


class _OfSubject(msgspec.Struct, frozen=True):
    token: Annotated[str, Meta(max_length=MAX_TOKEN)] | UnsetType = UNSET
    claims: _Claims | UnsetType = UNSET


class _OfResource(msgspec.Struct, frozen=True):
    tenant: Text = _ABSENT
    organisation: Text = _ABSENT
    path: Annotated[str, Meta(max_length=MAX_PATH)] = _ABSENT


class _Device(msgspec.Struct, frozen=True):
    id: Text = _ABSENT
    certificate_sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}\\Z")] | UnsetType = UNSET


class _Network(msgspec.Struct, frozen=True):
    source_ip: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET  # an IPv6 address has at most 45
    tunnel: bool = False
    underlay: Text = _ABSENT
    country: Text = _ABSENT
    path_encrypted: bool | Literal["unknown"] = _ABSENT


class _ClientRequest(msgspec.Struct, frozen=True):
    method: Text
    uri: Annotated[str, Meta(max_length=MAX_PATH)]
    dpop: Annotated[str, Meta(max_length=MAX_TOKEN)] = _ABSENT


class _OfContext(msgspec.Struct, frozen=True):
    device: _Device = _Device()
    client_request: _ClientRequest | UnsetType = UNSET
    network: _Network | UnsetType = UNSET
    risk: Words = ()
    pep: Words = ()
    session_id: Text = _ABSENT


class _Subject(msgspec.Struct, frozen=True):
    type: Text
    id: Text
    properties: _OfSubject = _OfSubject()


class _Action(msgspec.Struct, frozen=True):
    name: Text
    properties: dict[str, Any] | UnsetType = UNSET  # read by nobody, but an object


class _Resource(msgspec.Struct, frozen=True):
    type: Text
    id: Text
    properties: _OfResource = _OfResource()


class _Asked(msgspec.Struct, frozen=True):
    """A whole question, as far as profile `zta` reads it: one conversion takes a third of the time of three."""

    subject: _Subject
    action: _Action
    resource: _Resource
    context: _OfContext = _OfContext()


_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FAULT: Final = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_NOTHING: Final[Mapping[str, Any]] = {}
_SILENT: Final = Network()

_T = TypeVar("_T")


def access_request(question: Mapping[str, Any], profile: Profile, call: Call, at: str = "") -> AccessRequest:
    """What the question (an object with the four members) asks, for this profile; `at` is its pointer in the body.

    Raises BadRequestError with a pointer, and NotPermittedError where the question says something that
    this caller may not say.
    """
    if profile == "plain":
        read = read_question(question, at)
        return AccessRequest(
            subject_id=read.subject["id"],
            resource_id=read.resource["id"],
            action=read.action["name"],
            request_id=call.request_id,
            trace_id=call.trace_id,
            wire=WIRE,
            document=read.document(),
            fresh=call.fresh,
        )
    try:
        asked = msgspec.convert(question, _Asked)
    except msgspec.ValidationError as fault:
        raise _explained(question, at, fault) from None
    context, resource = asked.context, asked.resource.properties
    fingerprint = context.device.certificate_sha256
    if fingerprint is not UNSET:
        require(call.caller, "assert_network")
    return AccessRequest(
        subject_id=_looked_up(asked.subject, SUBJECT_TYPE),
        resource_id=_looked_up(asked.resource, RESOURCE_TYPE),
        action=asked.action.name,
        identity=_identity(asked, call, f"{at}/subject/properties"),
        device_id=context.device.id,
        certificate_sha256=None if fingerprint is UNSET else fingerprint.lower(),
        network=_network(context, call, f"{at}/context/network"),
        risk=context.risk,
        pep=context.pep,
        tenant=resource.tenant,
        organisation=resource.organisation,
        path=resource.path,
        session_id=context.session_id,
        request_id=call.request_id,
        trace_id=call.trace_id,
        wire=WIRE,
        fresh=call.fresh,
        client_request=_client_request(asked, call),
    )


def _explained(question: Mapping[str, Any], at: str, fault: msgspec.ValidationError) -> BadRequestError:
    """What is wrong with a question that is no `_Asked`, in our words and with the pointer of the first fault."""
    try:
        read = read_question(question, at)
        _read(read.subject.get("properties"), _OfSubject, f"{at}/subject/properties")
        _read(read.resource.get("properties"), _OfResource, f"{at}/resource/properties")
        _read(read.context, _OfContext, f"{at}/context")
    except BadRequestError as known:
        return known
    return BadRequestError(str(fault), pointer=at or None)


def _read(members: Mapping[str, Any] | None, form: type[_T], at: str) -> _T:
    """The members that `form` knows. Raises BadRequestError with the pointer of the first wrong type."""
    try:
        return msgspec.convert(members or _NOTHING, form)
    except msgspec.ValidationError as fault:
        said = _FAULT.fullmatch(str(fault))
        what, path = said.groups("") if said is not None else (str(fault), "")
        pointer = at + path.replace("[", "/").replace("]", "").replace(".", "/")
        raise BadRequestError(what[:1].lower() + what[1:], pointer=pointer) from None


def _looked_up(entity: _Subject | _Resource, known_type: str) -> str:
    return entity.id if entity.type == known_type else f"{entity.type}:{entity.id}"


def _identity(asked: _Asked, call: Call, at: str) -> AssertedClaims | UnverifiedToken | None:
    token, claims = asked.subject.properties.token, asked.subject.properties.claims
    if token is not UNSET:
        if claims is not UNSET:
            raise BadRequestError("`token` and `claims` are two words on one identity; send one", pointer=at)
        seen = asked.context.client_request
        return UnverifiedToken(token, "bearer" if seen is UNSET or seen.dpop is None else "dpop")
    if claims is UNSET:
        return None
    require(call.caller, "assert_identity")
    return AssertedClaims(
        acr=claims.acr,
        amr=claims.amr,
        auth_time=_auth_time(claims.auth_time, f"{at}/claims/auth_time"),
        issuer=claims.iss,
    )


def _client_request(asked: _Asked, call: Call) -> ClientRequest | None:
    """Only beside a token: a proof that nobody judges is not kept in a question that is (`Readings`)."""
    seen = asked.context.client_request
    if seen is UNSET:
        return None
    require(call.caller, "assert_network")
    return None if asked.subject.properties.token is UNSET else ClientRequest(seen.method, seen.uri, seen.dpop)


def _auth_time(value: float | str | None, at: str) -> datetime | None:
    """Seconds since 1970 (OpenID Connect Core section 2) or RFC 3339 with its offset."""
    if value is None:
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
    said = context.network
    if said is UNSET:
        return _SILENT
    require(call.caller, "assert_network")
    return Network(
        source_ip=None if said.source_ip is UNSET else _address(said.source_ip, f"{at}/source_ip"),
        tunnel=said.tunnel,
        underlay=said.underlay,
        path_encrypted=said.path_encrypted,
        country=said.country,
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
