"""The keys of an issuer over time: rotation, outage, garbage, and everybody at once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.identity.fetching import FetchError
from pdp.identity.provider import FIRST_RETRY, STALE, UNKNOWN_KID, IssuerKeys, loader
from pdp.identity.token import TokenRefusedError
from tests.tokens import ISSUER, NOW, ec_key, issuer, jwk, jwks, rsa_key

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=600)


class Provider:
    """An identity provider in memory: `keys` is its set, `fault` what it says instead, `gate` when it answers."""

    def __init__(self) -> None:
        self.now = NOW
        self.keys: list[str] = ["rsa-1"]
        self.fault: Exception | None = None
        self.fetched = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> datetime:
        return self.now

    async def load(self) -> bytes:
        self.fetched += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return json.dumps({"keys": [jwk(rsa_key(), kid) for kid in self.keys]}).encode()

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def kept(provider: Provider) -> IssuerKeys:
    return IssuerKeys(issuer(), provider.load, provider.clock)


async def asked(keys: IssuerKeys, provider: Provider, kid: str = "rsa-1") -> bool:
    """Whether the set that a token of this kid gets has its key."""
    return kid in await keys.with_key(kid, provider.now)


async def refused(keys: IssuerKeys, provider: Provider) -> None:
    with pytest.raises(TokenRefusedError, match="keys_unavailable"):
        await keys.with_key("rsa-1", provider.now)


async def test_the_first_token_waits_for_the_keys_and_the_next_does_not(provider: Provider) -> None:
    keys = kept(provider)
    assert keys.held(provider.now) is None
    assert await asked(keys, provider)
    provider.gate.clear()
    assert await asked(keys, provider)
    assert provider.fetched == 1


async def test_a_hundred_tokens_at_once_are_one_fetch(provider: Provider) -> None:
    keys = kept(provider)
    provider.gate.clear()
    waiting = [asyncio.create_task(asked(keys, provider)) for _ in range(100)]
    await asyncio.sleep(0)
    provider.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert provider.fetched == 1


async def test_a_key_that_came_by_rotation_is_found_at_its_first_token(provider: Provider) -> None:
    keys = kept(provider)
    await asked(keys, provider)
    provider.keys = ["rsa-1", "rsa-2"]
    assert await asked(keys, provider, "rsa-2")
    assert provider.fetched == 2


async def test_garbage_does_not_make_us_ask_more_than_once_a_minute(provider: Provider) -> None:
    keys = kept(provider)
    await asked(keys, provider)
    for number in range(50):
        assert not await asked(keys, provider, f"garbage-{number}")
    assert provider.fetched == 2
    provider.now += UNKNOWN_KID - timedelta(seconds=1)
    assert not await asked(keys, provider, "garbage")
    assert provider.fetched == 2
    provider.later(seconds=1)
    assert not await asked(keys, provider, "garbage")
    assert provider.fetched == 3


async def test_after_their_time_keys_are_read_again_in_the_background(provider: Provider) -> None:
    keys = kept(provider)
    await asked(keys, provider)
    keys.refresh()
    assert provider.fetched == 1
    provider.now += TTL
    provider.keys = ["rsa-2"]
    keys.refresh()
    await keys.settled()
    assert provider.fetched == 2
    held = keys.held(provider.now)
    assert held is not None
    assert "rsa-2" in held
    assert "rsa-1" not in held, "a key that was withdrawn counts no more"


async def test_the_same_text_is_the_same_set(provider: Provider) -> None:
    """So that no token is verified anew every ten minutes."""
    keys = kept(provider)
    await asked(keys, provider)
    before = keys.held(provider.now)
    provider.now += TTL
    keys.refresh()
    await keys.settled()
    assert keys.held(provider.now) is before


async def test_in_an_outage_the_last_good_keys_count_for_a_day_and_then_nothing_does(provider: Provider) -> None:
    keys = kept(provider)
    await asked(keys, provider)
    provider.fault = FetchError("it is down")
    provider.now += TTL
    keys.refresh()
    await keys.settled()
    assert await asked(keys, provider)
    assert keys.state().fault == "it is down"
    provider.now = NOW + STALE
    assert await asked(keys, provider)
    provider.later(seconds=1)
    await refused(keys, provider)
    provider.fault = None
    provider.now += FIRST_RETRY
    assert await asked(keys, provider)
    assert keys.state().fault is None


async def test_an_issuer_that_is_down_from_the_start_is_asked_every_few_seconds(provider: Provider) -> None:
    keys = kept(provider)
    provider.fault = FetchError("it is down")
    for _ in range(20):
        await refused(keys, provider)
    assert provider.fetched == 1
    provider.now += FIRST_RETRY
    await refused(keys, provider)
    assert provider.fetched == 2


async def test_with_keys_in_hand_a_silent_issuer_is_asked_once_a_minute(provider: Provider) -> None:
    keys = kept(provider)
    await asked(keys, provider)
    provider.fault = FetchError("it is down")
    provider.now += TTL
    for _ in range(120):
        keys.refresh()
        await keys.settled()
        provider.later(seconds=1)
    assert provider.fetched == 1 + 2


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":1}',
        b'{"keys":[1]}',
        b"<html>",
        b'{"keys":[],"keys":[]}',
        b"\xff",
        json.dumps({"keys": [{}] * 101}).encode(),
    ],
)
async def test_nonsense_leaves_the_last_good_keys(provider: Provider, nonsense: bytes) -> None:
    said: list[bytes] = [json.dumps(jwks()).encode(), nonsense]

    async def load() -> bytes:
        return said.pop(0)

    keys = IssuerKeys(issuer(), load, provider.clock)
    await asked(keys, provider)
    provider.now += TTL
    keys.refresh()
    await keys.settled()
    assert keys.state().fault is not None
    assert await asked(keys, provider)


async def test_an_empty_set_is_an_answer(provider: Provider) -> None:
    """The issuer has withdrawn everything: that is not for us to know better."""
    keys = kept(provider)
    await asked(keys, provider)
    provider.keys = []
    provider.now += TTL
    keys.refresh()
    await keys.settled()
    assert not await asked(keys, provider)


async def test_a_fault_that_nobody_foresaw_is_survived(provider: Provider) -> None:
    keys = kept(provider)
    provider.fault = RuntimeError("a bug")
    await refused(keys, provider)
    provider.fault = None
    provider.now += FIRST_RETRY
    assert await asked(keys, provider)


async def test_an_issuer_that_does_not_answer_costs_a_token_a_bounded_wait(provider: Provider) -> None:
    keys = IssuerKeys(issuer(), provider.load, provider.clock, wait_s=0.01)
    provider.gate.clear()
    await refused(keys, provider)
    provider.gate.set()
    await keys.settled()
    assert await asked(keys, provider)


async def test_closing_ends_a_fetch_that_is_on_its_way(provider: Provider) -> None:
    keys = kept(provider)
    provider.gate.clear()
    keys.refresh()
    await keys.close()
    await keys.settled()
    assert keys.held(provider.now) is None


# --- Where they come from --------------------------------------------------------------------------------------------


class Web:
    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.asked: list[str] = []

    async def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise FetchError("it answered 404")
        found = self.documents[url]
        return found if isinstance(found, bytes) else json.dumps(found).encode()


WELL_KNOWN = f"{ISSUER}/.well-known/openid-configuration"


async def test_the_discovery_document_says_where_the_keys_are() -> None:
    web = Web({WELL_KNOWN: {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}, f"{ISSUER}/keys": jwks()})
    assert json.loads(await loader(issuer(), web)()) == jwks()
    assert web.asked == [WELL_KNOWN, f"{ISSUER}/keys"]


async def test_a_loopback_issuer_is_discovered_over_http() -> None:
    here = "http://127.0.0.1:8089/realms/x"
    web = Web(
        {f"{here}/.well-known/openid-configuration": {"issuer": here, "jwks_uri": f"{here}/keys"}, f"{here}/keys": 1}
    )
    assert await loader(issuer(issuer=here), web)() == b"1"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": ISSUER + "/", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": "https://evil.example", "jwks_uri": f"{ISSUER}/keys"},
        {"jwks_uri": f"{ISSUER}/keys"},
        {"issuer": [ISSUER], "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": ""},
        {"issuer": ISSUER, "jwks_uri": 1},
        {"issuer": ISSUER, "jwks_uri": [f"{ISSUER}/keys"]},
        {"issuer": ISSUER, "jwks_uri": "http://idp.example.com/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER, "jwks_uri": "https://user@idp.example.com/keys"},
        [],
        "x",
        b'{"issuer":"https://evil.example","issuer":"https://idp.example.com","jwks_uri":"https://idp.example.com/keys"}',
        b"<html>",
    ],
)
async def test_a_discovery_document_that_is_not_the_issuers_own_is_refused(document: Any) -> None:
    web = Web({WELL_KNOWN: document, f"{ISSUER}/keys": jwks()})
    with pytest.raises(FetchError):
        await loader(issuer(), web)()
    assert web.asked == [WELL_KNOWN]


async def test_a_configured_place_of_the_keys_needs_no_discovery() -> None:
    web = Web({"https://keys.example.net/v3": jwks()})
    assert json.loads(await loader(issuer(jwks_uri="https://keys.example.net/v3"), web)()) == jwks()


async def test_keys_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    load = loader(issuer(jwks_file=str(path)), Web({}))
    with pytest.raises(FetchError, match="cannot be read"):
        await load()
    path.write_bytes(b" " * (256 * 1024 + 1))
    with pytest.raises(FetchError, match="larger"):
        await load()
    path.write_text(json.dumps({"keys": [jwk(ec_key(), "e")]}))
    keys = IssuerKeys(issuer(), load, lambda: datetime.now(UTC))
    assert "e" in await keys.with_key("e", datetime.now(UTC))
