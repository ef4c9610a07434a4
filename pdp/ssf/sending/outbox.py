"""What waits in the streams. An event is put there in the transaction that notes what it tells of, and stays until its
receiver has acknowledged it: so it is delivered at least once, and in the order in which it was put there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import delete, exists, func, insert, literal, select, update

from pdp.callers.listing import holders
from pdp.ssf.events import STREAM_UPDATED, VERIFICATION
from pdp.ssf.sending.register import removed_in, stream_in, streams_in
from pdp.ssf.subjects import opaque
from pdp.store import tables
from pdp.store.columns import Instant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from pdp.callers.caller import Permission
    from pdp.ssf.sending.happenings import Happening
    from pdp.ssf.sending.naming import Names
    from pdp.ssf.sending.register import Removed
    from pdp.ssf.sending.streams import Status, Stream
    from pdp.ssf.subjects import Subject
    from pdp.store.store import Store

NEEDED: Final[tuple[Permission, ...]] = ("ssf_read", "ssf_manage")  # one of them, to be told anything
PUT_OFF: Final = (timedelta(minutes=1), timedelta(hours=1))  # the shortest and the longest
MAX_FRAMEWORK: Final = 100  # events of the stream itself that wait: verifications that nobody fetched
_T: Final = tables.ssf_outbox
_STREAMS: Final = tables.ssf_streams


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event as it waits. `claims` lacks `iss` and `aud`."""

    jti: str
    type: str
    claims: Mapping[str, Any]
    created_at: datetime


class Standing(NamedTuple):
    """What waits in one stream."""

    events: int
    oldest: datetime


@dataclass(frozen=True)
class Post:
    """How events become rows. `most`: that may wait in one stream."""

    names: Names
    most: int
    new_id: Callable[[], str]

    def put(self, connection: Connection, told: Sequence[Sequence[Happening]], now: datetime) -> int:
        """Into every stream what it gets of these; each sequence is of one cause. How many rows that were."""
        streams = [one for one in streams_in(connection) if one.status != "disabled" and one.delivers]
        if not streams or not any(told):
            return 0
        removed, rows, touched = removed_in(connection), [], set()
        for happenings in told:
            txn = self.new_id()
            for stream in streams:
                made = self._made(stream, happenings, removed.get(stream.id), txn, now)
                rows += made
                if made:
                    touched.add(stream.id)
        if rows:
            connection.execute(insert(_T), rows)
        for stream_id in sorted(touched):
            _trim(connection, stream_id, self.most)
        return len(rows)

    def put_verification(self, connection: Connection, stream: Stream, state: str | None, now: datetime) -> None:
        members = {} if state is None else {"state": state}
        self._put_framework(connection, stream, VERIFICATION, members, now)

    def put_update(self, connection: Connection, stream: Stream, told: tuple[Status, str], now: datetime) -> None:
        """Say that the stream is about to be in this status, and why (SSF 1.0 section 8.1.5)."""
        status, reason = told
        members = {"status": status, **({"reason": reason} if reason else {})}
        self._put_framework(connection, stream, STREAM_UPDATED, members, now)

    def _put_framework(
        self, connection: Connection, stream: Stream, event_type: str, members: Mapping[str, Any], now: datetime
    ) -> None:
        row = self._row(stream, (event_type, members), opaque(stream.id), None, now)
        connection.execute(insert(_T), {**row, "framework": True})
        _trim_framework(connection, stream.id)

    def _made(
        self,
        stream: Stream,
        happenings: Sequence[Happening],
        removed: Removed | None,
        txn: str,
        now: datetime,
    ) -> list[dict[str, Any]]:
        return [
            self._row(stream, (one.type, one.to_json()), subject, txn, now)
            for one in happenings
            if one.type in stream.delivers
            for subject in self.names.subjects(one.about, stream.wish.subject_format)
            if removed is None or not removed.covers(subject)
        ]

    def _row(
        self, stream: Stream, said: tuple[str, Mapping[str, Any]], subject: Subject, txn: str | None, now: datetime
    ) -> dict[str, Any]:
        """`said`: the type and what its event says."""
        event_type, members = said
        jti = self.new_id()
        claims = {
            "jti": jti,
            "iat": int(now.timestamp()),
            **({} if txn is None else {"txn": txn}),
            "sub_id": subject.to_json(),
            "events": {event_type: members},
        }
        return {
            "stream_id": stream.id,
            "jti": jti,
            "type": event_type,
            "claims": msgspec.json.encode(claims).decode(),
            "framework": False,
            "created_at": now,
        }


def waiting(connection: Connection, stream: Stream, most: int, now: datetime) -> list[Waiting]:
    """The next ones that may be delivered now, in order. A stream that rests still delivers what is of itself."""
    due = _T.c.put_off_until.is_(None) | (_T.c.put_off_until <= now)
    query = select(_T).where(_deliverable(stream), due).order_by(_T.c.seq).limit(most)
    return [
        Waiting(row.jti, row.type, msgspec.json.decode(row.claims), row.created_at) for row in connection.execute(query)
    ]


def to_push(connection: Connection) -> list[Stream]:
    """The pushed streams in which something may be delivered now, of callers that still may have it."""
    goes = _T.c.framework.is_(True) | (_STREAMS.c.status == "enabled")
    ready = exists().where(_T.c.stream_id == _STREAMS.c.id, goes)
    ids = set(connection.execute(select(_STREAMS.c.id).where(_STREAMS.c.method == "push", ready)).scalars())
    if not ids:
        return []
    # The attack: a caller that was revoked, and goes on being told who leaves. Who polls is asked who it is.
    callers = holders(connection, NEEDED)
    return [one for one in streams_in(connection) if one.id in ids and one.caller in callers]


def _deliverable(stream: Stream) -> ColumnElement[bool]:
    mine = _T.c.stream_id == stream.id
    return mine if stream.status == "enabled" else mine & _T.c.framework.is_(True)


def acknowledged(connection: Connection, stream_id: str, jtis: Collection[str], now: datetime) -> int:
    """These have arrived: they are let go, and the stream is well. How many of them waited."""
    count = _let_go(connection, stream_id, jtis)
    if count:
        delivered = _STREAMS.c.delivered + count
        well = {"delivered": delivered, "delivered_at": now, "failures": 0, "failing_since": None, "fault": ""}
        connection.execute(update(_STREAMS).where(_STREAMS.c.id == stream_id).values(well))
    return count


def refused(connection: Connection, stream_id: str, faults: Mapping[str, str]) -> int:
    """The receiver will not have these: they are let go, and its last word is kept for the operator."""
    count = _let_go(connection, stream_id, faults)
    if count:
        values = {"refused": _STREAMS.c.refused + count, "fault": list(faults.values())[-1]}
        connection.execute(update(_STREAMS).where(_STREAMS.c.id == stream_id).values(values))
    return count


def failed(connection: Connection, stream_id: str, fault: str, now: datetime) -> None:
    """A push did not arrive; what waits stays."""
    since = func.coalesce(_STREAMS.c.failing_since, literal(now, Instant))
    values = {"failures": _STREAMS.c.failures + 1, "failing_since": since, "fault": fault}
    connection.execute(update(_STREAMS).where(_STREAMS.c.id == stream_id).values(values))


def put_off(connection: Connection, stream_id: str, faults: Mapping[str, str], now: datetime) -> int:
    """The receiver cannot take these, and it can be mended (another key set, another audience): they stay, and are
    given out again after as long as they have waited, a minute at least and an hour at most. How many they were.
    """
    if not faults or stream_in(connection, stream_id, lock=True) is None:
        return 0
    mine = (_T.c.stream_id == stream_id) & _T.c.jti.in_(list(faults))
    held = connection.execute(select(_T.c.seq, _T.c.created_at).where(mine)).all()
    for row in held:
        until = now + min(max(now - row.created_at, PUT_OFF[0]), PUT_OFF[1])
        connection.execute(update(_T).where(_T.c.seq == row.seq).values(put_off_until=until))
    if held:
        failed(connection, stream_id, list(faults.values())[-1], now)
    return len(held)


def standings(store: Store) -> dict[str, Standing]:
    """By stream, what waits in it; without an entry nothing. Counted in the index: every worker's sender asks often."""
    with store.read() as connection:
        query = select(_T.c.stream_id, func.count().label("events"), func.min(_T.c.seq).label("first"))
        counted = connection.execute(query.group_by(_T.c.stream_id)).all()
        firsts = select(_T.c.seq, _T.c.created_at).where(_T.c.seq.in_([row.first for row in counted]))
        oldest = {row.seq: row.created_at for row in connection.execute(firsts)}
        return {row.stream_id: Standing(row.events, oldest[row.first]) for row in counted}


def _let_go(connection: Connection, stream_id: str, jtis: Collection[str]) -> int:
    """The stream's row first and then what waits in it, as `register.change` does: else two wait for each other."""
    if not jtis or stream_in(connection, stream_id, lock=True) is None:
        return 0
    gone = delete(_T).where(_T.c.stream_id == stream_id, _T.c.jti.in_(list(jtis)))
    return connection.execute(gone).rowcount


def _trim(connection: Connection, stream_id: str, most: int) -> None:
    """The attack: a receiver that never fetches fills the disk that decisions need. The oldest go, and are counted."""
    mine = _T.c.stream_id == stream_id
    last = connection.execute(select(_T.c.seq).where(mine).order_by(_T.c.seq.desc()).offset(most).limit(1)).scalar()
    if last is None or stream_in(connection, stream_id, lock=True) is None:
        return
    gone = connection.execute(delete(_T).where(mine, _T.c.framework.is_(False), _T.c.seq <= last)).rowcount
    connection.execute(update(_STREAMS).where(_STREAMS.c.id == stream_id).values(dropped=_STREAMS.c.dropped + gone))


def _trim_framework(connection: Connection, stream_id: str) -> None:
    mine = (_T.c.stream_id == stream_id) & _T.c.framework.is_(True)
    newest = select(_T.c.seq).where(mine).order_by(_T.c.seq.desc()).offset(MAX_FRAMEWORK).limit(1)
    last = connection.execute(newest).scalar()
    if last is not None:
        connection.execute(delete(_T).where(mine, _T.c.seq <= last))
