"""The decision space of the shipped policy is the policy: random documents, every pair of facts, every threshold."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import combinations
from random import Random
from typing import Any

import pytest

from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.model.input import check_input, encode_input
from pdp.space.invariants import SHIPPED, prove
from tests.judge import BAD_INPUT, judge_all
from tests.oracle.access_rules import judge
from tests.oracle.documents import healthy, malformed_document, random_document, unknowable_paths, with_value
from tests.spaces import POLICIES, shipped_space, shipped_table

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


# --- Laid out as a table ----------------------------------------------------------------------------------------------


def looked_up(document: dict[str, Any]) -> dict[str, Any]:
    answer = shipped_table().answer(encode_input(check_input(document)))
    assert answer is not None, document
    found: dict[str, Any] = json.loads(answer)
    return found


async def test_the_table_says_what_space_policy_and_oracle_say_of_random_documents() -> None:
    rng = Random(12)
    documents = [random_document(rng) for _ in range(2000)]
    said = [looked_up(document) for document in documents]
    for document, answer in zip(documents, said, strict=True):
        assert answer == shipped_space().judge(document) == judge(document), document
    assert said[:500] == await answers(documents[:500])


async def test_the_table_says_what_space_policy_and_oracle_say_at_both_ends_of_every_piece() -> None:
    space, rng = shipped_space(), Random(13)
    documents = []
    for _ in range(1500):
        vector = {level: rng.randrange(len(fact.values)) for level, fact in space.facts.items()}
        if not space.diagram.at(space.possible, vector):
            continue
        document = space.document(vector)
        for level, fact in space.facts.items():
            if fact.kind == "number":
                fact.write(document, vector[level], last=rng.random() < 0.5)
        assert looked_up(document) == space.judge(document), document
        documents.append(document)
    assert len(documents) > 1000
    sample = documents[:300]
    assert [looked_up(document) for document in sample] == await answers(sample)
    for document in sample:
        if document["context"]["work_permit_until"] != "9999-12-31T00:00:00Z":  # the oracle has no word for any time
            assert looked_up(document) == judge(document), document


def test_unknowing_facts_never_turns_a_deny_of_the_table_into_anything_else() -> None:
    rng, met = Random(14), 0
    for _ in range(700):
        document = random_document(rng)
        was = looked_up(document)["outcome"]
        if was in ("allow", "limit"):
            continue
        paths = unknowable_paths(document)
        cases = [with_value(document, path, "unknown") for path in paths]
        several = document
        for path in rng.sample(paths, rng.randint(2, 5)):
            several = with_value(several, path, "unknown")
        for case in (*cases, several):
            met += 1
            assert looked_up(case)["outcome"] in ((was, "deny") if was == "step_up" else ("deny",)), case
    assert met > 5000


def test_what_is_no_document_stands_in_no_table() -> None:
    rng = Random(15)
    for _ in range(1500):
        document = malformed_document(rng)
        assert judge(document) == BAD_INPUT
        assert shipped_table().answer(json.dumps(document).encode()) is None, document
