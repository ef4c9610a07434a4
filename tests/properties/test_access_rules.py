"""The shipped policy against an independent reading of the contract, and the contract's own promises.

`SEKISHO_DOCUMENTS` says how many random documents (default 2,000; `make fuzz` takes many more, and
`SEKISHO_SEED` other ones).
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.engine.opa_server import OpaServerEngine
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.settings import load_settings
from tests.judge import BAD_INPUT, judge_all, judge_raw
from tests.oracle.access_rules import judge
from tests.oracle.documents import (
    all_fact_paths,
    malformed_document,
    random_document,
    shuffle_lists,
    unknowable_paths,
    with_value,
    without,
)
from tests.servers import opa_server

pytestmark = pytest.mark.anyio

COUNT = int(os.environ.get("SEKISHO_DOCUMENTS", "2000"))
SEED = int(os.environ.get("SEKISHO_SEED", "20261122"))
PERMITTING = ("allow", "limit")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(load_settings(environ={}).bundle_path)


@pytest.fixture
async def regorus(bundle: Bundle) -> AsyncIterator[Engine]:
    engine = RegorusEngine(timedelta(seconds=20), children=2)
    await engine.activate(bundle)
    yield engine
    await engine.close()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(SEED)


def batches(count: int, size: int = 500) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


async def test_the_policy_says_what_the_contract_says(regorus: Engine, bundle: Bundle, rng: random.Random) -> None:
    for batch in batches(COUNT):
        documents = [random_document(rng) for _ in batch]
        answers = await judge_all(regorus, bundle, documents)
        for document, answer in zip(documents, answers, strict=True):
            assert answer == judge(document), document


async def test_whatever_is_no_document_is_bad_input(regorus: Engine, bundle: Bundle, rng: random.Random) -> None:
    documents = [malformed_document(rng) for _ in range(COUNT)]
    answers = await judge_all(regorus, bundle, documents)
    for document, answer in zip(documents, answers, strict=True):
        assert answer == BAD_INPUT == judge(document), document


async def test_unknowing_facts_never_turns_a_deny_into_anything_else(
    regorus: Engine, bundle: Bundle, rng: random.Random
) -> None:
    documents = [random_document(rng) for _ in range(max(COUNT // 5, 200))]
    before = await judge_all(regorus, bundle, documents)
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for document, answer in zip(documents, before, strict=True):
        paths = unknowable_paths(document)
        if answer["outcome"] not in PERMITTING:
            cases += [(answer, with_value(document, path, "unknown")) for path in paths]
            several = document
            for path in rng.sample(paths, rng.randint(2, 5)):
                several = with_value(several, path, "unknown")
            cases.append((answer, several))
    assert cases
    for batch in batches(len(cases), 1000):
        after = await judge_all(regorus, bundle, [cases[n][1] for n in batch])
        for n, answer in zip(batch, after, strict=True):
            was, document = cases[n]
            assert answer["outcome"] not in PERMITTING, document
            assert was["outcome"] == "step_up" or answer["outcome"] == "deny", document


async def test_dropping_a_fact_denies_even_in_the_policy_alone(regorus: Engine, rng: random.Random) -> None:
    """The service refuses such a document before the policy; the policy must not need that to be safe."""
    cases: list[tuple[str, dict[str, Any]]] = []
    for document in (random_document(rng) for _ in range(max(COUNT // 20, 100))):
        cases += [(judge(document)["outcome"], without(document, path)) for path in all_fact_paths(document)]
    for batch in batches(len(cases), 1000):
        after = await judge_raw(regorus, [cases[n][1] for n in batch])
        for n, answer in zip(batch, after, strict=True):
            was, document = cases[n]
            if was == "deny":
                assert answer["outcome"] == "deny", document
            elif was == "step_up":
                assert answer["outcome"] in ("deny", "step_up"), document


async def test_the_order_of_lists_does_not_matter_but_for_the_main_post(
    regorus: Engine, bundle: Bundle, rng: random.Random
) -> None:
    documents = [random_document(rng) for _ in range(max(COUNT // 5, 200))]
    before = await judge_all(regorus, bundle, documents)
    after = await judge_all(regorus, bundle, [shuffle_lists(document, rng) for document in documents])
    assert before == after


async def test_the_answer_depends_on_the_document_alone(regorus: Engine, bundle: Bundle, rng: random.Random) -> None:
    documents = [random_document(rng) for _ in range(300)]
    first = await judge_all(regorus, bundle, documents)
    order = rng.sample(range(300), 300)
    second = await judge_all(regorus, bundle, [documents[n] for n in order])
    assert [first[n] for n in order] == second


async def test_both_engines_give_the_same_answer(regorus: Engine, bundle: Bundle, rng: random.Random) -> None:
    with opa_server() as server:
        opa = OpaServerEngine(server.url, deadline=timedelta(seconds=20))
        try:
            await opa.activate(bundle)
            for batch in batches(max(COUNT // 4, 300), 250):
                documents = [random_document(rng) for _ in batch]
                answers = await judge_all(regorus, bundle, documents)
                assert answers == await judge_all(opa, bundle, documents)
        finally:
            await opa.close()
