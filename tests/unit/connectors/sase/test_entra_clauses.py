"""Allows turned into clauses: for every combination of who, where and how strong, both say the same."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sase import entra_clauses
from connectors.sase.entra_clauses import Clause, Term, clauses_of
from pdp.errors import ExportError

NAMES = ("a", "b")

_sets = st.frozensets(st.sampled_from(NAMES), min_size=1)
_others = st.one_of(
    st.builds(lambda held: Clause(people=held), _sets),
    st.builds(lambda held: Clause(places=held), _sets),
    st.builds(lambda level: Clause(level=level), st.sampled_from((1, 2, 3))),
)
_terms = st.builds(
    lambda devices, others: frozenset({Clause(devices=devices), *others}), _sets, st.lists(_others, max_size=3)
)


def holds(clause: Clause, people: frozenset[str], device: str, place: str, level: int) -> bool:
    named = bool(clause.people & people) or device in clause.devices or place in clause.places
    return named or (clause.level is not None and level >= clause.level)


@given(st.lists(_terms, max_size=5))
def test_clauses_let_through_what_a_rule_allows_and_nothing_else(terms: list[Term]) -> None:
    clauses = clauses_of(terms)
    groups = [frozenset(held) for held in ((), ("a",), ("b",), ("a", "b"))]
    for facts in product(groups, (*NAMES, "unknown"), (*NAMES, "elsewhere"), range(4)):
        allowed = any(all(holds(atom, *facts) for atom in term) for term in terms)
        assert all(holds(clause, *facts) for clause in clauses) == allowed


@given(st.lists(_terms, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_nothing_and_no_clause_is_implied_by_another(
    terms: list[Term], chance: Random
) -> None:
    clauses = clauses_of(terms)
    chance.shuffle(terms)
    assert clauses_of(terms) == clauses
    assert not [(one, other) for one, other in product(clauses, clauses) if one != other and one.implies(other)]


def test_no_rule_is_a_block_of_everybody() -> None:
    assert clauses_of([]) == [Clause()]


def test_more_clauses_than_can_be_meant_are_an_error() -> None:
    terms = [
        frozenset({Clause(devices=frozenset({f"d{at}"})), Clause(people=frozenset({f"p{at}"}))})
        for at in range(entra_clauses.MAX_CLAUSES.bit_length())
    ]
    with pytest.raises(ExportError, match="more than"):
        clauses_of(terms)


def test_a_rule_without_devices_is_refused() -> None:
    with pytest.raises(ValueError, match="one set of devices"):
        clauses_of([frozenset({Clause(level=2)})])
