"""Nonces that nobody stores: which count when, and for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pdp.identity.dpop import thumbprint
from pdp.identity.nonces import MIN_KEY, Nonces, named_nonce
from pdp.identity.possession import check_possession
from pdp.identity.replay import ReplayMemory
from pdp.identity.token import Confirmation, Presented, TokenRefusedError
from tests.tokens import NOW, dpop, ec_key, jwk

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))
LASTS = timedelta(seconds=120)
TOKEN = "a.b.c"
BOUND = Confirmation(jkt=thumbprint(jwk(ec_key())))


async def refusal(nonces: Nonces, replays: ReplayMemory, **claims: object) -> str | None:
    shown = Presented("dpop", dpop=dpop(TOKEN, **claims), method="GET", uri="https://app.example/x", use="d-1")
    try:
        await check_possession(TOKEN, BOUND, shown, replays, NOW, nonces=nonces)
    except TokenRefusedError as fault:
        return fault.reason
    return None


def test_workers_with_one_key_hand_out_the_same_nonce_and_others_another() -> None:
    nonce = Nonces(KEY, LASTS).current(NOW)
    assert nonce == Nonces(KEY, LASTS).current(NOW)
    assert nonce != Nonces(KEY[::-1], LASTS).current(NOW)
    assert len(nonce) == 24
    assert nonce.isascii()


def test_a_nonce_counts_as_long_again_as_it_is_handed_out_and_then_no_more() -> None:
    nonces = Nonces(KEY, LASTS)
    nonce = nonces.current(NOW)
    assert nonce in nonces.counting(NOW + LASTS)
    assert nonce not in nonces.counting(NOW + 2 * LASTS)
    assert nonces.current(NOW + LASTS) != nonce
    assert nonces.current(NOW) == nonce, "time that goes back does too"


def test_a_host_whose_clock_runs_behind_takes_the_nonce_of_one_before_it() -> None:
    assert Nonces(KEY, LASTS).current(NOW + LASTS) in Nonces(KEY, LASTS).counting(NOW)
    assert Nonces(KEY, LASTS).current(NOW + 2 * LASTS) not in Nonces(KEY, LASTS).counting(NOW)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        Nonces(bytes(MIN_KEY - 1), LASTS)


async def test_a_proof_must_name_a_nonce_that_counts() -> None:
    nonces, replays = Nonces(KEY, LASTS), ReplayMemory()
    now, old = nonces.current(NOW), nonces.current(NOW - 2 * LASTS)
    for claims in ({}, {"nonce": old}, {"nonce": ""}, {"nonce": None}, {"nonce": 7}, {"nonce": [now]}):
        assert await refusal(nonces, replays, **claims) == "nonce_required"
    assert len(replays) == 0, "what was refused has not been used up"
    assert await refusal(nonces, replays, nonce=now) is None
    assert await refusal(nonces, ReplayMemory(), nonce=nonces.current(NOW - LASTS)) is None


async def test_a_nonce_makes_no_forged_proof_good() -> None:
    nonces = Nonces(KEY, LASTS)
    nonce = nonces.current(NOW)
    for forged in ({"htm": "POST"}, {"key": ec_key("P-256", 1)}, {"ath": "x"}):
        assert await refusal(nonces, ReplayMemory(), nonce=nonce, **forged) == "proof_invalid"


def test_what_a_proof_names_is_read_without_believing_it() -> None:
    assert named_nonce(dpop(TOKEN, nonce="n-1")) == "n-1"
    assert named_nonce(dpop(TOKEN)) is None
    assert named_nonce(dpop(TOKEN, nonce=["n-1"])) is None
    with pytest.raises(TokenRefusedError):
        named_nonce("nonsense")
