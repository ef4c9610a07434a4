"""The guard of private addresses: what Cloudflare Gateway must block, since it lets through what no rule matches.

A tunnel makes a network reachable for every enrolled device, past Access and its policies. Gateway knows groups and
posture but not the method of authentication, so it can carry none of the allows: it blocks these addresses for all,
and the way in is the application of Access.

Cloudflare One, "Order of enforcement": network rules are looked at by ascending precedence, the first match decides.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GATEWAY: Final = "gateway-rules.json"
_FIRST: Final = 1  # the precedence of the guard
MAX_ADDRESSES: Final = 1000  # of one rule; account limits of Cloudflare One
_KEYS: Final = frozenset(
    {"name", "description", "enabled", "action", "filters", "traffic", "identity", "device_posture", "precedence"}
)
_TRAFFIC: Final = re.compile(r"net\.dst\.ip in \{([0-9a-f.:/]+(?: [0-9a-f.:/]+)*)\}", re.ASCII)

Network = IPv4Network | IPv6Network


def guard(addresses: Iterable[str]) -> list[dict[str, Any]]:
    """The rule that blocks these networks for everybody; none where there are none. Raises ExportError if too many."""
    held = sorted(set(addresses))
    if len(held) > MAX_ADDRESSES:
        raise ExportError(f"{len(held)} private addresses: a rule of Gateway has {MAX_ADDRESSES} at most")
    if not held:
        return []
    return [
        {
            "name": "zt.private-addresses",
            "description": "トンネルの先のアドレスへ直接は通さない。利用は Access のアプリケーションを通す",
            "enabled": True,
            "action": "block",
            "filters": ["l4"],
            "traffic": f"net.dst.ip in {{{' '.join(held)}}}",
            "precedence": _FIRST,
        }
    ]


def refuse_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Raises ExportError for a rule whose meaning is not known."""
    if len({rule["precedence"] for rule in rules}) != len(rules):
        raise ExportError("two rules of one precedence", where=GATEWAY)
    for rule in rules:
        if set(rule) - _KEYS or rule["filters"] != ["l4"] or rule["action"] not in {"allow", "block"}:
            raise ExportError("a rule of Gateway is not known", where=GATEWAY)
        if _TRAFFIC.fullmatch(rule["traffic"]) is None:
            raise ExportError("the traffic of a rule of Gateway is not known", where=GATEWAY)


def reaches(rules: Sequence[Mapping[str, Any]], address: str) -> bool:
    """Whether anybody may reach any address of this network without Access. Raises ValueError for no network."""
    wanted = ip_network(address)
    for rule in sorted(rules, key=lambda one: int(one["precedence"])):
        if rule.get("enabled") is not True:
            continue
        found = _TRAFFIC.fullmatch(rule["traffic"])
        named = [ip_network(one) for one in found[1].split()] if found else []
        if rule["action"] == "allow" and any(wanted.overlaps(one) for one in named):
            return True
        for_all = rule["action"] == "block" and not (rule.get("identity") or rule.get("device_posture"))
        if for_all and any(_within(wanted, one) for one in named):
            return False
    return True


def leads_past(rules: Sequence[Mapping[str, Any]], mark: str) -> list[str]:
    """Names of rules of an account that stand before the guard, or would, and may let traffic past it.

    `mark` begins the names of ours. Network rules that allow, and are not about other addresses for certain.
    """
    ours = [one for one in rules if str(one.get("name")).startswith(mark)]
    first = min((int(one["precedence"]) for one in ours), default=_FIRST)
    guarded = [ip_network(net) for one in ours for net in _named_in(one)]
    return sorted(
        str(one.get("name"))
        for one in rules
        if one not in ours
        and one.get("enabled") is True
        and one.get("filters") == ["l4"]
        and one.get("action") != "block"
        and int(one["precedence"]) <= first
        and _may_name(one, guarded)
    )


def _named_in(rule: Mapping[str, Any]) -> list[str]:
    found = _TRAFFIC.fullmatch(str(rule.get("traffic", "")))
    return found[1].split() if found else []


def _may_name(rule: Mapping[str, Any], guarded: Sequence[Network]) -> bool:
    named = [ip_network(one) for one in _named_in(rule)]
    return not named or not guarded or any(ours.overlaps(one) for ours in guarded for one in named)


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
