"""Unions and intersections of the regions that an interpreter collects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.model.rules import conditions_about

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.export.port import Region, Sieve
    from pdp.model.rules import Profile, Resource


def any_of(regions: Iterable[Region], sieve: Sieve) -> Region:
    """Whatever is in one of them; nothing where there is none."""
    found = sieve.nothing
    for region in regions:
        found |= region
    return found


def all_of(regions: Iterable[Region], sieve: Sieve) -> Region:
    """What is in every one of them; everything where there is none."""
    found = sieve.everything
    for region in regions:
        found &= region
    return found


def members_here(profile: Profile, resource: Resource, sieve: Sieve) -> Region:
    """Who is in a group, as far as it counts here: those of another system's departments need not be in this one's."""
    return sieve.holding(conditions_about(profile, resource))
