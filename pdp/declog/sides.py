"""Where a log may write: at home, and where `log_full = "spill"` names one, in a refuge on another disk."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.declog.layout import OPEN, SEALED
from pdp.declog.lock import FileLock, start_lock, try_lock
from pdp.declog.recovery import recover_dead
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName

_START_WAIT_S: Final = 1.0  # the commit thread may be the one that waits, with requests behind it


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One directory of segments and the disk under it."""

    layout: Layout
    disk: Disk

    def free_bytes(self) -> int:
        """Raises OSError."""
        return self.disk.free_bytes(self.layout.segments)


class Refuge:
    """The second place of one worker. It has the layout of a log, its own locks and its own recoveries.

    Used by the thread that opens the log, and then by the commit thread alone.
    """

    def __init__(self, side: Side, node: str, worker: str, clock: Callable[[], datetime]) -> None:
        self.side: Final = side
        self._node = node
        self._worker = worker
        self._clock = clock
        self._lock: FileLock | None = None

    def prepare(self) -> None:
        """Make the directories, take the worker's name there, seal what dead workers left; once.

        Raises OSError where it cannot be used now: a refuge that is broken must not stop a log that is well.
        """
        if self._lock is not None:
            return
        layout = self.side.layout
        layout.make(self.side.disk)
        try:
            with start_lock(layout.locks / "start.lock", wait_s=_START_WAIT_S):
                lock = try_lock(layout.lock_path(self._node, self._worker))
                if lock is None:
                    raise OSError(errno.EBUSY, "another process spills under this name")
                try:
                    self._recover()
                except OSError:
                    lock.release()
                    raise
        except SettingsError as fault:
            raise OSError(errno.EBUSY, "another process is starting in the refuge") from fault
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _recover(self) -> None:
        recover_dead(self.side.layout, node=self._node, own_worker=self._worker, clock=self._clock, disk=self.side.disk)

    def sealed(self) -> list[SegmentName]:
        """This node's segments that wait to be brought home, in the order of writing. Raises OSError."""
        with suppress(FileNotFoundError):
            return [name for name in self.side.layout.names(SEALED) if name.node == self._node]
        return []

    def left_open(self) -> list[SegmentName]:
        """Segments of this worker whose write or sync failed; asked while it has none open. Raises OSError."""
        return self._own(OPEN)

    def holds_own(self) -> bool:
        """Whether segments of this worker lie here; not, as far as is known, where the refuge cannot be read."""
        with suppress(OSError):
            return bool(self._own(None))
        return False

    def _own(self, ending: str | None) -> list[SegmentName]:
        if self._lock is None:  # the name may be another host's here
            return []
        return [name for name in self.side.layout.names(ending) if name.owner == (self._node, self._worker)]
