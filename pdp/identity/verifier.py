"""Tokens of the configured issuers. Implements `pdp.identity.token.TokenReader` and `pdp.identity.proof.TokenVerifier`.

INVARIANT (verified once): what is remembered of a token is only that its signature and claims hold under one set of
keys. It counts until the token ends, and only while the issuer still has that very set: another one, or none that is
young enough, and the token is verified anew. Possession and revocation are judged at every use.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.identity.checking import check_header, check_token, named_issuer
from pdp.identity.jws import MAX_TOKEN, read_jws
from pdp.identity.levels import LevelTable
from pdp.identity.possession import check_possession, check_scheme
from pdp.identity.proof import HIGHEST, Shown
from pdp.identity.token import BEARER, Presented, TokenRefusedError
from pdp.model.authentication import Authentication

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pdp.identity.keys import KeySet
    from pdp.identity.nonces import Nonces
    from pdp.identity.possession import Replays
    from pdp.identity.proof import Revocations
    from pdp.identity.provider import IssuerKeys
    from pdp.identity.token import VerifiedToken
    from pdp.model.directory import User
    from pdp.model.input import AuthLevel
    from pdp.model.issuer import Issuer
    from pdp.model.request import AccessRequest, UnverifiedToken

MAX_REMEMBERED: Final = 10_000  # of one generation, of some 2 KB: 7,500 people with a token each


class _Verified(NamedTuple):
    token: VerifiedToken
    keys: KeySet
    issuer: IssuerKeys
    since: datetime


class TokenMemory:
    """Verified tokens by the SHA-256 of their text. Two generations: what is not used in a whole one is forgotten."""

    def __init__(self, max_entries: int = MAX_REMEMBERED) -> None:
        self._max_entries = max_entries
        self._young: dict[bytes, _Verified] = {}
        self._old: dict[bytes, _Verified] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def find(self, digest: bytes, now: datetime) -> VerifiedToken | None:
        """The token, where it is remembered and still counts at `now`."""
        known = self._young.get(digest)
        if known is None:
            known = self._old.get(digest)
            if known is None:
                return None
            self.keep(digest, known)
        if known.since <= now < known.token.expires_at and known.issuer.held(now) is known.keys:
            return known.token
        return None

    def keep(self, digest: bytes, verified: _Verified) -> None:
        if len(self._young) >= self._max_entries:
            self._old, self._young = self._young, {}
        self._young[digest] = verified


class IssuedTokens:
    """One worker's verifier."""

    def __init__(  # noqa: PLR0913  # the parts of one verifier
        self,
        issuers: Sequence[IssuerKeys],
        revocations: Revocations,
        replays: Replays,
        *,
        levels: LevelTable,
        memory: TokenMemory | None = None,
        nonces: Nonces | None = None,
    ) -> None:
        """`levels` is what holds for every issuer; each adds its own `acr` values and its own bound.

        `nonces`: what DPoP proofs must name; None: nothing is asked for.
        """
        self._keys = {keys.issuer.issuer: keys for keys in issuers}
        self._issuers: Mapping[str, Issuer] = {name: keys.issuer for name, keys in self._keys.items()}
        self._levels = {name: LevelTable({**levels.acr, **issuer.acr_levels}) for name, issuer in self._issuers.items()}
        self._revocations = revocations
        self._replays = replays
        self._nonces = nonces
        self._memory = TokenMemory() if memory is None else memory

    async def read(self, token: str, now: datetime, presented: Presented = BEARER) -> VerifiedToken:
        """As the port says: steps 1 to 8."""
        if len(token) > MAX_TOKEN or not token.isascii():
            raise TokenRefusedError("too_large" if len(token) > MAX_TOKEN else "malformed")
        digest = sha256(token.encode("ascii")).digest()
        verified = self._memory.find(digest, now)
        if verified is None:
            verified = await self._verified(token, digest, now)
        names, times = (verified.subject, verified.user_id), (verified.issued_at, verified.auth_time)
        shown = Shown(names, verified.session_id, verified.token_id, times, verified.issuer)
        self._revocations.refuse_revoked(shown)
        if verified.cnf is None:
            check_scheme(None, presented)
        else:
            await check_possession(token, verified.cnf, presented, self._replays, now, nonces=self._nonces)
        return verified

    async def verify(
        self, token: UnverifiedToken, request: AccessRequest, users: Mapping[str, User], now: datetime, use: str
    ) -> Authentication:
        """As the port says: the token holds, is this subject's, and its issuer may speak for this user."""
        verified = await self.read(token.text, now, _presented(token, request, use))
        issuer = self._issuers[verified.issuer]
        if verified.user_id is None:
            raise TokenRefusedError("subject_unusable", issuer.subject_claim)
        if not token.names_subject and verified.user_id != request.subject_id:
            raise TokenRefusedError("subject_mismatch", issuer.subject_claim)
        _check_vouched(issuer, users.get(verified.user_id))
        level = self._levels[verified.issuer].level(verified.acr, verified.amr)
        return Authentication(
            level=min(level, issuer.highest_level),
            at=verified.auth_time,
            expires_at=verified.expires_at,
            subject_id=verified.user_id,
            issuer=verified.issuer,
        )

    def bound(self, issuer: str, user: User | None) -> AuthLevel:
        """As the port says."""
        known = self._issuers.get(issuer)
        if known is None:
            return HIGHEST
        _check_vouched(known, user)
        return known.highest_level

    async def _verified(self, token: str, digest: bytes, now: datetime) -> VerifiedToken:
        jws = read_jws(token)
        issuer = named_issuer(jws, self._issuers)
        kid = check_header(jws, issuer)  # before anybody is asked for keys
        source = self._keys[issuer.issuer]
        keys = await source.with_key(kid, now)
        verified = check_token(jws, issuer, keys, now)
        self._memory.keep(digest, _Verified(verified, keys, source, now))
        return verified


def _presented(token: UnverifiedToken, request: AccessRequest, use: str) -> Presented:
    seen = request.client_request
    return Presented(
        scheme=token.scheme,
        certificate_sha256=request.certificate_sha256,
        dpop=None if seen is None else seen.dpop,
        method=None if seen is None else seen.method,
        uri=None if seen is None else seen.uri,
        use=use,
    )


def _check_vouched(issuer: Issuer, user: User | None) -> None:
    """An issuer speaks for its own people: a municipality's does not log in the prefecture's staff.

    Whom no register knows, nobody vouches for either where the issuer is bound at all. Raises TokenRefusedError.
    """
    if issuer.organisations and (user is None or user.organisation not in issuer.organisations):
        raise TokenRefusedError("not_vouched_for")
    if issuer.identity_sources and (user is None or user.identity_source not in issuer.identity_sources):
        raise TokenRefusedError("not_vouched_for")
