"""One process to one worker name, by a lock that the kernel lets go of when the process dies.

`flock` is bound to the open file: it works within one process too, and it passes to forked children, so a
log is opened after the last fork. Over NFS it holds only where the mount supports it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.errors import SekishoError

_START_WAIT_S: Final = 30.0  # others that start at the same time may have dead workers' segments to read
_POLL_S: Final = 0.01


class FileLock:
    """A lock that is held until `release`, or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @property
    def descriptor(self) -> int:
        """To be handed to a child, which then holds the lock as well. Raises OSError where it was let go."""
        if self._descriptor is None:
            raise OSError("the lock is not held any more")
        return self._descriptor

    def release(self) -> None:
        """May be called twice. The file stays: removing it would let two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def try_lock(path: Path) -> FileLock | None:
    """The lock, or None where another holds it. Raises OSError where the file cannot be opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return FileLock(descriptor)


@contextmanager
def start_lock(path: Path, *, wait_s: float = _START_WAIT_S) -> Iterator[None]:
    """Held by one starting process at a time. Raises SettingsError where it is not had within `wait_s`.

    Worker locks are taken only under it: else a worker that looks whether another is dead would hold
    that one's lock for a moment, in which it starts and finds its name in use.
    """
    late = SettingsError(f"another process has been starting on this decision log for {wait_s:g} s")
    with held_lock(path, wait_s=wait_s, late=late):
        yield


@contextmanager
def held_lock(path: Path, *, wait_s: float, late: SekishoError) -> Iterator[None]:
    """Held by one process at a time. Raises `late` where it is not had within `wait_s`, and as `try_lock`."""
    deadline = time.monotonic() + wait_s
    while (lock := try_lock(path)) is None:
        if time.monotonic() >= deadline:
            raise late
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        lock.release()
