"""API keys of enforcement points and machines: `sekisho_KEYID_SECRET`, of which only a digest is kept.

The secret has 256 bits of chance, so one plain SHA-256 is as hard to reverse as the secret is to guess, and
a key is checked in microseconds. `KEYID` is no secret: it finds the row, and stands in lists and logs.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select, update

from pdp.callers.bounds import (
    ANYWHERE,
    UNBOUND,
    CallerBounds,
    KeyBounds,
    bounds_by_key,
    keep_bounds,
    keep_key_bounds,
)
from pdp.callers.credentials import ShownKey
from pdp.callers.register import (
    changed,
    checked_name,
    checked_permissions,
    enter,
    grant,
    is_entered,
    require,
    revoke_bindings,
    revoke_keys,
)
from pdp.errors import BadRequestError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Row

    from pdp.callers.caller import Permission
    from pdp.store.store import Store

KEY: Final = re.compile(r"sekisho_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)  # also what a secret scanner looks for
_KEYS: Final = tables.caller_keys


def register_caller(
    store: Store,
    caller_id: str,
    permissions: Collection[Permission],
    *,
    now: datetime,
    bounds: CallerBounds = ANYWHERE,
) -> None:
    """Register a caller without a key: it will be known by a certificate or an OAuth client (`pdp.callers.bindings`).

    Raises BadRequestError for an id that exists or is none, no or unknown permissions; DirectoryError where the
    store does not answer.
    """
    granted = checked_permissions(permissions)
    with store.write() as connection:
        _enter_new(connection, checked_name(caller_id), granted, now, bounds)


def add_caller(  # noqa: PLR0913  # each has its name at the call
    store: Store,
    caller_id: str,
    permissions: Collection[Permission],
    *,
    now: datetime,
    expires_at: datetime | None = None,
    bounds: CallerBounds = ANYWHERE,
) -> str:
    """Register a caller; its first key, which is shown this once and cannot be had again.

    Raises as `register_caller`, and BadRequestError for an expiry that has passed or bounds that are none.
    """
    granted = checked_permissions(permissions)
    with store.write() as connection:
        _enter_new(connection, checked_name(caller_id), granted, now, bounds)
        return _new_key(connection, caller_id, granted, now, expires_at, UNBOUND)


def issue_caller(
    store: Store,
    caller_id: str,
    permissions: Collection[Permission],
    *,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Make the caller exist with exactly these permissions and one new key; every credential before it is revoked.

    For what is set up afresh at each start, such as a demonstration. Raises as `add_caller`, but not where it exists.
    """
    granted = checked_permissions(permissions)
    with store.write() as connection:
        changed(connection)
        if is_entered(connection, checked_name(caller_id)):
            grant(connection, caller_id, granted)
            _revoke_all(connection, caller_id, now)
        else:
            enter(connection, caller_id, granted, now)
        return _new_key(connection, caller_id, granted, now, expires_at, UNBOUND)


def further_key(
    store: Store, caller_id: str, *, now: datetime, expires_at: datetime | None = None, bounds: KeyBounds = UNBOUND
) -> str:
    """One more key beside the present ones, shown this once; with bounds it may less than its caller, never more.

    Raises BadRequestError for an unknown caller, an expiry that has passed, or bounds that are none.
    """
    with store.write() as connection:
        changed(connection)
        granted = require(connection, caller_id)
        return _new_key(connection, caller_id, granted, now, expires_at, bounds)


def rotate_key(  # noqa: PLR0913  # each has its name at the call
    store: Store,
    caller_id: str,
    *,
    now: datetime,
    overlap: timedelta,
    expires_at: datetime | None = None,
    key_id: str | None = None,
) -> str:
    """A new key, shown this once; the present ones (or that of `key_id`) end after `overlap`, or sooner by themselves.

    The new key has the bounds of those that it follows. Raises BadRequestError for an unknown caller or key, a
    negative overlap, an expiry that has passed, and for keys of different bounds: which of them would it follow?
    """
    if overlap.total_seconds() < 0:
        raise BadRequestError("the overlap is negative")
    with store.write() as connection:
        changed(connection)
        granted = require(connection, caller_id)
        followed = _followed(connection, caller_id, key_id, now)
        bounds = _bounds_of(connection, followed, granted)
        until = now + overlap
        later = (_KEYS.c.expires_at.is_(None)) | (_KEYS.c.expires_at > until)
        present = _KEYS.c.key_id.in_([row.key_id for row in followed]) & _KEYS.c.revoked_at.is_(None) & later
        connection.execute(update(_KEYS).where(present).values(expires_at=until))
        return _new_key(connection, caller_id, granted, now, expires_at, bounds)


def revoke_key(store: Store, key_id: str, *, now: datetime) -> None:
    """End one key, at every worker's next refresh. Raises BadRequestError for an unknown key id."""
    with store.write() as connection:
        changed(connection)
        if connection.execute(select(_KEYS.c.key_id).where(_KEYS.c.key_id == key_id)).first() is None:
            raise BadRequestError(f"there is no key `{key_id[:32]}`")
        revoke_keys(connection, _KEYS.c.key_id == key_id, now)


def revoke_caller(store: Store, caller_id: str, *, now: datetime) -> None:
    """End every key and every binding of a caller. Its name stays taken, since the decision log knows it.

    Raises BadRequestError.
    """
    with store.write() as connection:
        changed(connection)
        require(connection, caller_id)
        _revoke_all(connection, caller_id, now)


def set_permissions(store: Store, caller_id: str, permissions: Collection[Permission]) -> None:
    """Give a caller exactly these permissions; its keys stay. Raises BadRequestError."""
    granted = checked_permissions(permissions)
    with store.write() as connection:
        changed(connection)
        require(connection, caller_id)
        grant(connection, caller_id, granted)


def shown_key(presented: str) -> ShownKey | None:
    """What a text says that is shown as a key; None: that has not the form of one."""
    parts = KEY.fullmatch(presented)
    return None if parts is None else ShownKey(parts[1], secret_digest(parts[2]))


def secret_digest(secret: str) -> bytes:
    """What is stored of a secret, and compared with what is presented: SHA-256 over its hexadecimal text."""
    return sha256(secret.encode("ascii")).digest()


def _enter_new(
    connection: Connection, caller_id: str, granted: tuple[str, ...], now: datetime, bounds: CallerBounds
) -> None:
    changed(connection)
    if is_entered(connection, caller_id):
        raise BadRequestError(f"the caller `{caller_id}` exists", next_step="rotate its key, or choose another name")
    enter(connection, caller_id, granted, now)
    keep_bounds(connection, caller_id, bounds)


def _revoke_all(connection: Connection, caller_id: str, now: datetime) -> None:
    revoke_keys(connection, _KEYS.c.caller_id == caller_id, now)
    revoke_bindings(connection, tables.caller_bindings.c.caller_id == caller_id, now)


def _followed(connection: Connection, caller_id: str, key_id: str | None, now: datetime) -> list[Row[tuple[str]]]:
    """The keys whose place the new one takes: the named one, or those that count now, or else the newest that ever was.

    The last, so that a key that was narrow does not become wide by having ended.
    """
    keys = select(_KEYS.c.key_id).where(_KEYS.c.caller_id == caller_id)
    if key_id is not None:
        named = list(connection.execute(keys.where(_KEYS.c.key_id == key_id)))
        if not named:
            raise BadRequestError(f"the caller `{caller_id}` has no key `{key_id[:32]}`")
        return named
    ended = _KEYS.c.revoked_at.is_not(None) | (_KEYS.c.expires_at.is_not(None) & (_KEYS.c.expires_at <= now))
    present = list(connection.execute(keys.where(~ended)))
    return present or list(connection.execute(keys.order_by(_KEYS.c.created_at.desc(), _KEYS.c.key_id).limit(1)))


def _bounds_of(connection: Connection, followed: list[Row[tuple[str]]], granted: tuple[str, ...]) -> KeyBounds:
    if not followed:
        return UNBOUND
    known = bounds_by_key(connection, *(row.key_id for row in followed))
    different = {known.get(row.key_id, UNBOUND) for row in followed}
    if len(different) > 1:
        raise BadRequestError(
            "the keys of this caller are bounded differently", next_step="name the one to rotate, by its key id"
        )
    (bounds,) = different
    if bounds.permissions is None:
        return bounds
    left = tuple(word for word in bounds.permissions if word in granted)  # the caller may have less by now
    return bounds._replace(permissions=left)


def _new_key(  # noqa: PLR0913, PLR0917
    connection: Connection,
    caller_id: str,
    granted: tuple[str, ...],
    now: datetime,
    expires_at: datetime | None,
    bounds: KeyBounds,
) -> str:
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
    keep_key_bounds(connection, key_id, bounds, granted)
    return f"sekisho_{key_id}_{secret}"
