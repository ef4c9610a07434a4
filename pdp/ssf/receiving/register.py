"""How each stream is, in the store: who polls it, when it was last heard, what its transmitter says of it.

Each function is one statement or two. Reads and writes happen in the caller's transaction; times come from the caller.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

LEASE: Final = timedelta(seconds=20)  # a worker that died is replaced after it; it is renewed every quarter of it
STATE_HOLDS: Final = timedelta(days=1)  # a verification that comes later is nobody's
MAX_TEXT: Final = 300
_T: Final = tables.ssf_receptions


@dataclass(frozen=True, slots=True)
class Reception:
    """One stream as the store has it."""

    stream: str
    lease_holder: str | None
    lease_until: datetime | None
    begun_at: datetime
    received_at: datetime | None
    polled_at: datetime | None
    poll_after: datetime | None
    failures: int
    fault: str
    status: str
    status_reason: str
    asked_state: str | None
    asked_at: datetime | None
    verified_at: datetime | None
    refused: int
    refused_at: datetime | None
    refusal: str

    def heard_at(self) -> datetime:
        """When the transmitter last showed that it is there: a SET, or the answer to a poll."""
        return max(at for at in (self.begun_at, self.received_at, self.polled_at) if at is not None)

    def silent_for(self, now: datetime) -> timedelta:
        return max(now - self.heard_at(), timedelta())


def enrol(connection: Connection, streams: Iterable[str], now: datetime) -> None:
    """A row for each of these; workers that start together may all do it."""
    held = set(connection.execute(select(_T.c.stream)).scalars())
    for stream in sorted(set(streams) - held):
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(insert(_T), {"stream": stream, "begun_at": now, **_UNTRIED})


_UNTRIED: Final[dict[str, Any]] = {
    "failures": 0,
    "fault": "",
    "status": "enabled",
    "status_reason": "",
    "refused": 0,
    "refusal": "",
}


def read(connection: Connection, stream: str) -> Reception | None:
    row = connection.execute(select(_T).where(_T.c.stream == stream)).mappings().first()
    return None if row is None else Reception(**row)


def read_all(connection: Connection) -> list[Reception]:
    return [Reception(**row) for row in connection.execute(select(_T).order_by(_T.c.stream)).mappings()]


def claim(connection: Connection, stream: str, holder: str, now: datetime) -> bool:
    """Take, or keep, the lease on a stream; False where another worker has it."""
    free = or_(_T.c.lease_holder.is_(None), _T.c.lease_holder == holder, _T.c.lease_until <= now)
    taken = update(_T).where(_T.c.stream == stream, free).values(lease_holder=holder, lease_until=now + LEASE)
    return connection.execute(taken).rowcount == 1


def release(connection: Connection, stream: str, holder: str) -> None:
    ours = update(_T).where(_T.c.stream == stream, _T.c.lease_holder == holder)
    connection.execute(ours.values(lease_holder=None, lease_until=None))


def note_received(connection: Connection, stream: str, now: datetime) -> None:
    _write(connection, stream, received_at=now)


def note_polled(connection: Connection, stream: str, now: datetime) -> None:
    """A poll was answered as it should be."""
    _write(connection, stream, polled_at=now, poll_after=None, failures=0, fault="")


def note_fault(connection: Connection, stream: str, fault: str, poll_after: datetime) -> None:
    failures = _T.c.failures + 1
    _write(connection, stream, failures=failures, fault=fault[:64], poll_after=poll_after)


def note_refused(connection: Connection, stream: str, count: int, refusal: str, now: datetime) -> None:
    _write(connection, stream, refused=_T.c.refused + count, refused_at=now, refusal=refusal[:64])


def note_status(connection: Connection, stream: str, status: str, reason: str) -> None:
    shown = "".join(letter for letter in reason if letter.isprintable())
    _write(connection, stream, status=status, status_reason=shown[:MAX_TEXT])


def ask_state(connection: Connection, stream: str, state: str, now: datetime) -> None:
    """A verification with this state is asked for. An earlier one that has not come is forgotten."""
    _write(connection, stream, asked_state=state, asked_at=now)


def verify_state(connection: Connection, stream: str, state: str | None, now: datetime) -> bool:
    """Whether a verification that came was the one that was asked for; without a state the transmitter began it."""
    if state is not None:
        held = connection.execute(select(_T.c.asked_state, _T.c.asked_at).where(_T.c.stream == stream)).first()
        if held is None or held.asked_state != state or held.asked_at <= now - STATE_HOLDS:
            return False
        _write(connection, stream, asked_state=None)
    _write(connection, stream, verified_at=now)
    return True


def _write(connection: Connection, stream: str, **values: Any) -> None:
    connection.execute(update(_T).where(_T.c.stream == stream).values(values))
