from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.bundle.rego_tests import find_tests, runner_of
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import BundleError, EngineError
from pdp.settings import load_settings

pytestmark = pytest.mark.anyio

TESTS = """package x_test

import data.x

test_that_holds if x.allow with input as {"user": "a"}

test_that_does_not_hold if x.allow with input as {"user": "b"}

test_that_is_false := false

test_that_errs if to_number("no number") == 1

test_written_twice if 1 == 2

test_written_twice if x.allow with input.user as "a"

helper := 3

not_a_test_name if true
"""


def bundle_of(tests: str) -> Bundle:
    return make_bundle(
        manifest={"revision": "1", "metadata": {"profile": "plain", "entrypoint": "x/allow"}},
        modules={"x.rego": 'package x\n\ndefault allow := false\n\nallow if input.user == "a"\n'},
        data={},
        tests={"x_test.rego": tests},
    )


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = RegorusEngine(deadline=timedelta(seconds=10), children=2)
    yield engine
    await engine.close()


async def outcomes(engine: Engine, bundle: Bundle) -> dict[str, bool]:
    tests = find_tests(bundle.tests)
    await engine.activate(runner_of(bundle, tests))
    answers = await engine.evaluate([b'{"test":%d}' % number for number in range(len(tests))])
    assert sum(isinstance(answer, EngineError) for answer in answers) <= 1
    return {test.rule: answer == b"true" for test, answer in zip(tests, answers, strict=True)}


async def test_each_rule_is_its_own_test_and_an_error_in_one_hides_no_other(engine):
    assert await outcomes(engine, bundle_of(TESTS)) == {
        "test_that_holds": True,
        "test_that_does_not_hold": False,
        "test_that_is_false": False,
        "test_that_errs": False,
        "test_written_twice": True,
    }


def test_a_test_is_named_with_its_package_file_and_line():
    first = find_tests({"x_test.rego": TESTS})[0]
    assert (first.name, first.where) == ("data.x_test.test_that_holds", "x_test.rego:5")


def test_a_test_outside_a_package_is_refused():
    with pytest.raises(BundleError, match=r"x_test\.rego:1"):
        find_tests({"x_test.rego": "test_x if true\n"})


async def test_the_shipped_policys_own_tests_hold_on_the_embedded_engine_too(engine):
    bundle = read_bundle(load_settings(environ={}).bundle_path)
    found = await outcomes(engine, bundle)
    assert [name for name, passed in found.items() if not passed] == []
    assert len(found) > 50
