"""Where a search goes on: an opaque token that only we can make (AuthZEN 1.0 section 8.2).

The token is signed (HMAC-SHA256) together with the query that it belongs to and the caller who asked,
and it ends. It carries a position, never a name: the caller could otherwise read in it who exists but was
not found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from datetime import datetime

LIFETIME: Final = timedelta(minutes=15)  # of one page's token; a search that pauses longer starts again
MIN_KEY_BYTES: Final = 32  # RFC 2104 section 3: not shorter than the hash
MAX_TOKEN: Final = 256  # characters; ours have about 110
_MAC_BYTES: Final = 32
_PURPOSE: Final = b"sekisho search page 1\x00"
_AT: Final = "/page/token"


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """`position` candidates have been judged; `mark` tells whether the last of them still stands there."""

    position: int
    limit: int
    mark: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Makes and reads page tokens. `key` is a secret that all workers share."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < MIN_KEY_BYTES:
            raise ValueError(f"the key for page tokens must have at least {MIN_KEY_BYTES} bytes")

    def issue(self, position: int, limit: int, mark: str, query: bytes, now: datetime) -> str:
        expires_s = int((now + LIFETIME).timestamp())
        payload = msgspec.json.encode(Cursor(position, limit, mark, expires_s))
        return base64.urlsafe_b64encode(payload + self._mac(payload, query)).decode().rstrip("=")

    def read(self, token: str, query: bytes, now: datetime) -> Cursor:
        """Raises BadRequestError for a token that is not ours, of another query or caller, or too old."""
        payload = self._verified(token, query)
        cursor = _decode(payload)
        if now.timestamp() >= cursor.expires_s:
            raise BadRequestError("the page token has expired; start the search again", pointer=_AT)
        return cursor

    def _verified(self, token: str, query: bytes) -> bytes:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(token) > MAX_TOKEN or not hmac.compare_digest(mac, self._mac(payload, query)):
            raise BadRequestError("the page token does not belong to this search", pointer=_AT)
        return payload

    def _mac(self, payload: bytes, query: bytes) -> bytes:
        return hmac.new(self.key, _PURPOSE + hashlib.sha256(query).digest() + payload, hashlib.sha256).digest()


_decode: Final = msgspec.json.Decoder(Cursor).decode


def query_bytes(endpoint: str, caller_id: str, members: dict[str, Any]) -> bytes:
    """What must stay the same from page to page, as one text: endpoint, caller, entities, context."""
    return msgspec.json.encode([endpoint, caller_id, members], order="deterministic")


def mark_of(name: str) -> str:
    """A short digest of the last candidate judged, so that a changed list is noticed and not skipped over."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
