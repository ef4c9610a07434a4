"""A disk that hangs becomes a disk that fails: each call is given a time, and then an error.

Only where there is a second place to write to (`log_full = "spill"`): a thread that waits in the kernel
cannot be called back, so the call is left to its thread and the records go elsewhere.
"""

from __future__ import annotations

import errno
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.declog.disk import Disk

_T = TypeVar("_T")


class _Call:
    """One call on its way through the helper. `given_up`: nobody waits for it any more."""

    def __init__(self, run: Callable[[], object], late: Callable[[object], None]) -> None:
        self._run = run
        self._late = late
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False
        self.result: object = None
        self.fault: BaseException | None = None

    @property
    def finished(self) -> bool:
        return self._done.is_set()

    def carry_out(self) -> None:
        try:
            self.result = self._run()
        except BaseException as fault:  # noqa: BLE001  # it is raised where the call was made
            self.fault = fault
        with self._lock:
            late = self._given_up
            self._done.set()
        if late and self.fault is None:
            with suppress(OSError):
                self._late(self.result)

    def wait(self, patience_s: float) -> bool:
        """Whether it ended in time; if not, what it may still give is dealt with by `late`."""
        if self._done.wait(patience_s):
            return True
        with self._lock:
            self._given_up = not self._done.is_set()
        return not self._given_up


class PatientDisk:
    """A `Disk` whose calls raise ETIMEDOUT after `patience_s`, and at once while one of them hangs.

    One caller at a time. A descriptor is closed by the thread that may still be using it, so that its number
    cannot meanwhile become another file's.
    """

    def __init__(self, disk: Disk, patience_s: float) -> None:
        self._disk = disk
        self._patience_s = patience_s
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._hanging: _Call | None = None
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        """Let the helper end, when it can."""
        self._calls.put(None)
        self._thread = None

    def within(self, run: Callable[[Disk], _T], late: Callable[[_T], None] = lambda _: None) -> _T:
        """What `run` gives of the disk below, which it must use and not this one. Raises OSError as every other call.

        What comes after it was given up goes to `late`.
        """
        return self._do(lambda: run(self._disk), cast("Callable[[object], None]", late))

    def create(self, path: Path) -> int:
        def late(descriptor: object) -> None:  # a name that the writer has given up, with nothing in it
            if isinstance(descriptor, int):
                self._disk.close(descriptor)
            self._disk.remove(path)

        return self._do(lambda: self._disk.create(path), late)

    def write(self, descriptor: int, data: bytes) -> None:
        self._do(lambda: self._disk.write(descriptor, data))

    def sync(self, descriptor: int) -> None:
        self._do(lambda: self._disk.sync(descriptor))

    def close(self, descriptor: int) -> None:
        if self._hangs():
            self._calls.put(_Call(lambda: self._disk.close(descriptor), lambda _: None))
        else:
            self._do(lambda: self._disk.close(descriptor))

    def cut(self, descriptor: int, length: int) -> None:
        self._do(lambda: self._disk.cut(descriptor, length))

    def truncate(self, path: Path, length: int) -> None:
        self._do(lambda: self._disk.truncate(path, length))

    def rename(self, old: Path, new: Path) -> None:
        self._do(lambda: self._disk.rename(old, new))

    def remove(self, path: Path) -> None:
        self._do(lambda: self._disk.remove(path))

    def sync_directory(self, path: Path) -> None:
        self._do(lambda: self._disk.sync_directory(path))

    def free_bytes(self, path: Path) -> int:
        return self._do(lambda: self._disk.free_bytes(path))

    def _hangs(self) -> bool:
        if self._hanging is not None and self._hanging.finished:
            self._hanging = None
        return self._hanging is not None

    def _do(self, run: Callable[[], _T], late: Callable[[object], None] = lambda _: None) -> _T:
        if self._hangs():
            raise OSError(errno.ETIMEDOUT, "the disk still hangs")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="declog-disk", daemon=True)
            self._thread.start()
        call = _Call(run, late)
        self._calls.put(call)
        if not call.wait(self._patience_s):
            self._hanging = call
            raise OSError(errno.ETIMEDOUT, "the disk hangs")
        if call.fault is not None:
            raise call.fault
        return call.result  # type: ignore[return-value]  # it is what `run` gave

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call.carry_out()
