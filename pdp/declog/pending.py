"""Records that wait for the commit thread: bounded by number and by bytes, first come, first written.

What one turn of the event loop begins is one group: it is handed over, expires and is answered together. For each
record by itself that was a future, a lock, a timer's entry and a callback through the event loop: 10 microseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context
    from typing import Any

    from pdp.errors import RecordFailedError


class Receipt:
    """Whether one record was kept (`pdp.declog.port.Kept`). For the thread of the event loop, and one who waits."""

    __slots__ = ("_call", "_context", "_failure", "settled")

    def __init__(self) -> None:
        self.settled = False
        self._failure: RecordFailedError | None = None
        self._call: Callable[[Receipt], object] | None = None
        self._context: Context | None = None

    def settle(self, failure: RecordFailedError | None) -> None:
        """To be called once. Whoever waits is answered here and now; what that raises goes to the event loop."""
        self.settled = True
        self._failure = failure
        call, context, self._call, self._context = self._call, self._context, None, None
        if call is None:
            return
        try:
            if context is None:
                call(self)
            else:
                context.run(call, self)
        except Exception as fault:  # noqa: BLE001  # as for any callback: the others of the group are answered
            asyncio.get_running_loop().call_exception_handler({"message": "who waits for a record", "exception": fault})

    def add_done_callback(self, call: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        if self.settled:
            asyncio.get_running_loop().call_soon(call, self, context=context)
        else:
            assert self._call is None, "somebody waits for it already"
            self._call, self._context = call, context

    def result(self) -> None:
        """Of one that is settled. Raises RecordFailedError."""
        if self._failure is not None:
            raise self._failure

    def __await__(self) -> Generator[Any, None, None]:
        if not self.settled:
            waiter = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: None if waiter.done() else waiter.set_result(None))  # or has hung up
            yield from waiter
        self.result()


class Group:
    """Records in their order, and the receipts of whoever waits for them until `deadline` (the event loop's time).

    `settled`: the commit thread had it, or never will. Only the event loop reads and sets it.
    """

    __slots__ = ("bytes", "deadline", "loop", "receipts", "records", "settled")

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.loop = loop
        self.deadline = deadline
        self.records: list[bytes] = []
        self.receipts: list[Receipt] = []
        self.bytes = 0
        self.settled = False

    def add(self, record: bytes) -> Receipt:
        receipt = Receipt()
        self.records.append(record)
        self.receipts.append(receipt)
        self.bytes += len(record)
        return receipt


class PendingQueue:
    """Filled by the event loop, emptied by the commit thread. No method blocks but `take`."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Group] = deque()
        self._records = 0
        self._bytes = 0
        self._stopped = False

    def __len__(self) -> int:
        """How many records wait."""
        return self._records

    @property
    def stopped(self) -> bool:
        return self._stopped

    def has_room(self, size: int, gathered: Group | None = None) -> bool:
        """Whether a record of `size` bytes may follow what waits and what is `gathered`. Any fits where nothing does.

        For the event loop, which alone adds: until it does, there can only be more room.
        """
        records, held = self._records, self._bytes
        if gathered is not None:
            records += len(gathered.records)
            held += gathered.bytes
        return records < self._max_records and (records == 0 or held + size <= self._max_bytes)

    def put(self, group: Group) -> bool:
        """Put it at the end, and wake the thread. False, and nothing done, once stopped. There has to be room."""
        with self._changed:
            if self._stopped:
                return False
            if not self._waiting:
                self._changed.notify()
            self._waiting.append(group)
            self._records += len(group.records)
            self._bytes += group.bytes
        return True

    def withdraw(self, group: Group) -> bool:
        """Take back what was not taken yet: it will not be written. False where it was taken."""
        with self._lock:
            try:
                self._waiting.remove(group)  # the oldest expire first: it stands near the front
            except ValueError:
                return False
            self._records -= len(group.records)
            self._bytes -= group.bytes
        return True

    def take(self, timeout_s: float) -> list[Group]:
        """Everything that waits; after `timeout_s` without anything, or once stopped, an empty list."""
        with self._changed:
            if not self._waiting and not self._stopped:
                self._changed.wait(timeout_s)
            batch = list(self._waiting)
            self._waiting.clear()
            self._records = self._bytes = 0
        return batch

    def stop(self) -> None:
        """Let nothing more in, and wake the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
