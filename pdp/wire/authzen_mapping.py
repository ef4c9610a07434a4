"""From an AuthZEN question to an `AccessRequest`, for both profiles. Pure.

Profile `zta` (access-rules, section 6). Read are exactly:

| member | into | needs |
|---|---|---|
| `subject.type`, `subject.id` | `subject_id` | |
| `subject.properties.token` | `identity`, verified later | |
| `subject.properties.claims.{acr, amr, auth_time, iss}` | `identity` | `assert_identity` |
| `action.name` | `action` | |
| `resource.type`, `resource.id`, `resource.properties.{tenant, path, organisation}` | `resource_id`, … | |
| `context.device.{id, certificate_sha256}` | `device_id`, `certificate_sha256` | |
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
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BadRequestError
from pdp.model.request import AccessRequest, AssertedClaims, Network, UnverifiedToken
from pdp.wire.authzen_call import WIRE, require
from pdp.wire.authzen_entities import optional, optional_text, optional_texts
from pdp.wire.bearer import MAX_TOKEN
from pdp.wire.raw_path import MAX_PATH

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile
    from pdp.wire.authzen_call import Call
    from pdp.wire.authzen_entities import Question

SUBJECT_TYPE: Final = "user"
RESOURCE_TYPE: Final = "application"

MAX_WORDS: Final = 64  # entries of `amr`, `risk` and `pep`; the contract knows six obligations and four signals

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


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
    context = question.context or {}
    in_context = f"{at}/context"
    device = optional(context, "device", dict, in_context) or {}
    resource = question.resource.get("properties", {})
    in_resource = f"{at}/resource/properties"
    return AccessRequest(
        subject_id=_looked_up(question.subject, SUBJECT_TYPE),
        resource_id=_looked_up(question.resource, RESOURCE_TYPE),
        action=question.action["name"],
        identity=_identity(question.subject.get("properties", {}), call, f"{at}/subject/properties"),
        device_id=optional_text(device, "id", f"{in_context}/device"),
        certificate_sha256=_fingerprint(device, f"{in_context}/device"),
        network=_network(context, call, in_context),
        risk=optional_texts(context, "risk", in_context, MAX_WORDS),
        pep=optional_texts(context, "pep", in_context, MAX_WORDS),
        tenant=optional_text(resource, "tenant", in_resource),
        organisation=optional_text(resource, "organisation", in_resource),
        path=optional_text(resource, "path", in_resource, MAX_PATH),
        session_id=optional_text(context, "session_id", in_context),
        request_id=call.request_id,
        trace_id=call.trace_id,
        wire=WIRE,
    )


def _looked_up(entity: dict[str, Any], known_type: str) -> str:
    name: str = entity["id"]
    return name if entity["type"] == known_type else f"{entity['type']}:{name}"


def _identity(properties: dict[str, Any], call: Call, at: str) -> AssertedClaims | UnverifiedToken | None:
    token, claims = optional_text(properties, "token", at, MAX_TOKEN), optional(properties, "claims", dict, at)
    if token is not None and claims is not None:
        raise BadRequestError("`token` and `claims` are two words on one identity; send one", pointer=at)
    if token is not None:
        return UnverifiedToken(token)
    if claims is None:
        return None
    require(call.caller, "assert_identity")
    here = f"{at}/claims"
    return AssertedClaims(
        acr=optional_text(claims, "acr", here),
        amr=optional_texts(claims, "amr", here, MAX_WORDS),
        auth_time=_auth_time(claims, here),
        issuer=optional_text(claims, "iss", here),
    )


def _auth_time(claims: dict[str, Any], at: str) -> datetime | None:
    """Seconds since 1970 (OpenID Connect Core section 2) or RFC 3339 with its offset."""
    if "auth_time" not in claims:
        return None
    value = claims["auth_time"]
    try:
        if type(value) is int or type(value) is float:
            return datetime.fromtimestamp(value, UTC)
        if type(value) is str and _RFC3339.fullmatch(value) is not None:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the 30th of February, the year 60000
        pass
    raise BadRequestError("must be seconds since 1970 or an RFC 3339 time", pointer=f"{at}/auth_time")


def _fingerprint(device: dict[str, Any], at: str) -> str | None:
    text = optional_text(device, "certificate_sha256", at)
    if text is None:
        return None
    if _SHA256.fullmatch(text) is None:
        raise BadRequestError("must be 64 hexadecimal digits", pointer=f"{at}/certificate_sha256")
    return text.lower()


def _network(context: dict[str, Any], call: Call, at: str) -> Network:
    said = optional(context, "network", dict, at)
    if said is None:
        return Network()
    require(call.caller, "assert_network")
    here = f"{at}/network"
    return Network(
        source_ip=_address(said, here),
        tunnel=optional(said, "tunnel", bool, here) or False,
        underlay=optional_text(said, "underlay", here),
        path_encrypted=optional(said, "path_encrypted", bool, here),
        country=optional_text(said, "country", here),
    )


def _address(network: dict[str, Any], at: str) -> str | None:
    text = optional_text(network, "source_ip", at)
    if text is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        raise BadRequestError("must be an IP address", pointer=f"{at}/source_ip") from None
    if "%" in text:
        raise BadRequestError("a scope means nothing beyond the gateway's own link", pointer=f"{at}/source_ip")
    return str(address)
