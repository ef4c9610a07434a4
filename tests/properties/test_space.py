"""The decision space of the shipped policy is the policy: random documents, every pair of facts, every threshold."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from random import Random
from typing import Any

import pytest

from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.space.invariants import SHIPPED, prove
from tests.judge import judge_all
from tests.oracle.access_rules import judge
from tests.oracle.documents import healthy, random_document
from tests.spaces import POLICIES, shipped_space

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answers(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    engine = RegorusEngine(timedelta(seconds=20), 2, patience=timedelta(minutes=2))
    try:
        bundle = read_bundle(POLICIES)
        await engine.activate(bundle)
        return await judge_all(engine, bundle, documents)
    finally:
        await engine.close()


async def test_random_documents_have_the_answer_of_the_policy() -> None:
    space, rng = shipped_space(), Random(7)
    documents = [random_document(rng) for _ in range(1500)]
    for document, said in zip(documents, await answers(documents), strict=True):
        assert space.judge(document) == said, document


async def test_random_vectors_and_every_end_of_a_piece_have_the_answer_of_the_policy() -> None:
    space, rng = shipped_space(), Random(8)
    documents = []
    for _ in range(600):
        vector = {level: rng.randrange(len(fact.values)) for level, fact in space.facts.items()}
        document = space.document(vector)
        for level, fact in space.facts.items():
            if fact.kind == "number":
                fact.write(document, vector[level], last=rng.random() < 0.5)
        documents.append(document)
    for document, said in zip(documents, await answers(documents), strict=True):
        if space.diagram.at(space.possible, space.vector(document)):
            assert space.judge(document) == said, document


def test_the_space_agrees_with_the_oracle_that_shares_nothing_with_the_policy() -> None:
    space, rng = shipped_space(), Random(9)
    for _ in range(5000):
        document = random_document(rng)
        assert space.judge(document) == judge(document), document


def test_around_a_healthy_access_pairs_of_facts_agree_with_the_oracle() -> None:
    space = shipped_space()
    base = healthy("managed_pc", "business", place="outside")
    start = space.vector(base)
    facts = [(level, number) for level, fact in space.facts.items() for number in range(len(fact.values))]
    for (one, n), (other, m) in Random(11).sample(list(combinations(facts, 2)), 4000):
        if one != other and (n, m) != (start[one], start[other]):
            vector = {**start, one: n, other: m}
            if space.diagram.at(space.possible, vector):
                document = space.document(vector)
                assert space.judge(document) == judge(document), document


def test_the_vector_of_a_document_made_of_a_vector_is_that_vector() -> None:
    space, rng = shipped_space(), Random(10)
    for _ in range(500):
        vector = {level: rng.randrange(len(fact.values)) for level, fact in space.facts.items()}
        if space.diagram.at(space.possible, vector):
            assert space.vector(space.document(vector)) == vector


@pytest.mark.parametrize("invariant", SHIPPED, ids=lambda one: one.id)
def test_the_shipped_policy_keeps_its_invariants(invariant: Any) -> None:
    assert prove(shipped_space(), invariant).holds
