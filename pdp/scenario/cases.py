"""Scenarios as bare inputs with what is expected of the answer: for whoever runs a policy without a house around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pdp.engine.mutation import Case
from pdp.errors import ScenarioError
from pdp.scenario.format import moment
from pdp.scenario.runner import Answer, differences
from pdp.scenario.world import request_of, world_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.model.decision import Verdict
    from pdp.scenario.format import Expectation, Scenario
    from pdp.scenario.in_process import InProcess


async def cases_of(scenarios: Iterable[Scenario], way: InProcess) -> list[Case]:
    """One case for each step whose expectations hold; `way` makes the facts as a decision does.

    A step that fails, or whose input could not be made, says nothing about a mutant and is left out.
    """
    found: list[Case] = []
    for story in scenarios:
        for number, step in enumerate(story.steps, start=1):
            now = moment(step.now)
            before = [story.directory, *(earlier.directory for earlier in story.steps[:number])]
            try:
                snapshot = world_at(before, step.request, way.reference, now)
                request = request_of(step.request, way.reference, now)
            except ScenarioError:
                continue
            decision = await way.decide(snapshot, request, now)
            verdict = decision.verdict
            answer = Answer(verdict.outcome.value, verdict.reasons, verdict.obligations, verdict.required_auth_level)
            if decision.fault is None and not list(differences(step.expect, answer)):
                expected = tuple(_expected(step.expect, verdict))
                found.append(Case(f"{story.where} {story.id} {number}", msgspec.json.decode(decision.input), expected))
    return found


def _expected(expected: Expectation, verdict: Verdict) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What the step names, as this policy says it: it holds, perhaps in another spelling of an instant."""
    if expected.outcome is not None:
        yield ("outcome",), verdict.outcome.value
    if expected.reasons is not None:
        yield ("reasons",), list(verdict.reasons)
    for name in expected.obligations or {}:
        yield ("obligations", name), verdict.obligations.get(name)
    if expected.required_auth_level is not None:
        yield ("required_auth_level",), verdict.required_auth_level
