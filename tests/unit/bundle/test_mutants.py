from __future__ import annotations

from pathlib import Path

import pytest

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.bundle.equivalents import Equivalent, Why, explained, read_equivalents
from pdp.bundle.mutants import mutants_of
from pdp.bundle.rego_tests import find_tests
from pdp.bundle.syntax import statements_of
from pdp.engine.mutation import Case, Mutation, Suite
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError, EngineError

pytestmark = pytest.mark.anyio

RULES = """package pdp

default decision := {"outcome": "deny"}

decision := {"outcome": "allow"} if {
	input.subject.auth_level >= data.zta.parameters.least
	input.device.class == "managed_pc"
	not lost
}

lost if input.device.state in {"lost", "retired"}
"""
GOOD = """package pdp_test

facts := {"subject": {"auth_level": 2}, "device": {"class": "managed_pc", "state": "in_service"}}

given(changes) := outcome if {
	outcome := data.pdp.decision.outcome with input as object.union(facts, changes)
}

test_open if given({}) == "allow"

test_level if given({"subject": {"auth_level": 1}}) == "deny"

test_class if given({"device": {"class": "byod_pc"}}) == "deny"

test_lost if {
	every state in ["lost", "retired"] {
		given({"device": {"state": state}}) == "deny"
	}
}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def bundle(tests: str = GOOD, rules: str = RULES) -> Bundle:
    return make_bundle(
        manifest={"revision": "r", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": rules},
        tests={"pdp_test.rego": tests},
        data={"zta": {"parameters": {"least": 2, "unread": 5}, "networks": [1]}},
    )


def mutants(of: Bundle):
    return mutants_of(of, parse_modules(of.modules)[0])


async def fates(of: Bundle, cases=(), children: int = 1, ended=lambda: False):
    mutation = Mutation(Suite(of, [test.name for test in find_tests(of.tests)], cases), children)
    look = await mutation.look()
    assert all(look.passed)
    return await mutation.run(mutants(of), look, lambda _: None, ended), look


def test_every_turn_is_there_once_and_parses():
    found = mutants(bundle())
    changes = {(mutant.kind, mutant.where, mutant.change) for mutant in found}
    assert len(changes) == len(found)
    assert {
        ("comparison", "input.subject.auth_level >= data.zta.parameters.least", ">= → <"),
        ("comparison", "input.subject.auth_level >= data.zta.parameters.least", ">= → >"),
        ("comparison", 'input.device.class == "managed_pc"', "== → !="),
        ("text", 'input.device.class == "managed_pc"', '"managed_pc" → "mobile_pc"'),
        ("dropped", "not lost", "not lost → true"),
        ("negated", "not lost", "not lost → lost"),
        ("data", "zta.parameters.least", "2 → 3"),
        ("data", "zta.parameters.least", "2 → 1"),
    } <= changes
    assert not any("unread" in mutant.where or "networks" in mutant.where for mutant in found)
    texts = {f"{at}.rego": mutant.text for at, mutant in enumerate(found) if mutant.text is not None}
    assert not parse_modules(texts)[1]


def test_a_cell_is_tried_wherever_the_matrix_has_none():
    matrix = {"rows": {"business": {"managed_pc": {"office": {"level": 2, "screen_transfer": True}}}}}
    own = make_bundle(
        manifest={"revision": "r", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": RULES},
        data={"zta": {"matrix": matrix}},
    )
    found = mutants(own)
    cells = [mutant for mutant in found if mutant.kind == "cell"]
    assert len(cells) == 9
    assert "zta.matrix.rows.business.byod_pc" in {mutant.where for mutant in cells}
    assert all("managed_pc" in mutant.data["zta"]["matrix"]["rows"]["business"] for mutant in cells)
    assert own.data["zta"]["matrix"] == matrix  # nothing of it leaks into the bundle


async def test_thorough_tests_notice_every_mutant():
    found, _ = await fates(bundle(), children=2)
    assert [(fate.mutant.where, fate.mutant.change) for fate in found if fate.survived] == []
    assert {fate.killed_by for fate in found if fate.killed_by} <= {test.name for test in find_tests({"x": GOOD})}


async def test_a_missing_test_leaves_its_mutants_alive():
    weak = GOOD[: GOOD.index("test_lost")]
    found, _ = await fates(bundle(weak))
    assert {fate.mutant.change for fate in found if fate.survived} >= {
        "not lost → true",
        '"lost" → "lost_unconfirmed_found"',
    }


async def test_a_scenario_notices_what_no_rego_test_does():
    weak = GOOD[: GOOD.index("test_lost")]
    facts = {"subject": {"auth_level": 2}, "device": {"class": "managed_pc", "state": "lost"}}
    case = Case("a lost one", facts, ((("outcome",), "deny"),))
    found, _ = await fates(bundle(weak), [case])
    by = {fate.mutant.change: fate.killed_by for fate in found}
    assert by["not lost → true"] == "a lost one"


async def test_lines_that_no_test_touches_are_told():
    rules = RULES + "\nspare if {\n\tinput.device.shared\n}\n"
    own = bundle(rules=rules)
    mutation = Mutation(Suite(own, [test.name for test in find_tests(own.tests)]), 1)
    look = await mutation.look()
    (module,) = parse_modules(own.modules)[0]
    missing = look.untouched({module.name: statements_of(module)})
    assert missing == {"pdp.rego": [14]}


async def test_a_mutant_that_is_no_policy_stops_nobody():
    """A condition that is dropped can leave a name without a value; what follows is judged all the same."""
    rules = RULES.replace("\tnot lost\n", "\tnot lost\n\tsome n in [1, 2]\n\tn > 1\n")
    found, _ = await fates(bundle(rules=rules))
    assert len(found) == len(mutants(bundle(rules=rules)))


async def test_an_end_that_is_asked_for_gives_what_was_found_by_then():
    done: list[int] = []
    own = bundle()
    mutation = Mutation(Suite(own, [test.name for test in find_tests(own.tests)]), 1)
    look = await mutation.look()
    found = await mutation.run(mutants(own), look, done.append, lambda: len(done) >= 2)
    assert len(found) == 2


async def test_a_bundle_that_does_not_load_is_told():
    broken = bundle("package pdp_test\n\ntest_x if {\n")
    with pytest.raises(EngineError, match="cannot be run"):
        await Mutation(Suite(broken, ["data.pdp_test.test_x"]), 1).look()


def test_equivalent_mutants_are_found_by_what_they_change():
    found = mutants(bundle())
    text = (
        "- file: pdp.rego\n  where: not lost\n  change: not lost → true\n  why: {ja: 例, en: an example}\n"
        "- file: pdp.rego\n  where: gone\n  change: x → y\n  why: {ja: 例, en: an example}\n"
    )
    known = read_equivalents(text)
    assert known[0] == Equivalent("pdp.rego", "not lost", "not lost → true", Why("例", "an example"))
    (at,) = explained(found, known)
    assert found[at].change == "not lost → true"
    for wrong in ("a: b\n", "- {file: x}\n", "- [\n"):
        with pytest.raises(BundleError):
            read_equivalents(wrong)


def test_every_equivalent_of_the_shipped_policy_is_still_one_of_its_mutants():
    root = Path(__file__).parents[3] / "policies"
    known = read_equivalents((root / "mutants.yaml").read_text(encoding="utf-8"))
    found = {(mutant.file, mutant.where, mutant.change) for mutant in mutants(read_bundle(root))}
    assert [one for one in known if (one.file, one.where, one.change) not in found] == []


async def test_the_tests_of_the_shipped_policy_notice_a_sample_of_its_mutants():
    """The whole run is `pdp bundle mutate`; here one mutant in two hundred."""
    shipped = read_bundle(Path(__file__).parents[3] / "policies")
    own = mutants(shipped)[::200]
    mutation = Mutation(Suite(shipped, [test.name for test in find_tests(shipped.tests)]), 1)
    look = await mutation.look()
    assert all(look.passed)
    alive = [fate for fate in await mutation.run(own, look, lambda _: None, lambda: False) if fate.survived]
    known = read_equivalents((Path(__file__).parents[3] / "policies" / "mutants.yaml").read_text(encoding="utf-8"))
    assert len(alive) == len(explained([fate.mutant for fate in alive], known))
