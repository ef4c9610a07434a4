"""Steps 1 to 6 against tokens that a real key signed and that nobody should believe."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.checking import check_token, named_issuer
from pdp.identity.jws import MAX_TOKEN, read_jws
from pdp.identity.keys import KeySet
from pdp.identity.token import REASONS, TokenRefusedError, VerifiedToken
from pdp.model.issuer import Issuer
from tests.tokens import (
    AUDIENCE,
    CLAIMS,
    EPOCH,
    ISSUER,
    NOW,
    b64,
    ec_key,
    issuer,
    jwk,
    key_set,
    rsa_key,
    signature,
    signed_raw,
    token,
)


def checked(text: str, by: Issuer | None = None, keys: KeySet | None = None, now: datetime = NOW) -> VerifiedToken:
    by = by or issuer()
    jws = read_jws(text)
    return check_token(jws, named_issuer(jws, {by.issuer: by}), key_set() if keys is None else keys, now)


def refusal(text: str, **how: Any) -> str:
    with pytest.raises(TokenRefusedError) as caught:
        checked(text, **how)
    assert caught.value.reason in REASONS
    assert len(text) < 20 or text[-20:] not in str(caught.value) + repr(caught.value)
    return caught.value.reason


# --- A token that holds ----------------------------------------------------------------------------------------------


def test_a_token_that_holds_says_who_for_whom_and_until_when() -> None:
    verified = checked(token())
    assert (verified.issuer, verified.subject, verified.user_id, verified.client_id) == (ISSUER, "u-1", "u-1", "gw-1")
    assert (verified.token_id, verified.session_id, verified.scopes) == ("j-1", "s-1", {"decide", "batch"})
    assert verified.issued_at == NOW - timedelta(seconds=10)
    assert verified.auth_time == NOW - timedelta(seconds=100)
    assert verified.expires_at == NOW + timedelta(seconds=360), "the leeway is part of it"
    assert verified.cnf is None


def test_every_claim_is_accounted_for() -> None:
    words = checked(token(email="a@b", azp="x", zzz=1, nbf=EPOCH - 1, groups=["admin"])).claims
    assert words == {
        "iss": "checked",
        "aud": "checked",
        "exp": "checked",
        "iat": "checked",
        "nbf": "checked",
        "sub": "mapped: subject",
        "client_id": "mapped: client",
        "jti": "mapped: token id",
        "sid": "mapped: session",
        "scope": "mapped: scopes",
        "acr": "mapped: auth level",
        "auth_time": "mapped: auth time",
        "email": "ignored: directory",
        "groups": "ignored: directory",
        "azp": "ignored: protocol",
        "zzz": "ignored: unknown",
    }


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_type_of_an_access_token_knows_no_case(kind: str) -> None:
    checked(token({"typ": kind}))


def test_es256_holds_beside_an_rsa_key() -> None:
    checked(token({"kid": "ec-1"}, key=ec_key(), algorithm="ES256"))


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS384", rsa_key()), ("RS512", rsa_key(3072)), ("ES384", ec_key("P-384")), ("ES512", ec_key("P-521"))],
)
def test_an_issuer_may_be_given_other_algorithms(algorithm: str, key: Any) -> None:
    keys = KeySet({"keys": [jwk(key, "k")]})
    text = token({"kid": "k"}, key=key, algorithm=algorithm)
    checked(text, by=issuer(algorithms=(algorithm,)), keys=keys)
    assert refusal(text, keys=keys) == "alg_refused"


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "unknown"])
def test_a_header_that_points_to_another_key_is_not_even_read(name: str) -> None:
    attacker = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
    checked(token({name: attacker if name == "jwk" else "https://evil.example/keys"}))
    key = rsa_key(2048, 1)
    assert refusal(token({name: jwk(key, "rsa-1")}, key=key)) == "signature_invalid"


# --- Form ------------------------------------------------------------------------------------------------------------

GOOD = token()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        HEADER,
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}.{PAYLOAD}.",
        f".{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}..{SIGNATURE}",
        f"{GOOD}.x",
        f"{GOOD}..",
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\n",
        f"{GOOD}\r",
        f"{GOOD}\0",
        f"{HEADER}.{PAYLOAD}\n.{SIGNATURE}",
        f"{GOOD}=",
        f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}==.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.+{SIGNATURE[1:]}",
        f"{HEADER}.{PAYLOAD}./{SIGNATURE[1:]}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}",  # 341 characters: no number of bytes has so many
        f"Bearer {GOOD}",
        "ａ.ｂ.ｃ",
        json.dumps({"payload": PAYLOAD, "protected": HEADER, "signature": SIGNATURE}),
    ],
)
def test_anything_but_one_compact_jws_is_malformed(text: str) -> None:
    assert refusal(text) == "malformed"


def test_spare_bits_make_another_text_and_no_other_token() -> None:
    """256 bytes of a signature leave two characters of which the last has four bits to spare."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = last[last.index(SIGNATURE[-1]) + 1]
    assert urlsafe_b64decode(SIGNATURE + "==") == urlsafe_b64decode(SIGNATURE[:-1] + other + "==")
    assert refusal(f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}{other}") == "malformed"


def test_a_token_of_the_longest_length_is_read_and_a_longer_one_is_not() -> None:
    room = (MAX_TOKEN - len(token(x=""))) * 3 // 4
    longest = token(x="a" * (room - 2))
    assert MAX_TOKEN - 8 < len(longest) <= MAX_TOKEN
    checked(longest)
    assert refusal(token(x="a" * (room + 6))) == "too_large"


# --- Header ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b'"RS256"',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1"',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1"}x',
        b'{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"rsa-1"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":{"a":1,"a":2}}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":NaN}',
        b'\xef\xbb\xbf{"alg":"RS256","typ":"at+jwt","kid":"rsa-1"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":"\xff"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":"\\ud800"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_a_header_that_is_not_one_strict_json_object_is_refused(header: bytes) -> None:
    assert refusal(signed_raw(header, json.dumps(CLAIMS).encode())) in ("header_invalid", "malformed")


@pytest.mark.parametrize(
    "member",
    [
        {"crit": ["b64"], "b64": False},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None, "x": 1},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"cty": "JWT"},
        {"cty": "application/jwt"},
        {"cty": 1},
    ],
)
def test_what_nobody_here_understands_is_refused(member: dict[str, Any]) -> None:
    if member.get("crit", "") is None:  # `token` leaves a None out, so it is written by hand
        header = b'{"alg":"RS256","typ":"at+jwt","kid":"rsa-1","crit":null}'
        assert refusal(signed_raw(header, json.dumps(CLAIMS).encode())) == "header_unsupported"
        return
    assert refusal(token(member)) == "header_unsupported"


@pytest.mark.parametrize(
    "algorithm",
    [
        None,
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "HS256",
        "HS384",
        "rs256",
        "RS256 ",
        "RS1",
        "PS256",
        "EdDSA",
        "Ed25519",
        "RSA-OAEP",
        "dir",
        "ES256K",
        ["RS256"],
        {"RS256": 1},
        256,
        True,
    ],
)
def test_an_algorithm_that_the_issuer_may_not_use_is_refused(algorithm: Any) -> None:
    assert refusal(token({"alg": algorithm})) == "alg_refused"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_public_key_is_no_shared_secret(encoding: Encoding) -> None:
    """The algorithm confusion: everybody has the public key, and HS256 would make of it what signs."""
    secret = rsa_key().public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    header = b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "rsa-1"}).encode())
    signed = f"{header}.{b64(json.dumps(CLAIMS).encode())}"
    mac = hmac.HMAC(secret, SHA256())
    mac.update(signed.encode())
    assert refusal(f"{signed}.{b64(mac.finalize())}") == "alg_refused"


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "JWT",
        "jwt",
        "application/jwt",
        "at+jwt ",
        "at+JWT;x",
        "x/at+jwt",
        "id+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "logout+jwt",
        "application/application/at+jwt",
        ["at+jwt"],
        1,
        True,
    ],
)
def test_another_type_than_that_of_access_tokens_is_refused(kind: Any) -> None:
    assert refusal(token({"typ": kind})) == "typ_refused"


# --- Key -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", [None, "", 1, True, ["rsa-1"], {"kid": "rsa-1"}, "k" * 257])
def test_a_kid_that_is_no_name_is_refused(kid: Any) -> None:
    assert refusal(token({"kid": kid})) == "kid_invalid"


@pytest.mark.parametrize(
    "kid", ["nope", "RSA-1", "rsa-1 ", " rsa-1", "rsa-1\0", "../../dev/null", "' OR 1=1", "ｒsa-1"]
)
def test_a_kid_is_compared_and_nothing_else(kid: str) -> None:
    assert refusal(token({"kid": kid})) == "key_unknown"


def test_a_single_key_is_not_taken_for_a_token_that_names_none() -> None:
    """During a rotation there are two, and then it would be a guess."""
    assert refusal(token({"kid": None}), keys=KeySet({"keys": [jwk(rsa_key(), "rsa-1")]})) == "kid_invalid"
    assert refusal(token({"kid": None}), keys=KeySet({"keys": [jwk(rsa_key())]})) == "kid_invalid"


def test_two_keys_of_one_name_are_none() -> None:
    keys = KeySet({"keys": [jwk(rsa_key(), "rsa-1"), jwk(ec_key(), "rsa-1")]})
    assert refusal(token(), keys=keys) == "key_ambiguous"


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": ""},
        {"use": ["sig"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"key_ops": ["sign"]},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": "RSA-OAEP"},
        {"alg": 1},
        {"kty": "rsa"},
        {"kty": "EC"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(32))},
        {"d": "AQAB"},
        {"k": "AQAB"},
        {"e": "AQ"},
        {"e": "Aw"},
        {"e": "AQAA"},
        {"e": "AQAB="},
        {"e": 65537},
        {"n": ""},
        {"n": 5},
        {"n": "AQAB"},
    ],
)
def test_a_key_that_is_not_for_this_verifies_nothing(members: dict[str, Any]) -> None:
    keys = KeySet({"keys": [jwk(rsa_key(), "rsa-1") | members]})
    assert refusal(token(), keys=keys) == "key_unusable"
    assert keys.usable == (1 if members.get("alg") == "RS512" else 0)


@pytest.mark.parametrize("ops", [["verify"], ["verify", "sign"]])
def test_a_key_that_says_that_it_verifies_does(ops: list[str]) -> None:
    checked(token(), keys=KeySet({"keys": [jwk(rsa_key(), "rsa-1", key_ops=ops, x5c=["x"], unknown=1)]}))


def test_a_short_rsa_key_verifies_nothing() -> None:
    key = rsa_key(1024)
    assert refusal(token(key=key), keys=KeySet({"keys": [jwk(key, "rsa-1")]})) == "key_unusable"


def test_a_key_of_another_curve_or_kind_is_not_for_this_algorithm() -> None:
    keys = KeySet({"keys": [jwk(ec_key("P-384"), "p384"), jwk(ec_key(), "p256"), jwk(rsa_key(), "rsa")]})
    for kid, algorithm in [("p384", "ES256"), ("p256", "RS256"), ("rsa", "ES256")]:
        text = token({"kid": kid, "alg": algorithm}, key=rsa_key())
        assert refusal(text, keys=keys) == "key_unusable"


@pytest.mark.parametrize("change", [{"x": b64(bytes(32))}, {"x": b64(bytes(31))}, {"y": "AA"}, {"crv": "P-384"}])
def test_a_point_that_is_not_on_the_curve_is_no_key(change: dict[str, str]) -> None:
    keys = KeySet({"keys": [jwk(ec_key(), "ec-1") | change]})
    assert refusal(token({"kid": "ec-1"}, key=ec_key(), algorithm="ES256"), keys=keys) == "key_unusable"


# --- Signature -------------------------------------------------------------------------------------------------------


def test_a_signature_by_another_key_does_not_hold() -> None:
    assert refusal(token(key=rsa_key(2048, 1))) == "signature_invalid"
    assert refusal(token({"kid": "ec-1"}, key=ec_key("P-256", 1), algorithm="ES256")) == "signature_invalid"


def test_a_signature_over_another_payload_does_not_hold() -> None:
    other = b64(json.dumps({**CLAIMS, "sub": "admin"}).encode())
    assert refusal(f"{HEADER}.{other}.{SIGNATURE}") == "signature_invalid"


def test_a_signature_with_another_hash_does_not_hold() -> None:
    """RS512 over a header that says RS256: the algorithm is the header's, and it is one."""
    assert refusal(token({"alg": "RS256"}, algorithm="RS512")) == "signature_invalid"


def _es256(change: Any) -> str:
    header = b64(json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": "ec-1"}).encode())
    signed = f"{header}.{b64(json.dumps(CLAIMS).encode())}"
    return f"{signed}.{b64(change(signature(ec_key(), 'ES256', signed.encode()), signed.encode()))}"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw, _: raw[:-1],
        lambda raw, _: raw + b"\0",
        lambda raw, _: bytes(64),
        lambda raw, _: raw[:32] + bytes(32),
        lambda raw, _: bytes([raw[0] ^ 1]) + raw[1:],
        lambda raw, _: raw[32:] + raw[:32],
        lambda raw, signed: ec_key().sign(
            signed, __import__("cryptography").hazmat.primitives.asymmetric.ec.ECDSA(SHA256())
        ),
    ],
    ids=["short", "long", "zeros", "s-zero", "bit", "swapped", "der"],
)
def test_an_ecdsa_signature_is_r_and_s_and_nothing_else(change: Any) -> None:
    assert refusal(_es256(change)) == "signature_invalid"


@given(st.integers(0, 2047))
def test_one_flipped_bit_of_the_signature_is_enough(bit: int) -> None:
    raw = bytearray(urlsafe_b64decode(SIGNATURE + "=="))
    raw[bit // 8] ^= 1 << bit % 8
    assert refusal(f"{HEADER}.{PAYLOAD}.{b64(bytes(raw))}") == "signature_invalid"


# --- Claims ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"[1,2]",
        b"1",
        b'"x"',
        b"{}x",
        json.dumps(CLAIMS).encode()[:-1] + b',"sub":"admin"}',
        json.dumps(CLAIMS).encode()[:-1] + b',"s\\u0075b":"admin"}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":{"y":[{"z":1,"z":2}]}}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":Infinity}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":1e999}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":9007199254740993}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":"\xc3\x28"}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        json.dumps(CLAIMS).encode().replace(b'"', b"'"),
        json.dumps(CLAIMS).encode("utf-16"),
        b"\0" + json.dumps(CLAIMS).encode(),
        json.dumps(CLAIMS).encode() + b"\0",
    ],
)
def test_a_payload_that_is_not_one_strict_json_object_is_refused(payload: bytes) -> None:
    header = json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}).encode()
    assert refusal(signed_raw(header, payload)) in ("payload_invalid", "issuer_unknown")
    if payload != b"{}":
        assert refusal(signed_raw(header, payload)) == "payload_invalid"


@pytest.mark.parametrize("claim", ["exp", "aud", "sub", "client_id", "iat", "jti"])
def test_a_required_claim_that_is_missing_is_named(claim: str) -> None:
    with pytest.raises(TokenRefusedError) as caught:
        checked(token(without=claim))
    assert (caught.value.reason, caught.value.claim) == ("claim_missing", claim)


@pytest.mark.parametrize(
    "name",
    [
        "https://idp.example.com/",
        "https://IDP.example.com",
        "http://idp.example.com",
        "https://idp.example.com:443",
        "https://idp.example.com\0",
        " https://idp.example.com",
        "https://idp.example.com.evil.example",
        "",
        None,
        1,
        ["https://idp.example.com"],
    ],
)
def test_the_issuer_is_compared_character_for_character(name: Any) -> None:
    assert refusal(token(iss=name)) == "issuer_unknown"
    assert refusal(token(without="iss")) == "issuer_unknown"


@pytest.mark.parametrize(
    "audience", [AUDIENCE, [AUDIENCE], ["x", AUDIENCE], [AUDIENCE, AUDIENCE], ["x"] * 63 + [AUDIENCE]]
)
def test_an_audience_that_names_us_is_enough(audience: Any) -> None:
    checked(token(aud=audience))


@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        ("https://other.example", "audience_refused"),
        (AUDIENCE + "/", "audience_refused"),
        (AUDIENCE.upper(), "audience_refused"),
        (AUDIENCE + ".evil.example", "audience_refused"),
        (AUDIENCE[:-1], "audience_refused"),
        ("", "audience_refused"),
        (f"{AUDIENCE} x", "audience_refused"),
        (["x"], "audience_refused"),
        ([], "claim_invalid"),
        (None, "claim_invalid"),
        (1, "claim_invalid"),
        ({AUDIENCE: 1}, "claim_invalid"),
        ([AUDIENCE, 1], "claim_invalid"),
        ([AUDIENCE, None], "claim_invalid"),
        ([[AUDIENCE]], "claim_invalid"),
        (["x"] * 64 + [AUDIENCE], "claim_invalid"),
    ],
)
def test_an_audience_that_does_not_name_us_is_refused(audience: Any, reason: str) -> None:
    assert refusal(token(aud=audience)) == reason


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize(
    "value",
    [
        str(EPOCH + 300),
        True,
        False,
        None,
        0,
        -1,
        -EPOCH,
        0.0,
        253_402_300_800,
        (EPOCH + 300) * 1_000,
        2**53 - 1,
        1e300,
        [EPOCH],
        {"seconds": EPOCH},
        "",
    ],
)
def test_a_time_is_a_number_of_seconds_and_no_other_thing(claim: str, value: Any) -> None:
    assert refusal(token(**{claim: value})) == "claim_invalid"


@pytest.mark.parametrize("value", [10**30, -(10**30), 2**53])
def test_a_number_that_no_double_holds_is_no_number(value: int) -> None:
    assert refusal(token(exp=value)) == "payload_invalid"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": EPOCH - 59}, None),
        ({"exp": EPOCH - 59.5}, None),
        ({"exp": EPOCH - 60}, "expired"),
        ({"exp": EPOCH - 61}, "expired"),
        ({"exp": 1}, "expired"),
        ({"exp": 253_402_300_799}, None),
        ({"nbf": EPOCH + 60}, None),
        ({"nbf": EPOCH + 61}, "not_yet_valid"),
        ({"iat": EPOCH + 60}, None),
        ({"iat": EPOCH + 61}, "not_yet_valid"),
        ({"iat": EPOCH + 61, "exp": EPOCH + 10}, "not_yet_valid"),
        ({"auth_time": EPOCH + 60}, None),
        ({"auth_time": EPOCH + 61}, "not_yet_valid"),
        ({"iat": EPOCH - 36 * 3600 - 59}, None),
        ({"iat": EPOCH - 36 * 3600 - 60}, "expired"),
        ({"iat": 253_402_300_799}, "not_yet_valid"),
    ],
)
def test_clocks_may_differ_by_a_minute_and_not_more(claims: dict[str, Any], reason: str | None) -> None:
    if reason is None:
        checked(token(**claims))
    else:
        assert refusal(token(**claims)) == reason


def test_without_leeway_there_is_none() -> None:
    strict = issuer(leeway_s=0)
    checked(token(exp=EPOCH + 1, iat=EPOCH), by=strict)
    assert refusal(token(exp=EPOCH), by=strict) == "expired"
    assert refusal(token(iat=EPOCH + 1), by=strict) == "not_yet_valid"


@pytest.mark.parametrize("claim", ["sub", "client_id", "jti", "sid"])
@pytest.mark.parametrize("value", ["", 1, True, None, ["u-1"], {"id": "u-1"}, "u\0", "u\n1", "u" * 257, "u\u202e1"])
def test_an_id_is_a_printable_text(claim: str, value: Any) -> None:
    assert refusal(token(**{claim: value})) == "claim_invalid"


@pytest.mark.parametrize(
    "claims",
    [
        {"acr": 2},
        {"acr": ["x"]},
        {"acr": None},
        {"acr": "x" * 257},
        {"amr": "pwd"},
        {"amr": ["pwd", 1]},
        {"amr": None},
        {"amr": {"pwd": 1}},
        {"amr": ["x"] * 65},
        {"scope": ["decide"]},
        {"scope": 1},
        {"scope": "x" * 4_097},
        {"cnf": None},
        {"cnf": []},
        {"cnf": {}},
        {"cnf": "x"},
        {"cnf": {"jkt": 1}},
        {"cnf": {"jkt": ""}},
        {"cnf": {"jkt": b64(bytes(31))}},
        {"cnf": {"jkt": b64(bytes(32)) + "="}},
        {"cnf": {"x5t#S256": "ab" * 32}},
        {"cnf": {"x5t#S256": None}},
    ],
)
def test_an_optional_claim_of_another_type_is_refused_all_the_same(claims: dict[str, Any]) -> None:
    assert refusal(token(**claims)) == "claim_invalid"


@pytest.mark.parametrize(
    "cnf", [{"jwk": {}}, {"x5t": "x"}, {"kid": "x"}, {"jkt": b64(bytes(32)), "jwk": {}}, {"jku": 1}]
)
def test_a_binding_that_nobody_can_check_is_refused(cnf: dict[str, Any]) -> None:
    assert refusal(token(cnf=cnf)) == "cnf_unknown"


def test_scopes_are_words() -> None:
    assert checked(token(scope="a  b ")).scopes == {"a", "b"}
    assert checked(token(scope="")).scopes == set()
    assert checked(token(without="scope")).scopes == set()
    by = issuer(scope_claim="scp")
    assert checked(token(scp=["a", "b"]), by=by).scopes == {"a", "b"}
    assert checked(token(scp="a b"), by=by).scopes == {"a", "b"}


# --- What an issuer's setting changes --------------------------------------------------------------------------------

KEYCLOAK = issuer(typ="jwt", access_token_claims={"typ": "Bearer"}, client_claim="azp", subject_claim="employee")


def test_an_access_token_of_the_type_jwt_needs_what_an_id_token_does_not_have() -> None:
    as_keycloak: dict[str, Any] = {"azp": "gw-1", "employee": "u-7", "without": "client_id"}
    verified = checked(token({"typ": "JWT"}, typ="Bearer", **as_keycloak), by=KEYCLOAK)
    assert (verified.user_id, verified.subject, verified.client_id) == ("u-7", "u-1", "gw-1")
    assert verified.claims["employee"] == "mapped: user id"
    assert verified.claims["typ"] == "checked"
    for kind in ("ID", "Refresh", "bearer", "", 1, None, ["Bearer"]):
        assert refusal(token({"typ": "JWT"}, typ=kind, **as_keycloak), by=KEYCLOAK) == "not_an_access_token"
    assert refusal(token({"typ": "JWT"}, **as_keycloak), by=KEYCLOAK) == "not_an_access_token"
    assert (
        refusal(token({"typ": "JWT"}, typ="Bearer", at_hash="x", **as_keycloak), by=KEYCLOAK) == "not_an_access_token"
    )
    assert refusal(token({"typ": "JWT"}, typ="Bearer", **as_keycloak)) == "typ_refused", "strict is the default"
    assert refusal(token({"typ": "logout+jwt"}, typ="Bearer", **as_keycloak), by=KEYCLOAK) == "typ_refused"


def test_a_claim_of_any_value_marks_access_tokens_too() -> None:
    entra = issuer(typ="jwt", access_token_claims={"scp": ""})
    checked(token({"typ": "JWT"}, scp="access"), by=entra)
    assert refusal(token({"typ": "JWT"}, scp=""), by=entra) == "not_an_access_token"


def test_a_machines_token_may_have_no_user() -> None:
    assert checked(token(), by=issuer(subject_claim="employee")).user_id is None
    assert refusal(token(employee=""), by=issuer(subject_claim="employee")) == "claim_invalid"


def test_an_issuer_may_be_bound_to_clients() -> None:
    checked(token(), by=issuer(clients=("gw-1", "gw-2")))
    assert refusal(token(), by=issuer(clients=("gw-2",))) == "client_refused"


def test_an_issuer_may_have_a_shorter_age_for_its_tokens() -> None:
    text = token(iat=EPOCH - 600, exp=EPOCH + 86_400)
    assert checked(text, by=issuer(max_age_s=3_600)).expires_at == NOW + timedelta(seconds=3_600 - 600 + 60)
    assert refusal(text, by=issuer(max_age_s=60)) == "expired"


def test_nothing_of_a_token_shows_in_its_representation() -> None:
    shown = repr(checked(token(sub="secret-person", jti="secret-id")))
    assert "secret" not in shown


# --- Whatever comes --------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*sorted(CLAIMS), "nbf", "amr", "cnf", "x"]), json_values)
def test_whatever_a_claim_holds_it_is_accounted_for_or_refused(claim: str, value: Any) -> None:
    try:
        verified = checked(token(**{claim: value}))
    except TokenRefusedError as fault:
        assert fault.reason in REASONS
    else:
        assert verified.claims.keys() == {*CLAIMS, claim}
        assert verified.expires_at > NOW
        assert verified.expires_at.tzinfo is UTC


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_whatever_is_shown_as_a_token_is_refused_and_never_a_crash(text: str) -> None:
    refusal(text + "!") if text == GOOD else refusal(text or " ")
