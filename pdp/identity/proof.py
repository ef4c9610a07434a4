"""Step 2 of a decision: what is believed of the identity that came with a request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec.structs import replace

from pdp.errors import BadRequestError
from pdp.model.authentication import NOT_AUTHENTICATED, Authentication
from pdp.model.request import AssertedClaims, UnverifiedToken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.callers.caller import Caller
    from pdp.identity.levels import LevelTable
    from pdp.model.directory import User
    from pdp.model.input import AuthLevel
    from pdp.model.request import AccessRequest

HIGHEST: Final[AuthLevel] = 3
CLOCK_SKEW: Final = timedelta(seconds=60)  # between the identity provider's clock and ours


class TokenVerifier(Protocol):
    """Turns a signed token of the identity provider into an authentication."""

    async def verify(
        self, token: UnverifiedToken, request: AccessRequest, users: Mapping[str, User], now: datetime, use: str
    ) -> Authentication:
        """Raises BadRequestError where the token does not hold, or is not this subject's.

        `request` says what its sender saw, as far as that sender is believed; `users` are those of the registers.
        `use` names the decision: a proof of possession counts for one. A token that is known costs a look-up; for
        another the issuer's keys may have to be waited for, within a deadline of seconds.
        """
        ...

    def bound(self, issuer: str, user: User | None) -> AuthLevel:
        """The highest level that this issuer's word can prove of this user, where a gateway passes it on.

        Of an issuer that is not configured here nothing is known: then the gateway alone answers for it. Raises
        BadRequestError where the issuer does not speak for this user.
        """
        ...


class Shown(NamedTuple):
    """An identity as a token or a caller shows it: all that a mark can stand against. None: not known.

    `subjects` are its names; `times` those at which it was issued and at which the person logged in; `issuer` is who
    gave it those names, the session and the token their ids.
    """

    subjects: tuple[str | None, ...]
    session_id: str | None
    token_id: str | None = None
    times: tuple[datetime | None, ...] = ()
    issuer: str | None = None


class Revocations(Protocol):
    """What has been revoked."""

    def refuse_revoked(self, shown: Shown) -> None:
        """Raises BadRequestError where a mark stands against it, and NotReadyError where nobody can know.

        Of several times the earliest counts.
        """
        ...


class NoIssuer:
    """No identity provider is configured: every token is refused, none is ignored."""

    async def verify(
        self,
        token: UnverifiedToken,  # noqa: ARG002
        request: AccessRequest,  # noqa: ARG002
        users: Mapping[str, User],  # noqa: ARG002
        now: datetime,  # noqa: ARG002
        use: str,  # noqa: ARG002
    ) -> Authentication:
        raise BadRequestError("a token was sent, but no issuer is configured to verify it")

    def bound(self, issuer: str, user: User | None) -> AuthLevel:  # noqa: ARG002
        return HIGHEST


class NothingRevoked:
    """Where there is no store of marks: in scenarios and rehearsals."""

    def refuse_revoked(self, shown: Shown) -> None:  # noqa: ARG002
        return


NOTHING_REVOKED: Final = NothingRevoked()


class Witnesses(NamedTuple):
    """Whom a proof can rest on."""

    levels: LevelTable
    tokens: TokenVerifier
    revocations: Revocations = NOTHING_REVOKED


async def prove(  # noqa: PLR0913, PLR0917  # who asks for whom, and what holds at this instant
    request: AccessRequest, caller: Caller, witnesses: Witnesses, users: Mapping[str, User], now: datetime, use: str
) -> Authentication:
    """How strongly the subject is authenticated, at `now`, by a token or by its caller's word.

    Raises BadRequestError where a token does not hold, what is asserted was revoked, or lies in the future.
    """
    tokens = witnesses.tokens
    if isinstance(request.identity, UnverifiedToken):
        return await tokens.verify(request.identity, request, users, now, use)
    proof = asserted(request, caller, witnesses.levels, now)
    claims = request.identity
    if isinstance(claims, AssertedClaims) and claims.issuer is not None and caller.may("assert_identity"):
        # The attack: a municipality's provider names one of the prefecture's staff, and a gateway that verifies the
        # tokens of both passes its word on. What bounds an issuer's tokens bounds its word.
        highest = tokens.bound(claims.issuer, users.get(request.subject_id))
        proof = replace(proof, level=highest) if proof.level > highest else proof
    witnesses.revocations.refuse_revoked(shown_by(request, proof))
    return proof


def shown_by(request: AccessRequest, proof: Authentication) -> Shown:
    """What a caller shows of an identity that it vouches for."""
    return Shown((request.subject_id,), request.session_id, times=(proof.at,), issuer=proof.issuer)


def asserted(request: AccessRequest, caller: Caller, levels: LevelTable, now: datetime) -> Authentication:
    """What a caller's word proves. It counts only from a caller with `assert_identity`; from any other it is nothing
    (INVARIANT (trusted word): wire formats refuse such a request before this, with 403).

    Raises BadRequestError where `auth_time` lies in the future.
    """
    claims = request.identity
    if not isinstance(claims, AssertedClaims) or not caller.may("assert_identity"):
        return NOT_AUTHENTICATED
    if claims.auth_time is not None and claims.auth_time > now + CLOCK_SKEW:
        raise BadRequestError("`auth_time` lies in the future")
    return Authentication(level=levels.level(claims.acr, claims.amr), at=claims.auth_time, issuer=claims.issuer)
