"""The systems that rules are exported for: the bundle's catalogue and the directory's rows, on one day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.facts.horizon import Horizon
from pdp.facts.reference import read_reference
from pdp.facts.resource import resource_facts
from pdp.model.directory import JST
from pdp.model.request import AccessRequest
from pdp.model.rules import Office

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.model.directory import CatalogueRow, Snapshot
    from pdp.model.input import Resource


def listed_resources(bundle: Bundle, snapshot: Snapshot, now: datetime) -> list[tuple[CatalogueRow, Resource]]:
    """Every system with its facts at `now`. Raises BundleError where the bundle's catalogue cannot be read."""
    reference = read_reference(bundle.data)
    rows = {**reference.catalogue, **snapshot.resources}
    found = []
    for _, row in sorted(rows.items()):
        asked = AccessRequest(subject_id="", resource_id=row.id, action="access")
        found.append((row, resource_facts(asked, snapshot, reference, Horizon(now))))
    return found


def office_of(bundle: Bundle) -> Office | None:
    """The policy's calendar; None where its data has none. Raises BundleError for data that cannot be read."""
    if "calendar" not in bundle.data.get("zta", {}):
        return None
    calendar = read_reference(bundle.data).calendar
    return Office(
        opens=calendar.opens.isoformat("minutes"),
        closes=calendar.closes.isoformat("minutes"),
        closed_weekdays=tuple(sorted(calendar.closed_weekdays)),
        closed_dates=tuple(one.isoformat() for one in sorted(calendar.closed_dates)),
    )


def standing_since(bundle: Bundle, snapshot: Snapshot, now: datetime) -> datetime:
    """Since when every system has stood as it stands at `now`, or midnight in Japan, whichever is later.

    An export without a time named is read for this instant: so it is the same all day, and never older than a cut-over
    or an end of service that lies between. Raises BundleError as `listed_resources`.
    """
    reference = read_reference(bundle.data)
    changes = [now.astimezone(JST).replace(hour=0, minute=0, second=0, microsecond=0)]
    if reference.business_cut_over is not None and reference.business_cut_over <= now:
        changes.append(reference.business_cut_over)
    for row in {**reference.catalogue, **snapshot.resources}.values():
        found = (row.service.start, row.service.end, row.readonly_from, *(step.start for step in row.segments))
        changes += [one for one in found if one is not None and one <= now]
    return max(changes).astimezone(JST)
