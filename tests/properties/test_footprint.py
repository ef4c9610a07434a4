"""A policy's answer depends on its footprint alone: whatever changes outside of it, the answer stays.

For the shipped policy and random documents, and for random policies (tests/rego_writer.py). The key of the
decision cache says what "outside" is: two inputs with one key must have one answer, and the same error or none.
`SEKISHO_DOCUMENTS` and `SEKISHO_SEED` as in test_access_rules.py.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import regorus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.bundle.footprint import Footprint, footprint_of
from pdp.bundle.syntax import Module
from pdp.cache.key import KeyMaker
from pdp.engine.footprint_check import bundle_footprint
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.model.input import check_input
from tests.judge import judge_raw
from tests.oracle.documents import all_fact_paths, random_document, value_at, values_of, with_value, without
from tests.rego_writer import DATA, ENTRYPOINT, KEYS, random_value, write_policy
from tests.rego_writer import random_document as random_json

POLICIES = Path(__file__).parents[2] / "policies"
COUNT = int(os.environ.get("SEKISHO_DOCUMENTS", "2000"))
SEED = int(os.environ.get("SEKISHO_SEED", "20261122"))


# The shipped policy.


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(POLICIES)


@pytest.fixture(scope="module")
def footprint(bundle: Bundle) -> Footprint:
    return bundle_footprint(bundle)


@pytest.fixture
async def engine(bundle: Bundle) -> AsyncIterator[Engine]:
    engine = RegorusEngine(
        timedelta(seconds=20), children=2
    )  # a busy machine must not look like an error of the policy
    await engine.activate(bundle)
    yield engine
    await engine.close()


@pytest.mark.anyio
async def test_a_fact_that_the_policy_does_not_see_changes_no_decision(
    engine: Engine, bundle: Bundle, footprint: Footprint
) -> None:
    """In the policy alone, without the check that stands before it: also where the fact is gone, or is nonsense."""
    rng = random.Random(SEED)
    keys = KeyMaker(bundle, footprint, "regorus")
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for document in (random_document(rng) for _ in range(max(COUNT // 25, 50))):
        unseen = [path for path in all_fact_paths(document) if not footprint.reads(path)]
        assert ("subject", "id") in unseen
        changed = [without(document, path) for path in unseen]
        changed += [with_value(document, path, random_value(rng)) for path in unseen]
        everything = document
        for path in unseen:
            everything = with_value(everything, path, random_value(rng))
        changed.append(everything)
        assert {keys.of_json(one) for one in changed} == {keys.of_json(document)}
        cases += [(document, one) for one in changed]
    before = await judge_raw(engine, [document for document, _ in cases])
    after = await judge_raw(engine, [changed for _, changed in cases])
    for (document, changed), was, now in zip(cases, before, after, strict=True):
        assert was == now, (document, changed)


def test_a_fact_that_the_policy_sees_is_in_the_key(bundle: Bundle, footprint: Footprint) -> None:
    rng = random.Random(SEED)
    keys = KeyMaker(bundle, footprint, "regorus")
    for document in (random_document(rng) for _ in range(max(COUNT // 25, 50))):
        key = keys.of_input(check_input(document))
        seen = [path for path in all_fact_paths(document) if footprint.reads(path) and path != ("schema",)]
        assert len(seen) == len(footprint.paths) - 1
        for path in seen:
            other = next(value for value in values_of(path) if value != value_at(document, path))
            changed = with_value(document, path, other)
            assert keys.of_json(changed) != keys.of_json(document), path
            assert keys.of_json(without(document, path)) != keys.of_json(document), path
            assert keys.of_input(check_input(changed)) != key, path


# Any policy.


@dataclass
class Trial:
    """A policy, ready to be asked."""

    modules: dict[str, str]
    footprint: Footprint
    engine: Any

    def answer(self, document: Any) -> str:
        """The answer, `undefined`, or the word that there was an error: an error is never remembered, but never given either."""
        asked = self.engine.clone()
        asked.set_input_json(json.dumps(document))
        try:
            return str(asked.eval_rule_as_json("data." + ENTRYPOINT.replace("/", ".")))
        except (RuntimeError, ValueError):
            return "error"

    def key_maker(self, footprint: Footprint) -> Callable[[object], bytes]:
        manifest = {"revision": "1", "metadata": {"entrypoint": ENTRYPOINT}}
        return KeyMaker(make_bundle(manifest=manifest, modules=self.modules, data=DATA), footprint, "regorus").of_json


def trial_of(modules: dict[str, str]) -> Trial | None:
    """None where the engine does not take the policy: nobody will ever ask it."""
    engine = regorus.Engine()
    engine.set_gather_prints(True)
    parsed = []
    try:
        for name, text in modules.items():
            engine.add_policy(name, text)
            alone = regorus.Engine()
            alone.add_policy(name, text)
            parsed.append(Module(name, text, json.loads(alone.get_ast_as_json())[0]["ast"]))
        engine.add_data_json(json.dumps(DATA))
        engine.eval_query_as_json("true")
    except RuntimeError:
        return None
    return Trial(modules, footprint_of(parsed, ENTRYPOINT), engine)


def changed(document: Any, path: list[str], value: Any) -> Any:
    """The document with another value at a path, whatever was on the way; `...` removes what is there."""
    if not path:
        return value
    members = dict(document) if isinstance(document, dict) else {}
    if len(path) == 1 and value is ...:
        members.pop(path[0], None)
    else:
        members[path[0]] = changed(members.get(path[0]), path[1:], value)
    return members


def another_with_one_key(document: Any, key_of: Callable[[object], bytes], rng: random.Random) -> Any:
    """As different from the document as a dozen tries make it, and with its key."""
    key = key_of(document)
    for _ in range(12):
        path = [rng.choice(KEYS) for _ in range(rng.randint(0, 3))]
        value = ... if path and rng.random() < 0.3 else random_value(rng, 2)
        tried = changed(document, path, value)
        if key_of(tried) == key:
            document = tried
    return document


def found_out(trial: Trial, footprint: Footprint, rng: random.Random, pairs: int) -> tuple[Any, Any] | None:
    """Two documents with one key and two answers."""
    key_of = trial.key_maker(footprint)
    for _ in range(pairs):
        document = random_json(rng)
        other = another_with_one_key(document, key_of, rng)
        if other != document and trial.answer(other) != trial.answer(document):
            return document, other
    return None


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
@given(st.randoms(use_true_random=False))
def test_documents_that_agree_at_the_footprint_have_one_answer(rng: random.Random) -> None:
    trial = trial_of(write_policy(rng))
    if trial is not None and not trial.footprint.whole:
        assert found_out(trial, trial.footprint, rng, 6) is None, (trial.modules, trial.footprint)


def usual_trials(count: int) -> Iterator[tuple[random.Random, Trial]]:
    """Policies without Hypothesis's liking for small and odd cases, and what is random about each."""
    for number in range(count):
        rng = random.Random(SEED + number)
        trial = trial_of(write_policy(rng))
        if trial is not None:
            yield rng, trial


def test_documents_that_agree_at_the_footprint_have_one_answer_under_the_usual_policies() -> None:
    for rng, trial in usual_trials(max(COUNT // 4, 300)):
        if not trial.footprint.whole:
            assert found_out(trial, trial.footprint, rng, 12) is None, (trial.modules, trial.footprint)


def test_a_footprint_that_lacks_a_path_is_found_out() -> None:
    """The trials above can fail: without any one of its paths, a footprint of each second policy is caught."""
    caught = tried = 0
    for rng, trial in usual_trials(200):
        paths = trial.footprint.paths
        if paths and not trial.footprint.whole:
            lacking = [Footprint(tuple(path for path in paths if path != lost)) for lost in paths]
            caught += any(found_out(trial, one, rng, 12) is not None for one in lacking)
            tried += 1
    assert tried > 100
    assert caught > tried / 2


def test_most_policies_do_not_see_the_whole_input() -> None:
    seen = [trial.footprint for _, trial in usual_trials(200)]
    assert sum(1 for footprint in seen if not footprint.whole) > len(seen) * 0.8
    assert sum(1 for footprint in seen if any(len(path) > 1 for path in footprint.paths)) > len(seen) * 0.5


def test_whether_the_way_to_a_path_is_there_belongs_to_the_key() -> None:
    """Both documents have nothing at `a.b`, and only one of them has an `a`."""
    trial = trial_of({"p.rego": "package p\nanswer if { x := input.a; count([1 | x.b]) == 0 }"})
    assert trial is not None
    assert trial.footprint.paths == (("a", "b"),)
    assert trial.answer({"a": {}}) == "true"
    assert trial.answer({}) == '"<undefined>"'
    key_of = trial.key_maker(trial.footprint)
    assert key_of({"a": {}}) != key_of({})
    assert key_of({"a": {}}) == key_of({"a": 1})
