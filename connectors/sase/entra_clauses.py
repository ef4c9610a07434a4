"""From allows to what Conditional Access can say: clauses, of which every sign-in has to satisfy every one.

Conditional Access has no allow and no order: where no policy applies, access is open, and of those that apply all must
be satisfied. One policy says "whoever is none of these, on none of these devices, at none of these places, is blocked"
(or needs this strength): one clause. So what rules allow, as any of (all of their conditions), is turned into all
of (any of some conditions): the dual of a monotone formula, worked out rule by rule with the wider clauses absorbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_CLAUSES: Final = 2_000  # on the way to those of one system: far above what a tenant can hold (195 policies)


@dataclass(frozen=True, slots=True)
class Clause:
    """One of these groups, sets of devices or places; or a sign-in of this level. Nothing at all: nobody passes."""

    people: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    level: int | None = None

    def __or__(self, other: Clause) -> Clause:
        levels = [level for level in (self.level, other.level) if level is not None]
        return Clause(
            self.people | other.people,
            self.devices | other.devices,
            self.places | other.places,
            min(levels, default=None),
        )

    def implies(self, other: Clause) -> bool:
        """Whether all who satisfy this one satisfy the other."""
        return (
            self.people <= other.people
            and self.devices <= other.devices
            and self.places <= other.places
            and (self.level is None or (other.level is not None and other.level <= self.level))
        )

    @property
    def key(self) -> tuple[list[str], list[str], list[str], int]:
        """What it is sorted and named by."""
        return sorted(self.people), sorted(self.devices), sorted(self.places), -1 if self.level is None else self.level


Term = frozenset[Clause]  # a rule: all of these hold


def clauses_of(terms: Iterable[Term]) -> list[Clause]:
    """The clauses that together let through what any of the terms does, and nothing else. In a fixed order.

    Raises ExportError where there are too many.
    """
    found = [Clause()]  # no term: nobody
    for term in sorted(_merged(terms), key=lambda one: sorted(atom.key for atom in one)):
        found = _absorbed(clause | atom for clause in found for atom in term)
        if len(found) > MAX_CLAUSES:
            raise ExportError(f"the rules of one system need more than {MAX_CLAUSES} policies")
    return sorted(found, key=lambda clause: clause.key)


def _merged(terms: Iterable[Term]) -> list[Term]:
    """Rules that differ in nothing but their devices are one rule for all of these devices."""
    alike: dict[Term, frozenset[str]] = {}
    for term in terms:
        devices = [atom for atom in term if atom.devices]
        rest = term - frozenset(devices)
        if len(devices) != 1:
            raise ValueError("a rule names one set of devices")
        alike[rest] = alike.get(rest, frozenset()) | devices[0].devices
    return [rest | {Clause(devices=devices)} for rest, devices in alike.items()]


def _absorbed(clauses: Iterable[Clause]) -> list[Clause]:
    """Without those that another one implies."""
    kept: list[Clause] = []
    for clause in sorted(set(clauses), key=_width):
        if not any(one.implies(clause) for one in kept):
            kept.append(clause)
    return kept


def _width(clause: Clause) -> tuple[int, int, Sequence[object]]:
    """Narrower ones first: what implies another comes before it."""
    size = len(clause.people) + len(clause.devices) + len(clause.places)
    return size, 0 if clause.level is None else 4 - clause.level, clause.key
