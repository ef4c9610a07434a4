"""The notary beside a worker: a process of its own, so that hashing and signing take nothing of a decision's time.

Every worker has one of these; the one that gets the node's proof lock starts the process and hands it the lock.
Where the process ends, by itself or with its worker, the lock is free, and whoever looks next starts another.
A fault here stops no decision: `status` says it, and records stay uncovered until a process works again.

    standby --lock--> working --the process ends--> a pause, each longer than the last --> standby
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec

from pdp.declog.lock import FileLock, try_lock
from pdp.proving import log_of, open_keeper
from pdp.transparency.anchor_feed import AnchorHealth
from pdp.transparency.keeper import KeeperStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.settings import Settings

_BEGIN_S: Final = 1.0  # after the worker: its start costs a third of a second of a core, which readiness needs more
_STANDBY_S: Final = 2.0  # how often a worker that waits looks whether the lock is free
_LONGEST_S: Final = 60.0  # between two tries
_GOOD_S: Final = 60.0  # a process that worked so long begins anew with short pauses
_END_S: Final = 15.0  # for the last head, and for anchors that hang
_WAITING: Final = KeeperStatus(working=False, size=0, fault=None, altered=(), anchors=())
_encode: Final = msgspec.json.Encoder().encode


class NotaryProcess:
    """`start` and `stop` once each; `stop` blocks, and is called after the log was closed."""

    def __init__(
        self, settings: Settings, *, on_fault: Callable[[str], None] = lambda _: None, begin_s: float = _BEGIN_S
    ) -> None:
        """Raises SettingsError where an anchor or a key that the settings name cannot be used."""
        self._settings = settings
        self._last = open_keeper(settings)  # opens nothing yet; for the last turn where no process of ours did it
        self._place = log_of(settings)[1]
        self._on_fault = on_fault
        self._begin_s = begin_s
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._signed_last = False
        self._status = _WAITING
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="notary-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> KeeperStatus:
        return self._status

    @property
    def pid(self) -> int | None:
        """Of the process, while it works for this worker."""
        child = self._child
        return None if child is None else child.pid

    def stop(self) -> None:
        """Have the last records signed for, by the process or, where there is none, here; then let go."""
        with self._guard:
            self._stopping.set()
            if self._child is not None:
                _close(self._child.stdin)
        if self._thread.ident is not None:
            self._thread.join(_END_S)
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()
            self._thread.join(_END_S)
        if not self._signed_last:
            self._last.stop()

    # -- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = self._begin_s
        short = max(self._begin_s, 0.01)
        while not self._stopping.wait(pause):
            lock = self._locked()
            if lock is None:
                pause = _STANDBY_S
                continue
            begun = time.monotonic()
            self._work(lock)
            short = self._begin_s or short if time.monotonic() - begun >= _GOOD_S else min(2 * short, _LONGEST_S)
            pause = short

    def _locked(self) -> FileLock | None:
        try:
            self._place.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = try_lock(self._place.lock)
        except OSError as fault:
            self._show(_fault(errno.errorcode.get(fault.errno or 0, type(fault).__name__)))
            return None
        if lock is None:
            self._show(_WAITING)
        return lock

    def _work(self, lock: FileLock) -> None:
        """One process from its start to its end."""
        try:
            child = self._begun(lock)
        except OSError as fault:
            self._show(_fault(errno.errorcode.get(fault.errno or 0, type(fault).__name__)))
            return
        finally:
            lock.release()  # the process holds it alone: its end frees it
        if child is None:
            return
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                try:
                    self._show(_status(line))
                except (msgspec.MsgspecError, TypeError, KeyError, ValueError):
                    self._show(_fault("the process that signs says what nobody understands"))
        code = child.wait()
        _close(child.stdin)
        self._child = None
        if self._stopping.is_set():
            self._signed_last = code == 0 and self._status.fault is None and self._status.working
        else:
            self._show(_fault(self._status.fault or f"the process that signs ended ({code})"))

    def _begun(self, lock: FileLock) -> subprocess.Popen[bytes] | None:
        """None where the worker ends by now. Raises OSError."""
        with self._guard:
            if self._stopping.is_set():
                return None
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "pdp.notary_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(lock.descriptor,),
                env=_environment(),
            )
            self._child = child
        assert child.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it ended at once, or the worker ends: its end says so
            child.stdin.write(_encode({"lock": lock.descriptor, "settings": self._settings}) + b"\n")
            child.stdin.flush()
        return child

    def _show(self, status: KeeperStatus) -> None:
        """For whoever asks; each new fault once to whoever writes the service's log."""
        self._status = status
        fault = status.fault or (f"altered: {', '.join(status.altered)}" if status.altered else None)
        if fault is not None and fault != self._told:
            self._on_fault(fault)
        self._told = fault


def _status(line: bytes) -> KeeperStatus:
    told = msgspec.json.decode(line)
    anchors = tuple(AnchorHealth(**anchor) for anchor in told.pop("anchors"))
    return KeeperStatus(**{**told, "altered": tuple(told["altered"]), "anchors": anchors})


def _fault(words: str) -> KeeperStatus:
    return KeeperStatus(working=False, size=0, fault=words, altered=(), anchors=())


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(OSError):
            pipe.close()


def _environment() -> dict[str, str]:
    """The service's own, but for where to import from; its settings come through the pipe."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PDP_")}
    inherited.pop("PROMETHEUS_MULTIPROC_DIR", None)
    return inherited | {"PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}
