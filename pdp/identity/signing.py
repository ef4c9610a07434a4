"""Our own RSA keys, for answers that somebody else verifies: made at the first start, rotated with overlap.

A key is published for `AHEAD` before it signs, and for as long after the next one has taken over: whoever keeps
our key set for `MAX_AGE` always has the key of what we sign now. The file holds private keys, readable by us alone;
all workers of a host share it, and several hosts share it as a secret (docs/gateways.md).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from jose import jwk, jwt

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

ALGORITHM: Final = "RS256"
MAX_AGE: Final = timedelta(minutes=10)  # how long others may keep our key set
AHEAD: Final = timedelta(hours=1)  # published before it signs, and after it has signed last
_BITS: Final = 2_048  # RS256 with more is slow at each log-in, and a key lives for as long as its operator likes
_LOOK_S: Final = 1.0  # how often the file is looked at: a rotation is known within this time
_NEXT_STEP: Final = "restore the file, or remove it: new keys are made, and every verifier must fetch them"


class _Key(msgspec.Struct, frozen=True):
    kid: str  # RFC 7638 thumbprint
    pem: str
    signs_from: datetime
    published_until: datetime | None = None

    def __repr__(self) -> str:
        return f"_Key(kid={self.kid!r})"


class _File(msgspec.Struct, frozen=True):
    keys: tuple[_Key, ...]


class ListedKey(NamedTuple):
    """A key without its private part. `published_until` None: until the next rotation."""

    kid: str
    signs_from: datetime
    published_until: datetime | None


class SigningKeys:
    """The keys of one file. `stopwatch` gives monotonic seconds. Raises SettingsError where they cannot be had."""

    def __init__(self, path: Path, clock: Callable[[], datetime], stopwatch: Callable[[], float]) -> None:
        self._path = path
        self._stopwatch = stopwatch
        with contextlib.suppress(FileExistsError):
            if not path.exists():
                _write(path, (_new_key(clock()),), replace=False)
        self._keys = _read(path)
        self._seen = _mark(path)
        self._looked_at = stopwatch()
        self._read_key: tuple[str, Any] | None = None

    def sign(self, claims: Mapping[str, Any], now: datetime, typ: str = "JWT") -> str:
        """A compact JWS over the claims, by the newest key whose time has come. `typ`: RFC 8725 section 3.11."""
        keys = self._current()
        in_time = [key for key in keys if key.signs_from <= now]  # none, where the clock was set back
        key = max(in_time or keys[:1], key=lambda one: one.signs_from)
        headers = {"typ": typ, "kid": key.kid}
        text: str = jwt.encode(dict(claims), self._signer(key), algorithm=ALGORITHM, headers=headers)
        return text

    def published(self, now: datetime) -> list[dict[str, str]]:
        """The public keys (RFC 7517 section 5): those that sign, signed lately or will sign soon."""
        return [_public(key) for key in self._current() if key.published_until is None or now < key.published_until]

    def _signer(self, key: _Key) -> Any:
        """Read once: reading a private key takes a hundred times as long as signing with it."""
        held = self._read_key  # once: another thread may be signing with the next key
        if held is None or held[0] != key.kid:
            held = self._read_key = (key.kid, jwk.construct(key.pem, ALGORITHM))
        return held[1]

    def _current(self) -> Sequence[_Key]:
        """As the file stands now; where it cannot be read, as it was: a key in memory is as good as before."""
        if self._stopwatch() - self._looked_at >= _LOOK_S:
            self._looked_at = self._stopwatch()
            with contextlib.suppress(SettingsError, OSError):
                if (mark := _mark(self._path)) != self._seen:
                    self._keys, self._seen = _read(self._path), mark
        return self._keys


def rotate_keys(path: Path, now: datetime) -> tuple[ListedKey, ...]:
    """Publish a new key, which signs from `AHEAD` on; keys that nobody needs any more go. The keys, oldest first.

    Raises SettingsError for no file or a damaged one, and where the last rotation is not over.
    """
    held = _read(path)
    if any(key.signs_from > now for key in held):
        raise SettingsError("a new key is waiting for its time already", next_step="wait for an hour, and try again")
    starts = now + AHEAD
    kept = tuple(
        msgspec.structs.replace(key, published_until=key.published_until or starts + AHEAD)
        for key in held
        if key.published_until is None or now < key.published_until
    )
    _write(path, (*kept, _new_key(starts)), replace=True)
    return list_keys(path)


def list_keys(path: Path) -> tuple[ListedKey, ...]:
    """The keys of the file, oldest first. Raises SettingsError for no file or a damaged one."""
    return tuple(ListedKey(key.kid, key.signs_from, key.published_until) for key in _read(path))


def _new_key(signs_from: datetime) -> _Key:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return _Key(_thumbprint(_members(pem)), pem, signs_from)


@lru_cache(maxsize=16)  # reading a key takes tens of milliseconds, and anybody may ask for the key set
def _members(pem: str) -> Mapping[str, str]:
    """`e`, `kty` and `n` of the public key."""
    told = jwk.construct(pem, ALGORITHM).public_key().to_dict()
    return {
        name: value if isinstance(value, str) else value.decode() for name, value in told.items() if name in _PUBLIC
    }


_PUBLIC: Final = ("e", "kty", "n")  # in the order of RFC 7638 section 3.2


def _thumbprint(members: Mapping[str, str]) -> str:
    import base64

    canonical = msgspec.json.encode({name: members[name] for name in _PUBLIC})
    return base64.urlsafe_b64encode(sha256(canonical).digest()).rstrip(b"=").decode()


def _public(key: _Key) -> dict[str, str]:
    return {"kid": key.kid, "use": "sig", "alg": ALGORITHM, **_members(key.pem)}


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> tuple[_Key, ...]:
    keys: tuple[_Key, ...] = ()
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=_File).keys
        sound = bool(keys) and all(_thumbprint(_members(key.pem)) == key.kid for key in keys)
    except FileNotFoundError:
        raise SettingsError(
            f"there is no `{path.name}` yet",
            next_step="configure what signs with it: the service makes the file when it starts",
        ) from None
    except Exception:  # noqa: BLE001  # a key library's own errors, and none may repeat what the file holds
        sound = False
    if not sound:
        raise SettingsError(f"`{path.name}` is damaged or cannot be read", next_step=_NEXT_STEP)
    return keys


def _write(path: Path, keys: tuple[_Key, ...], *, replace: bool) -> None:
    """Written aside, then under its name: whoever finds the name finds the whole. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(_File(keys)))
        file.flush()
        os.fsync(file.fileno())
    try:
        if replace:
            aside.replace(path)
        else:
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
