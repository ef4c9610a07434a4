"""The directory that a worker decides on: one snapshot, replaced whole when the store's epoch has moved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.errors import DirectoryError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from pdp.model.directory import Snapshot
    from pdp.store.store import Store

LOAD_S: Final = 30.0  # the whole directory takes half a second; a store that takes this long does not answer


class DirectorySource:
    """Holds the last good snapshot of `store`; `clock` gives aware times.

    INVARIANT (a failed look changes nothing): `current` is replaced only by a snapshot that was read to
    its end in one transaction. What a failure leaves behind is a growing `age`.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], *, max_age: timedelta | None = None) -> None:
        """`max_age`: how long decisions may rest on registers that nobody could confirm; None: for ever."""
        self._max_age = max_age
        self._store = store
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        self._confirmed_at: datetime | None = None

    def current(self) -> Snapshot:
        """The snapshot to decide on now, never changed by later looks. Raises NotReadyError before the first."""
        if self._snapshot is None:
            raise NotReadyError("no directory has been read yet")
        return self._snapshot

    def age(self) -> timedelta | None:
        """How long ago the store last confirmed that `current` is its newest state; None: never."""
        return None if self._confirmed_at is None else self._clock() - self._confirmed_at

    def now(self) -> datetime:
        """The clock that ages are told by."""
        return self._clock()

    def is_stale(self) -> bool:
        """Whether `age` has passed the limit. Before the first look there is nothing that could be stale."""
        if self._max_age is None or self._confirmed_at is None:
            return False
        return self._clock() - self._confirmed_at > self._max_age

    async def refresh(self) -> bool:
        """Look at the store's epoch, and read what changed, in a thread. True where there is a new snapshot.

        Raises DirectoryError where the store does not answer, or not in time; the held snapshot stays.
        """
        async with self._one_at_a_time:
            asked_at = self._clock()  # before reading: what changes meanwhile is found by the next look
            held = self._snapshot
            try:
                async with asyncio.timeout(LOAD_S):
                    read = await asyncio.to_thread(self._read, held, asked_at)
            except TimeoutError:
                raise DirectoryError(f"the directory was not read within {LOAD_S:.0f} s") from None
            self._snapshot = read
            self._confirmed_at = asked_at
            return read is not held

    def _read(self, held: Snapshot | None, now: datetime) -> Snapshot:
        if held is None:
            return load_snapshot(self._store, loaded_at=now)
        return refresh_snapshot(self._store, held, loaded_at=now)
