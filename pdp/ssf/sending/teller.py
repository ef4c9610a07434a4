"""From changes in the registers to events in the outboxes, by the one worker that holds the lease. Blocks: in a thread.

One turn: (1) the lease, or nothing; (2) what was told, read once; (3) the marks, where their version moved; (4) the
directory as this worker has it, unless nobody could confirm it for too long; (5) events and what they tell of, in one
transaction. Where a turn fails, everything is read again with the next: what was not kept was not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import delete, insert, select, update

from pdp.identity.revocations import list_marks
from pdp.ssf.sending import lease
from pdp.ssf.sending.marks import new_marks
from pdp.ssf.sending.watching import Register, Row, Watch
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.directory import Snapshot
    from pdp.posture.score import Thresholds
    from pdp.ssf.sending.outbox import Post
    from pdp.store.store import Store

_TOLD: Final = tables.ssf_told
_CHUNK: Final = 500
MAX_ROWS: Final = 250  # states of one transaction, each an event or more in up to a hundred streams: others wait for it


@dataclass
class _Memory:
    """What this worker knows as the sender, for as long as it is."""

    watch: Watch
    marks: dict[str, str]
    begun: bool
    epoch: int  # of the directory that was told of last
    version: int | None = None


class Teller:
    """One worker's. `ground`: the directory and what its policy asks of posture; None while it cannot be relied on."""

    def __init__(
        self,
        store: Store,
        post: Post,
        ground: Callable[[], tuple[Snapshot, Thresholds] | None],
        clock: Callable[[], datetime],
        holder: str,
    ) -> None:
        self._store = store
        self._post = post
        self._ground = ground
        self._clock = clock
        self._holder = holder
        self._memory: _Memory | None = None
        self._renew_at: datetime | None = None
        self._until: datetime | None = None

    def is_sender(self) -> bool:
        """Whether this worker may send at this instant."""
        return self._until is not None and self._clock() < self._until

    def turn(self) -> int:
        """How many events were put. Raises DirectoryError where the store does not answer."""
        try:
            if not self._leads():
                return 0
            return self._tell()
        except lease.LeaseLostError:
            self._memory = self._until = self._renew_at = None
            return 0
        except BaseException:
            self._memory = None  # whatever was half done is looked at again
            raise

    def close(self) -> None:
        """Let another worker send at once. Raises DirectoryError."""
        self._until = self._memory = None
        with self._store.write() as connection:
            lease.release(connection, self._holder)

    def _leads(self) -> bool:
        now = self._clock()
        if self._renew_at is not None and now < self._renew_at:
            return self.is_sender()
        self._renew_at = now + lease.RENEWED_AFTER
        with self._store.read() as connection:
            free = lease.is_free(connection, self._holder, now)
        if free:
            with self._store.write() as connection:
                free = lease.claim(connection, self._holder, now)
        self._until = now + lease.LEASE if free else None
        if not free:
            self._memory = None
        return free

    def _tell(self) -> int:
        if self._memory is None:
            self._memory = self._read()
        memory, ground = self._memory, self._ground()
        # Whom a mark is about is known with the directory only. An older directory than the one that was told of last
        # (this worker has just taken over, and not looked since) would undo what was told.
        if ground is None or ground[0].epoch < memory.epoch:
            return 0
        snapshot, thresholds = ground
        version, marks, gone = self._new_marks(memory, snapshot)
        put = self._keep(memory, marks, gone, snapshot.epoch)
        memory.marks.update({row.key: row.state for row in marks})
        for key in gone:
            del memory.marks[key]
        memory.version = version
        rows = memory.watch.look(snapshot, thresholds, self._clock())
        put += self._keep(memory, rows, (), snapshot.epoch)
        memory.watch.keep(rows)
        if not memory.begun:
            self._begin(memory)
        return put

    def _read(self) -> _Memory:
        with self._store.read() as connection:
            told = {(cast("Register", row.register), row.key): row.state for row in connection.execute(select(_TOLD))}
            sender = connection.execute(select(tables.ssf_sender.c.begun_at, tables.ssf_sender.c.epoch)).one()
        marks = {key: state for (register, key), state in told.items() if register == "mark"}
        watch = Watch({at: state for at, state in told.items() if at[0] != "mark"})
        return _Memory(watch, marks, sender.begun_at is not None, sender.epoch)

    def _new_marks(self, memory: _Memory, snapshot: Snapshot) -> tuple[int, list[Row], list[str]]:
        with self._store.read() as connection:
            version: int = connection.execute(select(tables.revocation_meta.c.version)).scalar_one()
        if version == memory.version:
            return version, [], []
        marks = list_marks(self._store, now=self._clock())  # read after the version: never older than it says
        return version, *new_marks(memory.marks, marks, snapshot.users)

    def _keep(self, memory: _Memory, rows: Sequence[Row], gone: Sequence[str], epoch: int) -> int:
        """Events and states together, some at a time. Raises LeaseLostError."""
        put = 0
        for start in range(0, max(len(rows), 1), MAX_ROWS):
            some = rows[start : start + MAX_ROWS]
            dropped = gone if start == 0 else ()
            if not some and not dropped:
                continue
            now = self._clock()
            with self._store.write() as connection:
                lease.require(connection, self._holder, now)
                if memory.begun:  # before the first look nobody knows what is new
                    put += self._post.put(connection, [row.happenings for row in some], now)
                _note(connection, some, dropped)
                connection.execute(update(tables.ssf_sender).values(epoch=epoch))
            memory.epoch = epoch
        return put

    def _begin(self, memory: _Memory) -> None:
        now = self._clock()
        with self._store.write() as connection:
            lease.require(connection, self._holder, now)
            connection.execute(update(tables.ssf_sender).values(begun_at=now))
        memory.begun = True


def _note(connection: Connection, rows: Sequence[Row], gone: Sequence[str]) -> None:
    for register in {row.register for row in rows}:
        keys = [row.key for row in rows if row.register == register]
        _forget(connection, register, keys)
    if rows:
        kept = [{"register": row.register, "key": row.key, "state": row.state} for row in rows]
        connection.execute(insert(_TOLD), kept)
    _forget(connection, "mark", gone)


def _forget(connection: Connection, register: Register, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _CHUNK):
        some = _TOLD.c.key.in_(keys[start : start + _CHUNK])
        connection.execute(delete(_TOLD).where(_TOLD.c.register == register, some))
