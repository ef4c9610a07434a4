"""Does a revision load, do its own tests hold, do its own scenarios: each on an engine of its own that ends with it."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.bundle.rego_tests import find_tests, runner_of
from pdp.errors import BundleError, EngineError
from pdp.gates.bundle_faults import revision_faults, unreadable
from pdp.gates.profile import plain_result
from pdp.revisions.files import SCENARIOS, to_directory
from pdp.revisions.revision import BUNDLE_GATE, GateResult
from pdp.scenario.files import Misread, read_all
from pdp.scenario.in_process import InProcess
from pdp.scenario.runner import run_scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.fault import Fault
    from pdp.engine.port import Engine
    from pdp.revisions.gate import Candidate, Gate
    from pdp.scenario.format import Scenario

MISREAD_PLACE: Final = re.compile(r"(?P<file>.+?)(?:: document \d+)?")  # as `read_all` says where
TEST_DEADLINE: Final = timedelta(seconds=10)  # a test may judge thousands of documents in one rule
MAX_TOLD: Final = 50  # faults, tests or steps that a result names; the rest is counted


def own_gates(
    open_engine: Callable[[], Engine], expected: Callable[[], Bundle | None] = lambda: None
) -> tuple[Gate, ...]:
    """In the order in which they run. `open_engine`: a new engine, with nothing loaded, closed by whoever takes it.

    `expected` reads what a draft would take the place of, and blocks; None: it may be of any profile.
    """
    return (BundleGate(open_engine), TestsGate(open_engine), ScenariosGate(open_engine, expected))


class BundleGate:
    """Capabilities, types, reach, reasons, reference data; then it is loaded and proven by one evaluation."""

    name = BUNDLE_GATE

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open_engine = open_engine

    async def judge(self, candidate: Candidate) -> GateResult:
        faults = await asyncio.to_thread(_faults, candidate.bundle)
        if not faults:
            try:
                async with _loaded(self._open_engine, candidate.bundle):
                    pass
            except BundleError as fault:
                faults = [_told(unreadable(fault))]
        if faults:
            told = {"faults": faults[:MAX_TOLD], "count": len(faults)}
            return GateResult(self.name, "failed", f"{len(faults)} faults", told)
        return GateResult(self.name, "passed", "it loads", {"faults": [], "count": 0})


class TestsGate:
    """The `test_` rules of the revision. None at all is a failure: what nobody has tried is not known to work."""

    name = "tests"

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open_engine = open_engine

    async def judge(self, candidate: Candidate) -> GateResult:
        tests = find_tests(candidate.bundle.tests)
        if not tests:
            return GateResult(self.name, "failed", "there is no test")
        async with _loaded(self._open_engine, runner_of(candidate.bundle, tests)) as engine:
            answers = await engine.evaluate([b'{"test":%d}' % number for number in range(len(tests))])
        failed = [
            {"test": test.name, "where": test.where, "fault": answer.message if isinstance(answer, EngineError) else ""}
            for test, answer in zip(tests, answers, strict=True)
            if answer != b"true"
        ]
        told = {"passed": len(tests) - len(failed), "failed": failed[:MAX_TOLD]}
        summary = f"{len(tests) - len(failed)} passed, {len(failed)} failed"
        return GateResult(self.name, "failed" if failed else "passed", summary, told)


class ScenariosGate:
    """The stories below `scenarios/`; a revision need not have any, and a `plain` one cannot."""

    name = "scenarios"

    def __init__(self, open_engine: Callable[[], Engine], expected: Callable[[], Bundle | None] = lambda: None) -> None:
        self._open_engine = open_engine
        self._expected = expected

    async def judge(self, candidate: Candidate) -> GateResult:
        stories = {name: text for name, text in candidate.files.items() if name.startswith(SCENARIOS)}
        if candidate.bundle.profile != "zta":
            expected = await asyncio.to_thread(self._expected)
            return plain_result(self.name, expected, "there are no scenarios")
        if not stories:
            return GateResult(self.name, "not_run", "there are no scenarios")
        read = await asyncio.to_thread(read_stories, stories)
        faults: list[dict[str, Any]] = [
            {"scenario": one.id, "step": 0, "fault": one.fault} for one in read if isinstance(one, Misread)
        ]
        told = [one for one in read if not isinstance(one, Misread)]
        async with _loaded(self._open_engine, candidate.bundle) as engine:
            way = InProcess(engine, candidate.bundle)
            for story in told:
                results = await run_scenario(story, way, way.reference)
                faults += [{"scenario": story.id, "step": r.step, "fault": f} for r in results for f in r.faults]
        broken = len({fault["scenario"] for fault in faults})
        summary = f"{len(read) - broken} passed, {broken} failed"
        return GateResult(
            self.name,
            "failed" if faults else "passed",
            summary,
            {"passed": len(read) - broken, "failed": broken, "faults": faults[:MAX_TOLD]},
        )


def _faults(bundle: Bundle) -> list[dict[str, Any]]:
    """As `revision_faults`, as data."""
    return [_told(fault) for fault in revision_faults(bundle)]


def _told(fault: Fault) -> dict[str, Any]:
    return {"where": fault.where or None, "code": fault.code, "en": fault.message_en, "ja": fault.message_ja}


def read_stories(stories: dict[str, str]) -> list[Scenario | Misread]:
    """Scenario files are read from a directory; these stand in one for as long as that takes, and `where` is theirs."""
    with tempfile.TemporaryDirectory() as place:
        to_directory(stories, Path(place))
        read = read_all([Path(place)])
        return [_moved(one, f"{place}/") for one in read]


def _moved(one: Scenario | Misread, place: str) -> Scenario | Misread:
    """No path of this host in what people are told."""
    where = one.where.replace(place, "")
    if isinstance(one, Misread):
        return Misread(one.id, where, one.fault.replace(place, ""))
    return msgspec.structs.replace(one, where=where)


@asynccontextmanager
async def _loaded(open_engine: Callable[[], Engine], bundle: Bundle) -> AsyncIterator[Engine]:
    engine = open_engine()
    try:
        await engine.activate(bundle)
        yield engine
    finally:
        await engine.close()
