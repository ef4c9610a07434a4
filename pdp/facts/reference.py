"""What the facts need of a bundle's data: the catalogue, the networks, the calendar, our own tenants.

These are parameters of the policy: they are versioned, checked and rolled back with it. Read once at
activation, so that a fault is found there and not at somebody's access.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.errors import BundleError
from pdp.model.directory import DEFAULT_SEGMENT, CatalogueRow, Period, SegmentFrom, period_of_dates
from pdp.model.input import ResourceGroup, Segment, Zone

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """Addresses of one zone. `needs_tunnel`: they count only where the gateway saw its own tunnel."""

    network: IPv4Network | IPv6Network
    zone: Zone
    needs_tunnel: bool
    country: str | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Business days and hours in Japan time: open from `opens` (included) to `closes` (excluded). Monday is 0."""

    opens: time
    closes: time
    closed_weekdays: frozenset[int]  # Monday is 0
    closed_dates: frozenset[date]


@dataclass(frozen=True, slots=True)
class Reference:
    """Of a `zta` bundle. `networks` are in order of judgement: the longest prefix first."""

    catalogue: Mapping[str, CatalogueRow]
    business_cut_over: datetime | None
    networks: tuple[KnownNetwork, ...]
    calendar: Calendar
    own_tenants: frozenset[str]
    home_organisation: str


class _Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    segment: Segment
    from_: str | None = msgspec.field(name="from", default=None)


class CatalogueEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One catalogue row as people write it, in a bundle, a directory file or a scenario."""

    id: str
    group: ResourceGroup | None = None
    ja: str | None = None
    en: str | None = None
    segment: Segment | None = None
    segments: list[_Segment] | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None
    readonly_from: str | None = None
    departments: list[str] | None = None
    organisations: list[str] | None = None
    sensitivity: int | None = None


class _Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cidr: str
    zone: Zone
    tunnel: Literal["required"] | None = None
    country: str | None = None
    ja: str | None = None
    en: str | None = None


class _Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_: str = msgspec.field(name="from")
    until: str


class _Calendar(msgspec.Struct, frozen=True):
    office_hours: _Hours
    weekend: list[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]]
    closed_dates: dict[str, str]  # date to the name of the day


class _Parameters(msgspec.Struct, frozen=True):
    own_tenants: list[str]
    business_cut_over: str
    home_organisation: str = "mie"


class _Zta(msgspec.Struct, frozen=True):
    catalogue: list[CatalogueEntry]
    networks: list[_Network]
    calendar: _Calendar
    parameters: _Parameters


def read_reference(data: Mapping[str, Any]) -> Reference:
    """The reference data of a `zta` bundle's `data.zta`. Raises BundleError with the place of the fault."""
    try:
        zta = msgspec.convert(data.get("zta"), _Zta)
    except msgspec.ValidationError as fault:
        raise BundleError(f"data.zta: {fault}", where="data") from None
    try:
        cut_over = period_of_dates(_moment(zta.parameters.business_cut_over), None).start
    except ValueError as fault:
        raise BundleError(f"`business_cut_over`: {fault}", where="data/parameters.yaml") from None
    catalogue: dict[str, CatalogueRow] = {}
    for entry in zta.catalogue:
        if entry.id in catalogue:
            raise BundleError(f"`{entry.id}` stands twice", where="data/catalogue.yaml")
        catalogue[entry.id] = catalogue_row(entry, business_cut_over=cut_over)
    return Reference(
        catalogue=catalogue,
        business_cut_over=cut_over,
        networks=_networks(zta.networks),
        calendar=_calendar(zta.calendar),
        own_tenants=frozenset(zta.parameters.own_tenants),
        home_organisation=zta.parameters.home_organisation,
    )


def catalogue_row(
    entry: CatalogueEntry, over: CatalogueRow | None = None, *, business_cut_over: datetime | None
) -> CatalogueRow:
    """The row that an entry means; over an existing row, only what the entry names is replaced.

    Raises BundleError for a date that is none, periods that end before they start, or a missing group.
    """
    group = entry.group or (over.group if over else None)
    if group is None:
        raise BundleError(f"`{entry.id}`: the group is missing")
    try:
        service = _service(entry, over)
        readonly = period_of_dates(_moment(entry.readonly_from), None).start
        segments = _segments(entry, group, over, business_cut_over)
    except ValueError as fault:
        raise BundleError(f"`{entry.id}`: {fault}") from None
    if any((step.segment == "mynumber") != (group == "mynumber") for step in segments):
        # The policy separates the group; a system of another group in that segment would slip past it.
        raise BundleError(f"`{entry.id}`: the group mynumber and the segment mynumber go together")
    if group != "unknown" and any(step.segment == "unknown" for step in segments):
        raise BundleError(f"`{entry.id}`: a known group has a known segment")
    base = over or CatalogueRow(id=entry.id, group=group, segments=segments)
    return CatalogueRow(
        id=entry.id,
        group=group,
        segments=segments,
        service=service,
        readonly_from=readonly if entry.readonly_from is not None else base.readonly_from,
        departments=base.departments if entry.departments is None else tuple(entry.departments),
        organisations=base.organisations if entry.organisations is None else tuple(entry.organisations),
        sensitivity=base.sensitivity if entry.sensitivity is None else entry.sensitivity,
        title_ja=base.title_ja if entry.ja is None else entry.ja,
        title_en=base.title_en if entry.en is None else entry.en,
    )


def _service(entry: CatalogueEntry, over: CatalogueRow | None) -> Period:
    """From and until, each the entry's own word or what stood there."""
    named = period_of_dates(_moment(entry.from_), _moment(entry.until))
    if over is None:
        return named
    start = over.service.start if entry.from_ is None else named.start
    end = over.service.end if entry.until is None else named.end
    if start is not None and end is not None and end < start:
        raise ValueError("the service ends before it starts")
    return Period(start, end)


def _segments(
    entry: CatalogueEntry, group: str, over: CatalogueRow | None, business_cut_over: datetime | None
) -> tuple[SegmentFrom, ...]:
    if entry.segments:
        found = [SegmentFrom(s.segment, period_of_dates(_moment(s.from_), None).start) for s in entry.segments]
    elif entry.segment is not None:
        found = [SegmentFrom(entry.segment)]
    elif over is not None:
        return over.segments
    elif group == "business" and business_cut_over is not None:
        found = [SegmentFrom(DEFAULT_SEGMENT[group]), SegmentFrom("internet", business_cut_over)]
    else:
        found = [SegmentFrom(DEFAULT_SEGMENT.get(group, "unknown"))]
    starts = [s.start for s in found]
    if starts[0] is not None or any(start is None for start in starts[1:]):
        raise ValueError("the first segment has no `from`, and every later one has")
    if any(a is not None and b is not None and a >= b for a, b in pairwise(starts)):
        raise ValueError("the segments must be in the order of their dates")
    return tuple(found)


def _moment(text: str | None) -> date | datetime | None:
    """`2023-04-01` is a date, `2023-04-01T10:00:00+09:00` an instant. Raises ValueError for anything else."""
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text or " " in text else date.fromisoformat(text)


def _networks(entries: list[_Network]) -> tuple[KnownNetwork, ...]:
    found: dict[IPv4Network | IPv6Network, KnownNetwork] = {}
    for entry in entries:
        try:
            network = ip_network(entry.cidr)
        except ValueError as fault:
            raise BundleError(f"`{entry.cidr}`: {fault}", where="data/networks.yaml") from None
        if network in found:
            raise BundleError(f"`{entry.cidr}` stands twice", where="data/networks.yaml")
        found[network] = KnownNetwork(network, entry.zone, entry.tunnel == "required", entry.country)
    return tuple(sorted(found.values(), key=lambda known: (-known.network.prefixlen, str(known.network))))


def _calendar(entry: _Calendar) -> Calendar:
    try:
        calendar = Calendar(
            opens=time.fromisoformat(entry.office_hours.from_),
            closes=time.fromisoformat(entry.office_hours.until),
            closed_weekdays=frozenset(_WEEKDAYS.index(name) for name in entry.weekend),
            closed_dates=frozenset(date.fromisoformat(text) for text in entry.closed_dates),
        )
    except ValueError as fault:
        raise BundleError(str(fault), where="data/calendar.yaml") from None
    if calendar.opens.tzinfo is not None or calendar.closes.tzinfo is not None:
        raise BundleError("office hours are Japan's and carry no offset", where="data/calendar.yaml")
    if calendar.opens >= calendar.closes:
        raise BundleError("the office closes before it opens", where="data/calendar.yaml")
    return calendar


_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
