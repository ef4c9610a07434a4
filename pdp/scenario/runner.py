"""Runs scenarios through any way into the house, and says where an answer is not the expected one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from pdp.errors import ScenarioError
from pdp.scenario.format import moment
from pdp.scenario.world import request_of, world_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.facts.reference import Reference
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest
    from pdp.scenario.format import Expectation, Scenario


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the way. None: this way does not carry it, and it is not compared."""

    outcome: str
    reasons: tuple[str, ...] | None = None
    obligations: Mapping[str, str | int] | None = None
    required_auth_level: int | None = None


class Way(Protocol):
    """A way into the house: `decide()` itself, HTTP AuthZEN, a gateway."""

    async def ask(self, snapshot: Snapshot, request: AccessRequest, now: datetime) -> Answer: ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step. `faults` is empty where every named expectation held."""

    scenario: Scenario
    step: int  # from 1
    answer: Answer
    faults: tuple[str, ...]


NO_ANSWER: Final = Answer("none")


async def run_scenario(scenario: Scenario, way: Way, reference: Reference) -> list[StepResult]:
    """Every step in order; a failed step does not stop the story."""
    results: list[StepResult] = []
    for number, step in enumerate(scenario.steps, start=1):
        now = moment(step.now)
        before = [scenario.directory, *(earlier.directory for earlier in scenario.steps[:number])]
        try:
            snapshot = world_at(before, step.request, reference, now)
            request = request_of(step.request, reference, now)
        except ScenarioError as fault:
            results.append(StepResult(scenario, number, NO_ANSWER, (fault.message,)))
            continue
        answer = await way.ask(snapshot, request, now)
        results.append(StepResult(scenario, number, answer, tuple(differences(step.expect, answer))))
    return results


def differences(expected: Expectation, got: Answer) -> Iterable[str]:
    """One sentence per expectation that did not hold."""
    if expected.outcome is not None and expected.outcome != got.outcome:
        yield f"outcome: expected {expected.outcome}, got {got.outcome} {list(got.reasons or ())}"
    if expected.reasons is not None and got.reasons is not None and tuple(expected.reasons) != got.reasons:
        yield f"reasons: expected {expected.reasons}, got {list(got.reasons)}"
    for name, value in (expected.obligations or {}).items():
        if got.obligations is not None and not _same(value, got.obligations.get(name)):
            yield f"obligation `{name}`: expected {value}, got {got.obligations.get(name, 'none')}"
    level = expected.required_auth_level
    if level is not None and got.required_auth_level != level:
        yield f"required_auth_level: expected {level}, got {got.required_auth_level}"


def _same(expected: str | int, got: str | int | None) -> bool:
    """Equal, or two spellings of one instant."""
    if expected == got:
        return True
    try:
        return datetime.fromisoformat(str(expected)) == datetime.fromisoformat(str(got))
    except (ValueError, TypeError):
        return False
