"""Pseudonyms under a secret key: the same value has the same one, and without the key no list of names can be tried.

A key file has one key a line, `EPOCH HEX`; the highest epoch is the one that is used, and the others stay so that
older pseudonyms can still be found. In a file that we made, a check stands between the two (`check_of`). Who destroys
the file makes every pseudonym under it final.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import re
import secrets
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MARK: Final = "p:"
_LINE: Final = re.compile(r"([1-9][0-9]{0,5}) ([0-9a-f]{64,256})", re.ASCII)
_CHECKED: Final = re.compile(r"([1-9][0-9]{0,5}) ([0-9a-f]{16}) ([0-9a-f]{64})", re.ASCII)
_CHECK_DIGITS: Final = 16
_BYTES: Final = 16  # 128 bits: nobody finds a second value with the same pseudonym
_PSEUDONYM: Final = re.compile(r"p:[1-9][0-9]{0,5}:[a-z2-7]{26}", re.ASCII)
_REMEMBERED: Final = 16_384  # 7,500 people and as many devices; some 4 MB


class Pseudonyms:
    """`keys` by epoch. Raises ValueError without a key."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys:
            raise ValueError("there is no key for pseudonyms")
        self._keys: Final = dict(keys)
        self.epoch: Final = max(keys)
        self.of: Final = lru_cache(maxsize=_REMEMBERED)(self._of)

    def _of(self, kind: str, value: str) -> str:
        return self._under(self.epoch, kind, value)

    def all_of(self, kind: str, value: str) -> list[str]:
        """What the value is called under each key, the newest first."""
        return [self._under(epoch, kind, value) for epoch in sorted(self._keys, reverse=True)]

    def _under(self, epoch: int, kind: str, value: str) -> str:
        # The kind is part of it: a person and a device of the same name have nothing in common.
        text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._keys[epoch], text, "sha256")[:_BYTES]
        return f"{MARK}{epoch}:{base64.b32encode(digest).decode().rstrip('=').lower()}"


def is_pseudonym(text: str) -> bool:
    return _PSEUDONYM.fullmatch(text) is not None


def check_of(epoch: int, key: bytes) -> str:
    """What stands before a key in the file, so that a changed letter is not taken for another key. It tells nothing."""
    return sha256(b"sekisho pseudonym key %d\0" % epoch + key).hexdigest()[:_CHECK_DIGITS]


def make_key_file(path: Path) -> None:
    """A first key, readable by us alone, where there is none: a start on a disk that is full needs no room.

    Written aside and then linked: whoever finds the name finds the whole key. Raises SettingsError.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            key = secrets.token_bytes(32)
            file.write(f"1 {check_of(1, key)} {key.hex()}\n")
            file.flush()
            os.fsync(file.fileno())  # pseudonyms under a key that a power failure took are nobody's
        with contextlib.suppress(FileExistsError):  # another worker was first
            os.link(aside, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as fault:
        raise SettingsError(f"no key file for pseudonyms can be made: {fault.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)


def read_pseudonyms(path: Path) -> Pseudonyms:
    """Raises SettingsError for a file that cannot be read or is none; its content is in no message."""
    try:
        lines = path.read_text("ascii").split("\n")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"the key file for pseudonyms `{path.name}` cannot be read") from None
    keys: dict[int, bytes] = {}
    for line in filter(str.strip, lines):
        epoch, key = _key_in(line, path.name, ended=not lines[-1])
        if epoch in keys:
            raise _something_else(path.name)
        keys[epoch] = key
    if not keys:
        raise SettingsError(f"the key file for pseudonyms `{path.name}` is empty")
    return Pseudonyms(keys)


def _key_in(line: str, name: str, *, ended: bool) -> tuple[int, bytes]:
    checked, bare = _CHECKED.fullmatch(line), _LINE.fullmatch(line.strip())
    if checked is not None:
        epoch, key = int(checked[1]), bytes.fromhex(checked[3])
        if checked[2] != check_of(epoch, key) or not ended:
            raise SettingsError(
                f"a key in `{name}` is not what was written",
                next_step="put the file back from its backup: under another key nobody is found again",
            )
        return epoch, key
    if bare is None or len(bare[2]) % 2:
        raise _something_else(name)
    return int(bare[1]), bytes.fromhex(bare[2])


def _something_else(name: str) -> SettingsError:
    return SettingsError(
        f"the key file for pseudonyms `{name}` holds something else",
        next_step="one key a line: an epoch, a blank and 64 hexadecimal digits; no epoch twice",
    )
