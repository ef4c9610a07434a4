"""What narrows a caller, and what narrows one of its keys further: profile, networks, permissions, limits.

A bound only ever takes away. Each holds beside the others: a key with a network of its own, of a caller with one,
counts where both hold.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from sqlalchemy import delete, insert, select

from pdp.bundle.bundle import Profile
from pdp.callers.budget import DEFAULT_LIMITS, CallerLimits
from pdp.callers.register import changed, checked_permissions, require
from pdp.errors import BadRequestError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from pdp.callers.caller import Permission
    from pdp.store.store import Store

MAX_NETWORKS: Final = 64  # of one caller; a gateway cluster has a handful of addresses
LIMITS: Final = ("requests_per_s", "burst", "body_bytes", "batch")  # the fields of `CallerLimits` and their columns
_BOUNDS: Final = tables.caller_bounds
_KEY_BOUNDS: Final = tables.caller_key_bounds

Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]


class CallerBounds(NamedTuple):
    """Of a caller, and so of every credential of it. No network: from anywhere. `profile` None: any."""

    networks: tuple[str, ...] = ()
    profile: Profile | None = None
    limits: CallerLimits = DEFAULT_LIMITS


class KeyBounds(NamedTuple):
    """Of one key. `permissions` None: all that the caller has."""

    permissions: tuple[Permission, ...] | None = None
    networks: tuple[str, ...] = ()
    profile: Profile | None = None


UNBOUND: Final = KeyBounds()
ANYWHERE: Final = CallerBounds()


def set_bounds(store: Store, caller_id: str, bounds: CallerBounds) -> None:
    """Bound a caller by exactly these, at every worker's next look. Raises BadRequestError and DirectoryError."""
    with store.write() as connection:
        changed(connection)
        require(connection, caller_id)
        connection.execute(delete(_BOUNDS).where(_BOUNDS.c.caller_id == caller_id))
        keep_bounds(connection, caller_id, bounds)


def keep_bounds(connection: Connection, caller_id: str, bounds: CallerBounds) -> None:
    """Write the bounds of a caller that has none. Raises BadRequestError for what are none."""
    row: dict[str, object] = {
        "caller_id": caller_id,
        "profile": checked_profile(bounds.profile),
        "networks": checked_networks(bounds.networks),
    }
    for name in LIMITS:
        given = getattr(bounds.limits, name)
        row[name] = None if given == getattr(DEFAULT_LIMITS, name) else given
    if bounds != ANYWHERE:
        connection.execute(insert(_BOUNDS), row)


def bounds_by_caller(connection: Connection) -> dict[str, CallerBounds]:
    """Those of every caller that has a row. Raises BadRequestError for a row that no version of ours wrote."""
    return {
        row.caller_id: CallerBounds(
            row.networks,
            row.profile,
            CallerLimits(**{name: getattr(row, name) for name in LIMITS if getattr(row, name) is not None}),
        )
        for row in connection.execute(select(_BOUNDS))
    }


def bounds_by_key(connection: Connection, *key_ids: str) -> dict[str, KeyBounds]:
    """Those of every key that has some; with `key_ids`, of these keys only."""
    rows = select(_KEY_BOUNDS)
    if key_ids:
        rows = rows.where(_KEY_BOUNDS.c.key_id.in_(key_ids))
    return {row.key_id: KeyBounds(row.permissions, row.networks, row.profile) for row in connection.execute(rows)}


def keep_key_bounds(connection: Connection, key_id: str, bounds: KeyBounds, granted: Collection[str]) -> None:
    """Write the bounds of a new key. `granted` is what its caller may. Raises BadRequestError for what is wider."""
    permissions: Any = bounds.permissions
    if permissions is not None:
        permissions = checked_permissions(permissions)
        if wider := sorted(set(permissions) - set(granted)):
            raise BadRequestError(f"the caller itself has no permission `{wider[0]}`", next_step="grant it there first")
    row = {
        "key_id": key_id,
        "permissions": permissions,
        "networks": checked_networks(bounds.networks),
        "profile": checked_profile(bounds.profile),
    }
    if bounds != UNBOUND:
        connection.execute(insert(_KEY_BOUNDS), row)


def checked_networks(networks: Collection[str]) -> tuple[str, ...]:
    """Each in its one spelling. Raises BadRequestError for what is no network, or a whole address family of them."""
    if len(networks) > MAX_NETWORKS:
        raise BadRequestError(f"more than {MAX_NETWORKS} networks")
    return tuple(dict.fromkeys(str(_network(text)) for text in networks))


def checked_profile(profile: str | None) -> str | None:
    if profile is not None and profile not in get_args(Profile):
        raise BadRequestError(f"there is no profile `{profile[:32]}`", next_step="choose zta or plain")
    return profile


def parsed(networks: Collection[str]) -> Networks:
    """Raises BadRequestError."""
    return tuple(_network(text) for text in networks)


def within(peer: str | None, networks: tuple[Networks, ...]) -> bool:
    """Whether the address lies in one network of each list. An address that is not known lies nowhere."""
    return peer is not None and _within(peer, networks)


@lru_cache(maxsize=1_024)  # gateways are few and come from the same addresses; 2 microseconds each
def _within(peer: str, networks: tuple[Networks, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # how a socket for both families shows an IPv4 peer
    known = mapped or address
    return all(any(known.version == one.version and known in one for one in listed) for listed in networks)


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise BadRequestError(
            f"`{text[:64]}` is not a network", next_step="write an address or a CIDR such as 10.1.2.0/24, no host bits"
        ) from None
    if network.prefixlen == 0:
        raise BadRequestError(f"`{text[:64]}` is every address: it bounds nothing", next_step="leave it out")
    return network
