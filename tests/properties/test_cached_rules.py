"""The shipped policy from a cache, against the independent reading of the contract: a key hides no difference that counts.

`SEKISHO_DOCUMENTS` and `SEKISHO_SEED` as in `test_access_rules.py`.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.cache.entry import Entry
from pdp.cache.key import KeyMaker
from pdp.engine.footprint_check import bundle_footprint
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.judging import judge_raw
from pdp.model.decision import Verdict
from pdp.model.input import check_input, encode_input
from pdp.settings import load_settings
from tests.caches import CACHES, Kind, cache_of, until_written
from tests.oracle.access_rules import judge
from tests.oracle.documents import all_fact_paths, random_document, values_of, with_value

pytestmark = pytest.mark.anyio

COUNT = int(os.environ.get("SEKISHO_DOCUMENTS", "2000"))
SEED = int(os.environ.get("SEKISHO_SEED", "20261122"))
NOW = datetime(2023, 8, 1, tzinfo=UTC)

Document = dict[str, Any]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(load_settings(environ={}).bundle_path)


@pytest.fixture(scope="module")
def keys(bundle: Bundle) -> KeyMaker:
    return KeyMaker(bundle, bundle_footprint(bundle), "regorus")


@pytest.fixture
async def regorus(bundle: Bundle) -> AsyncIterator[Engine]:
    engine = RegorusEngine(timedelta(seconds=20), children=2)
    await engine.activate(bundle)
    yield engine
    await engine.close()


def alike(bundle: Bundle, count: int) -> Iterator[tuple[Document, Document]]:
    """Random documents, and each once more with everything changed that the policy is thought not to read."""
    rng, footprint = random.Random(SEED), bundle_footprint(bundle)
    for _ in range(count):
        document = twin = random_document(rng)
        for path in all_fact_paths(document):
            if not footprint.reads(path):
                twin = with_value(twin, path, rng.choice(values_of(path)))
        yield document, twin


def of_verdict(verdict: Verdict) -> dict[str, Any]:
    said = {
        "outcome": verdict.outcome.value,
        "reasons": list(verdict.reasons),
        "obligations": dict(verdict.obligations),
    }
    return said if verdict.required_auth_level is None else said | {"required_auth_level": verdict.required_auth_level}


def test_documents_with_one_key_have_one_answer_by_the_contract(bundle: Bundle, keys: KeyMaker) -> None:
    """Without any engine: the key against the contract's own words."""
    answers: defaultdict[bytes, list[tuple[Document, dict[str, Any]]]] = defaultdict(list)
    pairs = list(alike(bundle, max(COUNT // 2, 500)))
    for pair in pairs:
        for document in pair:
            answers[keys.of_input(check_input(document))].append((document, judge(document)))
    for (first, answer), *others in answers.values():
        for other, said in others:
            assert said == answer, (first, other)
    assert len(answers) <= len(pairs), "each has a twin with its key"


@pytest.mark.parametrize("kind", CACHES[1:])
async def test_the_policy_says_from_a_cache_what_the_contract_says(
    regorus: Engine, bundle: Bundle, keys: KeyMaker, kind: Kind
) -> None:
    async with cache_of(kind) as cache:
        assert cache is not None
        pairs = list(alike(bundle, max(COUNT // 8, 200)))
        evaluated = 0
        for again, documents in enumerate(zip(*pairs, strict=True)):
            for document in documents:
                closed = check_input(document)
                key = keys.of_input(closed)

                async def evaluate(encoded: bytes = encode_input(closed)) -> Entry:
                    nonlocal evaluated
                    evaluated += 1
                    (raw,) = await regorus.evaluate([encoded], digest=bundle.digest)
                    verdict = judge_raw(raw, bundle)
                    return Entry(verdict, NOW + bundle.ttl(verdict.outcome))

                known = cache.here(key, NOW)
                verdict = (await cache.judged(key, NOW, evaluate))[0] if known is None else known
                assert of_verdict(verdict) == judge(document), document
            await until_written(cache)
            if again:
                assert evaluated <= len(pairs), "every twin is known already"
