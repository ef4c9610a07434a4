"""The systems that rules are exported for: the bundle's catalogue and the directory's rows, on one day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.facts.horizon import Horizon
from pdp.facts.reference import read_reference
from pdp.facts.resource import resource_facts
from pdp.model.request import AccessRequest

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
