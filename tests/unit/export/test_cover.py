"""Covers are exact, prime and irredundant: held against sets of vectors written out."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from pdp.export.cover import cover
from pdp.space.diagram import Diagram

SIZES = {10: 3, 20: 2, 30: 4}
VECTORS = list(product(*(range(n) for n in SIZES.values())))


def a_diagram() -> Diagram:
    made = Diagram()
    made.sizes.update(SIZES)
    return made


def root_of(diagram: Diagram, held: set[tuple[int, ...]]) -> int:
    return diagram.any_of([diagram.cube({at: (n,) for at, n in zip(SIZES, one, strict=True)}) for one in sorted(held)])


def vectors_of(cube: dict[int, frozenset[int]]) -> set[tuple[int, ...]]:
    return {one for one in VECTORS if all(n in cube.get(at, {n}) for at, n in zip(SIZES, one, strict=True))}


@pytest.mark.parametrize("seed", range(25))
def test_a_cover_holds_all_that_is_wanted_and_nothing_outside(seed: int) -> None:
    rng = Random(seed)
    wanted = {one for one in VECTORS if rng.random() < 0.45}
    may = wanted | {one for one in VECTORS if rng.random() < 0.2}
    diagram = a_diagram()
    cubes = cover(diagram, root_of(diagram, wanted), root_of(diagram, may), sorted(SIZES, reverse=True))
    held = [vectors_of(cube) for cube in cubes]
    assert wanted <= set().union(*held) <= may
    for at, cube in enumerate(cubes):
        others = set().union(*(one for n, one in enumerate(held) if n != at))
        assert (held[at] & wanted) - others, "a product that is not needed"
        for level, values in cube.items():
            wider = {number: vectors_of({**cube, level: values | {number}}) for number in range(SIZES[level])}
            assert not any(number not in values and wide <= may for number, wide in wider.items()), "not prime"


def test_nothing_wanted_is_no_product_and_everything_is_one_without_conditions() -> None:
    diagram = a_diagram()
    assert cover(diagram, diagram.false, diagram.true, list(SIZES)) == []
    assert cover(diagram, diagram.true, diagram.true, list(SIZES)) == [{}]


def test_two_runs_give_the_same_products() -> None:
    rng = Random(3)
    wanted = {one for one in VECTORS if rng.random() < 0.5}
    found = []
    for _ in range(2):
        diagram = a_diagram()
        root = root_of(diagram, wanted)
        found.append(cover(diagram, root, root, sorted(SIZES, reverse=True)))
    assert found[0] == found[1]


def test_a_product_that_touches_anything_else_does_not_lie_within() -> None:
    diagram = a_diagram()
    within = diagram.cube({10: (0, 1)})
    assert diagram.lies_within({10: frozenset({0, 1}), 30: frozenset({2})}, within)
    assert not diagram.lies_within({30: frozenset({2})}, within)
