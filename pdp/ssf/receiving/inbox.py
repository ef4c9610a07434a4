"""SETs that were taken, in the store: what is acknowledged stands here, and counts once.

Each function is one statement or two; reads and writes happen in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from pdp.ssf.events import Event
from pdp.ssf.subjects import read_subject
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from pdp.ssf.subjects import Subject
    from pdp.ssf.token import SecurityEventToken

KEPT: Final = timedelta(days=31)  # a SET that is sent again within it is known; standards 2.5 has seven days
MAX_WAITING: Final = 10_000  # of a stream, that nobody has acted on: beyond it no more of it are taken
FORSAKEN: Final = timedelta(days=1)  # an event of a stream that no worker knows waits for one that does; then it ends
UNTOLD: Final = timedelta(seconds=30)  # how long whoever acted, or tells next, has until another one tells it
MOST: Final = 500  # of one look
_TRIMMED: Final = 200  # old rows that go with each one that comes
_T: Final = tables.ssf_events


@dataclass(frozen=True, slots=True)
class Taken:
    """One event as it was taken."""

    id: int
    stream: str
    issuer: str
    jti: str
    txn: str
    subject: Subject
    event: Event
    happened_at: datetime
    received_at: datetime
    outcome: str = ""
    effects: tuple[str, ...] = ()


def known(connection: Connection, stream: str, issuer: str, jti: str) -> bool:
    """Whether this SET was taken before, by this stream: another one of the same house may do more, or less."""
    same = (_T.c.stream == stream) & (_T.c.issuer == issuer) & (_T.c.jti == jti)
    return connection.execute(select(_T.c.id).where(same)).first() is not None


def waiting(connection: Connection, stream: str | None = None) -> int:
    """How many wait for somebody to act on them; of one stream, so that none shuts out another, or of all."""
    of_it = true() if stream is None else _T.c.stream == stream
    count: int = connection.execute(select(func.count()).where(_T.c.state == "taken", of_it)).scalar_one()
    return count


def put(connection: Connection, stream: str, token: SecurityEventToken, outcome: str, now: datetime) -> bool:
    """Keep it; False where another worker has kept it this moment. Old rows go on this occasion.

    `outcome`: what becomes of it, where that is known when it is taken; else empty.
    """
    old = select(_T.c.id).where(_T.c.received_at <= now - KEPT, _T.c.state == "done").limit(_TRIMMED)
    connection.execute(delete(_T).where(_T.c.id.in_(old.scalar_subquery())))
    row = {
        "stream": stream,
        "issuer": token.issuer,
        "jti": token.jti,
        "txn": token.txn,
        "type": token.event.type,
        "subject": msgspec.json.encode(token.subject.to_json()).decode(),
        "members": msgspec.json.encode(dict(token.event.members)).decode(),
        "happened_at": token.happened_at,
        "received_at": now,
        "state": "taken",
        "outcome": outcome,
        "effects": "[]",
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(_T), row)
    except IntegrityError:
        return False
    return True


def lock_taken(connection: Connection, event_id: int) -> Taken | None:
    """The event, for whoever is first to act on it; None where somebody was."""
    query = select(_T).where(_T.c.id == event_id, _T.c.state == "taken").with_for_update()
    row = connection.execute(query).first()
    return None if row is None else _taken(row)


def note_acted(connection: Connection, event_id: int, outcome: str, effects: Sequence[str], now: datetime) -> None:
    values = {"state": "acted", "outcome": outcome, "effects": msgspec.json.encode(list(effects)).decode()}
    connection.execute(update(_T).where(_T.c.id == event_id).values(**values, tell_after=now + UNTOLD))


def note_done(connection: Connection, event_ids: Sequence[int]) -> None:
    """They stand in the trail."""
    connection.execute(update(_T).where(_T.c.id.in_(event_ids)).values(state="done"))


def ids_taken(connection: Connection, streams: Collection[str], now: datetime, most: int = MOST) -> list[int]:
    """Those of these streams that nobody has acted on, in the order in which they came, and whatever is forsaken.

    While settings change from host to host, a worker may see events of a stream that only others know yet.
    """
    ours = or_(_T.c.stream.in_(tuple(streams)), _T.c.received_at <= now - FORSAKEN)
    query = select(_T.c.id).where(_T.c.state == "taken", ours).order_by(_T.c.id).limit(most)
    return list(connection.execute(query).scalars())


def any_untold(connection: Connection, now: datetime) -> bool:
    """Whether an event was acted on, and whoever was to tell it has not."""
    return connection.execute(select(_T.c.id).where(_late(now)).limit(1)).first() is not None


def claim_untold(connection: Connection, now: datetime, most: int = MOST) -> list[Taken]:
    """These are the caller's to tell; nobody else is given them for a while."""
    late = select(_T).where(_late(now)).order_by(_T.c.id).limit(most).with_for_update(skip_locked=True)
    found = [_taken(row) for row in connection.execute(late)]
    these = _T.c.id.in_([one.id for one in found])
    connection.execute(update(_T).where(these).values(tell_after=now + UNTOLD))
    return found


def _late(now: datetime) -> ColumnElement[bool]:
    return (_T.c.state == "acted") & (_T.c.tell_after <= now)


def latest(connection: Connection, most: int) -> list[Taken]:
    """The latest, newest first."""
    return [_taken(row) for row in connection.execute(select(_T).order_by(_T.c.id.desc()).limit(most))]


def _taken(row: Any) -> Taken:
    members = msgspec.json.decode(row.members)
    return Taken(
        id=row.id,
        stream=row.stream,
        issuer=row.issuer,
        jti=row.jti,
        txn=row.txn,
        subject=read_subject(msgspec.json.decode(row.subject)),
        event=Event(row.type, members),
        happened_at=row.happened_at,
        received_at=row.received_at,
        outcome=row.outcome,
        effects=tuple(msgspec.json.decode(row.effects)),
    )
