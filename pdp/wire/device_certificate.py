"""The device's certificate in the words of the gateway that verified it, whichever of three words it uses.

| header | value | who writes it |
|---|---|---|
| `x-forwarded-client-cert` | one element with `Hash=` | Envoy |
| `x-pdp-certificate-sha256` | the digest itself, in hex | HAProxy |
| `x-pdp-certificate` | the certificate: URL-encoded PEM, or base64 of its DER | nginx, Traefik, Envoy over gRPC |

All are facts of the gateway and none of the client. Where several are given they name the same certificate.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pdp.errors import BadRequestError
from pdp.wire.client_certificate import CERTIFICATE, certificate_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST: Final = "x-pdp-certificate-sha256"
WHOLE: Final = "x-pdp-certificate"
MAX_CERTIFICATE: Final = 16_384  # characters; a certificate with a long list of names has about 4,000

_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_PEM: Final = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_BARE: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def asserted_certificate(headers: Mapping[str, str]) -> str | None:
    """SHA-256 over the DER certificate as lower-case hex; None where the gateway names none.

    Raises BadRequestError where a header cannot be read, or two of them name different certificates.
    """
    named = {certificate_sha256(headers.get(CERTIFICATE)), _digest(headers.get(DIGEST)), _of(headers.get(WHOLE))}
    named.discard(None)
    if len(named) > 1:
        raise BadRequestError("the gateway names two different device certificates")
    return named.pop() if named else None


def _digest(header: str | None) -> str | None:
    if header is not None and _SHA256.fullmatch(header) is None:
        raise BadRequestError(f"`{DIGEST}` is not 64 hexadecimal digits")
    return None if header is None else header.lower()


def _of(header: str | None) -> str | None:
    """Exactly one certificate: in a chain somebody would have to guess which one is the device's."""
    if header is None:
        return None
    text = unquote(header) if len(header) <= MAX_CERTIFICATE else ""
    form = _PEM.fullmatch(text)
    bare = "".join(form.group(1).split()) if form is not None else text
    try:
        der = b64decode(bare, validate=True) if _BARE.fullmatch(bare) else b""
    except binascii.Error:
        der = b""
    if not _is_one_sequence(der):
        raise BadRequestError(f"`{WHOLE}` is not one certificate")
    return sha256(der).hexdigest()


def _is_one_sequence(der: bytes) -> bool:
    """The outer shell of a certificate (X.690 section 8.9): a SEQUENCE of two length bytes and not a byte more."""
    return der[:2] == b"\x30\x82" and len(der) == 4 + int.from_bytes(der[2:4], "big")
