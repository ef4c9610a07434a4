"""The commit thread: takes what waits, writes it as one group, answers; then tends the segment.

Where more than one record came with the last group, others are under way, and the next group is begun `gather_s` after
it at the earliest (ADR 30). A caller by itself, who waits for its answer, is never made to wait for company.

States: *up*, a segment is open at home; *away*, one is open in the refuge; *down*, none could be opened, and
each `probe_s` it is tried again. The thread alone touches the writer.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.declog.limits import BackPressure, Limits
    from pdp.declog.marks import SealCause
    from pdp.declog.pending import Group, PendingQueue
    from pdp.declog.sides import Side
    from pdp.declog.spill import Spill
    from pdp.declog.writer import SegmentWriter

_TRIES: Final = 2  # of a group that failed: in the other place, and once more in the first


class CommitThread:
    """Runs from `start` to `stop`. Its attributes may be read from any thread.

    `settle` is called from the thread with each group, and with None or with why it failed.
    """

    def __init__(  # noqa: PLR0913  # its collaborators
        self,
        writer: SegmentWriter,
        queue: PendingQueue,
        home: Side,
        *,
        name: str,
        limits: Limits,
        back_pressure: BackPressure,
        settle: Callable[[list[Group], str | None], None],
        spill: Spill | None = None,
    ) -> None:
        self._writer = writer
        self._queue = queue
        self._home = home
        self._limits = limits
        self._back_pressure = back_pressure
        self._settle = settle
        self._spill = spill
        self._stopping = threading.Event()
        self._synced_at = 0.0
        self._began_at = 0.0  # the last group
        self._in_company = False  # whether it had more than one record
        self._looked_at = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.down = True
        self.short_of_room = False
        self.fault: str | None = None  # the last failure by its errno name: a path of the server is nobody's business

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

    @property
    def lost(self) -> int:
        """Records answered whose sync then failed (durability `process`), as long as no segment has them anew."""
        return self._writer.orphans

    @property
    def away_since(self) -> datetime | None:
        return None if self._spill is None else self._spill.since

    def note(self, fault: OSError) -> None:
        """What went wrong last, for the operator."""
        self.fault = errno.errorcode.get(fault.errno or 0, type(fault).__name__)

    def _run(self) -> None:
        try:
            while not (self._queue.stopped and len(self._queue) == 0):
                if self._writer.is_open or self._reopen():
                    self._turn()
                else:
                    self._wait_while_down()
            self._end()
        finally:  # also after a fault of our own: nobody may wait for a thread that is gone
            self.down = True
            self._queue.stop()
            self._settle(self._queue.take(0), "the decision log is closed")

    def _end(self) -> None:
        if self._writer.unsynced:
            self._sync()  # before the seal, which has no second try
        if self._writer.orphans:
            self._reopen()
        self._seal("close")

    def _turn(self) -> None:
        if self._in_company:
            self._gather()
        batch = self._queue.take(self._limits.sync_every_s if self._writer.unsynced else self._limits.look_s)
        if batch:
            self._commit(batch)
        self._tend()

    def _gather(self) -> None:
        left = self._began_at + self._limits.gather_s - time.monotonic()
        if left > 0:
            time.sleep(left)

    def _commit(self, batch: list[Group]) -> None:
        self._began_at = time.monotonic()
        records = [record for group in batch for record in group.records]
        self._in_company = len(records) > 1
        failure: str | None = "the decision log could not be written"
        try:
            if self._write(records):
                failure = None
        finally:  # whatever happened: the group is answered, and an unforeseen fault ends the thread
            self._settle(batch, failure)

    def _write(self, records: list[bytes]) -> bool:
        """Here, or where there is a second place, in that one; False where neither took them."""
        for _ in range(1 if self._spill is None else 1 + _TRIES):
            try:
                if self._writer.is_open or self._reopen(again=len(records)):
                    self._writer.commit(records)
                    return True
            except OSError as fault:
                self._failed(fault)
        return False

    def _failed(self, fault: OSError) -> None:
        self.note(fault)
        if self._spill is not None:
            self._spill.failed()

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
        if self._spill is not None and self._spill.may_go_home(now):
            try:
                self._spill.come_home(self._writer)
            except OSError as fault:
                self.note(fault)

    def _sync(self) -> None:
        try:
            self._writer.sync()
        except OSError as fault:
            self._failed(fault)

    def _seal(self, cause: SealCause) -> None:
        try:
            self._writer.seal(cause)
        except OSError as fault:
            self._failed(fault)

    def _reopen(self, *, again: int = 0) -> bool:
        for attempt in self._attempts():
            try:
                attempt(again)
            except OSError as fault:
                self.note(fault)
            else:
                self.down = False
                return True
        self.down = True
        return False

    def _attempts(self) -> list[Callable[[int], None]]:
        if self._spill is None:
            return [lambda again: self._writer.open(self._home, again=again)]
        spill, writer = self._spill, self._writer
        places = [lambda again: spill.open_home(writer, again), lambda again: spill.open_away(writer, again)]
        return places[::-1] if spill.prefers_away else places

    def _wait_while_down(self) -> None:
        if self._back_pressure != "block" or self._stopping.is_set():
            self._settle(self._queue.take(0), "the decision log cannot be written")
        self._stopping.wait(self._limits.probe_s)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            self.short_of_room = self._free_bytes() < self._limits.min_free_bytes
        except OSError as fault:
            self.note(fault)
            self.short_of_room = True

    def _free_bytes(self) -> int:
        """In the place that is written to; where that has little, in the other, which would take over."""
        return self._home.free_bytes() if self._spill is None else self._spill.free_bytes(self._limits.min_free_bytes)
