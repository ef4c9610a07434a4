"""What the store calls removed, held against the trail: only an event there, under a signed head, proves a retention.

The manifest says which files are removed, and its seal is a digest that anybody who can write it can renew. The trail
is a log of its own, with signed heads: `pdp audit retention --apply` names each file there before it removes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdp.archive.retention import months_before, months_of, naming
from pdp.declog.layout import segment_name
from pdp.declog.verify import Finding
from pdp.trail.reading import placed_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pdp.archive.restoring import Removal
    from pdp.trail.event import Event

_CLOCKS: Final = timedelta(minutes=10)  # between a segment's name and the times in its records
_MAX_MONTHS: Final = 1_200


@dataclass(frozen=True, slots=True)
class Retention:
    """One event: records from before `cutoff` (UTC, naive) were to go. `files`: which; None in events until 2026-11.

    `signed`: a signed head is over it.
    """

    cutoff: datetime
    files: frozenset[str] | None
    signed: bool

    def proves(self, removal: Removal, records: Mapping[str, int]) -> bool:
        """`records` are the numbers that were signed for: what the manifest counts is what is to be proven."""
        if self.files is not None and naming(removal.file, removal.segments) not in self.files:
            return False
        # An empty segment may be younger than every record of its file.
        names = [name for name, count in removal.segments.items() if records.get(name, count)]
        parts = [segment_name(name) for name in names]
        return (self.files is not None or bool(names)) and all(
            part is not None and part.created_at.replace(tzinfo=None) < self.cutoff + _CLOCKS for part in parts
        )


def retentions(trail: Path, held: Mapping[str, int]) -> list[Retention]:
    """Every one that was carried out, or begun. `held`: of each segment of the trail, so many events are signed for.

    Raises NotReadyError.
    """
    if not (trail / "segments").is_dir():
        return []
    found = (
        _retention(event, signed=at <= held.get(segment, 0))
        for segment, at, event in placed_events(trail, "audit.retention")
    )
    return [retention for retention in found if retention is not None]


def _retention(event: Event, *, signed: bool) -> Retention | None:
    asked = event.parameters
    hot, archive, files = asked.get("hot_months"), asked.get("archive_months"), asked.get("files")
    if asked.get("apply") is not True or event.outcome not in ("begun", "done"):
        return None
    if type(hot) is not int or type(archive) is not int or not 0 <= hot + archive <= _MAX_MONTHS * 2:
        return None
    if files is not None and not isinstance(files, list):
        return None
    at = datetime.fromisoformat(event.time).replace(tzinfo=None)
    return Retention(months_before(at, months_of(hot, archive)), None if files is None else frozenset(files), signed)


def removal_findings(
    removed: Sequence[Removal], events: Iterable[Retention], records: Mapping[str, int], *, signed_log: bool
) -> Iterator[Finding]:
    """The files whose removal nothing proves. `signed_log`: somebody signs for this log, and so for its trail."""
    known = list(events)
    for one in removed:
        proofs = [event for event in known if one.by_retention and event.proves(one, records)]
        if any(event.signed for event in proofs) or (proofs and not signed_log):
            continue
        gone = sum(records.get(name, count) for name, count in one.segments.items())
        if not one.by_retention or (signed_log and not proofs):
            yield Finding(one.file, "unfounded_removal", gone)
        else:
            yield Finding(one.file, "unsigned_removal" if signed_log else "unproven_removal", gone)
