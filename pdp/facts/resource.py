"""To what: the catalogue's row of the system, on this day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.model.input import Resource

if TYPE_CHECKING:
    from pdp.facts.horizon import Horizon
    from pdp.facts.reference import Reference
    from pdp.model.directory import CatalogueRow, Snapshot
    from pdp.model.input import Segment, ServiceStatus, Tenant
    from pdp.model.request import AccessRequest

MOST_SENSITIVE: Final = 3  # what nobody has classified is treated as the most sensitive


def resource_facts(request: AccessRequest, snapshot: Snapshot, reference: Reference, horizon: Horizon) -> Resource:
    """`input.resource` at `horizon.now`. A row of the directory goes before the bundle's catalogue."""
    asked_tenant: Tenant = "own" if request.tenant is None or request.tenant in reference.own_tenants else "other"
    row = snapshot.resources.get(request.resource_id) or reference.catalogue.get(request.resource_id)
    if row is None:
        return Resource(
            id=request.resource_id,
            group="unknown",
            segment="unknown",
            status="in_service",
            departments=[],
            organisations=[],
            sensitivity=MOST_SENSITIVE,
            tenant=asked_tenant,
        )
    return Resource(
        id=row.id,
        group=row.group,
        segment=_segment(row, horizon),
        status=_status(row, horizon),
        departments=sorted(set(row.departments)),
        organisations=_organisations(row, request.organisation, reference),
        sensitivity=row.sensitivity,
        tenant=asked_tenant,
    )


def _segment(row: CatalogueRow, horizon: Horizon) -> Segment:
    current = row.segments[0].segment
    for step in row.segments[1:]:
        horizon.at("resource.segment", step.start)
        if step.start is not None and step.start <= horizon.now:
            current = step.segment
    return current


def _status(row: CatalogueRow, horizon: Horizon) -> ServiceStatus:
    horizon.of("resource.status", row.service)
    horizon.at("resource.status", row.readonly_from)
    if row.service.is_over(horizon.now):
        return "ended"
    if row.service.is_before(horizon.now):
        return "not_started"
    if row.readonly_from is not None and row.readonly_from <= horizon.now:
        return "readonly"
    return "in_service"


def _organisations(row: CatalogueRow, asked: str | None, reference: Reference) -> list[str]:
    """Whose data is asked for.

    A row that names organisations is never widened by the request, only narrowed. A row that names none
    serves all of them, and the request says whose part it asks for; without a word it is the prefecture's.
    """
    if row.organisations:
        return sorted(set(row.organisations)) if asked is None else [asked] * (asked in row.organisations)
    return [reference.home_organisation if asked is None else asked]
