"""From a scenario's short form to the values of the house: a directory snapshot and an access request."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from pdp.errors import BundleError, ScenarioError
from pdp.facts.reference import CatalogueEntry, catalogue_row
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.model.directory import (
    JST,
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    Snapshot,
    User,
    WorkPermit,
    period_of_dates,
    snapshot_of,
)
from pdp.model.input import AUTH_AGE_CAP_MIN
from pdp.model.request import AccessRequest, AssertedClaims, Network
from pdp.scenario.format import HEALTHY, DirectoryEntry, PostureEntry, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from pdp.facts.reference import KnownNetwork, Reference
    from pdp.scenario.format import BookingEntry, DeviceEntry, RequestEntry, ResourceEntry, UserEntry

_LONG_AGO_H: Final = 24 * 366 * 10
_PUBLIC_ADDRESS: Final = "203.0.113.10"  # RFC 5737: documentation, so nobody's network


def world_at(
    directories: Sequence[DirectoryEntry], request: RequestEntry, reference: Reference, now: datetime
) -> Snapshot:
    """The directory as it stands after these entries, later parts replacing earlier ones by id.

    A permit or loan has no id: a later part's replace all earlier ones of the same device and user.

    Posture ages count back from `now`: a scenario says how old a report is, not when it was made.
    Raises ScenarioError for a date that is none.
    """
    users = {entry.id: entry for part in directories for entry in part.users}
    devices = {entry.id: entry for part in directories for entry in part.devices}
    rows: dict[str, CatalogueRow] = {}
    for entry in (entry for part in directories for entry in part.resources):
        rows[entry.id] = _row(entry, rows.get(entry.id) or reference.catalogue.get(entry.id), reference, now)
    return snapshot_of(
        epoch=1,
        users=[_user(entry) for entry in users.values()],
        devices=[_device(entry, now) for entry in devices.values()],
        permits=[Permit(e.device, e.user, _period(e), e.held) for e in _latest(part.permits for part in directories)],
        loans=[Loan(e.device, e.user, _period(e)) for e in _latest(part.loans for part in directories) if not e.held],
        work_permits=[
            WorkPermit(e.id, frozenset(e.users), frozenset(e.resources), frozenset(e.devices), _period(e))
            for e in {e.id: e for part in directories for e in part.work_permits}.values()
        ],
        resources=rows.values(),
        emergencies=[Emergency(_period(span)) for span in _disasters(directories)],
        posture_source=request.sources.posture,
        identity_source=request.sources.identity,
        loaded_at=now,
    )


def request_of(
    entry: RequestEntry, reference: Reference, now: datetime, pep: Sequence[str] | None = None
) -> AccessRequest:
    """What a gateway would ask in this story: its zone as an address of that zone, its level as a claim."""
    address, tunnel = address_in(entry.zone, reference)
    return AccessRequest(
        subject_id=entry.user,
        resource_id=entry.resource,
        action=entry.action,
        identity=AssertedClaims(
            acr=ACR_OF_LEVEL.get(entry.auth_level),
            auth_time=now - timedelta(minutes=min(entry.auth_age_min, AUTH_AGE_CAP_MIN)),
        ),
        device_id=entry.device,
        network=Network(
            source_ip=address,
            tunnel=tunnel,
            underlay=entry.underlay,
            path_encrypted=entry.path_encrypted,
            country=entry.country,
        ),
        risk=tuple(entry.risk),
        pep=tuple(entry.pep if pep is None else pep),
        tenant=entry.tenant,
        organisation=entry.organisation,
        wire="scenario",
    )


def address_in(zone: str, reference: Reference) -> tuple[str, bool]:
    """(an address of the zone, whether the gateway's tunnel is needed). Raises ScenarioError where there is none."""
    if zone == "public":
        public = ip_address(_PUBLIC_ADDRESS)
        if not any(public in known.network for known in reference.networks):
            return _PUBLIC_ADDRESS, False
    for known in reversed(reference.networks):
        if known.zone == zone:
            candidate = known.network.network_address + 1
            if _first_match(candidate, reference) is known:
                return str(candidate), known.needs_tunnel
    raise ScenarioError(f"the bundle's networks have no address of the zone `{zone}`")


def _first_match(address: IPv4Address | IPv6Address, reference: Reference) -> KnownNetwork | None:
    return next((known for known in reference.networks if address in known.network), None)


def _latest(parts: Iterable[list[BookingEntry]]) -> list[BookingEntry]:
    found: dict[tuple[str, str], list[BookingEntry]] = {}
    for part in parts:
        named: dict[tuple[str, str], list[BookingEntry]] = {}
        for entry in part:
            named.setdefault((entry.device, entry.user), []).append(entry)
        found |= named
    return [entry for entries in found.values() for entry in entries]


def _row(entry: ResourceEntry, held: CatalogueRow | None, reference: Reference, now: datetime) -> CatalogueRow:
    known = {name: getattr(entry, name) for name in CatalogueEntry.__struct_fields__}
    try:
        row = catalogue_row(CatalogueEntry(**known), held, business_cut_over=reference.business_cut_over)
    except BundleError as fault:
        raise ScenarioError(fault.message) from None
    if entry.status is None:
        return row
    service = {"ended": Period(None, now), "not_started": Period(now + timedelta(days=1))}.get(entry.status, Period())
    return replace(row, service=service, readonly_from=now if entry.status == "readonly" else None)


def _user(entry: UserEntry) -> User:
    spans: list[Span] = [entry.employment] if entry.employment is not None else []
    spans += [Span(until=end) for end in (entry.contract_until, entry.appointment_until) if end is not None]
    return User(
        id=entry.id,
        kind=entry.kind,
        organisation=entry.organisation,
        identity_source=entry.identity_source,
        posts=tuple(Post(post.department, _period(post)) for post in entry.posts),
        roles=tuple(entry.roles),
        employment=narrowest(_period(span) for span in spans),
        status=entry.employment.status if entry.employment is not None else "active",
        name=entry.name,
    )


def narrowest(periods: Iterable[Period]) -> Period:
    """The time that lies in all of the periods."""
    found = list(periods)
    starts = [period.start for period in found if period.start is not None]
    ends = [period.end for period in found if period.end is not None]
    return Period(max(starts, default=None), min(ends, default=None))


def _device(entry: DeviceEntry, now: datetime) -> Device:
    return Device(
        id=entry.id,
        class_=entry.class_,
        owner=entry.owner,
        department=entry.department,
        shared=entry.shared,
        state=entry.state,
        takeout=entry.takeout,
        returned_from_outside=entry.returned_from_outside,
        posture=_report(entry.posture, now),
    )


def _report(entry: PostureEntry | str | None, now: datetime) -> PostureReport:
    if entry is None or entry == "unknown":
        return PostureReport()
    posture = entry if isinstance(entry, PostureEntry) else HEALTHY
    age, patch = posture.age_hours, posture.patch_age_days
    return PostureReport(
        certificate=posture.certificate,
        disk_encrypted=posture.disk_encrypted,
        edr_running=posture.edr_running,
        edr_risk=posture.edr_risk,
        av_current=posture.av_current,
        firewall=posture.firewall,
        screen_lock=posture.screen_lock,
        tampered=posture.tampered,
        patch_age_days=None if patch == "unknown" else patch,
        observed_at=None if age == "unknown" else now - timedelta(hours=min(age, _LONG_AGO_H)),
        source=posture.source,
    )


def _disasters(directories: Sequence[DirectoryEntry]) -> list[Span]:
    """The last word counts: a later step may end a declaration by naming other times."""
    said = [part.disaster for part in directories if part.disaster is not None]
    if not said:
        return []
    last = said[-1]
    return last if isinstance(last, list) else [last]


def _period(span: Span) -> Period:
    try:
        return period_of_dates(_day_or_instant(span.from_), _day_or_instant(span.until))
    except ValueError as fault:
        raise ScenarioError(str(fault)) from None


def _day_or_instant(text: str | None) -> date | datetime | None:
    if text is None:
        return None
    day, rest = text[:10], text[10:].strip()
    if not rest:
        return date.fromisoformat(day)
    late = rest.lstrip("T").startswith("24:00")  # ISO 8601: the end of the day
    instant = datetime.fromisoformat(
        f"{day}T" + (rest.replace("24:", "00:", 1) if late else rest).lstrip("T").replace(" ", "")
    )
    instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=JST)
    return instant + timedelta(days=1) if late else instant
