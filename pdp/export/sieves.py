"""What an interpreter is run over: all vectors of one system at once, or one document."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.model.rules import Condition, FactValue, Profile
    from pdp.space.space import DecisionSpace

MAX_COMBINATIONS: Final = 100_000  # of the facts of one test


@dataclass(frozen=True, slots=True, eq=False)
class SpaceRegion:
    """A set of vectors, as a root of the space's diagram."""

    space: DecisionSpace
    root: int

    def __and__(self, other: SpaceRegion) -> SpaceRegion:
        return SpaceRegion(self.space, self.space.diagram.both(self.root, other.root))

    def __or__(self, other: SpaceRegion) -> SpaceRegion:
        return SpaceRegion(self.space, self.space.diagram.either(self.root, other.root))

    def __invert__(self) -> SpaceRegion:
        return SpaceRegion(self.space, self.space.diagram.negated(self.root))


class SpaceSieve:
    """All vectors of a decision space."""

    def __init__(self, space: DecisionSpace) -> None:
        self._space = space
        self._holding: dict[tuple[Condition, ...], SpaceRegion] = {}

    @property
    def everything(self) -> SpaceRegion:
        return SpaceRegion(self._space, self._space.diagram.true)

    @property
    def nothing(self) -> SpaceRegion:
        return SpaceRegion(self._space, self._space.diagram.false)

    def where(self, facts: Sequence[str], test: Callable[..., bool]) -> SpaceRegion:
        """As the port says."""
        diagram = self._space.diagram
        levels = [_level(self._space, name) for name in facts]
        values = [self._space.facts[level].values for level in levels]
        size = 1
        for one in values:
            size *= len(one)
        if size > MAX_COMBINATIONS:
            raise SpaceError(f"a test of {len(facts)} facts has {size:,} combinations")
        cubes = [
            diagram.cube({level: (number,) for level, number in zip(levels, numbers, strict=True)})
            for numbers in product(*(range(len(one)) for one in values))
            if test(*(one[number] for one, number in zip(values, numbers, strict=True)))
        ]
        return SpaceRegion(self._space, diagram.any_of(cubes))

    def holding(self, conditions: Sequence[Condition]) -> SpaceRegion:
        """As the port says."""
        key = tuple(conditions)
        if key not in self._holding:
            diagram = self._space.diagram
            for condition in key:
                _level(self._space, condition.fact)
            roots = [self._space.where(condition.fact, condition.values) for condition in key]
            self._holding[key] = SpaceRegion(self._space, diagram.all_of(roots))
        return self._holding[key]

    def members(self, profile: Profile) -> SpaceRegion:
        """As the port says."""
        return self.holding(profile.conditions)


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether one document is in a set."""

    holds: bool

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.holds and other.holds)

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.holds or other.holds)

    def __invert__(self) -> Truth:
        return Truth(not self.holds)


class DocumentSieve:
    """One vector: the facts of one document by their names (`DecisionSpace.named`)."""

    def __init__(self, facts: Mapping[str, FactValue]) -> None:
        self._facts = facts

    @property
    def everything(self) -> Truth:
        return Truth(holds=True)

    @property
    def nothing(self) -> Truth:
        return Truth(holds=False)

    def where(self, facts: Sequence[str], test: Callable[..., bool]) -> Truth:
        """As the port says."""
        return Truth(bool(test(*(self._value(name) for name in facts))))

    def holding(self, conditions: Sequence[Condition]) -> Truth:
        """As the port says."""
        return Truth(all(_is_one_of(self._value(one.fact), one.values) for one in conditions))

    def members(self, profile: Profile) -> Truth:
        """As the port says."""
        return self.holding(profile.conditions)

    def _value(self, name: str) -> FactValue:
        if name not in self._facts:
            raise SpaceError(f"the space has no fact `{name}`")
        return self._facts[name]


def _is_one_of(value: Any, values: Sequence[FactValue]) -> bool:
    return any(value == one and type(value) is type(one) for one in values)  # true is not 1


def _level(space: DecisionSpace, name: str) -> int:
    level = space.levels.get(name)
    if level is None:
        raise SpaceError(f"the space has no fact `{name}`")
    return level
