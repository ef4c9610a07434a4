"""API keys of enforcement points and machines: `sekisho_KEYID_SECRET`, of which only a digest is kept.

The secret has 256 bits of chance, so one plain SHA-256 is as hard to reverse as the secret is to guess, and
a key is checked in microseconds. `KEYID` is no secret: it finds the row, and stands in lists and logs.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import insert, select, update

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError, DirectoryError, NotAuthenticatedError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, Connection

    from pdp.callers.caller import Permission
    from pdp.store.store import Store

KEY: Final = re.compile(r"sekisho_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)  # also what a secret scanner looks for
LOAD_S: Final = 30.0  # a store that takes this long does not answer
_CALLER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", re.ASCII)
_KEYS: Final = tables.caller_keys
_CALLERS: Final = tables.callers


class ListedKey(NamedTuple):
    """A key without its secret. Valid until the earlier of the two times; None: no such time."""

    key_id: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ListedCaller(NamedTuple):
    id: str
    permissions: frozenset[str]
    created_at: datetime
    keys: tuple[ListedKey, ...]  # the oldest first


def add_caller(
    store: Store,
    caller_id: str,
    permissions: Collection[Permission],
    *,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Register a caller; its first key, which is shown this once and cannot be had again.

    Raises BadRequestError for an id that exists or is none, no or unknown permissions, an expiry that has
    passed; DirectoryError where the store does not answer.
    """
    granted = _checked(caller_id, permissions)
    with store.write() as connection:
        _changed(connection)
        if _find(connection, caller_id):
            raise BadRequestError(
                f"the caller `{caller_id}` exists", next_step="rotate its key, or choose another name"
            )
        connection.execute(insert(_CALLERS), {"id": caller_id, "permissions": granted, "created_at": now})
        return _new_key(connection, caller_id, now, expires_at)


def issue_caller(
    store: Store,
    caller_id: str,
    permissions: Collection[Permission],
    *,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Make the caller exist with exactly these permissions and one new key; every key before it is revoked at once.

    For what is set up afresh at each start, such as a demonstration. Raises as `add_caller`, but not where it exists.
    """
    granted = _checked(caller_id, permissions)
    with store.write() as connection:
        _changed(connection)
        if _find(connection, caller_id):
            connection.execute(update(_CALLERS).where(_CALLERS.c.id == caller_id).values(permissions=granted))
            _revoke(connection, _KEYS.c.caller_id == caller_id, now)
        else:
            connection.execute(insert(_CALLERS), {"id": caller_id, "permissions": granted, "created_at": now})
        return _new_key(connection, caller_id, now, expires_at)


def rotate_key(
    store: Store, caller_id: str, *, now: datetime, overlap: timedelta, expires_at: datetime | None = None
) -> str:
    """A new key, shown this once; the present ones end after `overlap`, or at their own end where that is sooner.

    Raises BadRequestError for an unknown caller, a negative overlap, an expiry that has passed.
    """
    if overlap.total_seconds() < 0:
        raise BadRequestError("the overlap is negative")
    with store.write() as connection:
        _changed(connection)
        _require(connection, caller_id)
        until = now + overlap
        later = (_KEYS.c.expires_at.is_(None)) | (_KEYS.c.expires_at > until)
        present = (_KEYS.c.caller_id == caller_id) & _KEYS.c.revoked_at.is_(None) & later
        connection.execute(update(_KEYS).where(present).values(expires_at=until))
        return _new_key(connection, caller_id, now, expires_at)


def revoke_key(store: Store, key_id: str, *, now: datetime) -> None:
    """End one key, at every worker's next refresh. Raises BadRequestError for an unknown key id."""
    with store.write() as connection:
        _changed(connection)
        if connection.execute(select(_KEYS.c.key_id).where(_KEYS.c.key_id == key_id)).first() is None:
            raise BadRequestError(f"there is no key `{key_id[:32]}`")
        _revoke(connection, _KEYS.c.key_id == key_id, now)


def revoke_caller(store: Store, caller_id: str, *, now: datetime) -> None:
    """End every key of a caller. Its name stays taken, since the decision log knows it. Raises BadRequestError."""
    with store.write() as connection:
        _changed(connection)
        _require(connection, caller_id)
        _revoke(connection, _KEYS.c.caller_id == caller_id, now)


def set_permissions(store: Store, caller_id: str, permissions: Collection[Permission]) -> None:
    """Give a caller exactly these permissions; its keys stay. Raises BadRequestError."""
    granted = _checked(caller_id, permissions)
    with store.write() as connection:
        _changed(connection)
        _require(connection, caller_id)
        connection.execute(update(_CALLERS).where(_CALLERS.c.id == caller_id).values(permissions=granted))


def list_callers(store: Store) -> tuple[ListedCaller, ...]:
    """Every caller by id, with all keys that it ever had; no digest leaves the store. Raises DirectoryError."""
    with store.read() as connection:
        keys: dict[str, list[ListedKey]] = {}
        for caller_id, *key in connection.execute(
            select(
                _KEYS.c.caller_id, _KEYS.c.key_id, _KEYS.c.created_at, _KEYS.c.expires_at, _KEYS.c.revoked_at
            ).order_by(_KEYS.c.created_at, _KEYS.c.key_id)
        ):
            keys.setdefault(caller_id, []).append(ListedKey(*key))
        rows = connection.execute(select(_CALLERS).order_by(_CALLERS.c.id))
        return tuple(
            ListedCaller(row.id, frozenset(row.permissions), row.created_at, tuple(keys.get(row.id, ())))
            for row in rows
        )


def secret_digest(secret: str) -> bytes:
    """What is stored of a secret, and compared with what is presented: SHA-256 over its hexadecimal text."""
    return sha256(secret.encode("ascii")).digest()


def _checked(caller_id: str, permissions: Collection[Permission]) -> tuple[str, ...]:
    if _CALLER_ID.fullmatch(caller_id) is None:
        raise BadRequestError(
            f"`{caller_id[:128]}` is no name for a caller",
            next_step="use letters, digits and . _ : @ - only, at most 128, beginning with a letter or digit",
        )
    if unknown := sorted(set(permissions) - PERMISSIONS):
        raise BadRequestError(
            f"there is no permission `{unknown[0]}`", next_step=f"choose of {', '.join(sorted(PERMISSIONS))}"
        )
    if not permissions:
        raise BadRequestError("a caller without any permission can do nothing", next_step="grant `decide` at least")
    return tuple(sorted(set(permissions)))


def _changed(connection: Connection) -> None:
    """Move the version that workers poll. First in each transaction: in PostgreSQL its row is where changes queue."""
    version = tables.caller_meta.c.version
    connection.execute(update(tables.caller_meta).values(version=version + 1))


def _find(connection: Connection, caller_id: str) -> bool:
    return connection.execute(select(_CALLERS.c.id).where(_CALLERS.c.id == caller_id)).first() is not None


def _require(connection: Connection, caller_id: str) -> None:
    if not _find(connection, caller_id):
        raise BadRequestError(f"there is no caller `{caller_id[:128]}`", next_step="`pdp caller list` names them")


def _new_key(connection: Connection, caller_id: str, now: datetime, expires_at: datetime | None) -> str:
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
        raise BadRequestError("the key would expire before it is used", next_step="name a later time, with its offset")
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    row = {
        "key_id": key_id,
        "caller_id": caller_id,
        "secret_sha256": secret_digest(secret).hex(),
        "created_at": now,
        "expires_at": expires_at,
    }
    connection.execute(insert(_KEYS), row)
    return f"sekisho_{key_id}_{secret}"


def _revoke(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    connection.execute(update(_KEYS).where(which & _KEYS.c.revoked_at.is_(None)).values(revoked_at=now))


class _Key(NamedTuple):
    secret_sha256: bytes
    expires_at: datetime | None
    caller: Caller


_NOBODY: Final = _Key(bytes(32), None, Caller("nobody", frozenset()))


class StoredCallers:
    """Adapter of `pdp.callers.caller.Callers`. Nobody is known before the first `refresh`.

    A revocation counts from the next refresh on, an expiry at its instant by `clock`.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._version: int | None = None
        self._keys: dict[str, _Key] = {}
        self._confirmed_at: datetime | None = None

    def authenticate(self, presented_key: str | None) -> Caller:
        """As the port says. An unknown key id costs the same comparison as a wrong secret."""
        parts = None if presented_key is None else KEY.fullmatch(presented_key)
        if parts is None:
            raise NotAuthenticatedError("a valid API key is needed")
        known = self._keys.get(parts[1], _NOBODY)
        same = compare_digest(secret_digest(parts[2]), known.secret_sha256)
        expired = known.expires_at is not None and self._clock() >= known.expires_at
        if not same or expired or known is _NOBODY:
            raise NotAuthenticatedError("a valid API key is needed")
        return known.caller

    def age(self) -> timedelta | None:
        """How long ago the store last confirmed this table; None: never."""
        return None if self._confirmed_at is None else self._clock() - self._confirmed_at

    async def refresh(self) -> bool:
        """Look at the version, and read the keys where it moved, in a thread. True where the table is new.

        Raises DirectoryError where the store does not answer, or not in time; the table then stays as it is.
        """
        async with self._one_at_a_time:
            asked_at = self._clock()
            try:
                async with asyncio.timeout(LOAD_S):
                    read = await asyncio.to_thread(self._read, self._version)
            except TimeoutError:
                raise DirectoryError(f"the callers were not read within {LOAD_S:.0f} s") from None
            if read is not None:
                self._version, self._keys = read
            self._confirmed_at = asked_at
            return read is not None

    def _read(self, held: int | None) -> tuple[int, dict[str, _Key]] | None:
        with self._store.read() as connection:
            version: int = connection.execute(select(tables.caller_meta.c.version)).scalar_one()
            if version == held:
                return None
            key, caller = tables.caller_keys.c, tables.callers.c
            rows = connection.execute(
                select(key.key_id, key.secret_sha256, key.expires_at, caller.id, caller.permissions)
                .join_from(tables.caller_keys, tables.callers)
                .where(key.revoked_at.is_(None))
            )
            return version, {
                key_id: _Key(bytes.fromhex(digest), expires_at, Caller(caller_id, _known(permissions)))
                for key_id, digest, expires_at, caller_id, permissions in rows
            }


def _known(permissions: tuple[str, ...]) -> frozenset[Permission]:
    """The words that this version knows: one that a newer version granted gives nothing here."""
    return frozenset(word for word in PERMISSIONS if word in permissions)
