"""Step 7: proofs that are nearly right, for the wrong request, or used twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pdp.identity.dpop import MAX_PROOF, check_proof, thumbprint
from pdp.identity.possession import check_possession
from pdp.identity.replay import ReplayMemory
from pdp.identity.token import Confirmation, Presented, TokenRefusedError
from tests.tokens import EPOCH, NOW, b64, dpop, ec_key, jwk, rsa_key, signed_raw

pytestmark = pytest.mark.anyio

TOKEN = "a.b.c"
URI = "https://app.example/x"
BOUND = Confirmation(jkt=thumbprint(jwk(ec_key())))


def shown(
    proof: str | None, *, method: str = "GET", uri: str = URI, scheme: str = "dpop", use: str = "d-1"
) -> Presented:
    return Presented(scheme, dpop=proof, method=method, uri=uri, use=use)


async def refusal(presented: Presented, cnf: Confirmation | None = BOUND, replays: ReplayMemory | None = None) -> str:
    with pytest.raises(TokenRefusedError) as caught:
        await check_possession(TOKEN, cnf, presented, ReplayMemory() if replays is None else replays, NOW)
    return caught.value.reason


async def holds(presented: Presented, cnf: Confirmation | None = BOUND, replays: ReplayMemory | None = None) -> None:
    await check_possession(TOKEN, cnf, presented, ReplayMemory() if replays is None else replays, NOW)


# --- Schemes ---------------------------------------------------------------------------------------------------------


async def test_an_unbound_token_is_a_bearer_token_and_nothing_else() -> None:
    await holds(Presented(), None)
    await holds(Presented(dpop=dpop(TOKEN)), None)
    assert await refusal(shown(dpop(TOKEN)), None) == "scheme_refused"


async def test_a_bound_token_is_no_bearer_token() -> None:
    assert await refusal(Presented()) == "proof_required"
    assert await refusal(shown(dpop(TOKEN), scheme="bearer")) == "scheme_refused"
    assert await refusal(shown(None)) == "proof_required"


def test_there_is_no_third_scheme() -> None:
    with pytest.raises(TokenRefusedError, match="scheme_refused"):
        Presented("Bearer")


# --- Certificates ----------------------------------------------------------------------------------------------------


async def test_a_token_that_is_bound_to_a_certificate_counts_with_it_alone() -> None:
    cnf = Confirmation(certificate_sha256="ab" * 32)
    await holds(Presented(certificate_sha256="ab" * 32), cnf)
    assert await refusal(Presented(certificate_sha256="ac" * 32), cnf) == "certificate_mismatch"
    assert await refusal(Presented(certificate_sha256=""), cnf) == "certificate_mismatch"
    assert await refusal(Presented(), cnf) == "proof_required"
    assert await refusal(Presented("dpop", certificate_sha256="ab" * 32, dpop=dpop(TOKEN)), cnf) == "scheme_refused"


async def test_a_token_that_is_bound_twice_needs_both_proofs() -> None:
    cnf = Confirmation(jkt=BOUND.jkt, certificate_sha256="ab" * 32)
    both: dict[str, Any] = {"dpop": dpop(TOKEN), "method": "GET", "uri": URI}
    await holds(Presented("dpop", certificate_sha256="ab" * 32, **both), cnf)
    assert await refusal(Presented("dpop", **both), cnf) == "proof_required"
    assert await refusal(Presented(certificate_sha256="ab" * 32), cnf) == "proof_required"


# --- DPoP ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ec_key(), ec_key("P-256", 1), rsa_key()])
async def test_a_proof_by_the_key_of_the_token_holds(key: Any) -> None:
    await holds(shown(dpop(TOKEN, key=key)), Confirmation(jkt=thumbprint(jwk(key))))


async def test_a_proof_by_another_key_does_not_hold() -> None:
    assert await refusal(shown(dpop(TOKEN, key=ec_key("P-256", 1)))) == "proof_invalid"
    stolen = dpop(TOKEN, key=ec_key("P-256", 1), header={"jwk": jwk(ec_key())})
    assert await refusal(shown(stolen)) == "proof_invalid"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": None},
        {"typ": ["dpop+jwt"]},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": None},
        {"crit": ["x"], "x": 1},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"jwk": jwk(ec_key()) | {"d": b64(bytes(32))}},
        {"jwk": jwk(ec_key()) | {"x": b64(bytes(32))}},
        {"jwk": jwk(ec_key()) | {"crv": "P-384"}},
        {"jwk": jwk(ec_key()) | {"use": "enc"}},
        {"jwk": jwk(ec_key()) | {"kty": ["EC"]}},
        {"jwk": [jwk(ec_key())]},
    ],
)
async def test_a_proof_with_another_header_does_not_hold(header: dict[str, Any]) -> None:
    assert await refusal(shown(dpop(TOKEN, header=header))) == "proof_invalid"


async def test_a_weak_key_proves_nothing() -> None:
    key = rsa_key(1024)
    assert await refusal(shown(dpop(TOKEN, key=key)), Confirmation(jkt=thumbprint(jwk(key)))) == "proof_invalid"


@pytest.mark.parametrize(
    "claims",
    [
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": ["GET"]},
        {"htm": None},
        {"htu": "http://app.example/x"},
        {"htu": "https://app.example/"},
        {"htu": "https://app.example/X"},
        {"htu": "https://app.example:8443/x"},
        {"htu": "https://app.example.evil/x"},
        {"htu": "https://user@app.example/x"},
        {"htu": "https://app.example/x/"},
        {"htu": "//app.example/x"},
        {"htu": "/x"},
        {"htu": "https://[::1/x"},
        {"htu": "https://app.example:99999/x"},
        {"htu": "https://app.example\\@evil/x"},
        {"htu": "https://app.example/x y"},
        {"htu": "https://app.exampl\u0435/x"},
        {"htu": ""},
        {"htu": None},
        {"htu": [URI]},
        {"iat": EPOCH + 61},
        {"iat": EPOCH - 61},
        {"iat": str(EPOCH)},
        {"iat": True},
        {"iat": 1e300},
        {"iat": None},
        {"jti": ""},
        {"jti": 1},
        {"jti": None},
        {"jti": "j" * 257},
        {"ath": ""},
        {"ath": None},
        {"ath": b64(bytes(32))},
    ],
)
async def test_a_proof_of_another_request_does_not_hold(claims: dict[str, Any]) -> None:
    assert await refusal(shown(dpop(TOKEN, **claims))) == "proof_invalid"


@pytest.mark.parametrize("claim", ["htm", "htu", "iat", "jti", "ath"])
async def test_a_proof_that_says_less_does_not_hold(claim: str) -> None:
    assert await refusal(shown(dpop(TOKEN, without=claim))) == "proof_invalid"


@pytest.mark.parametrize("skew", [-60, 0, 60])
async def test_clocks_may_differ_by_a_minute(skew: int) -> None:
    await holds(shown(dpop(TOKEN, iat=EPOCH + skew)))


@pytest.mark.parametrize(
    ("htu", "uri"),
    [
        ("https://app.example/x", "https://app.example/x?q=1#f"),
        ("https://app.example/x?q=2", "https://app.example/x"),
        ("HTTPS://APP.example/x", "https://app.example/x"),
        ("https://app.example:443/x", "https://app.example/x"),
        ("https://app.example", "https://app.example/"),
        ("https://app.example/%7eu/%c3%a9", "https://app.example/~u/%C3%A9"),
        ("https://app.example/a/../x/./", "https://app.example/x/"),
        ("https://app.example/a/b/..", "https://app.example/a/"),
        ("https://app.example/../../x", "https://app.example/x"),
        ("https://[::1]:443/x", "https://[::1]/x"),
    ],
)
async def test_one_uri_in_two_forms_is_one_uri(htu: str, uri: str) -> None:
    await holds(shown(dpop(TOKEN, htu=htu), uri=uri))


@pytest.mark.parametrize(
    ("htu", "uri"),
    [
        ("https://app.example/a%2fb", "https://app.example/a/b"),
        ("https://app.example/a%2e%2e/b", "https://app.example/b"),
        ("https://app.example/a//b", "https://app.example/a/b"),
        ("https://app.example/%25", "https://app.example/%"),
    ],
)
async def test_two_uris_are_not_made_one(htu: str, uri: str) -> None:
    assert await refusal(shown(dpop(TOKEN, htu=htu), uri=uri)) == "proof_invalid"


async def test_a_proof_that_is_no_jws_does_not_hold() -> None:
    duplicate = b'{"jti":"1","htm":"GET","htu":"https://app.example/x","iat":%d,"iat":1}' % EPOCH
    header = b'{"typ":"dpop+jwt","alg":"ES256","jwk":{}}'
    for text in ("", "a.b.c", "x" * (MAX_PROOF + 1), signed_raw(header, duplicate, ec_key(), "ES256")):
        assert await refusal(shown(text)) == "proof_invalid"


async def test_what_the_gateway_did_not_see_proves_nothing() -> None:
    assert await refusal(Presented("dpop", dpop=dpop(TOKEN), uri=URI)) == "proof_required"
    assert await refusal(Presented("dpop", dpop=dpop(TOKEN), method="GET")) == "proof_required"


def test_a_nonce_is_asked_for_where_one_was_given_out() -> None:
    check_proof(shown(dpop(TOKEN, nonce="n-1")), NOW, token=TOKEN, nonces={"n-0", "n-1"})
    for claims in ({"nonce": "n-2"}, {"nonce": None}, {}):
        with pytest.raises(TokenRefusedError):
            check_proof(shown(dpop(TOKEN, **claims)), NOW, token=TOKEN, nonces={"n-1"})
    check_proof(shown(dpop(TOKEN, nonce="any")), NOW, token=TOKEN)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    """Section 3.1's own example."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
        "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
        "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a"
        "wapJzKnqDKgw"
    )
    key = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


# --- Used twice ------------------------------------------------------------------------------------------------------


async def test_a_proof_counts_once() -> None:
    replays = ReplayMemory()
    proof = dpop(TOKEN)
    await holds(shown(proof), replays=replays)
    assert await refusal(shown(proof, use="d-2"), replays=replays) == "proof_replayed"
    assert await refusal(shown(proof, use=""), replays=replays) == "proof_replayed"
    await holds(shown(dpop(TOKEN, jti="p-2"), use="d-3"), replays=replays)


async def test_another_text_with_the_same_id_is_the_same_proof() -> None:
    replays = ReplayMemory()
    await holds(shown(dpop(TOKEN)), replays=replays)
    assert await refusal(shown(dpop(TOKEN, iat=EPOCH + 1), use="d-2"), replays=replays) == "proof_replayed"


async def test_a_decision_that_is_begun_again_is_the_same_use() -> None:
    replays = ReplayMemory()
    proof = dpop(TOKEN)
    await holds(shown(proof), replays=replays)
    await holds(shown(proof), replays=replays)


async def test_what_does_not_hold_is_not_remembered() -> None:
    """Otherwise anybody who saw a proof's id could use it up."""
    replays = ReplayMemory()
    await refusal(shown(dpop(TOKEN, key=ec_key("P-256", 1))), replays=replays)
    await refusal(shown(dpop(TOKEN, htm="PUT")), replays=replays)
    assert len(replays) == 0


async def test_a_decision_that_began_earlier_and_waited_for_keys_cannot_use_a_proof_again() -> None:
    """The attack: its `now` lies before the end of a proof that later decisions have seen end and forgotten."""
    replays = ReplayMemory()
    proof = dpop(TOKEN)
    await holds(shown(proof), replays=replays)
    after = NOW + timedelta(seconds=61)
    await check_possession(TOKEN, BOUND, shown(dpop(TOKEN, jti="p-2", iat=EPOCH + 61)), replays, after)
    waited = NOW + timedelta(seconds=59)
    with pytest.raises(TokenRefusedError, match="proof_replayed"):
        await check_possession(TOKEN, BOUND, shown(proof, use="d-2"), replays, waited)


async def test_a_full_memory_refuses_and_forgets_what_can_no_longer_be_used() -> None:
    replays = ReplayMemory(max_proofs=2)
    for number in range(2):
        await holds(shown(dpop(TOKEN, jti=f"p-{number}")), replays=replays)
    assert await refusal(shown(dpop(TOKEN, jti="p-9")), replays=replays) == "proof_replayed"
    later = NOW + timedelta(seconds=71)
    fresh = shown(dpop(TOKEN, jti="p-9", iat=EPOCH + 71))
    await check_possession(TOKEN, BOUND, fresh, replays, later)
    assert len(replays) == 1


class Shared:
    """What all workers see, in a dictionary; `gone` is a Redis that does not answer."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}
        self.lasted: list[int] = []
        self.gone = False

    async def claim(self, name: str, owner: str, lasts_ms: int) -> str | None:
        self.lasted.append(lasts_ms)
        return None if self.gone else self.marks.setdefault(name, owner)


async def test_a_proof_counts_once_for_all_workers() -> None:
    shared = Shared()
    one, other = ReplayMemory(shared), ReplayMemory(shared)
    proof = dpop(TOKEN)
    await holds(shown(proof), replays=one)
    assert await refusal(shown(proof, use="d-2"), replays=other) == "proof_replayed"
    assert shared.lasted[0] > 60_000, "longer than the proof could be used"
    assert not any(proof[-20:] in name for name in shared.marks)


async def test_without_redis_a_proof_counts_once_for_each_worker() -> None:
    shared = Shared()
    shared.gone = True
    one = ReplayMemory(shared)
    proof = dpop(TOKEN)
    await holds(shown(proof), replays=one)
    assert await refusal(shown(proof, use="d-2"), replays=one) == "proof_replayed"
