"""`log_full = "spill"`: away when home takes nothing, home again as soon as it does. Used by the commit thread.

    home fails -> the group is written anew in the refuge, then answered; later groups follow
    away       -> a thread beside brings sealed segments home (`homecoming.py`), which shows that home takes writes
    all home   -> the open segment is sealed, brought home, and the next begins there

So the segments of a worker lie at home in the order of writing before the next one is begun there: no reader
of the chain meets a gap.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pdp.declog.homecoming import Homecoming, HomecomingThread
from pdp.declog.patience import PatientDisk
from pdp.declog.sides import Refuge, Side

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
    near = Side(home.layout, disks[0]), Refuge(Side(refuge.layout, disks[1]), node, worker, clock)
    far = Side(home.layout, disks[2]), Refuge(Side(refuge.layout, disks[3]), node, worker, clock)
    lock = refuge.layout.locks / f"{node}.homecoming.lock"
    own, beside = (Homecoming(*sides, lock, min_free_bytes=limits.min_free_bytes) for sides in (near, far))
    return Spill(*near, own, HomecomingThread(beside, every_s=limits.probe_s), disks, limits=limits, clock=clock)


class Spill:
    """Which side is written to, and the way there and back. Its attributes may be read from any thread."""

    def __init__(  # noqa: PLR0913  # its collaborators
        self,
        home: Side,
        refuge: Refuge,
        homecoming: Homecoming,
        beside: HomecomingThread,
        disks: Sequence[PatientDisk],
        *,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self.home: Final = home
        self._refuge = refuge
        self._homecoming = homecoming
        self._beside = beside
        self._disks = disks
        self._limits = limits
        self._clock = clock
        self._tried_at = time.monotonic()
        self._rotations = 0
        self.avoid_home = False  # it has just failed, or own segments wait to be brought there first
        self.since: datetime | None = None

    @property
    def refuge(self) -> Layout:
        return self._refuge.side.layout

    def enter(self) -> Layout:
        """At start: what lies in the refuge is sealed and goes home; own segments first, before any new one there.

        Does not raise: the refuge may be broken, and home well.
        """
        with suppress(OSError):  # it is tried again when it is needed
            self._refuge.prepare()
        self.avoid_home = self._refuge.holds_own()
        self._beside.start()
        self._beside.rest()
        return self.refuge

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

    def open_home(self, writer: SegmentWriter, again: int) -> None:
        """Raises OSError, also where own segments wait in the refuge: the chain goes through them."""
        if self.is_away or self._refuge.holds_own():
            self._return(writer, again)
        else:
            writer.open(self.home, again=again)

    def open_away(self, writer: SegmentWriter, again: int) -> None:
        """Raises OSError."""
        self._refuge.prepare()
        writer.open(self._refuge.side, again=again)
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
        if writer.size > self._limits.last_move_bytes and self._rotations < _ROTATIONS:
            self._rotations += 1  # too much to be moved while requests wait: leave it to the thread beside
            writer.seal("close")
            self.open_away(writer, 0)
            return
        if self.home.free_bytes() < self._limits.min_free_bytes:
            return
        writer.seal("close")
        self._return(writer, 0)

    def free_bytes(self, enough: int) -> int:
        """Raises OSError where neither says."""
        sides = [self._refuge.side, self.home] if self.is_away else [self.home, self._refuge.side]
        try:
            free = sides[0].free_bytes()
        except OSError:
            free = 0
        return free if free >= enough else sides[1].free_bytes()

    def _return(self, writer: SegmentWriter, again: int) -> None:
        with self._homecoming.turn(self._limits.patience_s) as ours:
            if not ours:
                raise BlockingIOError("another worker is bringing segments home")
            self._homecoming.bring_all()
            writer.open(self.home, again=again)
        self.since, self.avoid_home, self._rotations = None, False, 0
        self._beside.rest()
