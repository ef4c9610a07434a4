from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer, prove
from pdp.model.authentication import NOT_AUTHENTICATED, Authentication
from pdp.model.request import AccessRequest, AssertedClaims, UnverifiedToken

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
TRUSTED = Caller("gateway", PERMISSIONS)
OTHER = Caller("other", PERMISSIONS - {"assert_identity"})
CLAIMS = AssertedClaims(acr="urn:sekisho:auth-level:3", auth_time=NOW - timedelta(minutes=3))


def proof(identity: AssertedClaims | UnverifiedToken | None, caller: Caller = TRUSTED) -> Authentication:
    return prove(AccessRequest("u-1", "mail", "access", identity=identity), caller, LevelTable(), NoIssuer(), NOW)


def test_a_trusted_callers_claims_count() -> None:
    assert proof(CLAIMS) == Authentication(level=3, at=NOW - timedelta(minutes=3))


def test_another_callers_claims_are_nothing() -> None:
    assert proof(CLAIMS, OTHER) == NOT_AUTHENTICATED


def test_no_claims_are_level_zero() -> None:
    assert proof(None) == NOT_AUTHENTICATED


def test_an_authentication_in_the_future_is_refused() -> None:
    with pytest.raises(BadRequestError, match="future"):
        proof(AssertedClaims(acr="phr", auth_time=NOW + timedelta(seconds=61)))
    assert proof(AssertedClaims(acr="phr", auth_time=NOW + timedelta(seconds=59))).level == 3


def test_a_token_without_an_issuer_is_refused_and_not_ignored() -> None:
    with pytest.raises(BadRequestError, match="no issuer"):
        proof(UnverifiedToken("eyJhbGciOi"))


def test_a_token_never_shows_in_a_representation() -> None:
    assert "eyJhbGciOi" not in repr(AccessRequest("u", "r", "a", identity=UnverifiedToken("eyJhbGciOi")))
