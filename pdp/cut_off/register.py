"""The addresses that somebody has cut off, in the directory's store. Nothing is ever deleted: who did what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, insert, select, update

from pdp.cut_off.entries import MAX_ADDRESSES, MAX_REASON, CutOff, canonical
from pdp.errors import BadRequestError, ConflictError, NotFoundError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from pdp.store.store import Store

MAX_DAYS: Final = 366  # what has to last longer belongs into a rule, not into a list of emergencies
_TABLE: Final = tables.address_cut_offs


def cut_off(store: Store, entry: CutOff) -> CutOff:
    """Put it on the list. Raises BadRequestError for what cannot stand there, ConflictError where the list is full."""
    address = canonical(entry.address)
    if not entry.reason.strip() or len(entry.reason) > MAX_REASON:
        raise BadRequestError(f"a reason of {MAX_REASON} characters at most is needed")
    if not entry.begins < entry.ends or (entry.ends - entry.begins).days > MAX_DAYS:
        raise BadRequestError(f"it ends after it begins, and within {MAX_DAYS} days")
    with store.write() as connection:
        held = (
            select(func.count()).select_from(_TABLE).where(_TABLE.c.lifted_at.is_(None), _TABLE.c.ends > entry.begins)
        )
        if connection.execute(held).scalar_one() >= MAX_ADDRESSES:
            raise ConflictError(f"the list holds {MAX_ADDRESSES} addresses", next_step="lift those that are not needed")
        connection.execute(
            insert(_TABLE).values(
                id=entry.id,
                address=address,
                reason=entry.reason,
                created_by=entry.by,
                begins=entry.begins,
                ends=entry.ends,
            )
        )
    return CutOff(entry.id, address, entry.reason, entry.by, entry.begins, entry.ends)


def lift(store: Store, entry_id: str, by: str, now: datetime) -> CutOff:
    """Take it off before its end. Raises NotFoundError for none that holds."""
    with store.write() as connection:
        row = connection.execute(select(_TABLE).where(_TABLE.c.id == entry_id)).one_or_none()
        if row is None or not _entry(row).holds(now):
            raise NotFoundError(f"there is no `{entry_id[:64]}` that is cut off now")
        connection.execute(update(_TABLE).where(_TABLE.c.id == entry_id).values(lifted_at=now, lifted_by=by))
        return _entry(row)


def entries(store: Store, now: datetime | None = None) -> Sequence[CutOff]:
    """All that ever were, the newest first; with `now` those that hold then."""
    query = select(_TABLE).order_by(_TABLE.c.begins.desc(), _TABLE.c.id.desc())
    if now is not None:
        query = query.where(_TABLE.c.lifted_at.is_(None), _TABLE.c.begins <= now, _TABLE.c.ends > now)
    with store.read() as connection:
        return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[Any]) -> CutOff:
    return CutOff(
        row.id, row.address, row.reason, row.created_by, row.begins, row.ends, row.lifted_at, row.lifted_by or ""
    )
