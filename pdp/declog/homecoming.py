"""Brings spilled segments home, each exactly once, in the order of writing.

1. the recovery note and the torn tail, where there are such, are written at home, whole and synced;
2. the segment is copied beside its name, synced, held against the digest of what was read, and renamed;
3. only then is it removed from the refuge, the segment last.

Whatever dies in between begins again: a name that stands at home stands there whole. A reader sees the
segment at home from the rename on, and never twice, because readers of the log look there alone; `find`
also looks in the refuge.
"""

from __future__ import annotations

import errno
import threading
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.declog.disk import write_durably
from pdp.declog.layout import OPEN, SEALED
from pdp.declog.lock import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.sides import Refuge, Side

PROBE: Final = "probe.tmp"  # a name that no reader looks at
_POLL_S: Final = 0.002
_SLICE: Final = 1024 * 1024  # of a copy: what a slow disk takes within the patience that it is given


class Homecoming:
    """Moves what a node has spilled and sealed. One process of the node at a time; the others' turns do nothing."""

    def __init__(self, home: Side, refuge: Refuge, lock: Path, *, min_free_bytes: int) -> None:
        self._home = home
        self._refuge = refuge
        self._lock = lock
        self._min_free_bytes = min_free_bytes

    @contextmanager
    def turn(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether it is this caller's, had within `wait_s`; nobody else moves anything meanwhile. Raises OSError."""
        deadline = time.monotonic() + wait_s
        while (lock := try_lock(self._lock)) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def probe(self) -> None:
        """Whether home takes a write, to the disk. Raises OSError."""
        disk, path = self._home.disk, self._home.layout.segments / PROBE
        write_durably(disk, path, b"\n")
        disk.remove(path)

    def bring_all(self) -> None:
        """Within a turn: everything sealed, and what this worker had to leave open, comes home. Raises OSError.

        For a worker that has no segment open here. What a failing refuge keeps is removed another time.
        """
        while self.bring_next():
            pass
        for name in self._refuge.left_open():
            self._bring(name, OPEN)

    def bring_next(self) -> bool:
        """Within a turn: the first that is sealed comes home. False where there is none. Raises OSError.

        Raises ENOSPC, before anything is copied, where home would be short of room with the segment in it.
        """
        return any(self._bring(name, SEALED) for name in self._refuge.sealed())

    def _bring(self, name: SegmentName, ending: str) -> bool:
        """Whether there was something to copy."""
        there, here = self._refuge.side.layout, self._home.layout
        source, target = (place.segments / f"{name}{ending}" for place in (there, here))
        # Left open there, it may be sealed at home by now, or the other way round.
        missing = not here.sealed_path(name).exists() and not here.open_path(name).exists()
        if missing:
            if self._home.free_bytes() < source.stat().st_size + self._min_free_bytes:
                raise OSError(errno.ENOSPC, "home has no room for what was spilled")
            for path, copy in _beside(there, here, name):
                write_durably(self._home.disk, copy, path.read_bytes())
            _copy(self._home.disk, source, target)
        disk = self._refuge.side.disk
        with suppress(OSError):  # it is home; a refuge that keeps its copy is asked again at the next look
            for path, _ in _beside(there, here, name):
                disk.remove(path)
            disk.remove(source)
            disk.sync_directory(there.segments)
        return missing


def _beside(there: Layout, here: Layout, name: SegmentName) -> list[tuple[Path, Path]]:
    pairs = [
        (there.torn_path(name), here.torn_path(name)),
        (there.recovery_path(name), here.recovery_path(name)),
    ]
    return [(path, target) for path, target in pairs if path.exists()]


def _copy(disk: Disk, source: Path, target: Path) -> None:
    aside = target.with_name(target.name + ".tmp")
    if aside.exists():
        disk.remove(aside)
    read, written = sha256(), sha256()
    descriptor = disk.create(aside)
    try:
        with source.open("rb") as file:
            while part := file.read(_SLICE):
                read.update(part)
                disk.write(descriptor, part)
        disk.sync(descriptor)
    finally:
        with suppress(OSError):
            disk.close(descriptor)
    with aside.open("rb") as file:
        while part := file.read(_SLICE):
            written.update(part)
    if read.digest() != written.digest():  # the source goes next: be sure of the copy
        disk.remove(aside)
        raise OSError(errno.EIO, "a copy is not what was copied")
    disk.rename(aside, target)
    disk.sync_directory(target.parent)


class HomecomingThread:
    """Each `every_s` while the log is away: does home take writes, and what is sealed comes home.

    `caught_up`: it does, and all that was sealed at the last look is there.
    """

    def __init__(self, homecoming: Homecoming, *, every_s: float) -> None:
        self._homecoming = homecoming
        self._every_s = every_s
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._once = False
        self._thread = threading.Thread(target=self._run, name="declog-homecoming", daemon=True)
        self.caught_up = False

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def want(self) -> None:
        """The log is away: look, from now on."""
        if not self._wanted.is_set() or self._once:
            self.caught_up, self._once = False, False
        self._wanted.set()

    def rest(self) -> None:
        """The log is at home: until everything is, and then no more."""
        self._once = True
        self._wanted.set()

    def _run(self) -> None:
        while not self._stopping.is_set():  # after `clear`, and before the next wait: `stop` sets both, this one first
            self._wanted.wait()
            self.caught_up = self._look()
            if self.caught_up and self._once:
                self._wanted.clear()
            else:
                self._stopping.wait(self._every_s)

    def _look(self) -> bool:
        try:
            with self._homecoming.turn() as ours:
                if not ours:
                    return False
                self._homecoming.probe()
            return self._bring()
        except OSError:  # that home takes nothing is why the log is away, and is told by that
            return False

    def _bring(self) -> bool:
        """One segment in each turn: the commit thread may want one too."""
        while not self._stopping.is_set():
            with self._homecoming.turn() as ours:
                if not ours:
                    return False
                if not self._homecoming.bring_next():
                    return True
        return False
