"""The decision log as segment files: open `SegmentLog` first.

Group commit: a thread takes everything that waits, writes it at once, syncs once and answers all; while it
does so the next group gathers by itself, and in company a little longer (ADR 30). Measured: log-store, section 2c.

    append -> PendingQueue -> CommitThread -> SegmentWriter -> Disk
                                   └-> event loop: the waiters

When a write or a sync fails, the group fails, the file is left for good, and the next group gets a new
segment. Where that cannot be opened the log is down: `writable` says so, and the thread tries again each
`probe_s`. Meanwhile `deny` fails every append at once, `block` lets it wait up to the deadline, and `spill`
writes to a second place and comes home by itself (`spill.py`).
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.declog.commit import CommitThread
from pdp.declog.disk import Disk, PosixDisk
from pdp.declog.layout import Layout, check_word, instant_of, stamp_of
from pdp.declog.limits import MAX_SEGMENT_BYTES, BackPressure, Durability, Limits
from pdp.declog.lock import FileLock, start_lock, try_lock
from pdp.declog.pending import Group, PendingQueue
from pdp.declog.reader import find_record
from pdp.declog.recovery import previous_of, recover_dead
from pdp.declog.sides import Side, refuge_directory
from pdp.declog.spill import open_spill
from pdp.declog.writer import Epoch, SegmentWriter
from pdp.errors import RecordFailedError, SettingsError, WorkerNameInUseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pdp.declog.marks import Previous, Recovery
    from pdp.declog.pending import Receipt

_CLOSED: Final = "the decision log is closed"
_MAX_WORKERS: Final = 256  # more processes than any host here runs; bounds the search for a free name


@dataclass(frozen=True, slots=True)
class LogStatus:
    """For `pdp doctor` and metrics. `fault` is the errno name of the last failure, for the operator only.

    `recovered` tells what dead processes left, as found when this log was opened.
    """

    writable: bool
    segment: str | None
    last_seq: int
    queued: int
    unrecorded: int
    fault: str | None
    recovered: tuple[Recovery, ...]
    spilling_since: datetime | None = None


class SegmentLog:
    """A `DecisionLog` in a directory that other workers may share, each under its own name.

    Opening blocks: it takes the name's lock, recovers what dead workers of this node left and begins a
    segment. Raises WorkerNameInUseError, or SettingsError where the name is bad or the directory cannot
    be used at all; a disk that only takes no more leaves the log open and not writable. Open it after
    the last fork.
    """

    def __init__(  # noqa: PLR0913  # the composition root names each
        self,
        directory: Path,
        worker: str,
        *,
        clock: Callable[[], datetime],
        node: str = "local",
        durability: Durability = "power",
        back_pressure: BackPressure = "deny",
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        limits: Limits | None = None,
        disk: Disk | None = None,
        spill_directory: Path | None = None,
        spill_disk: Disk | None = None,
    ) -> None:
        check_word("node", node)
        check_word("worker", worker)
        self._layout = Layout(directory)
        self._back_pressure: Final = back_pressure
        self._limits: Final = limits or Limits()
        self._disk: Final = disk or PosixDisk()
        self._spill = None
        if back_pressure == "spill":
            refuge = Side(Layout(refuge_directory(directory, spill_directory)), spill_disk or PosixDisk())
            self._spill = open_spill(
                Side(self._layout, self._disk), refuge, node=node, worker=worker, clock=clock, limits=self._limits
            )
        home = Side(self._layout, self._disk) if self._spill is None else self._spill.home
        self._refused = 0
        self._room: deque[asyncio.Future[None]] = deque()
        # INVARIANT (first in, first expired): offered in this order, each with its deadline not before the one ahead.
        self._under_way: deque[Group] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._gathering: Group | None = None  # what this turn of the event loop has begun
        self._queue = PendingQueue(self._limits.queued_records, self._limits.queued_bytes)
        self._recovery_fault: str | None = None
        self._lock, self._recovered, previous = self._enter(node, worker, clock)
        self._writer = SegmentWriter(
            home.layout,
            Epoch(node, worker, _epoch_after(previous, clock())),
            previous,
            durability=durability,
            max_segment_bytes=max_segment_bytes,
            clock=clock,
            disk=home.disk,
            cut_failed=self._spill is not None,
        )
        self._thread = CommitThread(
            self._writer,
            self._queue,
            home,
            name=f"declog-{worker}",
            limits=self._limits,
            back_pressure=back_pressure,
            settle=self._settle_soon,
            spill=self._spill,
        )
        self._thread.start()

    async def append(self, record: bytes) -> None:
        """See `DecisionLog.append`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.deadline_s
        receipt = self.begin(record)
        if receipt is None:
            receipt = await self._begin_when_there_is_room(record, Group(loop, deadline))
        # A caller that hangs up does not take its record out of the log; only the deadline does.
        await receipt

    def begin(self, record: bytes) -> Receipt | None:
        """See `DecisionLog.begin`."""
        self._check(record)
        group = self._gathering
        if self._queue.stopped or not self._queue.has_room(len(record), group):
            return None
        if group is None:
            loop = asyncio.get_running_loop()
            group = self._gathering = Group(loop, loop.time() + self._limits.deadline_s)
            loop.call_soon(self._hand_over)
            self._watch(group)
        return group.add(record)

    def _hand_over(self) -> None:
        """All that was begun within one turn of the event loop, to the commit thread."""
        group, self._gathering = self._gathering, None
        if group is not None and not self._queue.put(group):
            self._settle([group], _CLOSED)

    def find(self, decision_id: str, *, everywhere: bool = False) -> bytes | None:
        """See `DecisionLog.find`; also in the segments that other workers are writing, and in what is spilled.

        Reads the segments around the time in the id; `everywhere` reads all, for a clock that was set.
        """
        refuge = self._spill.refuge if self._spill is not None and self._spill.may_hold else None
        if refuge is None:
            return find_record(self._layout, decision_id, everywhere=everywhere)
        # Twice at home: what is not there, and then not in the refuge, may have come home in between.
        for layout in (self._layout, refuge, self._layout):
            found = find_record(layout, decision_id, everywhere=everywhere)
            if found is not None:
                return found
        return None

    def writable(self) -> bool:
        return self._thread.healthy

    @property
    def unrecorded(self) -> int:
        """Appends that raised, and with durability `process` what a failed sync took after the answer."""
        return self._refused + self._thread.lost

    def status(self) -> LogStatus:
        return LogStatus(
            writable=self.writable(),
            segment=self._writer.segment,
            last_seq=self._writer.last_seq,
            queued=len(self._queue) + (0 if self._gathering is None else len(self._gathering.records)),
            unrecorded=self.unrecorded,
            fault=self._thread.fault or self._recovery_fault,
            recovered=self._recovered,
            spilling_since=self.spilling_since,
        )

    @property
    def spilling_since(self) -> datetime | None:
        return None if self._spill is None else self._spill.since

    async def close(self) -> None:
        """Write what is queued, seal the segment, let go of the name. At most `close_s`, whatever the disk does."""
        self._hand_over()
        self._queue.stop()
        self._make_room()
        if await asyncio.to_thread(self._thread.stop, self._limits.close_s):
            if self._spill is not None:
                await asyncio.to_thread(self._spill.close, self._limits.close_s)
            self._lock.release()  # while the thread hangs in a write, the name stays taken

    # -- opening -------------------------------------------------------------------------------------

    def _enter(
        self, node: str, worker: str, clock: Callable[[], datetime]
    ) -> tuple[FileLock, tuple[Recovery, ...], Previous | None]:
        lock: FileLock | None = None
        try:
            self._layout.make(self._disk)
            with start_lock(self._layout.locks / "start.lock"):
                lock = try_lock(self._layout.lock_path(node, worker))
                if lock is None:
                    raise WorkerNameInUseError(f"another process writes the decision log as worker `{worker}`")
                recovered = self._recover(node, worker, clock)
                refuge = None if self._spill is None else self._spill.enter()
                return lock, recovered, previous_of(self._layout, node, worker, refuge)
        except OSError as fault:
            if self._spill is not None:
                self._spill.close(self._limits.close_s)
            if lock is not None:
                lock.release()
            cause = errno.errorcode.get(fault.errno or 0, "unknown")
            raise SettingsError(f"the directory of the decision log cannot be used: {cause}") from fault

    def _recover(self, node: str, worker: str, clock: Callable[[], datetime]) -> tuple[Recovery, ...]:
        try:
            return recover_dead(self._layout, node=node, own_worker=worker, clock=clock, disk=self._disk)
        except OSError as fault:  # for example a full disk: it stays for the next start, and readers cope
            self._recovery_fault = errno.errorcode.get(fault.errno or 0, "unknown")
            return ()

    # -- appending, in the event loop ----------------------------------------------------------------

    def _check(self, record: bytes) -> None:
        if len(record) > self._limits.record_bytes:
            raise self._refusal(f"the record is larger than {self._limits.record_bytes} bytes")
        # A newline would end the line early: the rest would read as another record, of anyone's making.
        if not (record.startswith(b"{") and record.endswith(b"}")) or b"\n" in record:
            raise self._refusal("the record is not one JSON object on one line")
        if self._thread.down and self._back_pressure != "block":
            raise self._refusal("the decision log cannot be written")

    def _refusal(self, why: str) -> RecordFailedError:
        """For whoever is not to be answered; each is counted here."""
        self._refused += 1
        return RecordFailedError(why)

    async def _begin_when_there_is_room(self, record: bytes, group: Group) -> Receipt:
        """A group of its own, with a deadline that began before there was room."""
        receipt = group.add(record)
        try:
            async with asyncio.timeout_at(group.deadline):
                while not self._offer(group):
                    if self._queue.stopped:
                        raise self._refusal(_CLOSED)
                    if self._back_pressure == "deny":
                        raise self._refusal("the queue of the decision log is full")
                    room: asyncio.Future[None] = group.loop.create_future()
                    self._room.append(room)
                    await room
        except TimeoutError:
            raise self._refusal("the queue of the decision log is full") from None
        group.loop.call_at(group.deadline, self._expire, group)
        return receipt

    def _offer(self, group: Group) -> bool:
        self._hand_over()  # it came before
        return self._queue.has_room(group.bytes) and self._queue.put(group)

    def _watch(self, group: Group) -> None:
        """One timer for all: what came first expires first."""
        self._under_way.append(group)
        if self._timer is None:
            self._timer = group.loop.call_at(group.deadline, self._sweep, group.loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        under_way, now = self._under_way, loop.time()
        while under_way and (under_way[0].settled or under_way[0].deadline <= now):
            self._expire(under_way.popleft())
        self._timer = loop.call_at(under_way[0].deadline, self._sweep, loop) if under_way else None

    def _expire(self, group: Group) -> None:
        """The deadline: what is not being written yet never will be; what is may stand, and is not answered."""
        if group.settled:
            return
        if group is self._gathering:  # the event loop itself hung
            self._gathering = None
        elif self._queue.withdraw(group):
            self._make_room()
        for receipt in group.receipts:
            if not receipt.settled:
                receipt.settle(self._refusal("the decision log did not take the record in time"))

    def _settle_soon(self, batch: list[Group], failure: str | None) -> None:
        """Called from the commit thread."""
        if batch:
            try:
                batch[0].loop.call_soon_threadsafe(self._settle, batch, failure)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _settle(self, batch: list[Group], failure: str | None) -> None:
        for group in batch:
            group.settled = True
            for receipt in group.receipts:
                if not receipt.settled:
                    receipt.settle(None if failure is None else self._refusal(failure))
        while self._under_way and self._under_way[0].settled:
            self._under_way.popleft()
        self._make_room()

    def _make_room(self) -> None:
        while self._room:
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)


def first_free(open_log: Callable[[str], SegmentLog], *, prefix: str = "w") -> SegmentLog:
    """The log under the first name of `w0`, `w1`, … that no living process holds.

    For servers whose worker processes do not know their number. Raises SettingsError.
    """
    for number in range(_MAX_WORKERS):
        try:
            return open_log(f"{prefix}{number}")
        except WorkerNameInUseError:
            continue
    raise SettingsError(f"all {_MAX_WORKERS} worker names of the decision log are in use")


def _epoch_after(previous: Previous | None, now: datetime) -> str:
    """When this life began: never equal to or before the last one, also where the clock was set back."""
    if previous is None:
        return stamp_of(now)
    last = instant_of(previous.segment.split(".")[2])
    return stamp_of(max(now, last + timedelta(microseconds=1)))
