"""The claims of an access token: step 6 of standards 7.3 (RFC 9068 section 4, RFC 7519 section 4.1). Pure.

Every claim of a token is accounted for by one of these words, in `VerifiedToken.claims` and in `pdp token check`:

| word | meaning |
|---|---|
| `checked` | its value was compared or bounded, and the token would not count otherwise |
| `checked: proof` | it asks for a proof of possession, and the proof held |
| `mapped: subject`, `mapped: user id` | who: `sub`, and the claim that is the directory's id |
| `mapped: client`, `mapped: token id`, `mapped: session`, `mapped: scopes` | to whom, which, where, what for |
| `mapped: auth level`, `mapped: auth time` | how strongly and when the subject proved to be the subject |
| `ignored: directory` | an attribute of a person: those come from the registers, never from a token |
| `ignored: protocol` | for others: it says nothing that a decision needs |
| `ignored: unknown` | a claim that stands in no list of ours |
| `refused` | the claim for which the token was refused (only in `pdp token check`) |
| `not judged` | the token was refused before it was looked at, or for something else (only in `pdp token check`) |
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.identity.token import Confirmation, TokenRefusedError, VerifiedToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.issuer import Issuer

MAX_NAME: Final = 256  # characters of an id
MAX_WORDS: Final = 64  # entries of `amr` or `aud`
MAX_SCOPE: Final = 4_096  # characters
_LAST_INSTANT: Final = 253_402_300_799  # 9999-12-31T23:59:59Z; also where somebody wrote milliseconds
_SHA256: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes

_DIRECTORY: Final = frozenset(
    "name given_name family_name middle_name nickname preferred_username profile picture website email email_verified"  # noqa: SIM905
    " gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at upn unique_name oid"
    " groups roles entitlements realm_access resource_access organization department wids".split()
)
_PROTOCOL: Final = frozenset(
    "typ azp azpacr appid appidacr nonce at_hash c_hash s_hash ver idp idtyp tid uti rh aio xms_cc session_state"  # noqa: SIM905
    " allowed-origins act may_act events toe txn scp scope sid trusted-certs".split()
)
_OF_ID_TOKENS: Final = ("at_hash", "c_hash", "s_hash")  # OpenID Connect Core section 3.3.2.11


def check_claims(payload: Mapping[str, Any], issuer: Issuer, now: datetime) -> VerifiedToken:
    """The token that this payload is, at `now`. Its signature has been verified, its proof not yet.

    Raises TokenRefusedError with the claim at fault.
    """
    claims = _Claims(payload)
    leeway = timedelta(seconds=issuer.leeway_s)
    if claims.need("iss") != issuer.issuer:
        raise TokenRefusedError("issuer_unknown", "iss")
    audience = claims.audience()
    if not any(ours in audience for ours in issuer.audiences):
        raise TokenRefusedError("audience_refused", "aud")
    expires, issued = claims.instant("exp"), claims.instant("iat")
    subject, client = claims.name("sub"), claims.name(issuer.client_claim)
    token = VerifiedToken(
        issuer=issuer.issuer,
        subject=subject,
        user_id=claims.name(issuer.subject_claim) if issuer.subject_claim in payload else None,
        client_id=client,
        token_id=claims.name(issuer.token_id_claim),
        session_id=claims.name(issuer.session_claim) if issuer.session_claim in payload else None,
        scopes=claims.scopes(issuer.scope_claim),
        audience=audience,
        issued_at=issued,
        expires_at=_end(expires, issued, issuer, leeway),
        auth_time=claims.instant("auth_time") if "auth_time" in payload else None,
        acr=claims.text("acr") if "acr" in payload else None,
        amr=claims.words("amr") if "amr" in payload else (),
        cnf=_confirmation(payload["cnf"]) if "cnf" in payload else None,
        claims={name: account(name, issuer) for name in payload},
    )
    for name, starts in (("iat", issued), ("nbf", claims.since("nbf")), ("auth_time", token.auth_time)):
        if starts is not None and starts > now + leeway:
            raise TokenRefusedError("not_yet_valid", name)
    if now >= token.expires_at:
        raise TokenRefusedError("expired", "exp")
    if issuer.clients and client not in issuer.clients:
        raise TokenRefusedError("client_refused", issuer.client_claim)
    return token


def check_kind(payload: Mapping[str, Any], issuer: Issuer) -> None:
    """For a token whose type is only `JWT`: it has what this issuer's ID tokens lack. Raises TokenRefusedError.

    RFC 8725 section 3.12: one kind of token must not pass for another.
    """
    for name, expected in issuer.access_token_claims.items():
        value = payload.get(name)
        if not isinstance(value, str) or not value or (expected and value != expected):
            raise TokenRefusedError("not_an_access_token", name)
    for name in _OF_ID_TOKENS:
        if name in payload:
            raise TokenRefusedError("not_an_access_token", name)


def account(name: str, issuer: Issuer) -> str:
    """How a claim of this name is accounted for in a token that counts."""
    if name in ("iss", "aud", "exp", "nbf", "iat"):
        return "checked"
    if name in _MAPPED:
        return _MAPPED[name]
    mapped = {
        issuer.client_claim: "mapped: client",
        issuer.token_id_claim: "mapped: token id",
        issuer.session_claim: "mapped: session",
        issuer.scope_claim: "mapped: scopes",
        issuer.subject_claim: "mapped: user id",
    }
    if name in mapped:
        return mapped[name]
    if name in issuer.access_token_claims:
        return "checked"
    if name in _DIRECTORY:
        return "ignored: directory"
    return "ignored: protocol" if name in _PROTOCOL else "ignored: unknown"


_MAPPED: Final[Mapping[str, str]] = {
    "sub": "mapped: subject",
    "acr": "mapped: auth level",
    "amr": "mapped: auth level",
    "auth_time": "mapped: auth time",
    "cnf": "checked: proof",
}


def _end(expires: datetime, issued: datetime, issuer: Issuer, leeway: timedelta) -> datetime:
    """The first instant at which it no longer counts. However late `exp` is, a token has an age at which it ends:
    so it is known for how long a revocation must be remembered.
    """
    ends = min(expires.timestamp(), issued.timestamp() + issuer.max_age_s) + leeway.total_seconds()
    return datetime.fromtimestamp(min(ends, _LAST_INSTANT), UTC)


class _Claims:
    """Typed access. A claim of another type is refused and never converted: `"1800000300"` is no time, `1` no name."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload

    def need(self, claim: str) -> Any:
        if claim not in self._payload:
            raise TokenRefusedError("claim_missing", claim)
        return self._payload[claim]

    def name(self, claim: str) -> str:
        """A text that can be an id: 1 to 256 characters, none of them a control character."""
        value = self.text(claim)
        if not value or not value.isprintable():
            raise TokenRefusedError("claim_invalid", claim)
        return value

    def text(self, claim: str, longest: int = MAX_NAME) -> str:
        value = self.need(claim)
        if not isinstance(value, str) or len(value) > longest:
            raise TokenRefusedError("claim_invalid", claim)
        return value

    def words(self, claim: str) -> tuple[str, ...]:
        value = self.need(claim)
        if not isinstance(value, list) or len(value) > MAX_WORDS:
            raise TokenRefusedError("claim_invalid", claim)
        if not all(isinstance(word, str) and len(word) <= MAX_NAME for word in value):
            raise TokenRefusedError("claim_invalid", claim)
        return tuple(value)

    def audience(self) -> tuple[str, ...]:
        """RFC 7519 section 4.1.3: one text or a list of texts. One entry that is none spoils the list."""
        value = self.need("aud")
        audience = (value,) if isinstance(value, str) and len(value) <= MAX_NAME else self.words("aud")
        if not audience:
            raise TokenRefusedError("claim_invalid", "aud")
        return audience

    def scopes(self, claim: str) -> frozenset[str]:
        """RFC 6749 section 3.3: words with single spaces between them; under another name than `scope` also a list."""
        if claim not in self._payload:
            return frozenset()
        if claim != "scope" and isinstance(self._payload[claim], list):
            return frozenset(self.words(claim))
        return frozenset(self.text(claim, MAX_SCOPE).split(" ")) - {""}

    def instant(self, claim: str) -> datetime:
        """RFC 7519 section 2, NumericDate: seconds since 1970, a number that is neither a truth value nor absurd."""
        value = self.need(claim)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LAST_INSTANT:
            raise TokenRefusedError("claim_invalid", claim)
        return datetime.fromtimestamp(value, UTC)

    def since(self, claim: str) -> datetime | None:
        return self.instant(claim) if claim in self._payload else None


def _confirmation(value: object) -> Confirmation:
    """Step 7: a binding of a kind that nobody here checks is no binding. Raises TokenRefusedError."""
    if not isinstance(value, dict) or not value:
        raise TokenRefusedError("claim_invalid", "cnf")
    if not value.keys() <= {"jkt", "x5t#S256"}:
        raise TokenRefusedError("cnf_unknown", "cnf")
    digests = {name: _thumbprint(text) for name, text in value.items()}
    jkt, certificate = digests.get("jkt"), digests.get("x5t#S256")
    return Confirmation(
        None if jkt is None else urlsafe_b64encode(jkt).rstrip(b"=").decode("ascii"),
        None if certificate is None else certificate.hex(),
    )


def _thumbprint(text: object) -> bytes:
    """SHA-256 in base64url. Spare bits are let be, and only here: the example of RFC 8705 has some, and what is
    compared afterwards is the digest.
    """
    if not isinstance(text, str) or _SHA256.fullmatch(text) is None:
        raise TokenRefusedError("claim_invalid", "cnf")
    return urlsafe_b64decode(text + "=")
