"""Disks that misbehave, at the log's own seam. They write real files, and wait for no real disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pdp.declog.disk import PosixDisk

if TYPE_CHECKING:
    from random import Random


class HastyDisk(PosixDisk):
    """Never waits for the disk: for tests of many small files, and under simulated faults."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""

    def truncate(self, path: Path, length: int) -> None:
        os.truncate(path, length)

    def sync_directory(self, path: Path) -> None:
        """Nothing."""


class FaultyDisk(HastyDisk):
    """Fails on demand, and remembers what was done to which file: `(what, file name)`."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.full = False  # no write and no new file
        self.write_part = 0  # of a write that fails, this many bytes still arrive
        self.sync_fails = False
        self.rename_fails = False
        self.free = 1 << 40
        self._names: dict[int, str] = {}

    def create(self, path: Path) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "simulated")
        descriptor = super().create(path)
        self._names[descriptor] = path.name
        self.done.append(("create", path.name))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self.done.append(("write", self._names[descriptor]))
        if self.full:
            super().write(descriptor, data[: self.write_part])
            raise OSError(errno.ENOSPC, "simulated")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.done.append(("sync", self._names.get(descriptor, "")))  # or a reader's own descriptor
        if self.sync_fails:
            raise OSError(errno.EIO, "simulated")
        super().sync(descriptor)

    def close(self, descriptor: int) -> None:
        self.done.append(("close", self._names.pop(descriptor)))
        super().close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        if self.rename_fails:
            raise OSError(errno.EACCES, "simulated")
        self.done.append(("rename", old.name))
        super().rename(old, new)

    def free_bytes(self, path: Path) -> int:  # a number that the test sets
        return self.free


class StuckDisk(HastyDisk):
    """Syncs only while `free` is set. `entered` says that a sync is waiting."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def stick(self) -> None:
        self.entered.clear()
        self.free.clear()

    def sync(self, descriptor: int) -> None:
        self.entered.set()
        self.free.wait()
        super().sync(descriptor)


class PowerCutDisk(HastyDisk):
    """The power fails at the n-th operation, and then only what was synced is sure to be there.

    After `crash`, each file holds what was synced and a random part of the rest, perhaps with zeros for
    a block that was never written; a name that was made or changed since its directory was synced may be
    as it was before.
    """

    def __init__(self, operations: int) -> None:
        self._left = operations
        self._paths: dict[int, Path] = {}
        self._synced: dict[int, int] = {}  # by inode: bytes that are on the disk
        self._loose: list[tuple[Path, Path | None]] = []  # (name now, name before), not yet on the disk

    def _use_power(self) -> None:
        if self._left <= 0:
            raise OSError(errno.EIO, "the power is off")
        self._left -= 1

    def create(self, path: Path) -> int:
        self._use_power()
        descriptor = super().create(path)
        self._paths[descriptor] = path
        self._synced[os.fstat(descriptor).st_ino] = 0
        self._loose.append((path, None))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self._use_power()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._use_power()
        facts = os.fstat(descriptor)
        self._synced[facts.st_ino] = facts.st_size

    def rename(self, old: Path, new: Path) -> None:
        self._use_power()
        super().rename(old, new)
        self._loose.append((new, old))

    def remove(self, path: Path) -> None:
        self._use_power()
        super().remove(path)
        self._loose = [(now, before) for now, before in self._loose if now != path]

    def sync_directory(self, path: Path) -> None:
        self._use_power()
        self._loose = [(now, before) for now, before in self._loose if now.parent != path]

    def crash(self, random: Random) -> None:
        """What the next start finds. Call it when every descriptor is closed."""
        for now, before in reversed(self._loose):
            # A name that was made twice since its directory was synced may have been taken back already.
            if random.random() < 0.5 and now.exists():
                now.unlink() if before is None else now.rename(before)
        for path in {now.parent for now in self._paths.values()}:
            for file in path.iterdir():
                self._lose(file, random)

    def _lose(self, file: Path, random: Random) -> None:
        synced = self._synced.get(file.stat().st_ino)
        if synced is None:
            return
        data = file.read_bytes()
        kept = random.randint(synced, len(data))
        zeros = random.choice((0, 0, 512))
        file.write_bytes(data[:kept] + bytes(zeros))
