"""Work that touches the disk, beside the decisions: in a thread of its own, and nobody waits for it.

INVARIANT (no disk on the loop): a write that takes 5 ms in good times takes seconds on a disk that stalls, and whoever
waits for it on the event loop lets every decision and `/healthz` wait as well.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Final

from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Callable

END_S: Final = 2.0  # for the piece under way, and the last one; on a disk that hangs they are left to the thread
_log = get_log("pdp.aside")


class Aside:
    """One piece of work at a time. `offer` and `close` are called on the event loop; `close` once, and last."""

    def __init__(self, name: str) -> None:
        self._pieces: Final[queue.SimpleQueue[Callable[[], object] | None]] = queue.SimpleQueue()
        self._free = True
        self._thread: Final = threading.Thread(target=self._run, name=name, daemon=True)  # one that hangs ends with us
        self._thread.start()

    def offer(self, work: Callable[[], object]) -> bool:
        """Have it done; never waits. False: the piece before it is still under way, and this one is dropped.

        What it raises is logged.
        """
        if not self._free:
            return False
        self._free = False
        self._pieces.put(work)
        return True

    async def close(self, last: Callable[[], object] = lambda: None, *, within_s: float = END_S) -> None:
        """Have `last` done after what is under way, and end. What takes longer is waited for no more."""
        self._pieces.put(last)
        self._pieces.put(None)
        await asyncio.to_thread(self._thread.join, within_s)
        if self._thread.is_alive():
            _log.warning("the disk does not answer; what was to be done there last is left")

    def _run(self) -> None:
        while (work := self._pieces.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001  # the next piece may work
                _log.exception("work beside the decisions failed")
            self._free = True
