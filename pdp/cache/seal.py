"""The seal on what stands in Redis: whoever can write there still cannot make a verdict.

A sealed value is `version, MAC, body`. The MAC is keyed BLAKE2b (RFC 7693, section 2.9) of 256 bits over the
version, the cache key and the body, under a secret that never leaves the deployment's hosts. So these are all
worth nothing, and `open` says None: a value that was made up, a flipped bit, a value copied from another key,
another deployment's value, a value of another version of this format.

INVARIANT (no verdict without its seal): nothing of a value is decoded before its MAC is right.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from hmac import compare_digest
from typing import Annotated, Any, Final

import msgspec

from pdp.cache.entry import Entry
from pdp.errors import SettingsError
from pdp.model.decision import Outcome, Verdict

MIN_SECRET_BYTES: Final = 32
MAX_SEALED_BYTES: Final = 65_536  # a verdict of the demonstration policy takes some 200

_VERSION: Final = b"\x01"  # raise it when a field below changes its place or its meaning
_MAC_BYTES: Final = 32
_BODY_AT: Final = len(_VERSION) + _MAC_BYTES
_PURPOSE: Final = b"sekisho verdict"  # BLAKE2b's personalisation, at most 16 bytes: one secret, one use


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """JSON, because what a policy may put into `context` is JSON: whole numbers of any size, and no more types."""

    until: Annotated[datetime, msgspec.Meta(tz=True)]
    outcome: Outcome
    reasons: tuple[str, ...]
    obligations: dict[str, str | int]
    required_auth_level: int | None
    context: dict[str, Any] | None


_DECODER: Final = msgspec.json.Decoder(_Body)
_ENCODER: Final = msgspec.json.Encoder()


class Seal:
    """Closes and opens with one secret. Raises SettingsError where it has fewer than 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise SettingsError(f"the secret of the cache has {len(secret)} bytes; it needs {MIN_SECRET_BYTES}")
        keyed = blake2b(secret, digest_size=blake2b.MAX_KEY_SIZE, person=_PURPOSE).digest()
        self._mac = blake2b(_VERSION, digest_size=_MAC_BYTES, key=keyed, person=_PURPOSE)

    def close(self, key: bytes, entry: Entry) -> bytes:
        """The value for Redis. Raises ValueError where `entry.until` has no time zone."""
        if entry.until.tzinfo is None:
            raise ValueError("the end of a cache entry needs its time zone")
        verdict = entry.verdict
        body = _ENCODER.encode(
            (
                entry.until,
                verdict.outcome,
                verdict.reasons,
                verdict.obligations,
                verdict.required_auth_level,
                verdict.context,
            )
        )
        return b"%b%b%b" % (_VERSION, self._mac_of(key, body), body)

    def open(self, key: bytes, sealed: bytes) -> Entry | None:
        """The entry, or None for anything that this secret did not seal for this key. Never raises for a value.

        Whether the entry's time has passed is the caller's to look at.
        """
        if not _BODY_AT < len(sealed) <= MAX_SEALED_BYTES or sealed[: len(_VERSION)] != _VERSION:
            return None
        body = sealed[_BODY_AT:]
        if not compare_digest(sealed[len(_VERSION) : _BODY_AT], self._mac_of(key, body)):
            return None
        try:
            said = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return Entry(
            Verdict(said.outcome, said.reasons, said.obligations, said.required_auth_level, said.context), said.until
        )

    def _mac_of(self, key: bytes, body: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(len(key).to_bytes(4, "big") + key)  # the length: no byte moves between key and body
        mac.update(body)
        return mac.digest()
