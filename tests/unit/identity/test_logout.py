"""Logout tokens: nothing else passes for one, and what one says is a mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdp.identity.logout import EVENT, LoggedOut, LogoutTokens, read_claims
from pdp.identity.token import TokenRefusedError
from pdp.model.issuer import Issuer

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ISSUER = Issuer(issuer="https://idp.example.jp", audiences=("sekisho",), clients=("portal",))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def claims(**change: Any) -> dict[str, Any]:
    whole = {
        "iss": ISSUER.issuer,
        "aud": "portal",
        "iat": NOW.timestamp(),
        "exp": NOW.timestamp() + 120,
        "jti": "j-1",
        "sub": "s-1",
        "sid": "session-1",
        "events": {EVENT: {}},
    } | change
    return {name: value for name, value in whole.items() if value is not ...}


def test_a_session_is_marked_where_the_token_names_one_and_else_the_subject() -> None:
    assert read_claims(claims(), ISSUER, NOW) == (LoggedOut("session", "session-1", NOW, ISSUER.issuer), NOW, "j-1")
    assert read_claims(claims(sid=...), ISSUER, NOW)[0] == LoggedOut("subject", "s-1", NOW, ISSUER.issuer)
    assert read_claims(claims(aud=["other", "sekisho"]), ISSUER, NOW)[0].kind == "session"
    assert read_claims(claims(exp=...), ISSUER, NOW)[0].kind == "session", "older providers give none"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aud": "somebody"}, "audience_refused"),
        ({"aud": ["portal", 7]}, "audience_refused"),
        ({"aud": []}, "audience_refused"),
        ({"aud": ...}, "audience_refused"),
        ({"nonce": "n"}, "claim_invalid"),
        ({"events": ...}, "claim_invalid"),
        ({"events": {}}, "claim_invalid"),
        ({"events": {EVENT: True}}, "claim_invalid"),
        ({"events": [EVENT]}, "claim_invalid"),
        ({"iat": ...}, "claim_missing"),
        ({"iat": "now"}, "claim_invalid"),
        ({"iat": True}, "claim_invalid"),
        ({"iat": 1e300}, "claim_invalid"),
        ({"iat": NOW.timestamp() + 3600}, "not_yet_valid"),
        ({"iat": NOW.timestamp() - 3600, "exp": NOW.timestamp() + 9e9}, "expired"),
        ({"exp": NOW.timestamp() - 3600}, "expired"),
        ({"jti": ...}, "claim_missing"),
        ({"jti": ""}, "claim_invalid"),
        ({"sid": 7}, "claim_invalid"),
        ({"sid": "a\nb"}, "claim_invalid"),
        ({"sid": ..., "sub": ...}, "claim_missing"),
        ({"sid": ..., "sub": "x" * 257}, "claim_invalid"),
    ],
)
def test_whatever_else_is_refused_for_its_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        read_claims(claims(**change), ISSUER, NOW)
    assert refused.value.reason == reason


class AnyKey:
    """Keys of one issuer that verify whatever they are shown: signatures have their own tests."""

    issuer = ISSUER

    async def with_key(self, kid: str, now: datetime) -> AnyKey:
        return self

    def find(self, kid: object) -> AnyKey:
        return self

    def verify(self, algorithm: str, signed: bytes, signature: bytes) -> None: ...


def token(payload: dict[str, Any], **header: Any) -> str:
    import base64
    import json

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'kid': 'k', 'typ': 'logout+jwt'} | header)}.{part(payload)}.c2ln"


def reader() -> LogoutTokens:
    return LogoutTokens([AnyKey()])  # type: ignore[list-item]


async def test_a_token_counts_once_until_it_could_not_count_anyway() -> None:
    read = reader()
    assert (await read.read(token(claims()), NOW)).id == "session-1"
    with pytest.raises(TokenRefusedError, match="replayed"):
        await read.read(token(claims()), NOW + timedelta(minutes=1))
    later = NOW + timedelta(hours=1)
    await read.read(token(claims(iat=later.timestamp(), exp=later.timestamp() + 60)), later)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "at+jwt"}, "typ_refused"),
        ({"typ": "dpop+jwt"}, "typ_refused"),
        ({"typ": 7}, "typ_refused"),
        ({"alg": "none"}, "alg_refused"),
        ({"alg": "HS256"}, "alg_refused"),
        ({"kid": ""}, "kid_invalid"),
        ({"kid": None}, "kid_invalid"),
        ({"crit": ["x"]}, "header_unsupported"),
    ],
)
async def test_a_token_of_another_kind_is_refused(header: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        await reader().read(token(claims(), **header), NOW)
    assert refused.value.reason == reason


async def test_an_issuer_that_is_not_configured_is_refused() -> None:
    with pytest.raises(TokenRefusedError, match="issuer_unknown"):
        await reader().read(token(claims(iss="https://idp.example.jp/")), NOW)


async def test_a_logout_that_could_not_be_kept_counts_when_it_is_sent_again() -> None:
    """Else an outage of the store of one second would lose a logout for good."""
    read = reader()
    await read.read(token(claims()), NOW)
    read.forget(token(claims()))
    assert (await read.read(token(claims()), NOW)).id == "session-1"


async def test_more_logouts_than_are_remembered_count_all_the_same() -> None:
    """When everybody is logged out at once is when it matters: a mark that is made twice harms nobody."""
    read = LogoutTokens([AnyKey()], max_remembered=2)  # type: ignore[list-item]
    for number in range(4):
        assert (await read.read(token(claims(jti=f"j-{number}", sid=f"s-{number}")), NOW)).id == f"s-{number}"


def test_an_end_at_the_end_of_time_is_no_error() -> None:
    assert read_claims(claims(exp=253_402_300_799), ISSUER, NOW)[0].kind == "session"
