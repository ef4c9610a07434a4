"""Cloudflare Access, External Evaluation, over a scripted decider and a reader that knows one account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jose import jwk, jwt

from pdp.errors import BadRequestError
from pdp.identity.signing import SigningKeys
from pdp.model.cloudflare import CloudflareAccount
from pdp.model.request import AssertedClaims
from pdp.wire.cloudflare_access import (
    EVALUATE,
    KEYS,
    LONGEST,
    CloudflareAccess,
    CloudflareKeys,
    Nonces,
)
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.scripted_decider import ScriptedDecider

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ACCOUNT = CloudflareAccount(
    team_domain="https://mie.cloudflareaccess.com",
    email_domains=frozenset({"pref.example.jp"}),
    levels={"onetimepin": 1, "idp-1": 3},
    device_claim=True,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Account:
    """Reads what this test calls a token: JSON, and nothing that begins with another sign."""

    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        if not token.startswith("{"):
            raise BadRequestError("the token is refused")
        claims: Mapping[str, Any] = json.loads(token)
        return claims


class World:
    def __init__(self, place: Path, account: CloudflareAccount = ACCOUNT, nonces: Nonces | None = None) -> None:
        self.now = NOW
        self.decider = ScriptedDecider()
        self.keys = SigningKeys(place / "keys.json", lambda: self.now, lambda: 0.0)
        self.access = CloudflareAccess(self.decider, Account(), self.keys, lambda: self.now, account, nonces)

    async def send(
        self, claims: Any, *, resource: str = "mail", method: str = "POST", raw: bytes | None = None
    ) -> HttpAnswer:
        token = claims if isinstance(claims, str) else json.dumps(claims)
        body = json.dumps({"token": token}).encode() if raw is None else raw
        return await self.access(HttpRequest(method, EVALUATE + resource, "", (), body))

    async def verdict(self, claims: Any, **more: Any) -> dict[str, Any]:
        """What Access reads, after it has verified our signature with our published keys."""
        answer = await self.send(claims, **more)
        assert answer.status == 200
        token = json.loads(answer.body)["token"]
        published = await CloudflareKeys(self.keys, lambda: self.now)(HttpRequest("GET", KEYS, "", ()))
        kid = jwt.get_unverified_header(token)["kid"]
        (key,) = [one for one in json.loads(published.body)["keys"] if one["kid"] == kid]
        said: dict[str, Any] = jwt.decode(
            token, jwk.construct(key), algorithms=["RS256"], options={"verify_exp": False}
        )
        return said


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one key of these tests lies: to make one takes half a second."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def world(place: Path) -> World:
    return World(place)


def asking(subject: str = "u-allow", nonce: str = "n-1", **identity: Any) -> dict[str, Any]:
    return {
        "nonce": nonce,
        "exp": (NOW + timedelta(minutes=1)).timestamp(),
        "identity": {"email": f"{subject}@pref.example.jp", **identity},
        "something": "that nobody reads",
    }


@pytest.mark.parametrize(
    ("subject", "success"),
    [("u-allow", True), ("u-limit", True), ("u-warn", True), ("u-step", False), ("u-deny", False), ("nobody", False)],
)
async def test_success_is_true_only_for_what_is_permitted(world: World, subject: str, success: bool) -> None:
    said = await world.verdict(asking(subject))
    assert said == {"success": success, "nonce": "n-1", "iat": NOW.timestamp(), "exp": NOW.timestamp() + 60}


async def test_the_identity_becomes_a_question_of_ours(world: World) -> None:
    await world.verdict(
        asking(
            ip="203.0.113.7",
            geo={"country": "JP"},
            idp={"id": "idp-1", "type": "azureAD"},
            device_id="d-1",
            is_warp=True,
            is_gateway=True,
            iat=NOW.timestamp(),
        ),
        resource="groupware",
    )
    ((request, caller),) = world.decider.asked
    assert (request.subject_id, request.resource_id, request.device_id) == ("u-allow", "groupware", "d-1")
    assert request.identity == AssertedClaims(acr="urn:sekisho:auth-level:3", auth_time=NOW)
    assert (request.network.source_ip, request.network.country, request.network.tunnel) == ("203.0.113.7", "JP", True)
    assert (request.wire, caller.id) == ("cloudflare_access", "cloudflare-access")


async def test_a_provider_that_is_not_listed_proves_nothing(world: World) -> None:
    await world.verdict(asking(idp={"id": "other", "type": "github"}))
    assert world.decider.asked[0][0].identity == AssertedClaims(acr=None, auth_time=None)


async def test_an_address_of_another_domain_is_taken_whole(world: World) -> None:
    claims = asking()
    claims["identity"]["email"] = "u-allow@elsewhere.example"
    assert (await world.verdict(claims))["success"] is False
    assert world.decider.asked[0][0].subject_id == "u-allow@elsewhere.example"


@pytest.mark.parametrize("email", ["", "a\nb@pref.example.jp", "x" * 300])
async def test_an_identity_without_a_usable_name_is_a_recorded_false(world: World, email: str) -> None:
    claims = asking()
    claims["identity"]["email"] = email
    assert (await world.verdict(claims))["success"] is False
    assert len(world.decider.refused) == 1


async def test_a_nonce_counts_once(world: World) -> None:
    assert (await world.verdict(asking()))["success"] is True
    assert (await world.verdict(asking()))["success"] is False
    assert (await world.verdict(asking(nonce="n-2")))["success"] is True


async def test_nonces_are_forgotten_when_their_question_has_ended(place: Path) -> None:
    world = World(place, nonces=Nonces(most=2))
    assert (await world.send(asking(nonce="1"))).status == 200
    assert (await world.send(asking(nonce="2"))).status == 200
    assert (await world.send(asking(nonce="3"))).status == 503
    world.now += 3 * LONGEST
    later = asking(nonce="3") | {"exp": (world.now + timedelta(minutes=1)).timestamp()}
    assert (await world.send(later)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"exp": (NOW - timedelta(seconds=1)).timestamp()},
        {"exp": (NOW + timedelta(hours=1)).timestamp()},
        {"exp": 1e300},
        {"exp": "soon"},
        {"exp": True},
        {"nonce": ""},
        {"nonce": 7},
        {"nonce": "x" * 257},
        {"identity": None},
        {"identity": {"email": 7}},
        {"identity": {"geo": {"country": "jp"}}},
    ],
)
async def test_what_is_no_question_gets_no_signature(world: World, change: dict[str, Any]) -> None:
    answer = await world.send(asking() | change)
    assert answer.status == 400
    assert b"token" not in answer.body.replace(b"the token", b"")
    assert world.decider.asked == []


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"token":7}', b'{"token":""}', b"{" * 40_000, b'{"token":"a","token":"b"}']
)
async def test_a_body_that_is_none_is_400_or_413(world: World, raw: bytes) -> None:
    assert (await world.send("", raw=raw)).status in (400, 413)


async def test_a_token_of_nobody_we_know_is_refused_and_not_recorded(world: World) -> None:
    assert (await world.send("forged")).status == 400
    assert world.decider.asked == []
    assert world.decider.refused == []


@pytest.mark.parametrize("resource", ["", "a/b", "..", "%2e", "mail/", "x" * 200])
async def test_a_path_that_names_no_resource_is_400(world: World, resource: str) -> None:
    assert (await world.send(asking(), resource=resource)).status == 400


async def test_no_answer_where_nothing_can_be_recorded(world: World) -> None:
    assert (await world.send(asking("u-not-ready"))).status == 503


async def test_other_methods_are_not_taken(world: World) -> None:
    assert (await world.send(asking(), method="GET")).status == 405
    posted = await CloudflareKeys(world.keys, lambda: NOW)(HttpRequest("POST", KEYS, "", ()))
    assert posted.status == 405


async def test_the_key_set_may_be_kept_for_a_while(world: World) -> None:
    answer = await CloudflareKeys(world.keys, lambda: NOW)(HttpRequest("GET", KEYS, "", ()))
    assert ("cache-control", "public, max-age=600") in answer.headers
