"""The rules that every change of the callers' register keeps: names, permissions, and the version that workers poll."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select, update

from pdp.callers.caller import PERMISSIONS
from pdp.errors import BadRequestError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

CALLER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", re.ASCII)
_CALLERS: Final = tables.callers


def changed(connection: Connection) -> None:
    """Move the version that workers poll. First in each transaction: in PostgreSQL its row is where changes queue."""
    version = tables.caller_meta.c.version
    connection.execute(update(tables.caller_meta).values(version=version + 1))


def checked_name(caller_id: str) -> str:
    if CALLER_ID.fullmatch(caller_id) is None:
        raise BadRequestError(
            f"`{caller_id[:128]}` is no name for a caller",
            next_step="use letters, digits and . _ : @ - only, at most 128, beginning with a letter or digit",
        )
    return caller_id


def checked_permissions(permissions: Collection[str]) -> tuple[str, ...]:
    """Sorted, each once. Raises BadRequestError for an unknown one, and for none."""
    if unknown := sorted(set(permissions) - PERMISSIONS):
        raise BadRequestError(
            f"there is no permission `{unknown[0][:64]}`", next_step=f"choose of {', '.join(sorted(PERMISSIONS))}"
        )
    if not permissions:
        raise BadRequestError("a caller without any permission can do nothing", next_step="grant `decide` at least")
    return tuple(sorted(set(permissions)))


def enter(connection: Connection, caller_id: str, permissions: tuple[str, ...], now: datetime) -> None:
    connection.execute(insert(_CALLERS), {"id": caller_id, "permissions": permissions, "created_at": now})


def grant(connection: Connection, caller_id: str, permissions: tuple[str, ...]) -> None:
    connection.execute(update(_CALLERS).where(_CALLERS.c.id == caller_id).values(permissions=permissions))


def is_entered(connection: Connection, caller_id: str) -> bool:
    return connection.execute(select(_CALLERS.c.id).where(_CALLERS.c.id == caller_id)).first() is not None


def require(connection: Connection, caller_id: str) -> tuple[str, ...]:
    """What the caller may. Raises BadRequestError where there is none of this name."""
    row = connection.execute(select(_CALLERS.c.permissions).where(_CALLERS.c.id == caller_id)).first()
    if row is None:
        raise BadRequestError(f"there is no caller `{caller_id[:128]}`", next_step="`pdp caller list` names them")
    permissions: tuple[str, ...] = row.permissions
    return permissions


def revoke_keys(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    keys = tables.caller_keys
    connection.execute(update(keys).where(which & keys.c.revoked_at.is_(None)).values(revoked_at=now))


def revoke_bindings(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    bindings = tables.caller_bindings
    connection.execute(update(bindings).where(which & bindings.c.revoked_at.is_(None)).values(revoked_at=now))
