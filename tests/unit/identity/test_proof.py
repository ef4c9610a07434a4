from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NOTHING_REVOKED, NoIssuer, Shown, Witnesses, prove
from pdp.identity.token import TokenRefusedError
from pdp.model.authentication import NOT_AUTHENTICATED, Authentication
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, UnverifiedToken

pytestmark = pytest.mark.anyio

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
TRUSTED = Caller("gateway", PERMISSIONS)
OTHER = Caller("other", PERMISSIONS - {"assert_identity"})
CLAIMS = AssertedClaims(acr="urn:sekisho:auth-level:3", auth_time=NOW - timedelta(minutes=3))


async def proof(
    identity: AssertedClaims | UnverifiedToken | None, caller: Caller = TRUSTED, revocations: Any = NOTHING_REVOKED
) -> Authentication:
    request = AccessRequest("u-1", "mail", "access", identity=identity, session_id="s-1")
    return await prove(request, caller, Witnesses(LevelTable(), NoIssuer(), revocations), {}, NOW, "d-1")


async def test_a_trusted_callers_claims_count() -> None:
    assert await proof(CLAIMS) == Authentication(level=3, at=NOW - timedelta(minutes=3))


async def test_another_callers_claims_are_nothing() -> None:
    assert await proof(CLAIMS, OTHER) == NOT_AUTHENTICATED
    assert await proof(replace(CLAIMS, issuer="https://idp.example.jp"), OTHER) == NOT_AUTHENTICATED


async def test_no_claims_are_level_zero() -> None:
    assert await proof(None) == NOT_AUTHENTICATED


async def test_an_authentication_in_the_future_is_refused() -> None:
    with pytest.raises(BadRequestError, match="future"):
        await proof(AssertedClaims(acr="phr", auth_time=NOW + timedelta(seconds=61)))
    assert (await proof(AssertedClaims(acr="phr", auth_time=NOW + timedelta(seconds=59)))).level == 3


async def test_a_token_without_an_issuer_is_refused_and_not_ignored() -> None:
    with pytest.raises(BadRequestError, match="no issuer"):
        await proof(UnverifiedToken("eyJhbGciOi"))


async def test_what_a_gateway_asserts_is_held_against_the_revocations_too() -> None:
    """The gateway's own session may live on after the person was logged out everywhere."""
    asked: list[Shown] = []

    class Marks:
        def refuse_revoked(self, shown: Shown) -> None:
            asked.append(shown)
            raise TokenRefusedError("session_revoked")

    with pytest.raises(TokenRefusedError):
        await proof(CLAIMS, revocations=Marks())
    assert asked == [Shown(("u-1",), "s-1", None, (CLAIMS.auth_time,))]
    with pytest.raises(TokenRefusedError):
        await proof(replace(CLAIMS, issuer="https://idp.example.jp"), revocations=Marks())
    assert asked[1].issuer == "https://idp.example.jp"
    with pytest.raises(TokenRefusedError):  # who may not say so cannot choose by whose marks it is judged
        await proof(replace(CLAIMS, issuer="https://idp.example.jp"), OTHER, revocations=Marks())
    assert asked[2].issuer is None


def test_a_token_and_its_proof_never_show_in_a_representation() -> None:
    request = AccessRequest(
        "u", "r", "a", identity=UnverifiedToken("eyJhbGciOi"), client_request=ClientRequest("GET", "u", "eyJ0eXAi")
    )
    assert "eyJ" not in repr(request)
