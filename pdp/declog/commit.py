"""The commit thread: takes what waits, writes it as one group, answers; then tends the segment.

States: *up*, a segment is open; *down*, none could be opened, and each `probe_s` it is tried again.
The thread alone touches the writer.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.declog.limits import BackPressure, Limits
    from pdp.declog.marks import SealCause
    from pdp.declog.pending import Pending, PendingQueue
    from pdp.declog.writer import SegmentWriter


class CommitThread:
    """Runs from `start` to `stop`. Its attributes may be read from any thread.

    `settle` is called from the thread with each group, and with None or with why it failed.
    """

    def __init__(  # noqa: PLR0913  # its collaborators
        self,
        writer: SegmentWriter,
        queue: PendingQueue,
        *,
        name: str,
        limits: Limits,
        back_pressure: BackPressure,
        settle: Callable[[list[Pending], str | None], None],
        free_bytes: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._queue = queue
        self._limits = limits
        self._back_pressure = back_pressure
        self._settle = settle
        self._free_bytes = free_bytes
        self._stopping = threading.Event()
        self._synced_at = 0.0
        self._looked_at = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.down = True
        self.short_of_room = False
        self.fault: str | None = None  # the last failure by its errno name: a path of the server is nobody's business
        self.lost = 0  # records answered, then lost to a failed sync (durability `process`)

    def start(self) -> None:
        """Try to begin a segment, then run. Does not raise: a log that cannot write is down."""
        self._reopen()
        self._look()
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Write what is queued, seal, end. False where the disk did not let it in time. Blocks."""
        self._queue.stop()
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def healthy(self) -> bool:
        return not self.down and not self.short_of_room and not self._queue.stopped and self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not (self._queue.stopped and len(self._queue) == 0):
                if self._writer.is_open or self._reopen():
                    self._turn()
                else:
                    self._wait_while_down()
            self._seal("close")
        finally:  # also after a fault of our own: nobody may wait for a thread that is gone
            self.down = True
            self._queue.stop()
            self._settle(self._queue.take(0), "the decision log is closed")

    def _turn(self) -> None:
        batch = self._queue.take(self._limits.sync_every_s if self._writer.unsynced else self._limits.look_s)
        if batch:
            self._commit(batch)
        self._tend()

    def _commit(self, batch: list[Pending]) -> None:
        failure: str | None = "the decision log could not be written"
        try:
            self._writer.commit([pending.record for pending in batch])
            failure = None
        except OSError as fault:
            self._note(fault)
        finally:  # whatever happened: the group is answered, and an unforeseen fault ends the thread
            self._settle(batch, failure)

    def _tend(self) -> None:
        self._writer.fold()
        now = time.monotonic()
        if self._writer.unsynced and now - self._synced_at >= self._limits.sync_every_s:
            self._synced_at = now
            self._sync()
        if self._writer.is_full:
            self._seal("size")
        elif now - self._looked_at >= self._limits.look_s:
            self._look()
            if self._writer.age_s() >= self._limits.segment_age_s:
                self._seal("age")

    def _sync(self) -> None:
        at_stake = self._writer.unsynced
        try:
            self._writer.sync()
        except OSError as fault:
            self.lost += at_stake
            self._note(fault)

    def _seal(self, cause: SealCause) -> None:
        at_stake = self._writer.unsynced
        try:
            self._writer.seal(cause)
        except OSError as fault:
            self.lost += at_stake
            self._note(fault)

    def _reopen(self) -> bool:
        try:
            self._writer.open()
        except OSError as fault:
            self._note(fault)
            self.down = True
        else:
            self.down = False
        return not self.down

    def _wait_while_down(self) -> None:
        if self._back_pressure == "deny" or self._stopping.is_set():
            self._settle(self._queue.take(0), "the decision log cannot be written")
        self._stopping.wait(self._limits.probe_s)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            self.short_of_room = self._free_bytes() < self._limits.min_free_bytes
        except OSError as fault:
            self._note(fault)
            self.short_of_room = True

    def _note(self, fault: OSError) -> None:
        self.fault = errno.errorcode.get(fault.errno or 0, type(fault).__name__)
