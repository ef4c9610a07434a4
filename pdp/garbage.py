"""When a worker looks for garbage: cycles of objects that nothing refers to any more, which Python must search for.

A decision makes none, and what it leaves in the memories is freed by its count of references when it goes. So:

    young    every 5,000 objects more than before, Python looks at these alone: a millisecond
    settled  once a second, what survived is put aside (`gc.freeze`) and is not looked at again until the next full one.
             By Python's own rules it is, in collections of 7 to 35 ms of a core while the memories fill
    full     over everything. What was referred to when it was put aside, and has become garbage since, is found here.
             It holds the worker up for a quarter of a second, so it needs a reason, growth of the process, and a
             moment in which the worker does little; only where it has grown by much, it waits for none

INVARIANT (bounded): a leak of cycles makes the process grow, and growth brings the collection that ends it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

YOUNG: Final = 5_000
LOOK_S: Final = 1.0
GROWN: Final = 16 << 20  # bytes since the last full collection: worth one while nobody is kept waiting
GROWN_MUCH: Final = 96 << 20  # twice what the memories take when they fill: not theirs, and not waited with
REST_S: Final = 600.0  # between two full collections: 0.05 % of the time at most
IDLE: Final = 0.05  # of a core, in the last second
_NEVER: Final = 1_000_000  # young collections, between two seconds, before Python looks at the older ones by itself
_RESIDENT: Final = 1  # field of statm (proc(5)), in pages


class Garbage:
    """Of one process, on its event loop. `settle` at the end of the start, then `look` once a second."""

    def __init__(
        self,
        *,
        held: Callable[[], int] | None = None,
        busy: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`held`: bytes of the process; `busy`: seconds of a core that this thread has used."""
        self._held = held or _resident
        self._busy = busy
        self._clock = clock
        self._before = (0.0, 0.0)
        self._rested = 0.0
        self._base = 0

    def settle(self) -> None:
        """What is held from the start on is looked at once more, and then put aside."""
        gc.enable()
        self._full()
        gc.set_threshold(YOUNG, _NEVER, _NEVER)

    def look(self) -> None:
        """Put aside what has settled; and collect everything where there is a reason."""
        gc.collect(0)
        gc.freeze()
        now, used = self._clock(), self._busy()
        (then, used_then), self._before = self._before, (now, used)
        if now - self._rested < REST_S:
            return
        grown = self._held() - self._base
        if grown >= GROWN_MUCH or (grown >= GROWN and used - used_then < IDLE * (now - then)):
            self._full()

    async def keep(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def _full(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._base = self._held()
        self._rested = self._clock()
        self._before = (self._rested, self._busy())


def _resident() -> int:
    """By the kernel, which asks no disk for it. Where it does not say so (no Linux), the most that it ever was."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[_RESIDENT]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
