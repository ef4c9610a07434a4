"""What a token said, once it has been verified, and the one way in which a token is refused.

A `VerifiedToken` is only ever made by `pdp.identity.checking`, after every step of its list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from pdp.errors import BadRequestError

# Every reason for which a token is refused. Scripts and tests rely on the codes; docs/identity.md explains them.
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "too_large": "longer than the limit",
        "malformed": "not three non-empty segments of base64url without padding, white space or spare bits",
        "header_invalid": "the header is not one strict JSON object",
        "header_unsupported": "`crit`, `b64`, `zip`, `enc` or a nested token: nothing that we would understand",
        "alg_refused": "`alg` is not one of those that this issuer may use",
        "typ_refused": "`typ` is not that of an access token",
        "payload_invalid": "the payload is not one strict JSON object",
        "issuer_unknown": "`iss` is missing, or is not exactly a configured issuer",
        "keys_unavailable": "the issuer's keys could not be had, or are too old to be relied on",
        "kid_invalid": "`kid` is missing where the issuer has several keys, or is not a text of 1 to 256 characters",
        "key_unknown": "the issuer has no key with this `kid`",
        "key_ambiguous": "the issuer has several keys with this `kid`",
        "key_unusable": "the key is not one for verifying with this `alg`, or is too weak",
        "signature_invalid": "the signature does not hold",
        "claim_missing": "a required claim is missing",
        "claim_invalid": "a claim has a wrong type or an absurd value",
        "audience_refused": "`aud` does not name us",
        "expired": "`exp` has passed, or the token is older than this issuer's may be",
        "not_yet_valid": "`nbf` or `iat` lies in the future",
        "not_an_access_token": "a claim that marks access tokens is missing, or one that marks ID tokens is there",
        "client_refused": "the token was issued to a client that this issuer's setting does not list",
        "cnf_unknown": "`cnf` asks for a proof of a kind that we cannot check",
        "proof_required": "the token is bound to a key or a certificate, and no proof of it came along",
        "nonce_required": "this deployment asks for a nonce, and the proof names none that counts",
        "proof_invalid": "the proof of possession does not hold for this token and this request",
        "proof_replayed": "the proof of possession has been used before",
        "certificate_mismatch": "the token is bound to another client certificate",
        "scheme_refused": "the authentication scheme does not fit the token",
        "subject_mismatch": "the token is not that of the subject that is asked about",
        "subject_unusable": "the claim that names the user in the directory is missing or unusable",
        "not_vouched_for": "this issuer may not vouch for this user's organisation or identity source",
        "subject_revoked": "the subject's tokens and sessions of that time were revoked",
        "session_revoked": "the session was revoked",
        "token_revoked": "this very token was revoked",
    }
)


class TokenRefusedError(BadRequestError):
    """The token is not one that counts. `reason` is a key of `REASONS`, `claim` the claim at fault, where it is one.

    Neither the message nor the representation repeats anything that the token holds.
    """

    code = "token_refused"
    status = 401
    next_step = "get a new token from the identity provider; docs/identity.md explains the reason"

    def __init__(self, reason: str, claim: str | None = None) -> None:
        super().__init__(f"the token is refused: `{reason}`" + (f" (`{claim}`)" if claim in _NAMEABLE else ""))
        self.reason = reason
        self.claim = claim


# Claims whose name an error may repeat: ours, never one that somebody made up to carry a text into a log.
_NAMEABLE: Final = frozenset(
    "iss sub aud exp nbf iat jti client_id azp appid scope scp sid acr amr auth_time cnf oid uti typ".split()  # noqa: SIM905
)


class Confirmation(msgspec.Struct, frozen=True):
    """`cnf` (RFC 7800): what the holder of the token must prove. Both members: both proofs."""

    jkt: str | None = None  # RFC 7638 thumbprint of the DPoP key (RFC 9449 section 6.1)
    certificate_sha256: str | None = None  # lower-case hex; `x5t#S256` (RFC 8705 section 3.1) is the same in base64url


class VerifiedToken(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a token whose signature and claims hold. Times are aware, in UTC.

    `subject` is `sub`, `user_id` the claim that the issuer's setting names as the directory's id; None where a
    token has none, as those of machines may. `expires_at` is the first instant at which it no longer counts
    (leeway and the issuer's longest age included). `claims` says of every claim how it was accounted for.
    `cnf` is not None only where its proof was shown and held.
    """

    issuer: str
    subject: str
    user_id: str | None
    client_id: str
    token_id: str
    session_id: str | None = None
    scopes: frozenset[str] = frozenset()
    audience: tuple[str, ...] = ()
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    cnf: Confirmation | None = None
    claims: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"VerifiedToken(issuer={self.issuer!r}, client_id={self.client_id!r})"


@dataclass(frozen=True, slots=True)
class Presented:
    """How a token was presented, as far as somebody trusted saw it. By default: as a bearer token, with no proof.

    `method` and `uri` are those of the client's own request, as the gateway asserts them; `dpop` is the value of
    its one `DPoP` header. `certificate_sha256` (lower-case hex) is of the client's certificate in that connection.
    `use` names one use of the proof: the same proof under another name is a replay.
    """

    scheme: str = "bearer"
    certificate_sha256: str | None = None
    dpop: str | None = field(default=None, repr=False)
    method: str | None = None
    uri: str | None = None
    use: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in ("bearer", "dpop"):
            raise TokenRefusedError("scheme_refused")


BEARER: Final = Presented()


class TokenReader(Protocol):
    """For whoever takes tokens of the configured issuers: people's in decisions, machines' as callers."""

    async def read(self, token: str, now: datetime, presented: Presented = BEARER) -> VerifiedToken:
        """The verified token. May wait, within a deadline of seconds, for the issuer's keys.

        Raises TokenRefusedError, also for a token that is bound to a key or certificate without its proof.
        """
        ...
