"""Where a log may write: at home, and where `log_full = "spill"` names one, in a refuge on another disk."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from pdp.declog.layout import SEALED
from pdp.declog.lock import FileLock, start_lock, try_lock
from pdp.declog.recovery import recover_dead
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.marks import LeftBehind
    from pdp.declog.patience import PatientDisk

_T = TypeVar("_T")
_START_WAIT_S: Final = 1.0  # the commit thread may be the one that waits, with requests behind it


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One directory of segments and the disk under it."""

    layout: Layout
    disk: Disk

    def free_bytes(self) -> int:
        """Raises OSError."""
        return self.disk.free_bytes(self.layout.segments)


def refuge_directory(home: Path, directory: Path | None) -> Path:
    """Where the setting says that a log in `home` may take refuge. Raises SettingsError."""
    if directory is None:
        raise SettingsError("`log_full = spill` needs a `log_spill_dir`")
    if directory.resolve().is_relative_to(home.resolve()):
        raise SettingsError("`log_spill_dir` must lie outside the decision log, on another disk")
    return directory


class RefugeError(OSError):
    """The refuge cannot be read, or not now: what lies there comes home later."""


@dataclass(slots=True)
class Hold:
    """What the threads of one worker know of its refuge, so that none has to ask a disk that may hang.

    `own`: segments of this worker lie there. `made`: there was no refuge before this start.
    """

    mutex: threading.Lock = field(default_factory=threading.Lock)
    lock: FileLock | None = None
    own: bool = False
    made: bool = False


class Refuge:
    """The second place of one worker. It has the layout of a log, its own locks and its own recoveries.

    One thread at a time uses it, each its own, over a disk that is patient; `hold` is theirs together. Every method
    raises RefugeError where the refuge cannot be used within that patience.
    """

    def __init__(  # noqa: PLR0913  # each is one fact of the composition
        self, layout: Layout, disk: PatientDisk, hold: Hold, *, node: str, worker: str, clock: Callable[[], datetime]
    ) -> None:
        self.side: Final = Side(layout, disk)
        self.hold: Final = hold
        self._disk = disk
        self._node = node
        self._worker = worker
        self._clock = clock

    def prepare(self) -> None:
        """Make the directories, take the worker's name there, seal what dead workers left; once."""
        with self.hold.mutex:
            if self.hold.lock is None:
                taken = self._within(self._take, lambda late: late.lock.release())
                self.hold.lock, self.hold.made = taken.lock, self.hold.made or taken.made
                self.hold.own = self.hold.own or taken.own

    def release(self) -> None:
        with self.hold.mutex:
            if self.hold.lock is not None:
                self.hold.lock.release()

    def left_behind(self) -> LeftBehind:
        """What the header of a segment at home has to say; without a look at the disk."""
        if self.hold.lock is None:
            return "unread"
        return "waits" if self.hold.own else "new" if self.hold.made else ""

    def look(self, read: Callable[[], _T]) -> _T:
        """What is read there."""
        return self._within(lambda _: read())

    def lock(self, path: Path) -> FileLock | None:
        return self._within(lambda _: try_lock(path), lambda late: None if late is None else late.release())

    def sealed(self) -> list[SegmentName]:
        """This node's segments that wait to be brought home, this worker's first; in the order of writing."""
        names = [name for name in self.look(lambda: self.side.layout.names(SEALED)) if name.node == self._node]
        return sorted(names, key=lambda name: (name.worker != self._worker, name))

    def own(self, ending: str) -> list[SegmentName]:
        """Segments of this worker; open ones are those whose write or sync failed, while it has none open."""
        return [
            name
            for name in self.look(lambda: self.side.layout.names(ending))
            if name.owner == (self._node, self._worker)
        ]

    def _within(self, run: Callable[[Disk], _T], late: Callable[[_T], None] = lambda _: None) -> _T:
        try:
            return self._disk.within(run, late)
        except OSError as fault:
            raise RefugeError(fault.errno, "the refuge cannot be used") from fault

    def _take(self, disk: Disk) -> _Taken:
        layout = self.side.layout
        made = not layout.segments.is_dir()
        layout.make(disk)
        try:
            with start_lock(layout.locks / "start.lock", wait_s=_START_WAIT_S):
                lock = try_lock(layout.lock_path(self._node, self._worker))
                if lock is None:
                    raise OSError(errno.EBUSY, "another process spills under this name")
                try:
                    recover_dead(layout, node=self._node, own_worker=self._worker, clock=self._clock, disk=disk)
                    own = any(name.owner == (self._node, self._worker) for name in layout.names())
                except OSError:
                    lock.release()
                    raise
        except SettingsError as fault:
            raise OSError(errno.EBUSY, "another process is starting in the refuge") from fault
        return _Taken(lock, made, own)


class _Taken(NamedTuple):
    lock: FileLock
    made: bool
    own: bool
