"""What stands in a list that gateways pull, and how it is written. Pure.

Palo Alto Networks, "Formatting Guidelines for an External Dynamic List" and "External Dynamic List": plain text, one
address, subnet or range in a line; the smallest platforms take 50,000 addresses of all lists together and skip the
rest; a gateway that cannot fetch a list goes on with the one that it has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pdp.model.directory import Device, Snapshot

MAX_ADDRESSES: Final = 10_000  # a fifth of what the smallest platform takes: other lists need room as well
MAX_REASON: Final = 500
_WIDEST: Final = {4: 16, 6: 32}  # Attack, or a slip: `0.0.0.0/0` cuts everybody off, whoever is to be helped too
# A gateway may take an empty file for a failed fetch and keep the old list: RFC 5737 section 3, nobody's address.
NOBODY: Final = "192.0.2.1/32"
LOST: Final = frozenset({"lost", "lost_unconfirmed_found"})


@dataclass(frozen=True, slots=True)
class CutOff:
    """An address or network, until `ends`. `by`: who put it there; `lifted_by`: who took it off before its end."""

    id: str
    address: str
    reason: str
    by: str
    begins: datetime
    ends: datetime
    lifted_at: datetime | None = None
    lifted_by: str = ""

    def holds(self, now: datetime) -> bool:
        return self.begins <= now < self.ends and self.lifted_at is None


def canonical(address: str) -> str:
    """An address or network as it stands in lists. Raises BadRequestError for none, or for one that is too wide."""
    try:
        network = ip_network(address.strip(), strict=True)
    except ValueError:
        raise BadRequestError(f"`{address[:64]}` is no address and no network") from None
    if network.prefixlen < _WIDEST[network.version]:
        raise BadRequestError(f"`{network}` is wider than /{_WIDEST[network.version]}: it would cut off too many")
    if network.is_loopback or network.is_multicast or network.is_unspecified:
        raise BadRequestError(f"`{network}` is nobody's address")
    return str(network)


def addresses(entries: Iterable[CutOff], now: datetime) -> list[str]:
    """The networks that are cut off now, none within another, in the order of their numbers; never empty."""
    held = sorted({ip_network(one.address) for one in entries if one.holds(now)}, key=_number)
    found: list[str] = []
    last: IPv4Network | IPv6Network | None = None
    for network in held:
        if last is None or not _within(network, last):
            found.append(str(network))
            last = network
    return found[:MAX_ADDRESSES] or [NOBODY]


def lost_devices(snapshot: Snapshot) -> list[str]:
    """Every device that is reported lost or stolen, by its id."""
    return sorted(device.id for device in _lost(snapshot))


def lost_certificates(snapshot: Snapshot) -> list[str]:
    """The enrolled client certificates of these devices: SHA-256, in lower-case hexadecimal."""
    return sorted({device.certificate_sha256 for device in _lost(snapshot) if device.certificate_sha256})


def people_of_lost_devices(snapshot: Snapshot) -> list[str]:
    """Whose devices these are: the members of the group of people who are cut off on all of theirs."""
    return sorted({device.owner for device in _lost(snapshot) if device.owner})


def _lost(snapshot: Snapshot) -> list[Device]:
    return [device for device in snapshot.devices.values() if device.state in LOST]


def text_of(lines: Iterable[str]) -> bytes:
    """One entry in a line. What could break a line is left out: an id of a register may hold anything."""
    return "".join(f"{line}\n" for line in lines if line.isprintable() and line.strip() == line).encode()


def tag_of(body: bytes) -> str:
    """A strong entity tag (RFC 9110 section 8.8.3)."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _number(network: IPv4Network | IPv6Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and (
        outer.network_address <= inner.network_address and inner.broadcast_address <= outer.broadcast_address  # type: ignore[operator]
    )
