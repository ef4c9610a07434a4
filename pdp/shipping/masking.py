"""What a target must not learn is replaced before any format sees it. Pure.

A pseudonym is HMAC-SHA256 of the kind and the value under the target's key: the same person has the same one, two
targets with different keys cannot be joined, and without the key no list of names can be tried against it. Whatever
could hold the same name in another place goes too: the session, and texts and documents whose shape is not ours.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    from pdp.declog.record import Record
    from pdp.model.log_target import Masked
    from pdp.shipping.view import View

MIN_KEY: Final = 32  # bytes: as long as the digest
_LENGTH: Final = 32  # hexadecimal digits: 128 bits
_NULL: Final = msgspec.Raw(b"null")
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "user": ("subject_id", "session_id"),
    "device": ("device_id",),
    "source_ip": ("source_ip",),
}
_IN_INPUT: Final[dict[str, tuple[str, str]]] = {"user": ("subject", "id"), "device": ("device", "id")}
# May quote what a caller sent, or hold it whole.
_UNSHAPED: Final = ("path", "token_sha256", "error_message", "fault")
_encode: Final = msgspec.json.Encoder().encode


class Mask:
    """Raises ValueError for a key that is too short."""

    def __init__(self, kinds: Collection[Masked], key: bytes) -> None:
        if kinds and len(key) < MIN_KEY:
            raise ValueError(f"a key for pseudonyms needs at least {MIN_KEY} bytes")
        self._kinds: Final = tuple(dict.fromkeys(kinds))
        self._key: Final = key

    def __call__(self, view: View) -> View:
        if not self._kinds:
            return view
        record = view.record
        changes: dict[str, Any] = {}
        masked: list[str] = []
        erased: list[str] = []
        for kind in self._kinds:
            for key in _KEYS[kind]:
                value = getattr(record, key)
                if value is not None:
                    changes[key] = self.pseudonym(kind if key != "session_id" else "session", value)
                    masked.append(key)
        for key in _UNSHAPED:
            if getattr(record, key) is not None:
                changes[key] = None
                erased.append(key)
        changes |= self._documents(record, masked, erased)
        return replace(
            view, record=msgspec.structs.replace(record, **changes), masked=tuple(masked), erased=tuple(erased)
        )

    def pseudonym(self, kind: str, value: str) -> str:
        text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return f"{kind}-{hmac.digest(self._key, text, 'sha256').hex()[:_LENGTH]}"

    def _documents(self, record: Record, masked: list[str], erased: list[str]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if bytes(record.policy_context) != b"null":
            changes["policy_context"] = _NULL
            erased.append("policy_context")
        if bytes(record.input) == b"null":
            return changes
        document = self._input(record)
        if document is None:
            changes["input"] = _NULL
            erased.append("input")
        else:
            changes["input"] = msgspec.Raw(document)
            masked.append("input")
        return changes

    def _input(self, record: Record) -> bytes | None:
        """`pdp.input/v1` with its names replaced; None for a document in which they could stand anywhere."""
        if record.profile != "zta":
            return None
        try:
            document = msgspec.json.decode(record.input)
            for kind in self._kinds:
                if kind in _IN_INPUT:
                    part, key = _IN_INPUT[kind]
                    document[part][key] = self.pseudonym(kind, document[part][key])
            return _encode(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
