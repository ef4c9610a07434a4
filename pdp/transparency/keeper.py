"""Runs the notary: one process of a node at a time, a turn each second, a last one at the end.

Every worker has a keeper; the one that holds the node's proof lock works, the others wait for it. Nothing of
it stands in a decision's way: where it fails, decisions go on, `status` says why, and records stay uncovered
until it works again.
"""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.declog.lock import FileLock, try_lock
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.transparency.anchor_feed import AnchorFeed, AnchorHealth
    from pdp.transparency.notary import Notary, Turn
    from pdp.transparency.place import ProofPlace

_STANDBY_S: Final = 2.0  # how often a keeper that waits looks whether the lock is free
_RETRY_S: Final = 10.0  # a ledger that cannot be opened is read whole at each try
_LAST_S: Final = 2.0  # for the last turn: to get the lock from a worker that ends at the same time
_POLL_S: Final = 0.05
_MAX_CATCHING_UP: Final = 10_000  # turns of 8 MiB at the end: 80 GB, more than lies open anywhere


@dataclass(frozen=True, slots=True)
class KeeperStatus:
    """`fault` is why nothing can be signed now, in words or as an errno name; `altered` are segments by name.

    `turned` is when everything that was recorded had been signed for, in Unix seconds; 0: not yet.
    """

    working: bool
    size: int
    fault: str | None
    altered: tuple[str, ...]
    anchors: tuple[AnchorHealth, ...]
    turned: float = 0.0


class Keeper:
    """`open_notary` and `open_feeds` are called only by the keeper that holds the lock, and may block."""

    def __init__(  # noqa: PLR0913  # the composition names each
        self,
        place: ProofPlace,
        open_notary: Callable[[], Notary],
        open_feeds: Callable[[], Sequence[AnchorFeed]],
        *,
        every_s: float,
        on_fault: Callable[[str], None] = lambda _: None,
        lock: FileLock | None = None,
    ) -> None:
        """`lock`: the node's proof lock, where it is held already."""
        self._place = place
        self._open_notary = open_notary
        self._open_feeds = open_feeds
        self._every_s = every_s
        self._lock = lock
        self._turned = 0.0
        self._notary: Notary | None = None
        self._feeds: Sequence[AnchorFeed] = ()
        self._fault: str | None = None
        self._told: str | None = None
        self._on_fault = on_fault
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notary", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs: a fault of ours would end it."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """A last turn over what the log has written, then let go. Blocks; call it after the log was closed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._last()
        if self._notary is not None:
            self._notary.close()
        if self._lock is not None:
            # Before the anchors, which may hang: another worker may wait to sign for its last record.
            self._lock.release()
        for feed in self._feeds:
            feed.close()
        self._notary, self._lock, self._feeds = None, None, ()

    @property
    def status(self) -> KeeperStatus:
        notary = self._notary
        return KeeperStatus(
            working=notary is not None,
            size=0 if notary is None else notary.size,
            fault=self._fault or (None if notary is None else notary.fault),
            altered=() if notary is None else notary.altered,
            anchors=tuple(feed.health for feed in self._feeds),
            turned=self._turned,
        )

    def look(self) -> KeeperStatus:
        """`status`, for whoever wants to be asked later."""
        return self.status

    def turn(self) -> Turn | None:
        """One turn now; None where another process holds the lock, or it failed: `status` says why."""
        if not self._enter():
            return None
        notary = self._notary
        if notary is None:
            return None
        try:
            turn = notary.turn()
        except OSError as fault:
            self._fault = errno.errorcode.get(fault.errno or 0, type(fault).__name__)
            return None
        self._fault = None
        if not turn.behind and notary.fault is None:
            self._turned = time.time()
        if turn.head is not None and turn.note is not None:
            for feed in self._feeds:
                feed.offer(turn.head.size, turn.note)
        return turn

    def _enter(self) -> bool:
        """Whether this process is the one, with its notary open."""
        try:
            if self._lock is None:
                self._place.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = try_lock(self._place.lock)
            if self._lock is None:
                return False
            if self._notary is None:
                self._feeds = self._feeds or self._open_feeds()
                self._notary = self._open_notary()
        except SekishoError as fault:
            self._fault = fault.message
        except OSError as fault:
            self._fault = errno.errorcode.get(fault.errno or 0, type(fault).__name__)
        return self._notary is not None

    def _run(self) -> None:
        while not self._stopping.is_set():
            turn = self.turn()
            self._tell()
            if turn is not None and turn.behind:
                continue
            wait = self._every_s if self._notary is not None else _STANDBY_S if self._lock is None else _RETRY_S
            self._stopping.wait(wait)

    def _tell(self) -> None:
        """Once for each new fault, to whoever writes the service's log."""
        status = self.status
        fault = status.fault or (f"altered: {', '.join(status.altered)}" if status.altered else None)
        if fault is not None and fault != self._told:
            self._on_fault(fault)
        self._told = fault

    def _last(self) -> None:
        deadline = time.monotonic() + _LAST_S
        for _ in range(_MAX_CATCHING_UP):
            turn = self.turn()
            if turn is not None and not turn.behind:
                return
            if turn is None:
                if self._lock is not None or time.monotonic() > deadline:
                    return
                time.sleep(_POLL_S)
