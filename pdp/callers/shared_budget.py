"""One bucket for each caller that all workers of a host take from, so that several workers together let through what
was configured and not as many times as much.

A bucket is one number (`pdp.callers.budget`), and the monotonic clock is the same in every process of a host: so the
number stands in a file of eight bytes that every worker maps into its memory. Nobody locks. Two workers that take at
the very same moment may take the same request, which lets one more through; a lock would cost every request.

A share for each worker would be the other way; it would refuse a gateway that keeps one connection, which is with one
worker only.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.callers.budget import Budget
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.callers.budget import CallerLimits

_BYTES: Final = 8
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_log = get_log("pdp.callers.shared_budget")


class SharedBuckets:
    """Makes the budgets of one worker. `folder` is of this host alone.

    The monotonic clock begins anew with each start of the host, so buckets of another start are of no use: they have
    another name, and are removed. Where files cannot be made, or the host does not tell its starts apart, a worker
    counts for itself.
    """

    def __init__(self, folder: Path, stopwatch: Callable[[], int], *, boot: str | None = None) -> None:
        """`boot` names this start of the host; by default as the kernel does."""
        self._folder = folder
        self._stopwatch = stopwatch
        self._boot = _this_boot() if boot is None else boot
        with suppress(OSError):
            self._clean()

    def budget(self, caller_id: str, limits: CallerLimits) -> Budget:
        if not self._boot:
            return Budget(limits, self._stopwatch)
        try:
            return Budget(limits, self._stopwatch, self._cell(caller_id, limits))
        except OSError as fault:
            _log.warning("a caller's rate is counted in each worker for itself", reason=fault.strerror)
            return Budget(limits, self._stopwatch)

    def _cell(self, caller_id: str, limits: CallerLimits) -> memoryview:
        """Changed limits begin anew, and the instants of two rates never mix while workers still hear of a change."""
        which = f"{limits.requests_per_s}\n{limits.burst}\n{caller_id}"
        name = f"{self._boot}-{sha256(which.encode()).hexdigest()[:32]}"
        opened = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(opened, _BYTES)  # zero where it is new; nothing where another worker has made it
            return memoryview(mmap.mmap(opened, _BYTES)).cast("q")
        finally:
            os.close(opened)

    def _clean(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            if not old.name.startswith(f"{self._boot}-"):
                old.unlink(missing_ok=True)


def _this_boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip().replace("-", "")[:32]
    except OSError:
        return ""
