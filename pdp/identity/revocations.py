"""What has been revoked: marks in the store, and their copy in each worker (step 8 of standards 7.3).

A subject's mark is an instant: whatever was issued, or whoever logged in, at or before it does not count any more,
and who logs in again afterwards is let in. A session's and a token's mark end that session and that token for good.

A mark knows its issuer where whoever made it does: then it counts for what that issuer issued, as `sub`, `sid` and
`jti` name something only within one (RFC 7519 sections 4.1.2 and 4.1.7). INVARIANT (no escape): a mark that knows
none counts for every issuer, and against an identity whose issuer nobody here knows every mark counts.

INVARIANT (marks outlive tokens): a mark is kept for longer than any session of an identity provider lasts, and a
token ends with its issuer's `max_age_s` at the latest. So nothing comes back to life when a mark is dropped.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from sqlalchemy import delete, insert, select, update

from pdp.errors import BadRequestError, DirectoryError, NotReadyError
from pdp.identity.token import TokenRefusedError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from pdp.identity.proof import Shown
    from pdp.store.store import Store

MarkKind = Literal["subject", "session", "token"]
KINDS: Final[tuple[MarkKind, ...]] = get_args(MarkKind)
# The longest `max_age_s`, longer than an identity provider's session should be, and then some for clocks that differ.
KEPT: Final = timedelta(days=31, minutes=10)
SKEW: Final = timedelta(seconds=60)
LOAD_S: Final = 30.0  # a store that takes this long does not answer
MAX_ID: Final = 256
EVERY: Final = ""  # in the place of an issuer

_MARKS: Final = tables.revocations


class Mark(NamedTuple):
    kind: MarkKind
    id: str
    not_before: datetime
    created_at: datetime
    issuer: str = EVERY


def revoke(  # noqa: PLR0913  # what of whose, and two instants
    store: Store, kind: MarkKind, marked_id: str, *, at: datetime, now: datetime, issuer: str = EVERY
) -> Mark:
    """Mark a subject (its id in the directory, or its `sub`), a session (`sid`) or a token (`jti`); the later stays.

    For a session and a token `at` is no instant, as they end for good: their mark is kept from `now` on.
    Marks that are older than `KEPT` are dropped on this occasion. Raises BadRequestError for an id that is none,
    an instant in the future (whoever logs in until then would be shut out) or one that no token could be as old as;
    DirectoryError where the store does not answer.
    """
    with store.write() as connection:
        return revoke_within(connection, kind, marked_id, at=at, now=now, issuer=issuer)


def revoke_within(  # noqa: PLR0913  # what of whose, and two instants
    connection: Connection, kind: MarkKind, marked_id: str, *, at: datetime, now: datetime, issuer: str = EVERY
) -> Mark:
    """As `revoke`, within the caller's transaction: before anything else that changes a register."""
    if not 1 <= len(marked_id) <= MAX_ID or not marked_id.isprintable():
        raise BadRequestError(f"the {kind} is not 1 to {MAX_ID} printable characters")
    if at > now + SKEW:
        raise BadRequestError("the instant lies in the future", next_step="leave `--at` out to revoke as of now")
    if at <= now - KEPT:
        raise BadRequestError(f"no token and no session is older than {KEPT.days} days")
    if kind != "subject":
        at = max(at, now)
    same = _same(kind, marked_id, issuer)
    _changed(connection)
    connection.execute(delete(_MARKS).where(_MARKS.c.not_before <= now - KEPT))
    row = connection.execute(select(_MARKS).where(same)).first()
    if row is None:
        mark = Mark(kind, marked_id, at, now, issuer)
        connection.execute(insert(_MARKS), mark._asdict())
        return mark
    mark = Mark(kind, marked_id, max(row.not_before, at), row.created_at, issuer)
    connection.execute(update(_MARKS).where(same).values(not_before=mark.not_before))
    return mark


def lift(store: Store, kind: MarkKind, marked_id: str, *, issuer: str = EVERY) -> None:
    """Take this one mark back, made by mistake. Raises BadRequestError where there is none, DirectoryError."""
    with store.write() as connection:
        _changed(connection)
        found = connection.execute(delete(_MARKS).where(_same(kind, marked_id, issuer)))
        if found.rowcount == 0:
            raise BadRequestError(f"there is no such mark of a {kind}", next_step="`pdp token revocations` lists them")


def list_marks(store: Store, *, now: datetime) -> tuple[Mark, ...]:
    """The marks that count, the latest first. Raises DirectoryError."""
    with store.read() as connection:
        newest_first = (_MARKS.c.not_before.desc(), _MARKS.c.id, _MARKS.c.issuer)
        rows = connection.execute(select(_MARKS).where(_live(now)).order_by(*newest_first))
        return tuple(Mark(row.kind, row.id, row.not_before, row.created_at, row.issuer) for row in rows)


def _same(kind: MarkKind, marked_id: str, issuer: str) -> ColumnElement[bool]:
    return (_MARKS.c.kind == kind) & (_MARKS.c.issuer == issuer) & (_MARKS.c.id == marked_id)


def _live(now: datetime) -> ColumnElement[bool]:
    return _MARKS.c.not_before > now - KEPT


def _changed(connection: Connection) -> None:
    """Move the version that workers poll. First in each transaction: in PostgreSQL its row is where changes queue."""
    version = tables.revocation_meta.c.version
    connection.execute(update(tables.revocation_meta).values(version=version + 1))


class _Marks(NamedTuple):
    """By what is marked, and then by issuer: the instant of the mark."""

    subject: dict[str | None, dict[str, datetime]]
    session: dict[str | None, dict[str, datetime]]
    token: dict[str | None, dict[str, datetime]]


class StoredRevocations:
    """The marks as a worker holds them. Nothing is revoked before the first `refresh`: await it before serving.

    `max_age`: how long identities may be let in on marks that nobody could confirm; None: for ever. `issuers`: those
    that are configured. Of any other nobody knows whether it is one of them under another name.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        max_age: timedelta | None = None,
        issuers: Collection[str] = (),
    ) -> None:
        self._max_age = max_age
        self._issuers = frozenset(issuers)
        self._confirmed_at: datetime | None = None
        self._store = store
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._version: int | None = None
        self._marks = _Marks({}, {}, {})

    def refuse_revoked(self, shown: Shown) -> None:
        """Raises TokenRefusedError where a mark stands against this identity; NotReadyError where marks are too old.

        The earliest time counts: a token that was refreshed after a revocation rests on a login from before it.
        Where none is known, it counts as long ago.
        """
        self._require_current()
        marks = self._marks
        if not (marks.subject or marks.session or marks.token):
            return
        for subject in shown.subjects:
            held = marks.subject.get(subject)
            if held is not None:
                mark = self._counting(held, shown.issuer)
                if mark is not None and min((time for time in shown.times if time is not None), default=mark) <= mark:
                    raise TokenRefusedError("subject_revoked")
        held = marks.session.get(shown.session_id)
        if held is not None and self._counting(held, shown.issuer) is not None:
            raise TokenRefusedError("session_revoked")
        held = marks.token.get(shown.token_id)
        if held is not None and self._counting(held, shown.issuer) is not None:
            raise TokenRefusedError("token_revoked")

    def _counting(self, held: Mapping[str, datetime], issuer: str | None) -> datetime | None:
        """The latest of these marks that counts against what this issuer said. INVARIANT (no escape)."""
        if issuer is None or issuer not in self._issuers:
            return max(held.values())
        return max((mark for by, mark in held.items() if by in (EVERY, issuer)), default=None)

    async def refresh(self) -> bool:
        """Look at the version, and read the marks where it moved, in a thread. True where they are new.

        Raises DirectoryError where the store does not answer, or not in time; the marks then stay as they are.
        """
        async with self._one_at_a_time:
            asked_at = self._clock()
            try:
                async with asyncio.timeout(LOAD_S):
                    read = await asyncio.to_thread(self._read, self._version)
            except TimeoutError:
                raise DirectoryError(f"the revocations were not read within {LOAD_S:.0f} s") from None
            if read is not None:
                self._version, self._marks = read
            self._confirmed_at = asked_at
            return read is not None

    def _require_current(self) -> None:
        """The attack: whoever can keep this one table from being read undoes every revocation from then on."""
        if self._max_age is None:
            return
        if self._confirmed_at is None or self._clock() - self._confirmed_at > self._max_age:
            raise NotReadyError("the revocations have not been seen to be current")

    def _read(self, held: int | None) -> tuple[int, _Marks] | None:
        with self._store.read() as connection:
            version: int = connection.execute(select(tables.revocation_meta.c.version)).scalar_one()
            if version == held:
                return None
            marks = _Marks({}, {}, {})
            by_kind = marks._asdict()
            for row in connection.execute(select(_MARKS).where(_live(self._clock()))):
                by_kind[row.kind].setdefault(row.id, {})[row.issuer] = row.not_before
            return version, marks
