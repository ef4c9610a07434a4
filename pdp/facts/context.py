"""In which circumstances: network, time, risk, permits for work, emergency, sources, enforcement point."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, get_args

from pdp.errors import BadRequestError
from pdp.model.directory import JST, Period
from pdp.model.input import Context, RiskSignal, Sources, Underlay

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from pdp.facts.horizon import Horizon
    from pdp.facts.reference import Calendar, KnownNetwork, Reference
    from pdp.model.directory import Snapshot
    from pdp.model.input import Known, WorkPermitState
    from pdp.model.request import AccessRequest, Network

_UNDERLAYS: Final = get_args(Underlay)
_RISKS: Final = get_args(RiskSignal)


def context_facts(
    request: AccessRequest, device_id: str | None, snapshot: Snapshot, reference: Reference, horizon: Horizon
) -> Context:
    """`input.context` at `horizon.now`; `device_id` is the registered device that was found for the request.

    Raises BadRequestError for an address that is none, and for an underlay or a risk that is not listed.
    """
    network = request.network
    place = _place(network, reference)
    permit, permit_until = _work_permit(request, device_id, snapshot, horizon)
    emergencies = [horizon.of("context.disaster_mode", declared.period) for declared in snapshot.emergencies]
    open_day, open_now = _business_time(reference.calendar, horizon)
    for signal in request.risk:
        if signal not in _RISKS:
            raise BadRequestError(f"`{signal}` is not a risk signal: {', '.join(_RISKS)}")
    return Context(
        zone="public" if place is None else place.zone,
        underlay=_underlay(network),
        path_encrypted=_path_encrypted(network),
        country=network.country or (place.country if place is not None and place.country else "unknown"),
        business_day=open_day,
        business_hours=open_now,
        risk=sorted(set(request.risk)),  # type: ignore[arg-type]  # each was found in the list above
        work_permit=permit,
        work_permit_until=permit_until,
        disaster_mode=any(emergencies),
        sources=source_states(snapshot, horizon),
        pep=sorted(set(request.pep)),
    )


def source_states(snapshot: Snapshot, horizon: Horizon) -> Sources:
    """What the registers say, until a required source has been silent for too long: nobody need be there to say so."""
    posture_up = horizon.of("context.sources.posture", Period(end=snapshot.posture_until))
    identity_up = horizon.of("context.sources.identity", Period(end=snapshot.identity_until))
    return Sources(
        posture=snapshot.posture_source if posture_up and not snapshot.posture_missing else "unavailable",
        identity=snapshot.identity_source if identity_up and not snapshot.identity_missing else "unavailable",
    )


def _place(network: Network, reference: Reference) -> KnownNetwork | None:
    """The zone is what the address says, never what the caller calls it. No address: nowhere, which is public."""
    if network.source_ip is None:
        return None
    address = _address(network.source_ip)
    if address is None:
        raise BadRequestError(f"`{network.source_ip}` is not an IP address")
    for known in reference.networks:
        if known.network.version == address.version and address in known.network:
            return known if network.tunnel or not known.needs_tunnel else None
    return None


@lru_cache(maxsize=4_096)  # people come from the same places again and again; 6 microseconds each
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return _unmapped(ip_address(text))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """`::ffff:10.0.0.1` is 10.0.0.1: a second spelling must not reach a second zone."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError("a scope means nothing beyond the link")
        return address.ipv4_mapped or address
    return address


def _underlay(network: Network) -> Underlay:
    if network.underlay is None:
        return "unknown"
    if network.underlay not in _UNDERLAYS:
        raise BadRequestError(f"`{network.underlay}` is not an underlay: {', '.join(_UNDERLAYS)}")
    return network.underlay  # type: ignore[return-value]  # found in the list above


def _path_encrypted(network: Network) -> Known:
    """The gateway's own word; failing that, its tunnel is an encrypted path."""
    if network.path_encrypted is not None:
        return network.path_encrypted
    return True if network.tunnel else "unknown"


def _business_time(calendar: Calendar, horizon: Horizon) -> tuple[bool, bool]:
    """(business day, business hours) in Japan; hours hold on business days only."""
    local = horizon.now.astimezone(JST)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    opens = datetime.combine(local.date(), calendar.opens, JST)
    closes = datetime.combine(local.date(), calendar.closes, JST)
    open_day = local.weekday() not in calendar.closed_weekdays and local.date() not in calendar.closed_dates
    horizon.at("context.business_day", midnight + timedelta(days=1))
    for border in (opens, closes, midnight + timedelta(days=1)):
        horizon.at("context.business_hours", border)
    return open_day, open_day and opens <= local < closes


def _work_permit(
    request: AccessRequest, device_id: str | None, snapshot: Snapshot, horizon: Horizon
) -> tuple[WorkPermitState, str]:
    """How the closest work permit fits this person, system, device and moment.

    Closest first: one that covers all but perhaps the window; of those that are not over, one that names
    the person, then one for the system. The end of the window is in Japan time.
    """
    user, resource = request.subject_id, request.resource_id
    near = [permit for permit in snapshot.work_permits if user in permit.users or resource in permit.resources]
    current = {permit.id: horizon.of("context.work_permit", permit.period) for permit in near}
    horizon.at("context.work_permit_until", horizon.changes.get("context.work_permit"))  # two words on one permit
    fitting = [
        permit
        for permit in near
        if user in permit.users and resource in permit.resources and device_id in permit.devices
    ]
    valid = [permit.period.end for permit in fitting if current[permit.id]]
    if valid:
        latest = None if None in valid else max(end for end in valid if end is not None)
        return "valid", "none" if latest is None else latest.astimezone(JST).isoformat(timespec="seconds")
    if fitting:
        return "out_of_window", "none"
    open_still = [permit for permit in near if not permit.period.is_over(horizon.now)]
    if any(user in permit.users for permit in open_still):
        return "out_of_scope", "none"
    return ("not_named" if open_still else "none"), "none"
