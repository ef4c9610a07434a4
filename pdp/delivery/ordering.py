"""Which things come before which: what others need, and what can stay where it stands. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.delivery.port import Held, Key, Thing


def allows_of(want: Mapping[Key, Thing], keys: Sequence[Key]) -> list[str]:
    """The order as far as it matters: allows by name, and the denies around them."""
    return [key.name if want[key].effect == "opens" else "-" for key in keys]


def needed_first(things: Iterable[Thing]) -> list[Thing]:
    """Each thing behind those that it needs. Raises ExportError for a ring."""
    left = {thing.key: thing for thing in things}
    found: list[Thing] = []
    while left:
        ready = [thing for thing in left.values() if not any(need in left for need in thing.needs)]
        if not ready:
            raise ExportError(f"`{min(left)}` needs itself")
        found += [left.pop(thing.key) for thing in ready]
    return found


def staying(now: Sequence[Held], place: str, wanted: Sequence[Key]) -> set[Key]:
    """Ordered things that can stay where they are: the longest run in the wanted order, the trailing denies with it."""
    rank = {key: number for number, key in enumerate(wanted)}
    held = [one for one in now if one.thing.ordered and one.thing.key.place == place and one.thing.key in rank]
    last = max((rank[one.thing.key] for one in held if one.thing.effect == "opens"), default=-1)
    stays: set[Key] = set()
    run: list[int] = []
    for one in held:
        key = one.thing.key
        if one.thing.effect == "closes":
            stays.add(key)
            if rank[key] > last:
                break  # behind a trailing deny: every allow moves
            continue
        run.append(rank[key])
    by_rank = {number: key for key, number in rank.items()}
    return stays | {by_rank[number] for number in longest(run)}


def longest(ranks: Sequence[int]) -> list[int]:
    """The longest rising run of these numbers, by patience sorting."""
    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, rank in enumerate(ranks):
        at = bisect_left(tops, rank)
        before.append(ends[at - 1] if at else -1)
        if at == len(tops):
            tops.append(rank)
            ends.append(number)
        else:
            tops[at], ends[at] = rank, number
    found: list[int] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        found.append(ranks[at])
        at = before[at]
    return found[::-1]
