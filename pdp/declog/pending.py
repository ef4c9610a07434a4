"""Records that wait for the commit thread: bounded by number and by bytes, first come, first written."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True, eq=False)
class Pending:
    """One record and whoever waits for it, until `deadline` (the event loop's time, seconds).

    `settled`: the commit thread had it, and it was answered or failed. Only the event loop reads and sets it.
    """

    record: bytes
    future: asyncio.Future[None]
    deadline: float
    settled: bool = False


class PendingQueue:
    """Filled by the event loop, emptied by the commit thread. No method blocks but `take`."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Pending] = deque()
        self._bytes = 0
        self._stopped = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def stopped(self) -> bool:
        return self._stopped

    def offer(self, pending: Pending, *, wake: bool = True) -> bool:
        """Put it at the end, unless the queue is full or stopped. One record fits an empty queue, whatever its size.

        Without `wake` a thread that waits sleeps on until `wake` is called, or its time is over.
        """
        size = len(pending.record)
        with self._lock:
            waiting = len(self._waiting)
            full = waiting >= self._max_records or (waiting > 0 and self._bytes + size > self._max_bytes)
            if full or self._stopped:
                return False
            self._waiting.append(pending)
            self._bytes += size
            if wake and waiting == 0:
                self._changed.notify()
        return True

    def wake(self) -> None:
        """There may be something to take."""
        with self._changed:
            if self._waiting:
                self._changed.notify()

    def withdraw(self, pending: Pending) -> bool:
        """Take back what was not taken yet: it will not be written. False where it was taken."""
        with self._lock:
            try:
                self._waiting.remove(pending)  # the oldest expire first: it stands near the front
            except ValueError:
                return False
            self._bytes -= len(pending.record)
        return True

    def take(self, timeout_s: float) -> list[Pending]:
        """Everything that waits; after `timeout_s` without anything, or once stopped, an empty list."""
        with self._changed:
            if not self._waiting and not self._stopped:
                self._changed.wait(timeout_s)
            batch = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
        return batch

    def stop(self) -> None:
        """Let nothing more in, and wake the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
