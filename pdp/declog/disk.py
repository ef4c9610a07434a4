"""The few things that the log does to a disk, as a seam: tests put a disk there that fails or loses power."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE: Final = 0o600  # records hold personal data


class Disk(Protocol):
    """Every method blocks and may raise OSError."""

    def create(self, path: Path) -> int:
        """A descriptor for appending to a file that did not exist: no file is ever written twice over."""
        ...

    def write(self, descriptor: int, data: bytes) -> None:
        """All of `data`, or an error after part of it."""
        ...

    def sync(self, descriptor: int) -> None:
        """Return when the content and the length of the file are on the disk."""
        ...

    def close(self, descriptor: int) -> None: ...

    def cut(self, descriptor: int, length: int) -> None:
        """Take away what stands after `length`, of a file that was not synced since. Not synced either."""
        ...

    def truncate(self, path: Path, length: int) -> None:
        """Cut a file and sync it."""
        ...

    def rename(self, old: Path, new: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None:
        """Return when names that were created, renamed or removed here are on the disk."""
        ...

    def free_bytes(self, path: Path) -> int:
        """What an ordinary user may still write; 0 where the file system is read-only."""
        ...


class PosixDisk:
    """The real one."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE)

    def write(self, descriptor: int, data: bytes) -> None:
        written = os.write(descriptor, data)
        while written < len(data):  # a nearly full disk takes a part, and only the next call says why
            written += os.write(descriptor, memoryview(data)[written:])

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def cut(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def truncate(self, path: Path, length: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, path: Path) -> int:
        facts = os.statvfs(path)
        return 0 if facts.f_flag & os.ST_RDONLY else facts.f_bavail * facts.f_frsize


def write_durably(disk: Disk, path: Path, data: bytes) -> None:
    """A whole file under its name, or no file of that name: written aside, synced, renamed."""
    aside = path.with_name(path.name + ".tmp")
    if aside.exists():
        disk.remove(aside)
    descriptor = disk.create(aside)
    try:
        disk.write(descriptor, data)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(aside, path)
    disk.sync_directory(path.parent)
