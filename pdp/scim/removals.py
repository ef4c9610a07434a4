"""How many people a tenant may delete: a share of those that it has, within a day.

A feed that is cut off, or a scope that somebody cleared by mistake, looks like many deletions. Beyond the bound a
deletion only disables: that stops the person as surely, and can be taken back. Disabling itself has no bound,
because it must never wait.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, func, insert, select

from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

WINDOW: Final = timedelta(hours=24)
ALWAYS_ALLOWED: Final = 20  # in any window, however few people there are: an ordinary day of a small office
_REMOVALS: Final = tables.scim_removals


class Bound(NamedTuple):
    """`removed` of `of` in the window so far. `free_in_s`: when the next may be removed, where `reached`."""

    removed: int
    of: int
    reached: bool
    free_in_s: int


def bound(connection: Connection, tenant: str, percent: int, now: datetime) -> Bound:
    """Whether the tenant may remove one person more. `percent` is of the people that it had when the window began."""
    mine = _REMOVALS.c.tenant == tenant
    within = mine & (_REMOVALS.c.at > now - WINDOW)
    removed = connection.execute(select(func.count()).where(within)).scalar_one()
    people = select(func.count()).where(tables.scim_users.c.tenant == tenant)
    of = connection.execute(people).scalar_one() + removed
    allowed = max(ALWAYS_ALLOWED, of * percent // 100)
    if removed < allowed:
        return Bound(removed, of, reached=False, free_in_s=0)
    # With this one gone from the window, there is room for one more.
    waits_for = select(_REMOVALS.c.at).where(within).order_by(_REMOVALS.c.at).offset(removed - allowed).limit(1)
    first: datetime = connection.execute(waits_for).scalar_one()
    return Bound(removed, of, reached=True, free_in_s=max(1, int((first + WINDOW - now).total_seconds()) + 1))


def count(connection: Connection, tenant: str, now: datetime) -> None:
    """Remember one removal; those that no window can see any more are forgotten."""
    connection.execute(delete(_REMOVALS).where((_REMOVALS.c.tenant == tenant) & (_REMOVALS.c.at <= now - WINDOW)))
    connection.execute(insert(_REMOVALS), {"tenant": tenant, "at": now})
