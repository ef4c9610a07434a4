"""Which worker of a deployment sends: one row in the store, held for a while and renewed.

INVARIANT (one sender): whoever writes as the sender asks in the same transaction whether it still is (`require`); and
whoever pushes looks at the clock before each push. A sender that was held up for longer than its lease finds out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select, update

from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

LEASE: Final = timedelta(seconds=15)  # a sender that died is replaced after it: longer than the deadline of one push
RENEWED_AFTER: Final = timedelta(seconds=4)
_T: Final = tables.ssf_sender


class LeaseLostError(Exception):
    """Another worker sends."""


def claim(connection: Connection, holder: str, now: datetime) -> bool:
    """Take the lease, or keep it; False where another worker has it. Processes may race."""
    free = or_(_T.c.holder.in_(["", holder]), _T.c.lease_until <= now)
    taken = update(_T).where(free).values(holder=holder, lease_until=now + LEASE)
    return connection.execute(taken).rowcount == 1


def is_free(connection: Connection, holder: str, now: datetime) -> bool:
    """Whether `claim` could work: asked by reading, because a writer would wait for every other."""
    row = connection.execute(select(_T.c.holder, _T.c.lease_until)).one()
    return row.holder in ("", holder) or row.lease_until is None or row.lease_until <= now


def require(connection: Connection, holder: str, now: datetime) -> None:
    """Within a transaction that writes; nobody can take the lease until it ends. Raises LeaseLostError."""
    row = connection.execute(select(_T.c.holder, _T.c.lease_until).with_for_update()).one()
    if row.holder != holder or row.lease_until is None or row.lease_until <= now:
        raise LeaseLostError


def release(connection: Connection, holder: str) -> None:
    connection.execute(update(_T).where(_T.c.holder == holder).values(holder="", lease_until=None))
