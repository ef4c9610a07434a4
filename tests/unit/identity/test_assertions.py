"""Statements of a cloud account: signed by its keys as they are now, and not as they once were."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from pdp.identity.assertions import SignedAssertions
from pdp.identity.provider import IssuerKeys
from pdp.identity.token import TokenRefusedError
from tests.tokens import AUDIENCE, ISSUER, NOW, issuer, jwk, rsa_key, signed_raw

pytestmark = pytest.mark.anyio


class Account:
    """A cloud account that publishes these keys, and a clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.published = {"kid-1": rsa_key()}
        self.keys = IssuerKeys(issuer(algorithms=("RS256",)), self.load, self.clock)
        self.reader = SignedAssertions(self.keys)

    def clock(self) -> datetime:
        return self.now

    async def load(self) -> bytes:
        return json.dumps({"keys": [jwk(key, kid) for kid, key in self.published.items()]}).encode()

    async def reason(self, statement: str) -> str | None:
        """Why the statement is refused; None where it counts."""
        try:
            await self.reader.claims(statement, self.now)
        except TokenRefusedError as fault:
            return fault.reason
        return None


def statement(key: Any = None, kid: object = "kid-1", alg: str = "RS256", **claims: Any) -> str:
    header = json.dumps({"alg": alg, "kid": kid}).encode()
    return signed_raw(header, json.dumps({"iss": ISSUER, "aud": [AUDIENCE], **claims}).encode(), key or rsa_key())


async def test_a_statement_that_the_account_signed_counts() -> None:
    assert await Account().reason(statement()) is None


async def test_a_key_that_the_account_withdrew_counts_no_more_once_its_time_is_over() -> None:
    """The attack: the account's key was stolen and withdrawn. Nobody else looks when these keys have grown old."""
    account = Account()
    assert await account.reason(statement()) is None
    account.published = {"kid-2": rsa_key(which=1)}
    account.now += timedelta(seconds=account.keys.issuer.jwks_ttl_s + 1)
    await account.reason(statement())  # begins to look, and waits for nothing
    await account.keys.settled()
    assert await account.reason(statement()) == "key_unknown"
    assert await account.reason(statement(rsa_key(which=1), "kid-2")) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://elsewhere.example"}, "issuer_unknown"),
        ({"iss": None}, "issuer_unknown"),
        ({"aud": ["somebody"]}, "audience_refused"),
        ({"aud": [AUDIENCE, 7]}, "audience_refused"),
        ({"aud": []}, "audience_refused"),
        ({"aud": None}, "audience_refused"),
        ({"kid": ""}, "kid_invalid"),
        ({"kid": None}, "kid_invalid"),
        ({"alg": "RS512"}, "alg_refused"),
        ({"alg": "none"}, "alg_refused"),
        ({"key": rsa_key(which=1)}, "signature_invalid"),
    ],
)
async def test_whatever_else_is_refused_for_its_reason(change: dict[str, Any], reason: str) -> None:
    assert await Account().reason(statement(**change)) == reason
