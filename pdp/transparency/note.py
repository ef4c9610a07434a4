"""C2SP signed notes: a text, a blank line, and one line for each signature. Ed25519 (RFC 8032) only.

    — NAME BASE64(key id | signature)

The key id is the first 4 bytes of SHA-256(NAME | 0x0A | 0x01 | public key). A key is written for people as
`NAME+ID+BASE64(0x01 | public key)`, ID in hex. Source: c2sp.org/signed-note.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_ED25519: Final = b"\x01"
_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_DASH: Final = "\u2014 "
_MAX_SIGNATURES: Final = 16  # a note may hold so many (signed-note); ours hold one, or two on the day of a new key
_NAME: Final = re.compile(r"[^\s+]{1,255}")


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under its name. `public` is 32 bytes."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def verifies(self, signature: bytes, text: str) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    @property
    def key(self) -> NoteKey:
        """The public key, under the name that its signatures carry."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032), 64 bytes. May block. Raises OSError where the device does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends with a newline. Nothing in it counts before `signers` has named a key that is trusted."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        lines = (f"{_DASH}{made.name} {b64encode(made.key_id + made.value).decode()}\n" for made in self.signatures)
        return f"{self.text}\n{''.join(lines)}"

    def signers(self, keys: Iterable[NoteKey]) -> tuple[NoteKey, ...] | None:
        """Those of the keys that signed, or None where one of them is named and its signature does not hold.

        Signatures of other keys are passed over, as signed-note wants it: a witness may have added his.
        """
        known = {(key.name, key.id): key for key in keys}
        found: list[NoteKey] = []
        for made in self.signatures:
            key = known.get((made.name, made.key_id))
            if key is None:
                continue
            if not key.verifies(made.value, self.text):
                return None
            found.append(key)
        return tuple(found)


def note_key(text: str) -> NoteKey | None:
    """A key as it is written for people, or None where it has another form or its id is not its own."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    if _NAME.fullmatch(name) is None or raw is None or len(raw) != 1 + _KEY_BYTES or raw[:1] != _ED25519:
        return None
    key = NoteKey(name, raw[1:])
    return key if str(key) == text else None


def signed(text: str, signers: Sequence[Signer]) -> Note:
    """The text with a signature of each. Raises ValueError where no note can hold the text."""
    if not text.endswith("\n") or any(ord(letter) < ord(" ") and letter != "\n" for letter in text):
        raise ValueError("a note ends with a newline and holds no other control character")
    made = tuple(Signature(signer.key.name, signer.key.id, signer.sign(text.encode())) for signer in signers)
    return Note(text, made)


def parse_note(raw: str) -> Note | None:
    """The parts of a note, or None where it is none. Only the one canonical form of each line is taken."""
    text, blank, tail = raw.rpartition("\n\n")
    if not blank or not tail.endswith("\n") or any(ord(letter) < ord(" ") and letter != "\n" for letter in raw):
        return None
    lines = tail[:-1].split("\n")
    signatures = [_signature(line) for line in lines]
    made = tuple(found for found in signatures if found is not None)
    if len(made) != len(lines) or len(lines) > _MAX_SIGNATURES:
        return None
    note = Note(text + "\n", made)
    return note if str(note) == raw else None


def _signature(line: str) -> Signature | None:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    raw = _decoded(encoded)
    if not line.startswith(_DASH) or _NAME.fullmatch(name) is None or raw is None or len(raw) <= _ID_BYTES:
        return None
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None
