"""Nonces for DPoP proofs (RFC 9449 section 8): a proof cannot have been made long before it is used.

The attack: somebody who has the client's key in hands for a minute, but cannot take it away, makes proofs for the days
to come. A proof that must name a nonce of now is worth a few minutes.

Nothing is kept: the nonce of a window of time is a MAC over the window's number, so every worker and host with the same
key hands out, and takes, the same ones. One nonce serves all clients; a proof still counts only once.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from pdp.identity.jws import read_jws

if TYPE_CHECKING:
    from datetime import datetime, timedelta

MIN_KEY: Final = 32  # bytes
_NONCE: Final = 18  # bytes of the MAC: 24 characters of base64url, which no one guesses
_PURPOSE: Final = b"sekisho dpop nonce\n"  # the same key could seal something else one day


class Nonces:
    """`lasts`: for how long one nonce is handed out. It counts as long again, and clocks of hosts may differ by it."""

    def __init__(self, key: bytes, lasts: timedelta) -> None:
        """Raises ValueError for a key of less than 32 bytes."""
        if len(key) < MIN_KEY:
            raise ValueError(f"a key of nonces has at least {MIN_KEY} bytes")
        self._key = key
        self._lasts_s = int(lasts.total_seconds())
        self._window = -1
        self._known: tuple[str, str, str] = ("", "", "")

    def current(self, now: datetime) -> str:
        """The nonce that is handed out."""
        return self.counting(now)[1]

    def counting(self, now: datetime) -> tuple[str, str, str]:
        """The nonces that count: of the window before, of now, and of the one that a faster clock is in already."""
        window = int(now.timestamp()) // self._lasts_s
        if window != self._window:
            self._known = (self._nonce(window - 1), self._nonce(window), self._nonce(window + 1))
            self._window = window
        return self._known

    def _nonce(self, window: int) -> str:
        mac = hmac.digest(self._key, _PURPOSE + window.to_bytes(8, "big", signed=True), "sha256")
        return urlsafe_b64encode(mac[:_NONCE]).decode("ascii")


def named_nonce(unverified_proof: str) -> str | None:
    """The nonce that a proof names; None where it names none. Nothing is believed of it.

    Raises TokenRefusedError for what is no signed JWT.
    """
    nonce = read_jws(unverified_proof).payload.get("nonce")
    return nonce if isinstance(nonce, str) else None
