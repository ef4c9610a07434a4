"""An identity provider whose tokens count, as the settings describe it. Lists are short, and every limit is finite."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pdp.model.input import AuthLevel, IdentitySource

Algorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]  # what python-jose verifies, asymmetric only

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_LEEWAY_S: Final = 60  # RFC 9068 leaves "a small leeway"; standards 7.3 has 60 s


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[issuers]]` entry; docs/identity.md explains each with examples for Keycloak and Entra.

    Without `jwks_uri` and `jwks_file` the keys come from the issuer's own discovery document. `typ` "jwt" lets
    access tokens with the type `JWT` in, and then `access_token_claims` names what an ID token of this issuer
    does not have: a claim and its value, or "" for any. An empty list of `clients`, `organisations` or
    `identity_sources` means that all count.
    """

    issuer: Name
    audiences: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]

    jwks_uri: str = ""
    jwks_file: str = ""
    jwks_ttl_s: Annotated[int, Meta(ge=300, le=3600)] = 600  # standards 7.6: 5 to 60 minutes
    hosts: Names = ()  # further hosts that this issuer's keys may be on
    private_hosts: Names = ()  # hosts that may have a private or loopback address
    ca_file: str = ""  # authority of the issuer's own TLS certificate; empty: those of the system

    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256")
    typ: Literal["at+jwt", "jwt"] = "at+jwt"
    access_token_claims: dict[Name, str] = msgspec.field(default_factory=dict)
    clients: Names = ()
    leeway_s: Annotated[int, Meta(ge=0, le=LONGEST_LEEWAY_S)] = LONGEST_LEEWAY_S
    max_age_s: Annotated[int, Meta(ge=60, le=31 * 86_400)] = 36 * 3_600  # the longest of Entra's have 28 hours

    subject_claim: Name = "sub"  # holds the user's id in the directory
    client_claim: Name = "client_id"
    token_id_claim: Name = "jti"  # noqa: S105  # the name of a claim
    session_claim: Name = "sid"
    scope_claim: Name = "scope"

    acr_levels: dict[str, AuthLevel] = msgspec.field(default_factory=dict)
    highest_level: AuthLevel = 3  # what this issuer can prove at most
    organisations: Names = ()
    identity_sources: tuple[IdentitySource, ...] = ()

    def __post_init__(self) -> None:
        if self.jwks_uri and self.jwks_file:
            raise ValueError("`jwks_uri` and `jwks_file` are two places for the same keys; give one")
        if not self.jwks_file or self.jwks_uri:
            check_url(self.jwks_uri or self.issuer, "jwks_uri" if self.jwks_uri else "issuer")
        if self.typ == "jwt" and not self.access_token_claims:
            raise ValueError("`typ` is `jwt`, so `access_token_claims` must name what an ID token does not have")

    @property
    def key_hosts(self) -> frozenset[str]:
        """The hosts that keys are taken from: the issuer's own, that of `jwks_uri`, and those that are named."""
        urls = (self.issuer, self.jwks_uri)
        return frozenset(host for url in urls if (host := urlsplit(url).hostname)) | {h.lower() for h in self.hosts}


def check_url(url: str, name: str) -> None:
    """https, or http on a loopback name; a host, and neither user nor fragment. Raises ValueError."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        raise ValueError(f"`{name}` is not a URL") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"`{name}` must begin with https:// (http:// only on a loopback address)")
    if not parts.hostname or "@" in parts.netloc or parts.fragment or not url.isascii() or not url.isprintable():
        raise ValueError(f"`{name}` must have a host, and no user, fragment, blank or unusual character")
