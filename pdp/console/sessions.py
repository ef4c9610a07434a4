"""Who is logged in: sessions in the control database, so that every worker and every host knows them.

1. What the browser holds is 256 random bits, made at the login and never before it (no fixation); the database has
   their SHA-256 alone, so that a copy of it opens nothing.
2. A session ends after `idle` without a request, at `ends_at` whatever happens, at the logout, and when an
   administrator or the identity provider ends it. What has ended is never a session again.
3. `seen_at` is written at most once a minute: a page must not cost a write.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import delete, insert, select, update

from pdp.console.person import Person, roles_in
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Row

    from pdp.store.store import Store

Method = Literal["oidc", "account"]
_BYTES: Final = 32
_SEEN_EVERY: Final = timedelta(minutes=1)
KEPT: Final = timedelta(days=90)  # ended sessions are listed so long; the trail keeps the logins for good
MOST_LISTED: Final = 500
_T: Final = tables.console_sessions


@dataclass(frozen=True, slots=True)
class Session:
    """`number` names it to people and opens nothing. `csrf` stands in every form."""

    number: str
    person: Person
    method: Method
    csrf: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    provider_session: str | None = None
    id_token: str | None = None
    peer: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    def is_live(self, now: datetime, idle: timedelta) -> bool:
        return self.ended_at is None and now < self.ends_at and now - self.seen_at < idle


class Sessions:
    """Methods block; they raise DirectoryError where the database does not answer."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        *,
        idle: timedelta,
        most: timedelta,
    ) -> None:
        """`most`: how long a session lasts at the longest."""
        self._store: Final = store
        self._clock: Final = clock
        self._new_id: Final = new_id
        self._idle: Final = idle
        self._most: Final = most

    def start(
        self,
        person: Person,
        method: Method,
        *,
        provider_session: str | None = None,
        id_token: str | None = None,
        peer: str | None = None,
    ) -> tuple[str, Session]:
        """(what the browser is to hold, the session)."""
        now, secret = self._clock(), secrets.token_urlsafe(_BYTES)
        session = Session(
            number=self._new_id(),
            person=person,
            method=method,
            csrf=secrets.token_urlsafe(_BYTES),
            created_at=now,
            seen_at=now,
            ends_at=now + self._most,
            provider_session=provider_session,
            id_token=id_token,
            peer=peer,
        )
        with self._store.write() as connection:
            connection.execute(delete(_T).where(_T.c.ends_at <= now - KEPT))
            connection.execute(insert(_T), {"id_sha256": _digest(secret), **_values(session)})
        return secret, session

    def find(self, secret: str) -> Session | None:
        """The session that lives and that this opens."""
        now = self._clock()
        key = _T.c.id_sha256 == _digest(secret)
        with self._store.read() as connection:
            row = connection.execute(select(_T).where(key)).one_or_none()
        session = None if row is None else _session(row)
        if session is None or not session.is_live(now, self._idle):
            return None
        if now - session.seen_at >= _SEEN_EVERY:
            with self._store.write() as connection:
                connection.execute(update(_T).where(key & _T.c.ended_at.is_(None)).values(seen_at=now))
        return session

    def end(self, number: str, by: str) -> Session | None:
        """End one by its number; the session as it was, None where none of this number lives."""
        return next(iter(self._end(_T.c.number == number, by)), None)

    def end_all(self, person: str, by: str) -> list[Session]:
        """End every session of a person."""
        return self._end(_T.c.person == person, by)

    def _end(self, which: Any, by: str) -> list[Session]:
        now = self._clock()
        with self._store.write() as connection:
            rows = connection.execute(select(_T).where(which & _T.c.ended_at.is_(None))).all()
            connection.execute(
                update(_T).where(which & _T.c.ended_at.is_(None)).values(ended_at=now, ended_by=by, id_token=None)
            )
        return [found for row in rows if (found := _session(row)).is_live(now, self._idle)]

    def live(self) -> list[Session]:
        """Those that live, the newest first."""
        now = self._clock()
        lives = _T.c.ended_at.is_(None) & (_T.c.ends_at > now) & (_T.c.seen_at > now - self._idle)
        with self._store.read() as connection:
            rows = connection.execute(select(_T).where(lives).order_by(_T.c.created_at.desc()).limit(MOST_LISTED))
            return [_session(row) for row in rows]


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def _values(session: Session) -> dict[str, Any]:
    return {
        "number": session.number,
        "person": session.person.id,
        "name": session.person.name,
        "roles": tuple(sorted(session.person.roles)),
        **{
            name: getattr(session, name)
            for name in ("method", "csrf", "provider_session", "id_token", "peer", "created_at", "seen_at", "ends_at")
        },
    }


def _session(row: Row[Any]) -> Session:
    return Session(
        number=row.number,
        person=Person(row.person, row.name, roles_in(row.roles)),
        method=row.method,
        csrf=row.csrf,
        created_at=row.created_at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
        provider_session=row.provider_session,
        id_token=row.id_token,
        peer=row.peer,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )
