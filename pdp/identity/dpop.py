"""A DPoP proof (RFC 9449 section 4.3): that whoever sends this request holds the key of the token. Pure.

The numbers are those of the RFC's list. 1, exactly one header, is the wire format's to see.
Method and URI are the client's own, as the gateway asserts them: what the gateway itself sent to us proves nothing.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from pdp.identity.jws import read_jws
from pdp.identity.keys import VerificationKey
from pdp.identity.token import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from pdp.identity.token import Presented

WINDOW: Final = timedelta(seconds=60)  # of `iat`, to both sides; standards 7.4
MAX_PROOF: Final = 8_192  # bytes; a proof with an RSA key of 4,096 bits has about 1,900
MAX_JTI: Final = 256
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512")

_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638 section 3.2, in its order
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LAST_INSTANT: Final = 253_402_300_799
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Proof(NamedTuple):
    """A proof that holds but for its being used twice: `jkt` and `token_id` name it, until `until` it could be used."""

    jkt: str
    token_id: str
    until: datetime


def check_proof(
    presented: Presented, now: datetime, *, token: str | None, nonces: Collection[str] | None = None
) -> Proof:
    """The proof that came with a request. `token` is the access token that it must be bound to (None: at a token
    endpoint there is none yet), `nonces` those that were given out and still count; None: no nonce is asked for.

    Raises TokenRefusedError. The caller compares `jkt` with the token's `cnf`, and refuses a second use.
    """
    text, method, uri = presented.dpop, presented.method, presented.uri
    if text is None or method is None or uri is None:
        raise TokenRefusedError("proof_required")
    try:
        jws = read_jws(text, max_bytes=MAX_PROOF)  # 2, 3
    except TokenRefusedError:
        raise _invalid() from None
    jwk = _check_header(jws.header)  # 4, 5, 7
    try:
        VerificationKey(jwk).verify(jws.header["alg"], jws.signed, jws.signature)  # 6
    except TokenRefusedError:
        raise _invalid() from None
    claims = jws.payload
    if claims.get("htm") != method:  # 8; methods know case (RFC 9110 section 9.1)
        raise _invalid()
    if not isinstance(claims.get("htu"), str) or _normal(claims["htu"]) != _normal(uri):  # 9
        raise _invalid()
    if nonces is not None and claims.get("nonce") not in nonces:  # 10; section 8: the client is told which to name
        raise TokenRefusedError("nonce_required")
    issued = _instant(claims.get("iat"))  # 11
    if abs(issued - now) > WINDOW:
        raise _invalid()
    if token is not None and claims.get("ath") != _base64url(sha256(token.encode("ascii")).digest()):  # 12
        raise _invalid()
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= MAX_JTI:
        raise _invalid()
    return Proof(thumbprint(jwk), token_id, issued + WINDOW)


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638, with SHA-256, in base64url. Raises TokenRefusedError for a key of another kind than EC or RSA."""
    members = _MEMBERS.get(jwk.get("kty", ""))
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        raise _invalid()
    # Written by hand: base64url and curve names need no escapes, and what is no base64url has been refused as a key.
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in members) + "}"
    return _base64url(sha256(text.encode()).digest())


def _check_header(header: dict[str, Any]) -> dict[str, Any]:
    jwk = header.get("jwk")
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in ("dpop+jwt", "application/dpop+jwt"):  # 4
        raise _invalid()
    if header.get("alg") not in ALGORITHMS:  # 5
        raise _invalid()
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):  # 7
        raise _invalid()
    return jwk


def _instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LAST_INSTANT:
        raise _invalid()
    return datetime.fromtimestamp(value, UTC)


def _normal(uri: str) -> str:
    """A URI without query and fragment, in one form (RFC 3986 sections 6.2.2 and 6.2.3). Raises TokenRefusedError."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise _invalid() from None
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname or "@" in parts.netloc or not uri.isascii():
        raise _invalid()
    if not uri.isprintable() or " " in uri or "\\" in uri:
        raise _invalid()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname  # urlsplit has lowered its case
    if port is not None and port != _DEFAULT_PORT[parts.scheme]:
        host = f"{host}:{port}"
    return f"{parts.scheme}://{host}{_normal_path(parts.path)}"


def _normal_path(path: str) -> str:
    """Escapes in capitals, and none for what needs none; no `.` and `..` (RFC 3986 section 5.2.4); never empty."""
    segments: list[str] = []
    parts = _ESCAPE.sub(_normal_escape, path).split("/")[1:]
    for index, segment in enumerate(parts):
        if segment == "..":
            segments[-1:] = []
        elif segment != ".":
            segments.append(segment)
            continue
        if index == len(parts) - 1:
            segments.append("")
    return "/" + "/".join(segments)


def _normal_escape(escape: re.Match[str]) -> str:
    letter = chr(int(escape.group(1), 16))
    return letter if letter in _UNRESERVED else escape.group(0).upper()


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _invalid() -> TokenRefusedError:
    """One reason for all: which of the checks failed would help only whoever forges proofs."""
    return TokenRefusedError("proof_invalid")
