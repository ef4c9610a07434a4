"""The trail read back, newest first, and held against what was written.

The names of its segments are the index by time: each says when it was begun, and the worker's next one by when it was
over. So a look at one day, or at the newest page, opens the few segments that may hold such events, however long the
trail has become.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pdp.declog.layout import Layout
from pdp.declog.marks import rfc3339
from pdp.declog.reader import instant_in, records_of
from pdp.declog.verify import verify_segments
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.trail.event import read_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pdp.declog.layout import SegmentName
    from pdp.declog.verify import Finding
    from pdp.trail.event import Event

MAX_PAGE: Final = 1_000
_TRIES: Final = 5  # a segment may get its sealed name between two looks
_AROUND: Final = timedelta(minutes=10)  # an event is made before it is written, and clocks are set a little
_MILLISECOND: Final = timedelta(milliseconds=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """What of the trail; None: all. `before` is the id of the last event of the page before.

    `since` is in the time asked for, `until` is not; both aware.
    """

    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    before: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, event: Event) -> bool:
        return (
            (self.actor is None or event.actor.id == self.actor)
            and (self.action is None or event.action == self.action)
            and (self.outcome is None or event.outcome == self.outcome)
            and (self.before is None or event.id < self.before)
            # An event's time has one form, so that texts compare as times.
            and (self.since is None or event.time >= rfc3339(self.since))
            and (self.until is None or event.time < rfc3339(self.until))
        )


EVERYTHING: Final = TrailFilter()


@dataclass(frozen=True, slots=True)
class Span:
    """A segment, and between which times its events lie, by the names of the segments alone."""

    name: SegmentName
    first: datetime
    last: datetime


def newest_events(directory: Path, size: int, only: TrailFilter = EVERYTHING) -> list[Event]:
    """Up to `size` events, newest first, with no more of the trail in memory, and no more of it read than needed.

    Raises NotReadyError where it cannot be read. What does not hold is passed over here; `verify_trail` names it.
    """
    layout = Layout(directory)
    found: list[Event] = []
    until = _end_of(only)
    for span in sorted(spans_of(layout), key=lambda span: span.last, reverse=True):
        if only.since is not None and span.last < only.since:
            break
        if len(found) == size and rfc3339(min(span.last, _NEVER)) < found[-1].time:
            break  # what is left ends before the oldest event of the page
        if until is not None and span.first >= until:
            continue
        more = (event for event in _events(layout, span.name) if only.takes(event))
        found = heapq.nlargest(size, (*found, *heapq.nlargest(size, more, key=_id)), key=_id)
    return found


def _end_of(only: TrailFilter) -> datetime | None:
    """Before when every event of the answer was made. An event's id (uuid7) has its time, to the millisecond."""
    before = None if only.before is None else instant_in(only.before)
    ends = [end for end in (only.until, None if before is None else before + _MILLISECOND) if end is not None]
    return min(ends, default=None)


def events_of(directory: Path) -> Iterator[Event]:
    """Every event that holds, segment by segment. None where nobody has asked anything yet."""
    layout = Layout(directory)
    for span in spans_of(layout):
        yield from _events(layout, span.name)


def placed_events(directory: Path, action: str) -> Iterator[tuple[str, int, Event]]:
    """Every event of this action that holds, with its segment and its place in there, from 1: for proofs.

    Raises NotReadyError where the trail cannot be read.
    """
    layout, sought = Layout(directory), b'"%b"' % action.encode()
    for span in spans_of(layout):
        for at, line in enumerate(_lines(layout, span.name), 1):
            if sought not in line:
                continue
            try:
                event = read_event(line)
            except RecordDamagedError:
                continue
            if event.action == action:
                yield str(span.name), at, event


def spans_of(layout: Layout) -> list[Span]:
    """In the order of the names. A worker's newest segment may go on for ever."""
    if not layout.segments.is_dir():
        return []
    names: Sequence[SegmentName | None] = [*layout.names(), None]
    spans: list[Span] = []
    for name, following in pairwise(names):
        assert name is not None
        last = _NEVER
        if following is not None and following.owner == name.owner:
            last = max(name.created_at, following.created_at) + _AROUND
        spans.append(Span(name, name.created_at - _AROUND, last))
    return spans


def verify_trail(directory: Path) -> tuple[int, tuple[Finding, ...]]:
    """The number of proven events, and what is not as it should be. Raises OSError.

    The chain shows a changed, lost or moved line and a lost segment between two; as with the decision log, only a
    head that is kept elsewhere shows that the end was taken away.
    """
    layout = Layout(directory)
    return verify_segments(layout) if layout.segments.is_dir() else (0, ())


def _id(event: Event) -> str:
    return event.id


def _events(layout: Layout, name: SegmentName) -> Iterator[Event]:
    for line in _lines(layout, name):
        try:
            yield read_event(line)
        except RecordDamagedError:
            continue


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
