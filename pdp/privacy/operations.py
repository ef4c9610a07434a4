"""What becomes of one value. Pure. What an operation does not understand is erased, never left."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.model.log_masking import MaskingRule
    from pdp.privacy.pseudonym import Pseudonyms

ERASED: Final = object()
_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 48
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def operation(rule: MaskingRule, kind: str, pseudonyms: Pseudonyms | None) -> Callable[[Any], Any]:
    """A value to what stands in its place, or ERASED. The caller has made sure of a key for pseudonyms."""
    if rule.op == "erase":
        return lambda _: ERASED
    if rule.op == "pseudonymise" and pseudonyms is not None:
        call = pseudonyms.of
        return lambda value: _pseudonym(call, kind, value)
    by = rule.by or 0
    match rule.to:
        case "network":
            return network
        case "hour":
            return hour
        case "step":
            return lambda value: step(value, by)
        case "segments":
            return lambda value: segments(value, by)
    raise ValueError("a rule that does nothing")


def _pseudonym(call: Callable[[str, str], str], kind: str, value: Any) -> Any:
    if isinstance(value, str):
        return call(kind, value)
    # A truth has two values and an object many: neither has a name that could be found again.
    return call(kind, str(value)) if isinstance(value, int) and not isinstance(value, bool) else ERASED


def network(value: Any) -> Any:
    """`192.0.2.7` to `192.0.2.0/24`, IPv6 to its /48. An IPv4 address in an IPv6 one is the IPv4 address."""
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None:
        return ERASED
    if not isinstance(address, IPv4Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    prefix = _IPV4_PREFIX if isinstance(address, IPv4Address) else _IPV6_PREFIX
    return str(ip_network((address.packed, prefix), strict=False))


def hour(value: Any) -> Any:
    """An RFC 3339 time to its hour in UTC."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        return ERASED
    try:
        instant = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return ERASED
    return f"{instant:%Y-%m-%dT%H}:00:00Z"


def step(value: Any, by: int) -> Any:
    """A whole number down to a multiple of `by`."""
    return value - value % by if isinstance(value, int) and not isinstance(value, bool) else ERASED


def segments(value: Any, keep: int) -> Any:
    """`/a/b/c` to its first segments: `/a` for one of them. What was cut off is not hinted at."""
    if not isinstance(value, str) or not value.startswith("/"):
        return ERASED
    kept = value.split("?")[0].split("#")[0].split("/")[1 : keep + 1]
    return "/" + "/".join(kept)
