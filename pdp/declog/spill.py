"""`log_full = "spill"`: away when home takes nothing, home again as soon as it does. Used by the commit thread.

    home fails -> the group is written anew in the refuge, then answered; later groups follow
    away       -> a thread beside brings sealed segments home (`homecoming.py`), which shows that home takes writes
    all home   -> the open segment is sealed, brought home, and the next begins there

So the segments of a worker lie at home in the order of writing before the next one is begun there. Only where the
refuge fails, or holds more than can be moved while requests wait, does the log go on at home at once: the header of
that segment says so (`refuge`), and what is missing before it is told apart from what was taken away.

INVARIANT (a refuge is a second place): a log that is at home and well asks nothing of the refuge's disk.
"""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from pdp.declog.homecoming import Homecoming, HomecomingThread
from pdp.declog.patience import PatientDisk
from pdp.declog.sides import Hold, Refuge, RefugeError, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pdp.declog.layout import Layout
    from pdp.declog.limits import Limits
    from pdp.declog.writer import SegmentWriter

_ROTATIONS: Final = 8  # at a rate that fills `last_move_bytes` while that much is moved, go home all the same


def open_spill(  # noqa: PLR0913  # each is one fact of the composition
    home: Side, refuge: Side, *, node: str, worker: str, clock: Callable[[], datetime], limits: Limits
) -> Spill:
    """Both disks made patient, once for the commit thread and once more for the thread beside it."""
    disks = [PatientDisk(disk, limits.patience_s) for disk in (home.disk, refuge.disk, home.disk, refuge.disk)]
    hold, lock = Hold(), refuge.layout.locks / f"{node}.homecoming.lock"
    refuges = [
        Refuge(refuge.layout, disk, hold, node=node, worker=worker, clock=clock) for disk in (disks[1], disks[3])
    ]
    own, beside = (
        Homecoming(home.layout, disk, place, lock=lock, min_free_bytes=limits.min_free_bytes)
        for disk, place in zip((disks[0], disks[2]), refuges, strict=True)
    )
    return Spill(Side(home.layout, disks[0]), refuges[0], own, beside, disks, limits=limits, clock=clock)


class Spill:
    """Which side is written to, and the way there and back. Its attributes may be read from any thread."""

    def __init__(  # noqa: PLR0913  # its collaborators
        self,
        home: Side,
        refuge: Refuge,
        homecoming: Homecoming,
        beside: Homecoming,
        disks: Sequence[PatientDisk],
        *,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self.home: Final = home
        self._refuge = refuge
        self._homecoming = homecoming
        self._beside = HomecomingThread(beside, every_s=limits.probe_s, is_away=lambda: self._abroad)
        self._disks = disks
        self._limits = limits
        self._clock = clock
        self._tried_at = time.monotonic()
        self._rotations = 0
        self._failed: Literal["home", "refuge"] | None = None  # where the last write failed
        self._abroad = False  # set before a segment is begun there: nobody may take it for one that was left
        self.since: datetime | None = None

    @property
    def refuge(self) -> Layout:
        return self._refuge.side.layout

    @property
    def may_hold(self) -> bool:
        """Whether records may lie in the refuge that can be read there."""
        return self._refuge.hold.lock is not None and (self._refuge.hold.own or not self._beside.caught_up)

    def enter(self) -> Layout | None:
        """At start: what lies in the refuge is sealed, and goes home. None where it cannot be read now.

        Does not raise, nor wait for long: the refuge may be broken, and home well. It is then tried again beside.
        """
        with suppress(OSError):
            self._refuge.prepare()
        self._beside.start()
        self._beside.rest()
        return self.refuge if self._refuge.hold.lock is not None else None

    def close(self, timeout_s: float) -> None:
        """Let go of the refuge; what lies there comes home at the next start. Blocks."""
        stopped = self._beside.stop(timeout_s)
        for disk in self._disks:
            disk.stop()
        if stopped:
            self._refuge.release()

    @property
    def is_away(self) -> bool:
        return self.since is not None

    @property
    def prefers_away(self) -> bool:
        """Not where the last write failed; else where the log is."""
        return self.is_away if self._failed is None else self._failed == "home"

    def failed(self) -> None:
        """A write or a sync failed where the log is."""
        self._failed = "refuge" if self.is_away else "home"

    def open_home(self, writer: SegmentWriter, again: int) -> None:
        """With all that this worker has in the refuge, where that can be had now; else that comes later.

        Raises OSError where home takes nothing.
        """
        if self.is_away or (self._refuge.hold.own and writer.segments == 0):
            with suppress(RefugeError):
                self._return(writer, again)
                return
        self._go_on(writer, again)

    def open_away(self, writer: SegmentWriter, again: int) -> None:
        """Raises OSError."""
        self._refuge.prepare()
        was_abroad, self._abroad = self._abroad, True
        try:
            writer.open(self._refuge.side, again=again)
        except OSError:
            self._abroad = was_abroad
            raise
        self._refuge.hold.own = True
        self._failed = "home"
        if self.since is None:
            self.since = self._clock()
        self._beside.want()

    def may_go_home(self, now: float) -> bool:
        """Whether it is time to look, what was sealed is home, and home has room."""
        if not self.is_away or now - self._tried_at < self._limits.probe_s:
            return False
        self._tried_at = now
        return self._beside.caught_up

    def come_home(self, writer: SegmentWriter) -> None:
        """Raises OSError where home does not take it; the log goes on in the refuge."""
        much = writer.size > self._limits.last_move_bytes
        if much and self._rotations < _ROTATIONS:
            self._rotations += 1  # too much to be moved while requests wait: leave it to the thread beside
            writer.seal("close")
            self.open_away(writer, 0)
            return
        if self.home.free_bytes() < self._limits.min_free_bytes + writer.size:
            return
        writer.seal("close")
        self._failed = None
        self.open_home(writer, 0)

    def free_bytes(self, enough: int) -> int:
        """Raises OSError where neither says."""
        sides = [self._refuge.side, self.home] if self.is_away else [self.home, self._refuge.side]
        try:
            free = sides[0].free_bytes()
        except OSError:
            free = 0
        return free if free >= enough else sides[1].free_bytes()

    def _return(self, writer: SegmentWriter, again: int) -> None:
        """Raises RefugeError where what lies there is too much or cannot be had now, OSError where home is at fault."""
        with self._homecoming.turn(self._limits.patience_s) as ours:
            if not ours:
                raise RefugeError(errno.EAGAIN, "another worker is bringing segments home")
            self._homecoming.bring_own(self._limits.last_move_bytes)
            writer.open(self.home, again=again)
        self._at_home()

    def _go_on(self, writer: SegmentWriter, again: int) -> None:
        """Begin at home whatever lies in the refuge: the header says so, and the thread beside brings it."""
        writer.open(self.home, again=again, refuge=self._refuge.left_behind())
        self._at_home()

    def _at_home(self) -> None:
        was_away = self.is_away
        self.since, self._failed, self._rotations, self._abroad = None, None, 0, False
        if was_away:
            self._beside.rest()
