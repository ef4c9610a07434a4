"""Brings spilled segments home, each exactly once; a worker's own in the order of writing.

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
from pdp.declog.sides import RefugeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.patience import PatientDisk
    from pdp.declog.sides import Refuge

PROBE: Final = "probe.tmp"  # a name that no reader looks at
_POLL_S: Final = 0.002
_SLICE: Final = 1024 * 1024  # of a copy: what a slow disk takes within the patience that it is given


class Homecoming:
    """Moves what a node has spilled and sealed. One process of the node at a time; the others' turns do nothing.

    Every method raises RefugeError where the refuge, and OSError where home is at fault.
    """

    def __init__(self, home: Layout, disk: PatientDisk, refuge: Refuge, *, lock: Path, min_free_bytes: int) -> None:
        self._home = home
        self._disk = disk
        self._refuge = refuge
        self._lock = lock
        self._min_free_bytes = min_free_bytes
        self._copies = 0

    @contextmanager
    def turn(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether it is this caller's, had within `wait_s`; nobody else moves anything meanwhile."""
        deadline = time.monotonic() + wait_s
        while (lock := self._refuge.lock(self._lock)) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def prepare(self) -> None:
        self._refuge.prepare()

    def probe(self) -> None:
        """Whether home takes a write, to the disk."""
        path = self._home.segments / PROBE

        def write(disk: Disk) -> None:
            write_durably(disk, path, b"\n")
            disk.remove(path)

        self._disk.within(write)

    def bring_own(self, at_most: int) -> None:
        """Within a turn: what this worker has sealed, and what it had to leave open, comes home.

        For a worker that has no segment open there. Raises RefugeError, before anything is moved, where it is more
        than so many bytes.
        """
        # Open ones first: one whose sealing comes late goes from there to here, and is then among both.
        found = [(name, ending) for ending in (OPEN, SEALED) for name in self._refuge.own(ending)]
        place = self._refuge.side.layout.segments
        sizes = self._refuge.look(lambda: [(place / f"{name}{ending}").stat().st_size for name, ending in found])
        if sum(sizes) > at_most:
            raise RefugeError(errno.EFBIG, "too much waits in the refuge")
        for name, ending in sorted(found):
            self._bring(name, ending)
        self._refuge.hold.own = False

    def bring_next(self) -> bool:
        """Within a turn: the first that is sealed comes home. False where there is none.

        Raises ENOSPC, before anything is copied, where home would be short of room with the segment in it.
        """
        return any(self._bring(name, SEALED) for name in self._refuge.sealed())

    def bring_left_open(self, is_away: Callable[[], bool]) -> None:
        """Within a turn: what this worker had to leave open there, unless it writes there now."""
        left = self._refuge.own(OPEN)
        if is_away():  # asked after the look: what is begun from now on is not among them
            return
        for name in left:
            self._bring(name, OPEN)
        with self._refuge.hold.mutex:
            if not is_away() and not self._refuge.own(SEALED):
                self._refuge.hold.own = False

    def _bring(self, name: SegmentName, ending: str) -> bool:
        """Whether there was something to copy."""
        there, here = self._refuge.side.layout, self._home
        source, target = (place.segments / f"{name}{ending}" for place in (there, here))
        # Left open there, it may be sealed at home by now, or the other way round.
        missing = self._disk.within(lambda _: not here.sealed_path(name).exists() and not here.open_path(name).exists())
        beside = self._refuge.look(lambda: _beside(there, here, name))
        if missing:
            size = self._refuge.look(lambda: source.stat().st_size)
            if self._disk.free_bytes(here.segments) < size + self._min_free_bytes:
                raise OSError(errno.ENOSPC, "home has no room for what was spilled")
            for path, copy in beside:
                self._write(copy, self._refuge.look(path.read_bytes))
            self._copy(source, target, size)
        elif not self._stands(source, here, name):
            raise RefugeError(errno.EEXIST, "another file of the same segment stands at home")
        disk = self._refuge.side.disk
        with suppress(OSError):  # it is home; a refuge that keeps its copy is asked again at the next look
            for path, _ in beside:
                disk.remove(path)
            disk.remove(source)
            disk.sync_directory(there.segments)
        return missing

    def _stands(self, source: Path, here: Layout, name: SegmentName) -> bool:
        """Whether all whole lines of a segment stand at home: the source goes next."""
        spilled = self._refuge.look(source.read_bytes)

        def read(_: Disk) -> bytes:
            path = here.open_path(name)
            return path.read_bytes() if path.exists() else here.sealed_path(name).read_bytes()

        whole = spilled[: spilled.rfind(b"\n") + 1]
        return self._disk.within(read).startswith(whole)

    def _write(self, path: Path, data: bytes) -> None:
        self._disk.within(lambda disk: write_durably(disk, path, data))

    def _copy(self, source: Path, target: Path, size: int) -> None:
        # A name of its own: a renaming that was given up may still come, and must not take half a copy.
        self._copies += 1
        aside = target.with_name(f"{target.name}.{id(self):x}-{self._copies}.tmp")
        self._disk.within(lambda _: _sweep(target))
        read, written = sha256(), sha256()
        descriptor = self._disk.create(aside)
        try:
            for at in range(0, size, _SLICE):
                part = self._refuge.look(_reading(source, at))
                read.update(part)
                self._disk.write(descriptor, part)
            self._disk.sync(descriptor)
        finally:
            with suppress(OSError):
                self._disk.close(descriptor)
        for at in range(0, size, _SLICE):
            reading = _reading(aside, at)
            written.update(self._disk.within(lambda _, reading=reading: reading()))  # type: ignore[misc]  # a default binds it
        if read.digest() != written.digest():  # the source goes next: be sure of the copy
            self._disk.remove(aside)
            raise OSError(errno.EIO, "a copy is not what was copied")
        self._disk.rename(aside, target)
        self._disk.sync_directory(target.parent)


def _reading(path: Path, at: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(_SLICE)

    return read


def _sweep(target: Path) -> None:
    """What earlier attempts left beside a name."""
    for path in target.parent.glob(f"{target.name}.*.tmp"):
        path.unlink(missing_ok=True)


def _beside(there: Layout, here: Layout, name: SegmentName) -> list[tuple[Path, Path]]:
    pairs = [(path, here.torn / path.name) for path in there.torn_paths(name)]
    note = there.recovery_path(name)
    return [*pairs, (note, here.recovery_path(name))] if note.exists() else pairs


class HomecomingThread:
    """Each `every_s` while something may lie in the refuge: does home take writes, and what is sealed comes home.

    `caught_up`: it does, and all is there that was sealed when it was last asked to look. `is_away`: whether the log
    writes there now, or is about to.
    """

    def __init__(self, homecoming: Homecoming, *, every_s: float, is_away: Callable[[], bool]) -> None:
        self._homecoming = homecoming
        self._every_s = every_s
        self._is_away = is_away
        self._changed = threading.Condition()
        self._stopping = False
        self._asked = 0  # how often: a look answers only what was asked before it began
        self._until_home = True  # then no more looks, until somebody asks again
        self._asleep = True
        self._thread = threading.Thread(target=self._run, name="declog-homecoming", daemon=True)
        self.caught_up = False

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:  # else the log could not even be opened
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def want(self) -> None:
        """The log is away: look, from now on."""
        self._ask(until_home=False)

    def rest(self) -> None:
        """The log is at home: until everything is, and then no more."""
        self._ask(until_home=True)

    def _ask(self, *, until_home: bool) -> None:
        with self._changed:
            self._asked += 1
            self._until_home = until_home
            self._asleep = self.caught_up = False
            self._changed.notify()

    def _run(self) -> None:
        while (asked := self._next()) is not None:
            found = self._look()
            with self._changed:
                if asked == self._asked:
                    self.caught_up = found
                    self._asleep = found and self._until_home
                if not self._asleep:
                    self._changed.wait_for(lambda: self._stopping, self._every_s)

    def _next(self) -> int | None:
        """The number of the question that the next look answers; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or not self._asleep)
            return None if self._stopping else self._asked

    def _look(self) -> bool:
        try:
            self._homecoming.prepare()
            with self._homecoming.turn() as ours:
                if not ours:
                    return False
                self._homecoming.probe()
            return self._bring()
        except OSError:  # that home takes nothing is why the log is away, and is told by that
            return False

    def _bring(self) -> bool:
        """One segment in each turn: the commit thread may want one too."""
        while not self._stopping:
            with self._homecoming.turn() as ours:
                if not ours:
                    return False
                if not self._homecoming.bring_next():
                    self._homecoming.bring_left_open(self._is_away)
                    return True
        return False
