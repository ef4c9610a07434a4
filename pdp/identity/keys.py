"""The keys of an issuer (RFC 7517), and what each may be used for. Here python-jose gets one key and one algorithm.

A JWK is looked at once, when the set is read. One that cannot be used stays in the set as unusable, so that a token
that names it is refused for that reason, and so that its `kid` still counts as taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jose import jwk as jose_jwk

from pdp.errors import BadRequestError
from pdp.identity.jws import MAX_KID, base64url
from pdp.identity.token import TokenRefusedError
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEYS: Final = 100  # standards 7.6
MAX_JWKS: Final = 256 * 1024  # bytes; standards 7.6
MIN_RSA_BITS: Final = 2_048  # RFC 7518 section 3.3
MAX_RSA_BITS: Final = 8_192  # longer ones only cost time: 8,192 takes a millisecond
_MIN_RSA_EXPONENT: Final = 65_537  # FIPS 186-5 section 5.1; with an exponent of 1 everything verifies
_MAX_RSA_EXPONENT: Final = 2**32

# RFC 7518 section 3.4: the curve and the length of R and S, in bytes, belong to the algorithm.
_CURVES: Final[Mapping[str, tuple[str, int]]] = {
    "ES256": ("P-256", 32),
    "ES384": ("P-384", 48),
    "ES512": ("P-521", 66),
}
_RSA: Final[tuple[str, ...]] = ("RS256", "RS384", "RS512")
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class VerificationKey:
    """One JWK. `algorithms` are those that it can verify; none of them: it is unusable.

    INVARIANT (one key, one algorithm): python-jose is never given a choice. Each of its key objects is made for
    one algorithm, and `verify` uses the one that the caller names, after the issuer's list allowed it.
    """

    __slots__ = ("_for", "_length", "kid")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        kid = jwk.get("kid")
        self.kid = kid if isinstance(kid, str) and 0 < len(kid) <= MAX_KID else None
        self._for: dict[str, Any] = {}
        self._length = 0
        try:
            algorithms, self._length = _usable_for(jwk)
            self._for = {name: jose_jwk.construct(_public(jwk), name) for name in algorithms}
        except Exception:  # noqa: BLE001  # a key that its library cannot read, for whatever reason, verifies nothing
            self._for = {}

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(self._for)

    def verify(self, algorithm: str, signed: bytes, signature: bytes) -> None:
        """Raises TokenRefusedError where the key is not one for this algorithm, or the signature does not hold."""
        key = self._for.get(algorithm)
        if key is None:
            raise TokenRefusedError("key_unusable")
        # The length first: ECDSA in DER instead of R || S, and RSA with leading zeros cut off, are not JWS.
        if len(signature) != self._length or key.verify(signed, signature) is not True:
            raise TokenRefusedError("signature_invalid")


class KeySet:
    """A JWK Set (RFC 7517 section 5). Two sets are the same only as the same object."""

    def __init__(self, jwks: object) -> None:
        """Raises BadRequestError where this is no set, or one of more than `MAX_KEYS` keys."""
        keys = jwks.get("keys") if isinstance(jwks, dict) else None
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise BadRequestError("the keys are not a JWK Set")
        if len(keys) > MAX_KEYS:
            raise BadRequestError(f"the set has more than {MAX_KEYS} keys")
        self._by_kid: dict[str, list[VerificationKey]] = {}
        for key in map(VerificationKey, keys):
            if key.kid is not None:
                self._by_kid.setdefault(key.kid, []).append(key)

    @property
    def usable(self) -> int:
        """How many keys can verify something. (Not `len`: an empty set is still a set, and must not be false.)"""
        return sum(bool(key.algorithms) for keys in self._by_kid.values() for key in keys)

    def __contains__(self, kid: str) -> bool:
        return kid in self._by_kid

    def find(self, kid: object) -> VerificationKey:
        """The one key of this name. Raises TokenRefusedError. A `kid` is opaque: it is compared, and nothing else."""
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
            raise TokenRefusedError("kid_invalid")
        found = self._by_kid.get(kid, ())
        if not found:
            raise TokenRefusedError("key_unknown")
        if len(found) > 1:
            raise TokenRefusedError("key_ambiguous")
        return found[0]


def read_jwks(raw: bytes) -> KeySet:
    """The set in one JSON text. Raises BadRequestError where it is none, or too large."""
    return KeySet(parse_json(raw, max_bytes=MAX_JWKS))


def _usable_for(jwk: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """(the algorithms that this public key can verify, the length of their signatures in bytes). Raises ValueError."""
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations or jwk.get("use", "sig") != "sig":
        return (), 0
    if not _PRIVATE.isdisjoint(jwk):  # a private half that is published is everybody's; `k` would be a shared secret
        return (), 0
    if jwk.get("kty") == "RSA":
        algorithms, length = _RSA, _rsa_length(jwk)
    else:
        algorithms, length = _of_curve(jwk) if jwk.get("kty") == "EC" else ((), 0)
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    return algorithms, length


def _rsa_length(jwk: Mapping[str, Any]) -> int:
    modulus = int.from_bytes(base64url(jwk["n"]), "big")
    exponent = int.from_bytes(base64url(jwk["e"]), "big")
    bits = modulus.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise ValueError("the modulus is too short or too long")
    if not (_MIN_RSA_EXPONENT <= exponent < _MAX_RSA_EXPONENT and exponent % 2):
        raise ValueError("the exponent is not one that is used")
    return (bits + 7) // 8


def _of_curve(jwk: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    for algorithm, (curve, length) in _CURVES.items():
        if jwk.get("crv") == curve:
            if len(base64url(jwk["x"])) != length or len(base64url(jwk["y"])) != length:
                raise ValueError("a coordinate is not of the length of its curve")  # RFC 7518 section 6.2.1.2
            return (algorithm,), 2 * length
    return (), 0


def _public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Only what makes the key: python-jose gets no member that it could read in a way of its own."""
    return {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in jwk}
