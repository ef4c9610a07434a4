"""Every caller with all that it has or ever had. No digest and no secret leaves the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from pdp.callers.bindings import Bound
from pdp.callers.bounds import ANYWHERE, UNBOUND, CallerBounds, KeyBounds, bounds_by_caller, bounds_by_key
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.callers.caller import Permission
    from pdp.store.store import Store

_KEYS: Final = tables.caller_keys
_BINDINGS: Final = tables.caller_bindings


class ListedKey(NamedTuple):
    """A key without its secret. Valid until the earlier of the two times; None: no such time."""

    key_id: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    bounds: KeyBounds = UNBOUND


class ListedBinding(NamedTuple):
    binding_id: str
    bound: Bound
    created_at: datetime
    revoked_at: datetime | None


class ListedCaller(NamedTuple):
    id: str
    permissions: frozenset[str]
    created_at: datetime
    keys: tuple[ListedKey, ...]  # the oldest first
    bindings: tuple[ListedBinding, ...] = ()  # the oldest first
    bounds: CallerBounds = ANYWHERE


def list_callers(store: Store) -> tuple[ListedCaller, ...]:
    """Every caller by id, with all keys and bindings that it ever had. Raises DirectoryError."""
    with store.read() as connection:
        keys, bindings = _keys(connection), _bindings(connection)
        bounds = bounds_by_caller(connection)
        return tuple(
            ListedCaller(
                row.id,
                frozenset(row.permissions),
                row.created_at,
                tuple(keys.get(row.id, ())),
                tuple(bindings.get(row.id, ())),
                bounds.get(row.id, ANYWHERE),
            )
            for row in connection.execute(select(tables.callers).order_by(tables.callers.c.id))
        )


def holders(connection: Connection, permissions: Collection[Permission]) -> frozenset[str]:
    """The callers with one of these permissions, and a key or a binding that nobody revoked.

    For what goes on without its caller's asking. A key that has run out is no reason to end it: nobody decided that.
    """
    known = {
        caller_id
        for table in (_KEYS, _BINDINGS)
        for caller_id in connection.execute(select(table.c.caller_id).where(table.c.revoked_at.is_(None))).scalars()
    }
    rows = connection.execute(select(tables.callers.c.id, tables.callers.c.permissions))
    return frozenset(row.id for row in rows if row.id in known and not set(permissions).isdisjoint(row.permissions))


def _keys(connection: Connection) -> dict[str, list[ListedKey]]:
    bounds = bounds_by_key(connection)
    found: dict[str, list[ListedKey]] = {}
    for row in connection.execute(select(_KEYS).order_by(_KEYS.c.created_at, _KEYS.c.key_id)):
        key = ListedKey(row.key_id, row.created_at, row.expires_at, row.revoked_at, bounds.get(row.key_id, UNBOUND))
        found.setdefault(row.caller_id, []).append(key)
    return found


def _bindings(connection: Connection) -> dict[str, list[ListedBinding]]:
    found: dict[str, list[ListedBinding]] = {}
    for row in connection.execute(select(_BINDINGS).order_by(_BINDINGS.c.created_at, _BINDINGS.c.binding_id)):
        bound = Bound(row.kind, row.issuer, row.value, row.subject)
        listed = ListedBinding(row.binding_id, bound, row.created_at, row.revoked_at)
        found.setdefault(row.caller_id, []).append(listed)
    return found
