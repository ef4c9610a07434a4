"""An identity provider for tests: it signs whatever it is told to, also what no provider would."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pdp.identity.keys import KeySet
from pdp.model.issuer import Issuer

EPOCH = 1_800_000_000
NOW = datetime.fromtimestamp(EPOCH, UTC)
ISSUER = "https://idp.example.com"
AUDIENCE = "https://pdp.example.com"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "u-1",
    "client_id": "gw-1",
    "iat": EPOCH - 10,
    "exp": EPOCH + 300,
    "jti": "j-1",
    "scope": "decide batch",
    "sid": "s-1",
    "acr": "urn:sekisho:auth-level:2",
    "auth_time": EPOCH - 100,
}
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"P-256": (ec.SECP256R1(), 32), "P-384": (ec.SECP384R1(), 48), "P-521": (ec.SECP521R1(), 66)}


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@cache
def rsa_key(bits: int = 2048, which: int = 0) -> rsa.RSAPrivateKey:
    """Always the same one of these bits: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(curve: str = "P-256", which: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(_CURVES[curve][0])


def jwk(key: Any, kid: str | None = None, **members: Any) -> dict[str, Any]:
    """The public half as a JWK with these further members; one that is None is left out."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        found = {"kty": "RSA", "n": b64(n), "e": b64(numbers.e.to_bytes(3, "big"))}
    else:
        curve = next(name for name, (known, _) in _CURVES.items() if known.name == key.curve.name)
        length = _CURVES[curve][1]
        x, y = (b64(value.to_bytes(length, "big")) for value in (numbers.x, numbers.y))
        found = {"kty": "EC", "crv": curve, "x": x, "y": y}
    found |= {"kid": kid, **members}
    return {name: value for name, value in found.items() if value is not None}


def signature(key: Any, algorithm: str, signed: bytes) -> bytes:
    digest = _HASHES[algorithm[2:]]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    length = (key.curve.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def signed_raw(header: bytes, payload: bytes, key: Any = None, algorithm: str = "RS256") -> str:
    """A JWS over these very bytes, by this key and algorithm whatever the header says."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(signature(key or rsa_key(), algorithm, text.encode()))}"


def token(
    header: dict[str, Any] | None = None, *, key: Any = None, algorithm: str = "RS256", without: str = "", **claims: Any
) -> str:
    """A token that holds, but for what is said: members of the header and claims to add or to replace, one to leave out."""
    head = {"alg": algorithm, "typ": "at+jwt", "kid": "rsa-1", **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if name != without}
    return signed_raw(json.dumps(head).encode(), json.dumps(payload).encode(), key, algorithm)


@cache
def _two_keys() -> KeySet:
    return KeySet(jwks())


def jwks() -> dict[str, Any]:
    """The issuer's set: `rsa-1` for RS256 and `ec-1` for ES256."""
    return {
        "keys": [
            jwk(rsa_key(), "rsa-1", use="sig", alg="RS256"),
            jwk(ec_key(), "ec-1", use="sig", alg="ES256"),
        ]
    }


def key_set() -> KeySet:
    return _two_keys()


def issuer(**members: Any) -> Issuer:
    return Issuer(**{"issuer": ISSUER, "audiences": (AUDIENCE,), **members})


def dpop(
    access_token: str | None,
    *,
    key: Any = None,
    header: dict[str, Any] | None = None,
    without: str = "",
    **claims: Any,
) -> str:
    """A DPoP proof for `GET https://app.example/x` that holds, but for what is said."""
    key = key or ec_key()
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    head = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk(key), **(header or {})}
    payload = {"jti": "p-1", "htm": "GET", "htu": "https://app.example/x", "iat": EPOCH, **claims}
    if access_token is not None and "ath" not in claims:
        payload["ath"] = b64(sha256(access_token.encode()).digest())
    payload = {name: value for name, value in payload.items() if name != without}
    return signed_raw(json.dumps(head).encode(), json.dumps(payload).encode(), key, algorithm)
