"""The client certificate in `x-forwarded-client-cert`, as Envoy's HTTP connection manager writes it.

`Key=value;Key="quoted"`, one element for each hop, elements separated by commas.
"""

from __future__ import annotations

import re
from typing import Final

from pdp.errors import BadRequestError

CERTIFICATE: Final = "x-forwarded-client-cert"
MAX_LENGTH: Final = 16_384  # characters; an URL-encoded certificate and its chain

_PAIR: Final = re.compile(r'([A-Za-z]{1,16})=("(?:[^"\\]|\\.)*"|[^";,\\]*)(;(?!\Z)|\Z)')
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def certificate_sha256(header: str | None) -> str | None:
    """SHA-256 over the DER certificate that the gateway itself verified, as lower-case hex; None without the header.

    Exactly one element is taken: with `SANITIZE_SET` that is the gateway's own word, while in a list the
    first entries may be the client's. The element is read to its end, because a `Hash=` inside a quoted
    subject is text that somebody chose. Raises BadRequestError for anything else.
    """
    if header is None:
        return None
    hashes: list[str] = []
    at = 0
    while at < len(header) <= MAX_LENGTH:
        pair = _PAIR.match(header, at)
        if pair is None:
            break
        if pair.group(1).lower() == "hash":
            hashes.append(pair.group(2))
        at = pair.end()
    if at != len(header) or len(hashes) != 1 or _SHA256.fullmatch(hashes[0]) is None:
        raise BadRequestError(f"`{CERTIFICATE}` is not one element with one SHA-256 `Hash`")
    return hashes[0]
