"""Security event tokens (RFC 8417, in the profile of SSF 1.0 section 4): what one says, once it is verified.

1. size and three segments of base64url, strict JSON in both (`pdp.identity.jws`)
2. the header: an algorithm that this stream may use, the type `secevent+jwt`, a `kid`
3. `iss` is exactly the stream's issuer
4. the signature, by the one key of this issuer that has this `kid`
5. `aud` names us; `jti` and `iat` are there, and `iat` is not in the future; `sub` and `exp` are not there, so that
   no SET passes for an access token or an ID token, nor the other way round (RFC 8417 section 4.5 and 4.6)
6. exactly one event (CAEP interoperability profile), and whom it is about

Whether it was taken before is not asked here: that is the inbox's to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.errors import BadRequestError, NotReadyError
from pdp.identity.jws import read_jws
from pdp.identity.token import TokenRefusedError
from pdp.ssf.events import instant, read_event
from pdp.ssf.subjects import read_subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.identity.jws import UnverifiedJws
    from pdp.identity.keys import KeySet
    from pdp.identity.provider import IssuerKeys
    from pdp.model.issuer import Issuer
    from pdp.ssf.events import Event
    from pdp.ssf.subjects import Subject

TYPES: Final = ("secevent+jwt", "application/secevent+jwt")
MAX_ID: Final = 256  # characters of `jti` and `txn`
# RFC 8935 section 2.4, and SSF 1.0 for the last one.
ErrorCode = Literal[
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
    "access_denied",
    "invalid_state",
]
_KEY_FAULTS: Final = frozenset(
    {"alg_refused", "kid_invalid", "key_unknown", "key_ambiguous", "key_unusable", "signature_invalid"}
)


class SetRefusedError(BadRequestError):
    """This is no SET that counts. `err` is the code for the transmitter; the message repeats nothing of the SET."""

    code = "set_refused"
    next_step = "the transmitter corrects what it sends; `pdp ssf check` says the same of a file"

    def __init__(self, err: ErrorCode, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.err: Final[ErrorCode] = err
        self.reason: Final = reason or err


@dataclass(frozen=True, slots=True)
class SecurityEventToken:
    """A verified SET. `happened_at`: when its event says it happened, else when it was issued."""

    issuer: str
    jti: str
    issued_at: datetime
    subject: Subject
    event: Event
    txn: str = ""

    @property
    def happened_at(self) -> datetime:
        return self.event.at or self.issued_at


class SetVerifier:
    """Verifies the SETs of one stream with its issuer's keys."""

    def __init__(self, keys: IssuerKeys, *, legacy: bool = False) -> None:
        self._keys = keys
        self._legacy = legacy

    async def verify(self, text: str, now: datetime) -> SecurityEventToken:
        """Raises SetRefusedError, and NotReadyError where the keys cannot be had: then it is to come again."""
        issuer = self._keys.issuer
        jws, kid = opened(text, issuer)
        try:
            keys = await self._keys.with_key(kid, now)
        except TokenRefusedError as fault:
            raise NotReadyError(f"the keys of `{issuer.issuer}` cannot be had: {fault.reason}") from None
        state = self._keys.state()
        if kid not in keys and (state.fault is not None or state.tried_at is None or state.tried_at < now):
            # They are asked for at most once a minute, and a fetch that was on its way may have read the set from
            # before the change. A refusal would be final, and the key may be a new one.
            raise NotReadyError(f"the keys of `{issuer.issuer}` do not have this one, and were not read just now")
        return judged(jws, keys, issuer, now, legacy=self._legacy)


def opened(text: str, issuer: Issuer) -> tuple[UnverifiedJws, str]:
    """Steps 1 to 3: (the parts, the `kid`). Raises SetRefusedError."""
    if text.count(".") == 2 and text.endswith("."):  # noqa: PLR2004  # the shape of a JWS without a signature
        raise SetRefusedError("invalid_key", "the SET is not signed", "alg_refused")
    try:
        jws = read_jws(text)
    except TokenRefusedError as fault:
        raise SetRefusedError("invalid_request", f"this is no SET: `{fault.reason}`", fault.reason) from None
    algorithm, kid, kind = jws.header.get("alg"), jws.header.get("kid"), jws.header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise SetRefusedError("invalid_request", "`typ` is not `secevent+jwt`", "typ_refused")
    if algorithm not in issuer.algorithms:
        raise SetRefusedError("invalid_key", "`alg` is not one that this stream may use", "alg_refused")
    if not isinstance(kid, str) or not kid:
        raise SetRefusedError("invalid_key", "`kid` is missing", "kid_invalid")
    if jws.payload.get("iss") != issuer.issuer:
        raise SetRefusedError("invalid_issuer", "`iss` is not the issuer of this stream", "issuer_unknown")
    return jws, kid


def judged(
    jws: UnverifiedJws, keys: KeySet, issuer: Issuer, now: datetime, *, legacy: bool = False
) -> SecurityEventToken:
    """Steps 4 to 6. Raises SetRefusedError."""
    try:
        keys.find(jws.header["kid"]).verify(jws.header["alg"], jws.signed, jws.signature)
    except TokenRefusedError as fault:
        err: ErrorCode = "invalid_key" if fault.reason in _KEY_FAULTS else "invalid_request"
        raise SetRefusedError(err, f"the signature cannot be verified: `{fault.reason}`", fault.reason) from None
    claims = jws.payload
    if not _names_us(claims.get("aud"), issuer):
        raise SetRefusedError("invalid_audience", "`aud` does not name us", "audience_refused")
    for name in ("sub", "exp"):
        if name in claims:
            raise SetRefusedError("invalid_request", f"`{name}` must not be in a SET", "claim_invalid")
    try:
        issued_at = instant(claims.get("iat"), "iat")
        kind, members = _event(claims.get("events"))
        event = read_event(kind, members, legacy=legacy)
        subject = read_subject(_subject(claims, event, legacy=legacy), legacy=legacy)
    except BadRequestError as fault:
        raise SetRefusedError("invalid_request", fault.message, "claim_invalid") from None
    if issued_at > now + timedelta(seconds=issuer.leeway_s):
        raise SetRefusedError("invalid_request", "`iat` lies in the future", "not_yet_valid")
    txn = claims.get("txn")
    txn = txn[:MAX_ID] if isinstance(txn, str) and txn.isprintable() else ""
    return SecurityEventToken(issuer.issuer, _id(claims, "jti"), issued_at, subject, event, txn)


def _names_us(said: object, issuer: Issuer) -> bool:
    names = said if isinstance(said, list) else [said]
    return all(isinstance(name, str) for name in names) and not set(issuer.audiences).isdisjoint(names)


def _event(events: object) -> tuple[str, object]:
    if not isinstance(events, dict) or len(events) != 1:
        raise BadRequestError("`events` must hold exactly one event")
    return next(iter(events.items()))


def _subject(claims: Mapping[str, Any], event: Event, *, legacy: bool) -> object:
    """`sub_id`; of older transmitters the subject stands within the event."""
    if legacy and "sub_id" not in claims:
        return event.members.get("subject")
    return claims.get("sub_id")


def _id(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise SetRefusedError(
            "invalid_request", f"`{name}` is missing, or is no text of 1 to {MAX_ID}", "claim_missing"
        )
    return value
