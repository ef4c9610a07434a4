"""A draft's tests one by one, the lines that none of them touches, its scenarios; and its mutants, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.equivalents import FILE as EQUIVALENTS
from pdp.bundle.equivalents import read_equivalents
from pdp.bundle.mutants import mutants_of
from pdp.bundle.rego_tests import find_tests, runner_of
from pdp.bundle.syntax import statements_of
from pdp.engine.mutation import Mutation, Suite
from pdp.engine.regorus import RegorusEngine
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError, EngineError
from pdp.gates.gates import TEST_DEADLINE, read_stories
from pdp.gates.mutation_score import score_of
from pdp.revisions.files import SCENARIOS, bundle_of
from pdp.scenario.cases import cases_of
from pdp.scenario.files import Misread
from pdp.scenario.format import Scenario
from pdp.scenario.in_process import InProcess
from pdp.scenario.runner import run_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.rego_tests import RegoTest
    from pdp.bundle.syntax import Module
    from pdp.engine.mutation import Case, FirstLook

MAX_TESTS: Final = 2_000  # that are told one by one; the rest is counted
MAX_SURVIVORS: Final = 500
_CHILDREN: Final = 2  # evaluators at once: mutants may take longer, decisions may not


async def tests_report(files: Mapping[str, str]) -> dict[str, Any]:
    """Tests, coverage and scenarios as data (`DraftTests` of the API). Raises BundleError and EngineError."""
    bundle, modules = _parsed(files)
    tests = find_tests(bundle.tests)
    report: dict[str, Any] = {"passed": 0, "failed": 0, "tests": [], "coverage": None}
    if tests:
        look = await Mutation(Suite(bundle, [test.name for test in tests]), 1).look()
        faults = await _messages(bundle, [test for test, passed in zip(tests, look.passed, strict=True) if not passed])
        told = [
            {"name": test.name, "where": test.where, "passed": passed, "took_us": took, "fault": faults.get(test, "")}
            for test, passed, took in zip(tests, look.passed, look.took_us, strict=True)
        ]
        report["tests"] = sorted(told, key=lambda one: one["passed"] is True)[:MAX_TESTS]  # what failed first
        report["passed"], report["failed"] = look.passed.count(True), look.passed.count(False)
        report["coverage"] = _coverage(modules, look)
    report["scenarios"] = await _scenarios(files, bundle)
    return report


def _parsed(files: Mapping[str, str]) -> tuple[Bundle, list[Module]]:
    bundle = bundle_of(files)
    modules, broken = parse_modules({**bundle.modules, **bundle.tests})
    if broken:
        first = broken[0]
        place = f":{first.line}:{first.column}" if first.line else ""
        raise BundleError(first.message, where=f"{first.name}{place}")
    return bundle, [module for module in modules if module.name in bundle.modules]


async def _messages(bundle: Bundle, failed: list[RegoTest]) -> dict[RegoTest, str]:
    """Why: a test that does not hold has no message, one that errs has."""
    if not failed:
        return {}
    engine = RegorusEngine(TEST_DEADLINE, 1)
    try:
        await engine.activate(runner_of(bundle, failed))
        answers = await engine.evaluate([b'{"test":%d}' % number for number in range(len(failed))])
    finally:
        await engine.close()
    return {
        test: answer.message for test, answer in zip(failed, answers, strict=True) if isinstance(answer, EngineError)
    }


def _coverage(modules: Sequence[Module], look: FirstLook) -> dict[str, Any]:
    """By file: the statements, and the lines on which those begin that no test touches."""
    statements = {module.name: statements_of(module) for module in modules}
    missing = look.untouched(statements)
    counts = {name: len({lines.start for lines in own}) for name, own in statements.items()}
    lines, untouched = sum(counts.values()), sum(map(len, missing.values()))
    return {
        "lines": lines,
        "percent": round(100 * (lines - untouched) / lines, 2) if lines else 100.0,
        "files": [
            {"file": name, "lines": count, "missing": missing.get(name, [])} for name, count in sorted(counts.items())
        ],
    }


async def _scenarios(files: Mapping[str, str], bundle: Bundle) -> list[dict[str, Any]]:
    """Each story with what is wrong in which step; none of a bundle that is not `zta`."""
    stories = _stories(files)
    if not stories or bundle.profile != "zta":
        return []
    found = [_told(one.id, one.where, [one.fault]) for one in stories if isinstance(one, Misread)]
    engine = RegorusEngine(TEST_DEADLINE, 1)
    try:
        await engine.activate(bundle)
        way = InProcess(engine, bundle)
        for story in stories:
            if isinstance(story, Scenario):
                results = await run_scenario(story, way, way.reference)
                faults = [f"{result.step}: {fault}" for result in results for fault in result.faults]
                title = {lang: text for lang, text in story.title.items() if text}
                found.append(_told(story.id, story.where, faults, title))
    finally:
        await engine.close()
    return sorted(found, key=lambda one: one["passed"])


def _told(name: str, where: str, faults: list[str], title: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"id": name, "where": where, "passed": not faults, "faults": faults[:20], "title": dict(title or {})}


def _stories(files: Mapping[str, str]) -> list[Scenario | Misread]:
    stories = {name: text for name, text in files.items() if name.startswith(SCENARIOS)}
    return read_stories(stories) if stories else []


async def mutation_report(files: Mapping[str, str], told: Callable[[int, int], None]) -> dict[str, Any]:
    """The score and who survived; `told` is called with the mutants that are judged, and all.

    Raises EngineError; BundleError where the files make none, a test fails already, or there is no test at all.
    """
    bundle, modules = _parsed(files)
    tests = [test.name for test in find_tests(bundle.tests)]
    suite = Suite(bundle, tests, await _cases(files, bundle))
    mutation = Mutation(suite, _CHILDREN)
    look = await mutation.look() if suite.names else None
    if look is None or not all(look.passed):
        raise BundleError("a test fails on the draft as it is, or there is none: nothing would tell a mutant")
    mutants = mutants_of(bundle, modules)
    done = 0

    def advance(by: int) -> None:
        nonlocal done
        done += by
        told(done, len(mutants))

    told(0, len(mutants))
    fates = await mutation.run(mutants, look, advance, lambda: False)
    known = read_equivalents(files[EQUIVALENTS]) if EQUIVALENTS in files else []
    return score_of(fates, known).as_json(MAX_SURVIVORS)


async def _cases(files: Mapping[str, str], bundle: Bundle) -> list[Case]:
    stories = [story for story in _stories(files) if isinstance(story, Scenario)]
    if not stories or bundle.profile != "zta":
        return []
    engine = RegorusEngine(TEST_DEADLINE, 1)
    try:
        await engine.activate(bundle)
        return await cases_of(stories, InProcess(engine, bundle))
    finally:
        await engine.close()
