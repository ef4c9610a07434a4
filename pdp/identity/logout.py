"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.4 to 2.6): who has logged out, said by the provider.

A logout token must never pass for anything else, nor anything else for it: it has a type or at least an event of its
own, and neither `nonce` nor the type of an access token. What it says becomes a mark (`pdp.identity.revocations`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.identity.jws import read_jws
from pdp.identity.token import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.identity.provider import IssuerKeys
    from pdp.identity.revocations import MarkKind
    from pdp.model.issuer import Issuer

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LONGEST: Final = timedelta(minutes=10)  # section 2.4 recommends two minutes; clocks and retries need some more
MAX_ID: Final = 256
MAX_REMEMBERED: Final = 10_000  # token ids, of ten minutes
_TYPES: Final = ("logout+jwt", "application/logout+jwt", "jwt", None)  # older providers send another type or none


class LoggedOut(NamedTuple):
    """What is to be marked: the session where the token names one, else everything of the subject up to `at`."""

    kind: MarkKind
    id: str
    at: datetime
    issuer: str


class LogoutTokens:
    """Reads the logout tokens of the configured issuers. A token counts once in this process (section 2.6, step 8).

    As far as there is memory: the oldest is forgotten before a new one is refused. A mark that is made twice harms
    nobody, and a logout that is lost, when everybody is logged out at once, does.
    """

    def __init__(self, issuers: Sequence[IssuerKeys], *, max_remembered: int = MAX_REMEMBERED) -> None:
        self._max_remembered = max_remembered
        self._issuers = {keys.issuer.issuer: keys for keys in issuers}
        self._seen: dict[tuple[str, str], datetime] = {}

    async def read(self, token: str, now: datetime) -> LoggedOut:
        """Raises TokenRefusedError for whatever is no logout token of one of the issuers, for us, of now."""
        jws = read_jws(token)
        name = jws.payload.get("iss")
        keys = self._issuers.get(name) if isinstance(name, str) else None
        if keys is None:
            raise TokenRefusedError("issuer_unknown", "iss")
        issuer = keys.issuer
        algorithm, kid, kind = jws.header.get("alg"), jws.header.get("kid"), jws.header.get("typ")
        if algorithm not in issuer.algorithms:
            raise TokenRefusedError("alg_refused")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise TokenRefusedError("typ_refused")
        if not isinstance(kid, str) or not kid:
            raise TokenRefusedError("kid_invalid")
        (await keys.with_key(kid, now)).find(kid).verify(algorithm, jws.signed, jws.signature)
        return self._counted(jws.payload, issuer, now)

    def forget(self, token: str) -> None:
        """What a token said could not be kept: it counts when it is sent again. Only for one that `read` has taken."""
        claims = read_jws(token).payload
        self._seen.pop((claims["iss"], claims["jti"]), None)

    def _counted(self, claims: Mapping[str, Any], issuer: Issuer, now: datetime) -> LoggedOut:
        said, at, token_id = read_claims(claims, issuer, now)
        for old in [key for key, until in self._seen.items() if until <= now]:
            del self._seen[old]
        mark = (issuer.issuer, token_id)
        if mark in self._seen:
            raise TokenRefusedError("proof_replayed", "jti")
        if len(self._seen) >= self._max_remembered:
            del self._seen[next(iter(self._seen))]
        self._seen[mark] = at + 2 * LONGEST
        return said


def read_claims(claims: Mapping[str, Any], issuer: Issuer, now: datetime) -> tuple[LoggedOut, datetime, str]:
    """(who has logged out, when it was said, the token's id). Section 2.6, steps 4 to 7. Raises TokenRefusedError."""
    if not _names_us(claims.get("aud"), issuer):
        raise TokenRefusedError("audience_refused", "aud")
    if "nonce" in claims:  # section 2.4: else an ID token could pass for a logout token
        raise TokenRefusedError("claim_invalid", "nonce")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise TokenRefusedError("claim_invalid", "events")
    issued = _instant(claims, "iat")
    leeway = timedelta(seconds=issuer.leeway_s)
    if issued > now + leeway:
        raise TokenRefusedError("not_yet_valid", "iat")
    ends = _instant(claims, "exp") if "exp" in claims else issued + LONGEST
    if now - leeway >= ends or now >= issued + LONGEST:  # no sum with `ends`: it may lie at the end of time
        raise TokenRefusedError("expired", "exp")
    token_id = _name(claims, "jti")
    if "sid" in claims:
        return LoggedOut("session", _name(claims, "sid"), issued, issuer.issuer), issued, token_id
    return LoggedOut("subject", _name(claims, "sub"), issued, issuer.issuer), issued, token_id


def _names_us(said: object, issuer: Issuer) -> bool:
    """A logout token is for a client of the provider: one that we know, or one of our own audiences."""
    names = said if isinstance(said, list) else [said]
    ours = {*issuer.audiences, *issuer.clients}
    return bool(names) and all(isinstance(name, str) for name in names) and not ours.isdisjoint(names)


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefusedError("claim_missing" if value is None else "claim_invalid", name)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenRefusedError("claim_invalid", name) from None


def _name(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        raise TokenRefusedError("claim_missing", name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise TokenRefusedError("claim_invalid", name)
    return value
