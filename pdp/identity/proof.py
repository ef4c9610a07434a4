"""Step 2 of a decision: what is believed of the identity that came with a request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from pdp.errors import BadRequestError
from pdp.model.authentication import NOT_AUTHENTICATED, Authentication
from pdp.model.request import AssertedClaims, UnverifiedToken

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.callers.caller import Caller
    from pdp.identity.levels import LevelTable
    from pdp.model.request import AccessRequest

CLOCK_SKEW: Final = timedelta(seconds=60)  # between the identity provider's clock and ours


class TokenVerifier(Protocol):
    """Turns a signed token of the identity provider into an authentication."""

    def verify(self, token: UnverifiedToken, subject_id: str, now: datetime) -> Authentication:
        """Raises BadRequestError where the token does not hold, or is not this subject's."""
        ...


class NoIssuer:
    """No identity provider is configured: every token is refused, none is ignored."""

    def verify(self, token: UnverifiedToken, subject_id: str, now: datetime) -> Authentication:  # noqa: ARG002
        raise BadRequestError("a token was sent, but no issuer is configured to verify it")


def prove(
    request: AccessRequest, caller: Caller, levels: LevelTable, tokens: TokenVerifier, now: datetime
) -> Authentication:
    """How strongly the subject is authenticated, at `now`.

    Asserted claims count only from a caller with `assert_identity`; from any other they are nothing
    (INVARIANT (trusted word): wire formats refuse such a request before this, with 403). Raises
    BadRequestError where a token does not hold or `auth_time` lies in the future.
    """
    match request.identity:
        case UnverifiedToken() as token:
            return tokens.verify(token, request.subject_id, now)
        case AssertedClaims() as claims if caller.may("assert_identity"):
            if claims.auth_time is not None and claims.auth_time > now + CLOCK_SKEW:
                raise BadRequestError("`auth_time` lies in the future")
            return Authentication(level=levels.level(claims.acr, claims.amr), at=claims.auth_time)
        case _:
            return NOT_AUTHENTICATED
