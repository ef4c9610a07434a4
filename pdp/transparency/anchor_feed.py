"""Brings signed heads to one anchor, from a thread of its own: whoever signs waits for nobody."""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.transparency.anchor import AnchorError

if TYPE_CHECKING:
    from pdp.transparency.anchor import Anchor

_QUEUE: Final = 3600  # an hour of heads; beyond it the oldest goes, which every newer one proves anyway
_RETRY_S: Final = 5.0  # an anchor that is down is tried again so often
_CLOSE_S: Final = 3.0  # what is still queued at the end gets so long


@dataclass(frozen=True, slots=True)
class AnchorHealth:
    """`published` is the size of the newest head that is there; `fault` is an errno name, None while all is well."""

    name: str
    published: int
    waiting: int
    dropped: int
    fault: str | None


class AnchorFeed:
    """In order, or where the anchor takes one at a time (`every_s`), the newest. `offer` never blocks."""

    def __init__(self, anchor: Anchor, *, queue: int = _QUEUE, retry_s: float = _RETRY_S) -> None:
        self._anchor = anchor
        self._retry_s = retry_s
        self._waiting: deque[tuple[int, str]] = deque(maxlen=queue)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._published = 0
        self._dropped = 0
        self._fault: str | None = None
        self._due = 0.0  # by the monotonic clock
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def offer(self, size: int, note: str) -> None:
        with self._changed:
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((size, note))
            self._changed.notify()

    @property
    def health(self) -> AnchorHealth:
        return AnchorHealth(self._anchor.name, self._published, len(self._waiting), self._dropped, self._fault)

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Bring what waits, once, and end. Blocks, at most so long; an anchor that hangs is left to its thread."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            try:
                self._anchor.publish(entry[1])
            except OSError as fault:
                self._fault = _word(fault)
                with self._changed:  # it stays the first, unless so many came meanwhile that it fell out
                    if len(self._waiting) < (self._waiting.maxlen or 0):
                        self._waiting.appendleft(entry)
                    else:
                        self._dropped += 1
                if self._stopping.wait(self._retry_s):
                    break
            else:
                self._fault, self._published = None, entry[0]
                self._due = time.monotonic() + self._anchor.every_s
        self._anchor.close()

    def _next(self) -> tuple[int, str] | None:
        """Waits until one is due; at the end what waits is due at once."""
        with self._changed:
            while not self._stopping.is_set():
                left = self._due - time.monotonic() if self._waiting else None
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            return self._taken() if self._waiting else None

    def _taken(self) -> tuple[int, str]:
        if not self._anchor.every_s:
            return self._waiting.popleft()
        newest = self._waiting.pop()
        self._waiting.clear()
        return newest


def _word(fault: OSError) -> str:
    return fault.word if isinstance(fault, AnchorError) else errno.errorcode.get(fault.errno or 0, type(fault).__name__)
