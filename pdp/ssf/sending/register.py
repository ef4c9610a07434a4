"""The streams in the store. Whoever asks as a caller sees its own streams and no others: they are not there for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, func, insert, select, update

from pdp.errors import BadRequestError, ConflictError, NotFoundError, NotPermittedError, TooManyRequestsError
from pdp.ssf.sending.streams import Stream, Wish
from pdp.ssf.subjects import Complex, Foreign, Simple, identifiers_of, matches, read_subject
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Row

    from pdp.ssf.sending.outbox import Post
    from pdp.ssf.sending.streams import Status
    from pdp.ssf.subjects import Subject
    from pdp.store.store import Store

MAX_OF_CALLER: Final = 10  # one for each of its products; more are forgotten ones
MAX_STREAMS: Final = 100  # every event is written once for each
MAX_REMOVED: Final = 1_000  # subjects of one stream: each event is held against all of them
_T: Final = tables.ssf_streams
_OUT: Final = tables.ssf_outbox
_REMOVED: Final = tables.ssf_removed_subjects


def create(store: Store, stream: Stream) -> Stream:
    """Raises ConflictError where the caller, or the house, has as many streams as it may."""
    with store.write() as connection:
        connection.execute(select(tables.ssf_sender.c.id).with_for_update())  # in PostgreSQL they queue here
        count = select(func.count()).select_from(_T)
        if connection.execute(count.where(_T.c.caller == stream.caller)).scalar_one() >= MAX_OF_CALLER:
            raise ConflictError(f"this caller has {MAX_OF_CALLER} streams", next_step="delete one that is not used")
        if connection.execute(count).scalar_one() >= MAX_STREAMS:
            raise ConflictError(f"there are {MAX_STREAMS} streams", next_step="ask the operator to delete some")
        connection.execute(insert(_T), _values(stream))
    return stream


def listed(store: Store, caller: str | None = None) -> tuple[Stream, ...]:
    """The streams of a caller, or with None everybody's, the oldest first."""
    with store.read() as connection:
        return streams_in(connection, caller)


def streams_in(connection: Connection, caller: str | None = None) -> tuple[Stream, ...]:
    query = select(_T).order_by(_T.c.created_at, _T.c.id)
    if caller is not None:
        query = query.where(_T.c.caller == caller)
    return tuple(_stream(row) for row in connection.execute(query))


def find(store: Store, stream_id: str, caller: str | None) -> Stream:
    """Raises NotFoundError, for a stream of somebody else too: who may not see it learns nothing of it."""
    with store.read() as connection:
        return _held(connection, stream_id, caller)


def change(  # whose, which, how, when
    store: Store, stream_id: str, caller: str | None, changed: Callable[[Stream], Wish], now: datetime
) -> Stream:
    """Give it another wish. What waits and is of a type that it no longer gets goes. Raises NotFoundError.

    `changed` may raise; then nothing is changed.
    """
    with store.write() as connection:
        held = _held(connection, stream_id, caller, lock=True)
        wish = changed(held)
        moved = (wish.method, wish.endpoint_url) != (held.wish.method, held.wish.endpoint_url)
        found = replace(held, wish=wish, changed_at=now)
        if moved:
            found = replace(found, failures=0, failing_since=None, fault="")
        connection.execute(update(_T).where(_T.c.id == stream_id).values(_values(found)))
        unwanted = _OUT.c.type.not_in(found.delivers) & _OUT.c.framework.is_(False)
        connection.execute(delete(_OUT).where(_OUT.c.stream_id == stream_id, unwanted))
        return found


def set_status(store: Store, stream_id: str, caller: str, said: tuple[Status, str], now: datetime) -> Stream:
    """`said`: the status, and why. Pause keeps what waits, disable drops it.

    Raises NotFoundError; NotPermittedError where an operator holds the stream.
    """
    with store.write() as connection:
        held = _held(connection, stream_id, caller, lock=True)
        if held.held:
            raise NotPermittedError("the operator of this service has paused this stream")
        return _put_status(connection, replace(held, status=said[0], reason=said[1], changed_at=now))


def operate(store: Store, stream_id: str, said: tuple[Status, str], post: Post, now: datetime) -> Stream:
    """As an operator: the receiver is told before (SSF 1.0 section 8.1.5), and cannot undo it. Raises NotFoundError."""
    status, reason = said
    with store.write() as connection:
        held = _held(connection, stream_id, None, lock=True)
        post.put_update(connection, held, said, now)
        found = replace(held, status=status, reason=reason, changed_at=now, held=status != "enabled")
        return _put_status(connection, found)


def _put_status(connection: Connection, stream: Stream) -> Stream:
    if stream.status == "enabled":
        stream = replace(stream, failures=0, failing_since=None, fault="")
    connection.execute(update(_T).where(_T.c.id == stream.id).values(_values(stream)))
    if stream.status == "disabled":
        connection.execute(delete(_OUT).where(_OUT.c.stream_id == stream.id, _OUT.c.framework.is_(False)))
    return stream


def remove(store: Store, stream_id: str, caller: str | None) -> None:
    """The stream, and all that waits in it. Raises NotFoundError."""
    with store.write() as connection:
        _held(connection, stream_id, caller, lock=True)
        connection.execute(delete(_T).where(_T.c.id == stream_id))


def note_verification(
    connection: Connection, stream_id: str, caller: str | None, now: datetime, shortest: timedelta
) -> Stream:
    """Raises NotFoundError; TooManyRequestsError where the last one was less than `shortest` ago."""
    held = _held(connection, stream_id, caller, lock=True)
    if held.verified_at is not None and (wait := held.verified_at + shortest - now).total_seconds() > 0:
        raise TooManyRequestsError(
            f"a stream is verified every {shortest.total_seconds():.0f} s at most",
            retry_after_s=max(1, round(wait.total_seconds())),
        )
    connection.execute(update(_T).where(_T.c.id == stream_id).values(verified_at=now))
    return held


def remove_subject(store: Store, stream_id: str, caller: str, subject: Subject, now: datetime) -> None:
    """No events about this subject any more, in this stream. Raises NotFoundError, TooManyRequestsError."""
    text = _text(subject)
    digest = sha256(text.encode()).hexdigest()
    with store.write() as connection:
        _held(connection, stream_id, caller, lock=True)
        mine = _REMOVED.c.stream_id == stream_id
        if connection.execute(
            select(_REMOVED.c.subject_sha256).where(mine, _REMOVED.c.subject_sha256 == digest)
        ).first():
            return
        if connection.execute(select(func.count()).select_from(_REMOVED).where(mine)).scalar_one() >= MAX_REMOVED:
            raise TooManyRequestsError(f"a stream leaves out {MAX_REMOVED} subjects at most", retry_after_s=3_600)
        row = {"stream_id": stream_id, "subject_sha256": digest, "subject": text, "created_at": now}
        connection.execute(insert(_REMOVED), row)


def add_subject(store: Store, stream_id: str, caller: str, subject: Subject) -> None:
    """Events about this subject again: all subjects are in a stream that were not removed. Raises NotFoundError."""
    digest = sha256(_text(subject).encode()).hexdigest()
    with store.write() as connection:
        _held(connection, stream_id, caller, lock=True)
        gone = (_REMOVED.c.stream_id == stream_id) & (_REMOVED.c.subject_sha256 == digest)
        connection.execute(delete(_REMOVED).where(gone))


class Removed:
    """Whom one stream leaves out. Simple subjects are looked up: a mass change is held against a thousand of them."""

    def __init__(self) -> None:
        self._simple: set[Simple] = set()
        self._others: list[Subject] = []

    def add(self, subject: Subject) -> None:
        self._simple.update(identifiers_of(subject))
        if isinstance(subject, Complex | Foreign):
            self._others.append(subject)

    def covers(self, subject: Subject) -> bool:
        if isinstance(subject, Simple):
            return subject in self._simple
        return any(matches(subject, one) for one in self._others)


def removed_in(connection: Connection) -> dict[str, Removed]:
    """By stream, whom it leaves out; without an entry nobody."""
    found: dict[str, Removed] = {}
    for row in connection.execute(select(_REMOVED.c.stream_id, _REMOVED.c.subject)):
        # The attack: one caller's subject that cannot be read again, and nobody is told of anything any more.
        with suppress(BadRequestError):
            found.setdefault(row.stream_id, Removed()).add(read_subject(msgspec.json.decode(row.subject)))
    return found


def _text(subject: Subject) -> str:
    return msgspec.json.encode(subject.to_json(), order="deterministic").decode()


def stream_in(connection: Connection, stream_id: str, *, lock: bool = False) -> Stream | None:
    """This one, whoever's it is. `lock`: before anything that waits in it, which is the order in which all lock."""
    if not stream_id.isprintable():  # PostgreSQL takes no NUL, and no id of ours has one
        return None
    query = select(_T).where(_T.c.id == stream_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _stream(row)


def _held(connection: Connection, stream_id: str, caller: str | None, *, lock: bool = False) -> Stream:
    stream = stream_in(connection, stream_id, lock=lock)
    if stream is None or caller not in (None, stream.caller):
        raise NotFoundError("there is no such stream", next_step="`GET` the streams without `stream_id` to list yours")
    return stream


_OF_WISH: Final = ("method", "endpoint_url", "authorization_header", "description", "subject_format")
_OF_STREAM: Final = tuple(name for name in Stream.__slots__ if name != "wish")


def _values(stream: Stream) -> dict[str, Any]:
    return {
        **{name: getattr(stream, name) for name in _OF_STREAM},
        **{name: getattr(stream.wish, name) for name in _OF_WISH},
        "events_requested": stream.wish.events,
    }


def _stream(row: Row[Any]) -> Stream:
    wish = Wish(events=row.events_requested, **{name: getattr(row, name) for name in _OF_WISH})
    return Stream(wish=wish, **{name: getattr(row, name) for name in _OF_STREAM})
