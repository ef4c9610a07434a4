"""Records that wait for the commit thread: bounded by number and by bytes, first come, first written."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True, eq=False)
class Pending:
    """One record and whoever waits for it. `withdrawn`: nobody waits any more, and it was not yet taken."""

    record: bytes
    future: asyncio.Future[None]
    withdrawn: bool = False
    taken: bool = field(default=False, repr=False)


class PendingQueue:
    """Filled by the event loop, emptied by the commit thread. No method blocks but `take`."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._changed = threading.Condition(threading.Lock())
        self._waiting: list[Pending] = []
        self._records = 0
        self._bytes = 0
        self._stopped = False

    def __len__(self) -> int:
        return self._records

    @property
    def stopped(self) -> bool:
        return self._stopped

    def offer(self, pending: Pending) -> bool:
        """Put it at the end, unless the queue is full or stopped. One record fits an empty queue, whatever its size."""
        size = len(pending.record)
        with self._changed:
            full = self._records >= self._max_records or (self._records > 0 and self._bytes + size > self._max_bytes)
            if full or self._stopped:
                return False
            self._waiting.append(pending)
            self._records += 1
            self._bytes += size
            if self._records == 1:
                self._changed.notify()
        return True

    def withdraw(self, pending: Pending) -> bool:
        """Take back what was not taken yet: it will not be written. False where it was, or never stood here."""
        with self._changed:
            if pending.taken or pending.withdrawn:
                return False
            pending.withdrawn = True
            self._records -= 1
            self._bytes -= len(pending.record)
        return True

    def take(self, timeout_s: float) -> list[Pending]:
        """Everything that waits; after `timeout_s` without anything, or once stopped, an empty list."""
        with self._changed:
            if self._records == 0 and not self._stopped:
                self._changed.wait(timeout_s)
            batch = [pending for pending in self._waiting if not pending.withdrawn]
            self._waiting = []
            self._records = self._bytes = 0
            for pending in batch:
                pending.taken = True
        return batch

    def stop(self) -> None:
        """Let nothing more in, and wake the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
