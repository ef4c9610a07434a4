"""The trail read back, newest first, and held against what was written."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.declog.layout import Layout
from pdp.declog.reader import records_of
from pdp.declog.verify import verify_segments
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.trail.event import read_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.declog.layout import SegmentName
    from pdp.declog.verify import Finding
    from pdp.trail.event import Event

MAX_PAGE: Final = 1_000
_TRIES: Final = 5  # a segment may get its sealed name between two looks


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """What of the trail; None: all. `before` is the id of the last event of the page before."""

    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    before: str | None = None

    def takes(self, event: Event) -> bool:
        return (
            (self.actor is None or event.actor.id == self.actor)
            and (self.action is None or event.action == self.action)
            and (self.outcome is None or event.outcome == self.outcome)
            and (self.before is None or event.id < self.before)
        )


EVERYTHING: Final = TrailFilter()


def newest_events(directory: Path, size: int, only: TrailFilter = EVERYTHING) -> list[Event]:
    """Up to `size` events, newest first. Reads the whole trail, which people fill, with little of it in memory.

    Raises NotReadyError where it cannot be read. What does not hold is passed over here; `verify_trail` names it.
    """
    return heapq.nlargest(size, (event for event in events_of(directory) if only.takes(event)), key=lambda e: e.id)


def events_of(directory: Path) -> Iterator[Event]:
    """Every event that holds, segment by segment. None where nobody has asked anything yet."""
    layout = Layout(directory)
    if not layout.segments.is_dir():
        return
    for name in layout.names():
        for line in _lines(layout, name):
            try:
                yield read_event(line)
            except RecordDamagedError:
                continue


def verify_trail(directory: Path) -> tuple[int, tuple[Finding, ...]]:
    """The number of proven events, and what is not as it should be. Raises OSError.

    The chain shows a changed, lost or moved line and a lost segment between two; as with the decision log, only a
    head that is kept elsewhere shows that the end was taken away.
    """
    layout = Layout(directory)
    return verify_segments(layout) if layout.segments.is_dir() else (0, ())


def _lines(layout: Layout, name: SegmentName) -> list[bytes]:
    for _ in range(_TRIES):
        for path in (layout.open_path(name), layout.sealed_path(name)):
            try:
                return [body for _, body in records_of(path)]
            except FileNotFoundError:
                continue
            except OSError as fault:
                raise NotReadyError(f"the trail cannot be read: {fault.strerror}") from None
    return []
