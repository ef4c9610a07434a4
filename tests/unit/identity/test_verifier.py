"""The verifier as a worker has it: what it remembers, and what makes it forget."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.identity.dpop import thumbprint
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NOTHING_REVOKED, Shown, Witnesses, prove
from pdp.identity.provider import STALE, IssuerKeys
from pdp.identity.replay import ReplayMemory
from pdp.identity.token import BEARER, Presented, TokenRefusedError
from pdp.identity.verifier import IssuedTokens, TokenMemory
from pdp.model.authentication import Authentication
from pdp.model.directory import User
from pdp.model.issuer import Issuer
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, UnverifiedToken
from tests.tokens import CLAIMS, EPOCH, NOW, b64, dpop, ec_key, issuer, jwk, jwks, rsa_key, token

pytestmark = pytest.mark.anyio

OTHER = "https://city.example.com"
URI = "https://app.example/x"


class Marks:
    """What has been revoked: jti's, in a set."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()

    def refuse_revoked(self, shown: Shown) -> None:
        if shown.token_id in self.tokens:
            raise TokenRefusedError("token_revoked")


class World:
    """One worker with one issuer, or several; `sets` is what each publishes."""

    def __init__(self, *issuers: Issuer, memory: TokenMemory | None = None, revocations: Any = NOTHING_REVOKED) -> None:
        self.now = NOW
        self.sets = {one.issuer: jwks() for one in issuers or (issuer(),)}
        self.fetched = 0
        self.keys = [IssuerKeys(one, self._loader(one.issuer), lambda: self.now) for one in issuers or (issuer(),)]
        self.memory = TokenMemory() if memory is None else memory
        self.tokens = IssuedTokens(self.keys, revocations, ReplayMemory(), levels=LevelTable(), memory=self.memory)

    def _loader(self, name: str) -> Any:
        async def load() -> bytes:
            self.fetched += 1
            return json.dumps(self.sets[name]).encode()

        return load

    async def read(self, text: str, presented: Presented = BEARER) -> Any:
        return await self.tokens.read(text, self.now, presented)

    async def refusal(self, text: str, presented: Presented = BEARER) -> str:
        with pytest.raises(TokenRefusedError) as caught:
            await self.read(text, presented)
        return caught.value.reason

    async def verify(
        self,
        text: str,
        subject: str = "u-1",
        user: User | None = None,
        *,
        named: bool = False,
        scheme: Any = "bearer",
        use: str = "d-1",
        **asked: Any,
    ) -> Authentication:
        users = {} if user is None else {user.id: user}
        request = AccessRequest(subject, "mail", "access", **asked)
        shown = UnverifiedToken(text, scheme, names_subject=named)
        return await self.tokens.verify(shown, request, users, self.now, use)


# --- Memory ----------------------------------------------------------------------------------------------------------


async def test_a_token_is_verified_once() -> None:
    world = World()
    text = token()
    first = await world.read(text)
    assert await world.read(text) is first
    assert await world.read(token(jti="j-2")) is not first
    assert len(world.memory) == 2


async def test_a_remembered_token_ends_when_it_ends() -> None:
    world = World()
    text = token()
    verified = await world.read(text)
    world.now = verified.expires_at - timedelta(microseconds=1)
    await world.read(text)
    world.now = verified.expires_at
    assert await world.refusal(text) == "expired"


async def test_a_clock_that_is_set_back_makes_nobody_believe_what_was_verified_later() -> None:
    world = World()
    text = token(nbf=EPOCH)
    await world.read(text)
    world.now = NOW - timedelta(hours=1)
    assert await world.refusal(text) == "not_yet_valid"


async def test_a_token_is_forgotten_when_its_key_is_withdrawn() -> None:
    world = World()
    text = token()
    await world.read(text)
    world.sets[CLAIMS["iss"]] = {"keys": [jwk(ec_key(), "ec-1")]}
    world.now += timedelta(seconds=601)
    world.keys[0].refresh()
    await world.keys[0].settled()
    assert await world.refusal(token(exp=EPOCH + 900)) == "key_unknown"
    assert await world.refusal(text) in ("key_unknown", "expired")


async def test_a_remembered_token_counts_no_longer_than_the_keys_that_verified_it() -> None:
    world = World()
    long = token(exp=EPOCH + 30 * 3_600)
    await world.read(long)
    world.sets[CLAIMS["iss"]] = {"nothing": "usable"}
    world.now = NOW + STALE
    await world.read(long)
    world.now += timedelta(seconds=1)
    assert await world.refusal(long) == "keys_unavailable"


async def test_a_revoked_token_counts_no_more_although_it_is_remembered() -> None:
    marks = Marks()
    world = World(revocations=marks)
    text = token()
    await world.read(text)
    marks.tokens.add("j-1")
    assert await world.refusal(text) == "token_revoked"
    await world.read(token(jti="j-2"))


async def test_what_was_refused_is_not_remembered() -> None:
    world = World()
    for text in (token(exp=1), token(key=rsa_key(2048, 1)), token({"kid": "nope"})):
        await world.refusal(text)
    assert len(world.memory) == 0


async def test_the_memory_is_bounded_and_keeps_what_is_used() -> None:
    world = World(memory=TokenMemory(max_entries=4))
    used = token()
    first = await world.read(used)
    for number in range(20):
        await world.read(token(jti=f"j-{number + 10}"))
        assert await world.read(used) is first
        assert len(world.memory) <= 8


async def test_garbage_asks_nobody_for_keys() -> None:
    world = World()
    for text in (
        "",
        "a.b.c",
        "x" * 20_000,
        "ｔ.ｏ.ｋ",
        token(iss="https://evil.example"),
        token({"alg": "none"}),
        token({"typ": "JWT"}),
    ):
        await world.refusal(text)
    assert world.fetched == 0


# --- Several issuers -------------------------------------------------------------------------------------------------


async def test_a_token_is_held_against_the_keys_of_its_own_issuer() -> None:
    """One issuer's key must not sign in another's name (RFC 8725 section 3.8)."""
    world = World(issuer(), issuer(issuer=OTHER))
    world.sets[OTHER] = {"keys": [jwk(rsa_key(2048, 1), "rsa-1")]}
    assert (await world.read(token())).issuer == CLAIMS["iss"]
    assert (await world.read(token(iss=OTHER, key=rsa_key(2048, 1)))).issuer == OTHER
    assert await world.refusal(token(iss=OTHER)) == "signature_invalid"
    assert await world.refusal(token(key=rsa_key(2048, 1))) == "signature_invalid"


async def test_each_issuer_has_its_own_rules() -> None:
    lax = issuer(issuer=OTHER, typ="jwt", access_token_claims={"kind": "access"}, audiences=("other",))
    world = World(issuer(), lax)
    await world.read(token({"typ": "JWT"}, iss=OTHER, aud="other", kind="access"))
    assert await world.refusal(token({"typ": "JWT"}, kind="access")) == "typ_refused"
    assert await world.refusal(token(iss=OTHER)) == "audience_refused"


# --- In a decision ---------------------------------------------------------------------------------------------------


async def test_a_token_proves_its_own_subject_and_nobody_else() -> None:
    world = World()
    proof = await world.verify(token())
    at = datetime.fromtimestamp(EPOCH - 100, NOW.tzinfo)
    assert proof == Authentication(2, at, proof.expires_at, "u-1", CLAIMS["iss"])
    assert proof.expires_at == NOW + timedelta(seconds=360)
    for other in ("u-2", "U-1", "u-1 ", ""):
        with pytest.raises(TokenRefusedError, match="subject_mismatch"):
            await world.verify(token(), other)


async def test_where_only_the_token_says_who_it_is_it_says_it_verified() -> None:
    world = World(issuer(subject_claim="employee"))
    assert (await world.verify(token(employee="u-7"), "u-1", named=True)).subject_id == "u-7"
    with pytest.raises(TokenRefusedError, match="subject_mismatch"):
        await world.verify(token(employee="u-7"), "u-1")
    with pytest.raises(TokenRefusedError, match="subject_unusable"):
        await world.verify(token(), "u-1", named=True)


@pytest.mark.parametrize(
    ("members", "claims", "level"),
    [
        ({}, {"acr": "urn:sekisho:auth-level:3"}, 3),
        ({}, {"acr": "gold"}, 0),
        ({}, {"acr": "gold", "amr": ["pwd", "otp"]}, 2),
        ({}, {"without": "acr"}, 0),
        ({"acr_levels": {"gold": 3}}, {"acr": "gold"}, 3),
        ({"acr_levels": {"gold": 3}, "highest_level": 2}, {"acr": "gold"}, 2),
        ({"highest_level": 1}, {"amr": ["pwd", "hwk"], "without": "acr"}, 1),
        ({"acr_levels": {"urn:sekisho:auth-level:2": 1}}, {}, 1),
    ],
)
async def test_the_level_is_that_of_the_issuers_own_table(
    members: dict[str, Any], claims: dict[str, Any], level: int
) -> None:
    assert (await World(issuer(**members)).verify(token(**claims))).level == level


@pytest.mark.parametrize(
    ("members", "user", "holds"),
    [
        ({}, None, True),
        ({"organisations": ("city",)}, User("u-1", "staff", organisation="city"), True),
        ({"organisations": ("city",)}, User("u-1", "staff", organisation="prefecture"), False),
        ({"organisations": ("city",)}, None, False),
        ({"identity_sources": ("federated",)}, User("u-1", "staff", identity_source="federated"), True),
        ({"identity_sources": ("federated",)}, User("u-1", "staff", identity_source="integrated"), False),
        ({"identity_sources": ("federated",)}, None, False),
    ],
)
async def test_an_issuer_vouches_for_its_own_people(members: dict[str, Any], user: User | None, holds: bool) -> None:
    world = World(issuer(**members))
    if holds:
        await world.verify(token(), user=user)
    else:
        with pytest.raises(TokenRefusedError, match="not_vouched_for"):
            await world.verify(token(), user=user)


async def test_a_bound_token_counts_with_what_the_gateway_saw() -> None:
    world = World()
    text = token(cnf={"jkt": thumbprint(jwk(ec_key()))})
    seen = ClientRequest("GET", URI, dpop(text))
    assert (await world.verify(text, scheme="dpop", client_request=seen)).level == 2
    with pytest.raises(TokenRefusedError, match="proof_replayed"):
        await world.verify(text, scheme="dpop", client_request=seen, use="d-2")
    for missing in ({}, {"client_request": ClientRequest("GET", URI)}):
        with pytest.raises(TokenRefusedError, match="proof_required"):
            await world.verify(text, scheme="dpop", use="d-3", **missing)
    with pytest.raises(TokenRefusedError, match="scheme_refused"):
        await world.verify(text, client_request=seen)


async def test_a_token_that_is_bound_to_a_certificate_counts_with_the_one_that_the_gateway_saw() -> None:
    world = World()
    text = token(cnf={"x5t#S256": b64(bytes.fromhex("ab" * 32))})
    await world.verify(text, certificate_sha256="ab" * 32)
    with pytest.raises(TokenRefusedError, match="certificate_mismatch"):
        await world.verify(text, certificate_sha256="cd" * 32)
    with pytest.raises(TokenRefusedError, match="proof_required"):
        await world.verify(text)


async def test_a_machine_that_reads_a_bound_token_without_its_proof_is_refused() -> None:
    world = World()
    text = token(cnf={"x5t#S256": b64(bytes.fromhex("ab" * 32))})
    assert await world.refusal(text) == "proof_required"
    verified = await world.read(text, Presented(certificate_sha256="ab" * 32))
    assert verified.client_id == "gw-1"


async def asserted_level(world: World, by: str | None, user: User) -> int:
    claims = AssertedClaims(acr="urn:sekisho:auth-level:3", auth_time=NOW, issuer=by)
    request = AccessRequest(user.id, "mail", "access", identity=claims)
    gateway = Caller("gateway", PERMISSIONS)
    users = {user.id: user}
    return (await prove(request, gateway, Witnesses(LevelTable(), world.tokens), users, NOW, "d-1")).level


async def test_what_bounds_an_issuers_tokens_bounds_its_word_through_a_gateway() -> None:
    """The attack: a municipality's provider names one of the prefecture's staff, and a gateway passes its word on."""
    world = World(issuer(), issuer(issuer=OTHER, organisations=("city",), highest_level=2))
    ours, theirs = User("u-1", "staff", organisation="prefecture"), User("u-2", "staff", organisation="city")
    with pytest.raises(TokenRefusedError, match="not_vouched_for"):
        await asserted_level(world, OTHER, ours)
    assert await asserted_level(world, OTHER, theirs) == 2
    assert await asserted_level(world, issuer().issuer, ours) == 3
    assert await asserted_level(world, "https://unknown.example", ours) == 3, "the gateway alone answers for it"
    assert await asserted_level(world, None, ours) == 3
