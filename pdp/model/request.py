"""What an enforcement point asks, after its wire format has been taken off and before anything is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pdp.model.input import Known

if TYPE_CHECKING:
    from pdp.errors import SekishoError


class AssertedClaims(msgspec.Struct, frozen=True):
    """What the gateway says that the identity provider said. Believed only from a caller with `assert_identity`."""

    acr: str | None = None
    amr: tuple[str, ...] = ()
    auth_time: datetime | None = None
    issuer: str | None = None


class UnverifiedToken(msgspec.Struct, frozen=True):
    """A token as it came. Its text is a secret: it is never logged, recorded or echoed.

    `names_subject`: nobody else said who the subject is, so it is whom the token names once it has been verified.
    """

    text: str
    scheme: Literal["bearer", "dpop"] = "bearer"
    names_subject: bool = False

    def __repr__(self) -> str:
        return "UnverifiedToken()"


class ClientRequest(msgspec.Struct, frozen=True):
    """The client's own request, as the gateway saw it: what a proof of possession is about (RFC 9449).

    `uri` is absolute; `dpop` the value of the one `DPoP` header. Believed only from a caller with `assert_network`.
    """

    method: str
    uri: str
    dpop: str | None = None

    def __repr__(self) -> str:
        return "ClientRequest()"


class Network(msgspec.Struct, frozen=True):
    """Where the request came from, as the gateway saw it. None: it did not say."""

    source_ip: str | None = None
    tunnel: bool = False
    underlay: str | None = None
    path_encrypted: Known | None = None
    country: str | None = None


class Reading:
    """One caller's way of asking, in these very words: the object itself is what is compared.

    `grounds`: what was found of it last, for `pdp.recollection` alone; None: nothing.
    """

    __slots__ = ("grounds",)

    def __init__(self) -> None:
        self.grounds: Any = None


class AccessRequest(msgspec.Struct, frozen=True):
    """One access that somebody wants. Profile `zta` reads the typed fields; `plain` passes `document` on.

    `document` is the AuthZEN request as it came (subject, action, resource, context), already strict JSON.
    `fresh` asks for an evaluation whatever a cache holds; it counts from a caller with `bypass_cache`.
    INVARIANT (one reading): two requests with the same `reading` differ in nothing but `request_id`, `trace_id` and
    `fresh`, and carry no token. None: nobody knows whether it was asked in these words before.
    """

    subject_id: str
    resource_id: str
    action: str
    identity: AssertedClaims | UnverifiedToken | None = None
    device_id: str | None = None
    certificate_sha256: str | None = None
    network: Network = Network()
    risk: tuple[str, ...] = ()
    pep: tuple[str, ...] = ()
    tenant: str | None = None
    organisation: str | None = None
    path: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    wire: str = "authzen"
    document: Mapping[str, Any] = {}
    fresh: bool = False
    client_request: ClientRequest | None = None
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered with an error and no decision, as the decision log keeps it.

    The body itself is not kept: it may hold anything. `body_sha256` is hex over the bytes.
    """

    fault: SekishoError
    wire: str
    request_id: str | None = None
    body_sha256: str | None = None
    body_bytes: int = 0
