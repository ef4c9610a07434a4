from __future__ import annotations

from itertools import product
from random import Random

import pytest

from pdp.space.diagram import Diagram

SIZES = {10: 2, 20: 3, 30: 4}


@pytest.fixture
def diagram() -> Diagram:
    made = Diagram()
    made.sizes.update(SIZES)
    return made


def vectors() -> list[dict[int, int]]:
    return [dict(zip(SIZES, numbers, strict=True)) for numbers in product(*(range(n) for n in SIZES.values()))]


def random_set(diagram: Diagram, seed: int) -> tuple[int, set[tuple[int, ...]]]:
    """A set of vectors, as a root and as it is."""
    rng = Random(seed)
    held = {tuple(one.values()) for one in vectors() if rng.random() < 0.4}
    cubes = [diagram.cube({level: (n,) for level, n in zip(SIZES, one, strict=True)}) for one in sorted(held)]
    return diagram.any_of(cubes), held


def test_equal_functions_are_one_number_however_they_were_made(diagram: Diagram) -> None:
    a, b = diagram.where(10, [1]), diagram.where(20, [0, 2])
    assert diagram.both(a, b) == diagram.both(b, a) == diagram.cube({10: [1], 20: [2, 0]})
    assert diagram.negated(diagram.negated(a)) == a
    assert diagram.where(20, [0, 1, 2]) == diagram.true


@pytest.mark.parametrize("seed", range(8))
def test_and_or_not_and_counts_are_those_of_sets(diagram: Diagram, seed: int) -> None:
    (a, in_a), (b, in_b) = random_set(diagram, seed), random_set(diagram, seed + 100)
    everything = {tuple(one.values()) for one in vectors()}
    for root, held in (
        (diagram.both(a, b), in_a & in_b),
        (diagram.either(a, b), in_a | in_b),
        (diagram.without(a, b), in_a - in_b),
        (diagram.negated(a), everything - in_a),
    ):
        assert {tuple(one.values()) for one in vectors() if diagram.at(root, one)} == held
        assert diagram.size_of(root) == len(held)


def test_a_witness_names_no_more_facts_than_its_path_asks_for(diagram: Diagram) -> None:
    root = diagram.both(diagram.where(10, [1]), diagram.where(30, [3]))
    assert diagram.pick(root) == {10: 1, 30: 3}
    assert diagram.pick(diagram.false) is None
    assert diagram.pick(diagram.true) == {}


def test_answers_that_python_takes_for_equal_are_kept_apart(diagram: Diagram) -> None:
    assert diagram.leaf(True) != diagram.leaf(1)
    assert diagram.leaf(None) != diagram.leaf(False)


def test_what_is_given_is_no_longer_asked_for(diagram: Diagram) -> None:
    root = diagram.both(diagram.where(10, [1]), diagram.where(20, [2]))
    assert diagram.given(root, {10: 0}) == diagram.false
    assert diagram.support(diagram.given(root, {10: 1})) == {20}


def test_a_stopping_answer_keeps_the_second_question_from_being_asked(diagram: Diagram) -> None:
    first = diagram.mapped(diagram.where(10, [0]), lambda there: "stop" if there else ())
    paired = diagram.paired(first, diagram.fact(20), lambda held, number: (*held, number), stop="stop")
    assert {diagram.payload(leaf) for leaf in diagram.leaves(paired)} == {"stop", (0,), (1,), (2,)}


def test_counts_of_a_constant_are_the_whole_space(diagram: Diagram) -> None:
    assert diagram.count(diagram.leaf("x")) == {"x": 24}
    assert diagram.size_of(diagram.true, [10, 30]) == 8
