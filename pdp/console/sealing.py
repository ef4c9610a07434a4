"""What a browser carries through a login: sealed with AES-256-GCM, so that it can neither be read nor be made."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

UNDER_WAY: Final = timedelta(minutes=10)  # a person who looks for a second factor needs some
_NONCE: Final = 12
_MAX: Final = 4_000  # characters of a cookie
_FOR: Final = b"sekisho.console/login"


class LoginUnderWay(msgspec.Struct, frozen=True):
    """What must come back unchanged: RFC 6749 section 10.12, RFC 7636, OpenID Connect Core section 3.1.2.1."""

    state: str
    nonce: str
    verifier: str
    to: str  # the page that was asked for
    until: int


class LoginSeal:
    """`key`: 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher: Final = AESGCM(key)

    def seal(self, login: LoginUnderWay) -> str:
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, msgspec.json.encode(login), _FOR)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")  # a cookie with `=` would be quoted

    def open(self, text: str, now: datetime) -> LoginUnderWay | None:
        """None for what we did not seal, and for what is too old."""
        if len(text) > _MAX:
            return None
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            login = msgspec.json.decode(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _FOR), type=LoginUnderWay)
        except (binascii.Error, UnicodeEncodeError, InvalidTag, ValueError):
            return None
        return login if now < datetime.fromtimestamp(login.until, UTC) else None
