"""A compact JWS, taken apart: steps 1 and 2 of standards 7.3. Pure; nothing of it is believed yet.

What this refuses before any key is looked for, and the attack behind it:

- another number of segments, padding, white space, `+` and `/`, spare bits that are not zero: two texts for one
  token would pass a memory, a revocation list or a `ath` in two shapes (RFC 7515 section 2, RFC 4648 section 3.5);
- header or payload that is not strict JSON (`pdp.strict_json`): a name that stands twice is read in two ways;
- `crit` in any form (RFC 7515 section 4.1.11: we understand no extension), `b64` (RFC 7797: the signed bytes would
  be others), `zip` and `enc` (JWE), `cty: JWT` (a token in a token, RFC 7519 section 5.2).

`jwk`, `jku`, `x5u`, `x5c` and `x5t` are never read: a token does not say which key it is verified with.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final

from pdp.errors import BadRequestError
from pdp.identity.token import TokenRefusedError
from pdp.strict_json import parse_json

MAX_TOKEN: Final = 16_384  # bytes; standards 7.3. An access token with many groups has about 4,000
MAX_HEADER_DEPTH: Final = 8  # standards 7.3; a header of ours has one level, an `x5c` two
MAX_KID: Final = 256

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_NOT_UNDERSTOOD: Final = ("crit", "b64", "zip", "enc")


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """`signed` are the bytes that the signature is over. Whatever the header and the payload say is a claim."""

    header: dict[str, Any]
    payload: dict[str, Any]
    signed: bytes
    signature: bytes


def read_jws(token: str, *, max_bytes: int = MAX_TOKEN) -> UnverifiedJws:
    """The parts of a token. Raises TokenRefusedError for one that cannot be read in exactly one way."""
    if len(token) > max_bytes:
        raise TokenRefusedError("too_large")
    form = _COMPACT.fullmatch(token)
    if form is None:
        raise TokenRefusedError("malformed")
    try:
        header, payload, signature = (base64url(segment) for segment in form.groups())
    except ValueError:
        raise TokenRefusedError("malformed") from None
    return UnverifiedJws(
        _header(header), _object(payload, "payload_invalid"), token[: form.end(2)].encode("ascii"), signature
    )


def base64url(text: str) -> bytes:
    """The bytes of base64url without padding, in its one canonical form. Raises ValueError."""
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError("not base64url")
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    value = b64decode(padded, altchars=b"-_")  # binascii.Error, a ValueError, for a length that cannot be
    if b64encode(value, altchars=b"-_") != padded:
        raise ValueError("spare bits are not zero")
    return value


def _header(raw: bytes) -> dict[str, Any]:
    header = _object(raw, "header_invalid")
    if _is_deeper(header, MAX_HEADER_DEPTH):
        raise TokenRefusedError("header_invalid")
    if any(name in header for name in _NOT_UNDERSTOOD):
        raise TokenRefusedError("header_unsupported")
    content = header.get("cty", "")
    if not isinstance(content, str) or content.lower().removeprefix("application/") == "jwt":
        raise TokenRefusedError("header_unsupported")
    return header


def _object(raw: bytes, reason: str) -> dict[str, Any]:
    try:
        value = parse_json(raw, max_bytes=MAX_TOKEN)
    except BadRequestError:  # its message could repeat a part of the token
        raise TokenRefusedError(reason) from None
    if not isinstance(value, dict):
        raise TokenRefusedError(reason)
    return value


def _is_deeper(node: Any, levels: int) -> bool:
    """Whether there is something below so many levels of objects and lists; the reader has bounded the depth."""
    if not isinstance(node, dict | list):
        return False
    if levels == 0:
        return True
    members = node.values() if isinstance(node, dict) else node
    return any(_is_deeper(member, levels - 1) for member in members)
