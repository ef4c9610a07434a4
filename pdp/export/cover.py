"""The fewest products of sets that cover a set exactly: espresso's EXPAND and IRREDUNDANT, over a decision diagram.

Brayton, Hachtel, McMullen, Sangiovanni-Vincentelli, "Logic Minimization Algorithms for VLSI Synthesis" (1984), chapters
3 and 4, for many-valued facts (Rudell, Sangiovanni-Vincentelli 1987). The diagram answers the one question that both
steps ask, whether a product lies within a set, so nothing is approximated. No library of PyPI minimises many-valued
functions with a diagram as their oracle; those that wrap espresso want truth tables, and there are 10^25 rows.

Every product is prime: none of its facts can have another value without leaving the set. Every one is needed: without
it some vector would be left out. The number is the least that greedy choice finds, and the same in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.space.diagram import Diagram

Cube = dict[int, frozenset[int]]  # level of a fact -> the numbers of its values; a level that is not named has all


def cover(diagram: Diagram, wanted: int, within: int, order: Sequence[int], *, most: int | None = None) -> list[Cube]:
    """Products that together hold every vector of `wanted` and none outside `within`; no more than `most` of them.

    `order`: the levels in the order in which their conditions are given up, where they can be.
    """
    found: list[Cube] = []
    remaining = wanted
    while remaining != diagram.false and (most is None or len(found) < most):
        cube = expanded(diagram, _first_path(diagram, remaining), within, order)
        found.append(cube)
        remaining = diagram.without(remaining, diagram.cube(cube))
    return irredundant(diagram, found, wanted)


def expanded(diagram: Diagram, cube: Cube, within: int, order: Sequence[int]) -> Cube:
    """A prime product around this one: no fact in it can have another value."""
    grown = dict(cube)
    for level in order:
        if level not in grown:
            continue
        given_up = {at: values for at, values in grown.items() if at != level}
        if diagram.lies_within(given_up, within):
            grown = given_up
            continue
        for number in range(diagram.sizes[level]):
            if number not in grown[level]:
                wider = {**grown, level: grown[level] | {number}}
                if diagram.lies_within(wider, within):
                    grown = wider
    return grown


def irredundant(diagram: Diagram, cubes: Sequence[Cube], wanted: int) -> list[Cube]:
    """The products without those that the others make superfluous, the narrowest tried first."""
    roots = [diagram.both(diagram.cube(cube), wanted) for cube in cubes]
    kept = list(range(len(cubes)))
    for at in sorted(kept, key=lambda n: (-sum(1 for _ in cubes[n]), -n)):
        others = diagram.any_of([roots[n] for n in kept if n != at])
        if diagram.without(roots[at], others) == diagram.false:
            kept.remove(at)
    return [cubes[n] for n in kept]


def _first_path(diagram: Diagram, root: int) -> Cube:
    """The first vector that is true, value by value, as a product."""
    cube: Cube = {}
    while root != diagram.true:
        kids = diagram.kids(root)
        number = next(n for n, kid in enumerate(kids) if kid != diagram.false)
        cube[diagram.level(root)] = frozenset({number})
        root = kids[number]
    return cube
