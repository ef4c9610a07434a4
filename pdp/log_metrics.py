"""Of the decision log's proof and its store, what an operator should see: for the `/metrics` of the service.

Instants, not ages: whoever should move one and has died moves it no more, and its age grows by itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import Gauge

from pdp.archive.standing import read_standing

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from pdp.transparency.keeper import KeeperStatus

EVERY: Final = 15  # ticks of a second: the file is small, and a scrape is no sooner


class ProofMetrics:
    """Of the worker whose notary works; of the others nothing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            mode: Literal["max", "mostrecent"] = "mostrecent" if labels else "max"
            return Gauge(f"sekisho_log_{name}", text, labels, registry=registry, multiprocess_mode=mode)

        self._turned = gauge("signed_timestamp_seconds", "When all that was recorded was last under a signed head.")
        self._size = gauge("signed_leaves", "Leaves of the tree under the newest head.")
        self._altered = gauge("altered_segments", "Segments that are not any more what was signed for.")
        self._waiting = gauge("anchor_waiting_heads", "Signed heads that an anchor does not have yet.", ("anchor",))
        self._up = gauge("anchor_up", "Whether an anchor took the last head.", ("anchor",))

    def show(self, status: KeeperStatus) -> None:
        if not status.working:
            return
        self._turned.set(status.turned)
        self._size.set(status.size)
        self._altered.set(len(status.altered))
        for anchor in status.anchors:
            self._waiting.labels(anchor.name).set(anchor.waiting)
            self._up.labels(anchor.name).set(anchor.fault is None)


class StoreMetrics:
    """`show` is called about once a second, and looks at the file now and then."""

    def __init__(self, registry: CollectorRegistry, state: Path) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"sekisho_store_{name}", text, registry=registry, multiprocess_mode="mostrecent")

        self._state = state
        self._tick = 0
        self._round = gauge("round_timestamp_seconds", "When the store was last kept; 0: it never was.")
        self._oldest = gauge("oldest_waiting_timestamp_seconds", "When the oldest segment not stored began; 0: none.")
        self._waiting = gauge("waiting_segments", "Sealed segments that are not stored yet.")
        self._files = gauge("files", "Data files of the store.")
        self._records = gauge("records", "Records in them.")
        self._bytes = gauge("bytes", "Their size, without the hourly counts.")
        self._unshipped = gauge("unshipped_segments", "Segments that are due to go and wait for a log target.")

    def show(self) -> None:
        if self._tick % EVERY == 0:
            self._show()
        self._tick += 1

    def _show(self) -> None:
        try:
            standing = read_standing(self._state)
        except OSError:
            standing = None
        if standing is None:
            self._round.set(0)
            return
        self._round.set(_seconds(standing.at))
        self._oldest.set(_seconds(standing.oldest) if standing.oldest else 0)
        self._waiting.set(standing.waiting)
        self._files.set(standing.files)
        self._records.set(standing.records)
        self._bytes.set(standing.bytes)
        self._unshipped.set(standing.unshipped)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
