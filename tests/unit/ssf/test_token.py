"""SETs: all vectors of the contract with its clock, and what an attacker would send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import NotReadyError
from pdp.identity.fetching import FetchError
from pdp.identity.keys import KeySet
from pdp.identity.provider import IssuerKeys
from pdp.model.issuer import Issuer
from pdp.ssf.events import SESSION_REVOKED
from pdp.ssf.subjects import opaque
from pdp.ssf.token import SecurityEventToken, SetRefusedError, SetVerifier, judged, opened
from tests.ssf_transmitter import AUDIENCE, signed_set
from tests.tokens import ec_key, jwk, rsa_key, signed_raw

pytestmark = pytest.mark.anyio
NOW = datetime.fromtimestamp(1_800_000_000, UTC)
ISSUER = "https://tx.example.com/"
SUBJECT = opaque("u-1").to_json()
KEYS = KeySet({"keys": [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]})


def issuer(**members: Any) -> Issuer:
    return Issuer(**{"issuer": ISSUER, "audiences": (AUDIENCE,), "algorithms": ("RS256",), **members})


def read(text: str, keys: KeySet = KEYS, whose: Issuer | None = None, **more: Any) -> SecurityEventToken:
    whose = whose or issuer()
    jws, _ = opened(text, whose)
    return judged(jws, keys, whose, NOW, **more)


def a_set(**more: Any) -> str:
    return signed_set(ISSUER, SESSION_REVOKED, SUBJECT, **{"at": NOW.timestamp(), **more})


def refused(text: str, **more: Any) -> SetRefusedError:
    with pytest.raises(SetRefusedError) as fault:
        read(text, **more)
    return fault.value


def test_nothing_of_a_sound_set_is_lost() -> None:
    token = read(a_set(jti="j-1", txn="t-1", members={"event_timestamp": NOW.timestamp() - 60, "new": [1]}))
    assert (token.jti, token.txn, token.subject) == ("j-1", "t-1", opaque("u-1"))
    assert token.happened_at == NOW - timedelta(seconds=60) and token.issued_at == NOW
    assert token.event.members["new"] == [1]


@pytest.mark.parametrize(
    ("text", "err", "reason"),
    [
        (a_set(key=rsa_key(which=7)), "invalid_key", "signature_invalid"),
        (a_set(header={"alg": "none"}), "invalid_key", "alg_refused"),
        (a_set(header={"alg": "none"}).rpartition(".")[0] + ".", "invalid_key", "alg_refused"),
        (a_set(header={"alg": "HS256"}), "invalid_key", "alg_refused"),
        (a_set(header={"alg": "RS512"}), "invalid_key", "alg_refused"),
        (a_set(header={"kid": None}), "invalid_key", "kid_invalid"),
        (a_set(header={"kid": ""}), "invalid_key", "kid_invalid"),
        (a_set(header={"kid": "other"}), "invalid_key", "key_unknown"),
        (a_set(header={"typ": "at+jwt"}), "invalid_request", "typ_refused"),
        (a_set(header={"typ": None}), "invalid_request", "typ_refused"),
        (a_set(header={"crit": ["x"], "x": 1}), "invalid_request", "header_unsupported"),
        (a_set(header={"jwk": jwk(rsa_key(which=7)), "kid": "other"}), "invalid_key", "key_unknown"),
        (a_set(iss="https://tx.example.com"), "invalid_issuer", "issuer_unknown"),
        (a_set(iss=[ISSUER]), "invalid_issuer", "issuer_unknown"),
        (a_set(without="iss"), "invalid_issuer", "issuer_unknown"),
        (a_set(aud="https://other.example"), "invalid_audience", "audience_refused"),
        (a_set(aud=[]), "invalid_audience", "audience_refused"),
        (a_set(aud=[AUDIENCE, 7]), "invalid_audience", "audience_refused"),
        (a_set(without="aud"), "invalid_audience", "audience_refused"),
        (a_set(at=NOW.timestamp() + 61), "invalid_request", "not_yet_valid"),
        (a_set(iat=True), "invalid_request", "claim_invalid"),
        (a_set(iat="now"), "invalid_request", "claim_invalid"),
        (a_set(iat=0), "invalid_request", "claim_invalid"),
        (a_set(jti=7), "invalid_request", "claim_missing"),
        (a_set(jti="x" * 257), "invalid_request", "claim_missing"),
        (a_set(sub="u-1"), "invalid_request", "claim_invalid"),
        (a_set(exp=None), "invalid_request", "claim_invalid"),
        (a_set(events={}), "invalid_request", "claim_invalid"),
        (a_set(events=[SESSION_REVOKED]), "invalid_request", "claim_invalid"),
        (a_set(events={SESSION_REVOKED: None}), "invalid_request", "claim_invalid"),
        (a_set(members={"event_timestamp": "soon"}), "invalid_request", "claim_invalid"),
        (a_set(without="sub_id"), "invalid_request", "claim_invalid"),
        (a_set(txn="x" * 16_384), "invalid_request", "too_large"),
    ],
)
def test_what_does_not_count_is_refused_with_the_code_of_the_text(text: str, err: str, reason: str) -> None:
    fault = refused(text)
    assert (fault.err, fault.reason) == (err, reason)
    assert "u-1" not in fault.message and ISSUER not in fault.message


def test_the_public_key_is_no_secret_that_signs() -> None:
    """The attack on libraries that take a public key for the secret of HS256."""
    import hashlib
    import hmac
    import json

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from tests.tokens import b64

    pem = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    sound = a_set().split(".")
    head = b64(json.dumps({"alg": "HS256", "typ": "secevent+jwt", "kid": "rsa-1"}).encode())
    signed = f"{head}.{sound[1]}"
    forged = f"{signed}.{b64(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"
    assert refused(forged).err == "invalid_key"


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
_CLAIMS = ("jti", "iat", "aud", "sub_id", "events", "txn", "sub", "exp")


@given(st.dictionaries(st.sampled_from(_CLAIMS), _JSON, max_size=4), st.booleans())
def test_whatever_is_signed_is_a_set_or_is_refused(claims: dict[str, Any], legacy: bool) -> None:
    """A transmitter that we trust to sign is not one that we trust to be sane."""
    try:
        token = read(a_set(**claims), legacy=legacy)
    except SetRefusedError as fault:
        assert fault.err in {"invalid_request", "invalid_audience"}
        return
    assert token.jti and token.issued_at <= NOW + timedelta(seconds=60)
    assert not {"sub", "exp"} & claims.keys()


def test_a_name_that_stands_twice_is_refused() -> None:
    head = b'{"alg":"RS256","typ":"secevent+jwt","kid":"rsa-1"}'
    assert refused(signed_raw(head, b'{"iss":"a","iss":"https://tx.example.com/"}')).reason == "payload_invalid"


def test_an_elliptic_key_of_this_name_does_not_verify_rs256() -> None:
    keys = KeySet({"keys": [jwk(ec_key(), "rsa-1", use="sig", alg="ES256")]})
    assert refused(a_set(), keys=keys).reason == "key_unusable"


def test_older_transmitters_name_the_subject_within_the_event_where_that_is_switched_on() -> None:
    subject = {"subject_type": "iss-sub", "iss": "https://idp.example.com", "sub": "u-1"}
    text = a_set(without="sub_id", members={"subject": subject})
    assert refused(text).reason == "claim_invalid"
    assert read(text, legacy=True).subject.to_json()["sub"] == "u-1"


async def test_keys_that_cannot_be_had_are_no_fault_of_the_set() -> None:
    async def load() -> bytes:
        raise FetchError("it does not answer")

    keys = IssuerKeys(issuer(), load, lambda: NOW)
    try:
        with pytest.raises(NotReadyError):
            await SetVerifier(keys).verify(a_set(), NOW)
        with pytest.raises(SetRefusedError):
            await SetVerifier(keys).verify(a_set(header={"alg": "none"}), NOW)
    finally:
        await keys.close()


async def test_a_new_key_is_found_by_its_name_and_an_old_one_goes_with_its_set() -> None:
    import json

    held = {"keys": [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]}
    now = [NOW]

    async def load() -> bytes:
        return json.dumps(held).encode()

    keys = IssuerKeys(issuer(), load, lambda: now[0])
    verifier = SetVerifier(keys)
    try:
        assert await verifier.verify(a_set(), now[0])
        held["keys"] = [jwk(rsa_key(which=2), "rsa-2", use="sig", alg="RS256")]
        now[0] += timedelta(minutes=2)
        assert await verifier.verify(a_set(key=rsa_key(which=2), kid="rsa-2"), now[0])
        with pytest.raises(SetRefusedError):
            await verifier.verify(a_set(), now[0])
        now[0] += timedelta(seconds=30)
        with pytest.raises(NotReadyError):  # the set was read half a minute ago: the key may be newer
            await verifier.verify(a_set(key=rsa_key(which=3), kid="rsa-3"), now[0])
    finally:
        await keys.close()


async def test_a_key_set_that_was_on_its_way_before_the_event_came_refuses_nothing() -> None:
    """The race: the old set is already on the wire, the key is changed, and an event of the new key waits for it."""
    import asyncio
    import json

    old = json.dumps({"keys": [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]}).encode()
    now, arrives = [NOW], asyncio.Event()
    arrives.set()

    async def load() -> bytes:
        await arrives.wait()
        return old

    keys = IssuerKeys(issuer(), load, lambda: now[0])
    verifier = SetVerifier(keys)
    try:
        assert await verifier.verify(a_set(), now[0])
        arrives.clear()
        now[0] += timedelta(hours=1)
        keys.refresh()
        await asyncio.sleep(0)
        now[0] += timedelta(seconds=1)
        asked = asyncio.create_task(verifier.verify(a_set(key=rsa_key(which=2), kid="rsa-2"), now[0]))
        await asyncio.sleep(0)
        arrives.set()
        with pytest.raises(NotReadyError):
            await asked
    finally:
        await keys.close()
