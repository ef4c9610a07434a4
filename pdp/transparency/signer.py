"""Who signs: a key in a file, or a device that never gives its key away.

The port has the shape of PKCS#11 (C_Sign with CKM_EDDSA on a session that is open): a key that is named, and
one call that signs bytes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from pdp.errors import SettingsError
from pdp.transparency.note import NoteKey

if TYPE_CHECKING:
    from pathlib import Path

_MODE: Final = 0o600


class FileSigner:
    """Adapter of `pdp.transparency.note.Signer`: an Ed25519 key in a PEM file (PKCS#8, not encrypted)."""

    def __init__(self, private: Ed25519PrivateKey, name: str) -> None:
        self._private = private
        self._key = NoteKey(name, private.public_key().public_bytes_raw())

    @property
    def key(self) -> NoteKey:
        return self._key

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


def read_signer(path: Path, name: str) -> FileSigner:
    """Raises SettingsError where the file cannot be read, or holds no Ed25519 key."""
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as fault:
        raise SettingsError(f"the signing key of the decision log cannot be read: {fault.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("the signing key of the decision log is no PEM file of a key without a password") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError("the signing key of the decision log is not an Ed25519 key")
    return FileSigner(private, name)


def make_key_file(path: Path) -> None:
    """A new key for the owner alone, unless there is one; also where several start at once. Raises OSError."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        aside.unlink()
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(aside, path)  # fails where the name exists: the first one stays
    finally:
        aside.unlink()
