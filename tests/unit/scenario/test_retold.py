"""Scenarios made of decisions: a story told of any input leads back to its facts, and to its answer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.errors import ScenarioError
from pdp.model.input import decode_input
from pdp.scenario.cases import cases_of
from pdp.scenario.files import read_scenarios, scenario_of
from pdp.scenario.format import moment
from pdp.scenario.in_process import InProcess
from pdp.scenario.retold import as_text, retold, unlike
from pdp.scenario.runner import run_scenario
from pdp.scenario.world import request_of, world_at

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
STORIES = ROOT / "../shared/scenarios"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def way():
    bundle = read_bundle(ROOT / "policies")
    engine = RegorusEngine(timedelta(seconds=20), 1)
    try:
        await engine.activate(bundle)
        yield InProcess(engine, bundle)
    finally:
        await engine.close()


async def test_every_scenario_that_was_decided_can_be_told_again_from_its_record(way):
    if not STORIES.is_dir():
        pytest.skip("../shared/scenarios is not here")
    told = 0
    for story in read_scenarios([STORIES]):
        for number, step in enumerate(story.steps, start=1):
            now = moment(step.now)
            before = [story.directory, *(earlier.directory for earlier in story.steps[:number])]
            decision = await way.decide(
                world_at(before, step.request, way.reference, now), request_of(step.request, way.reference, now), now
            )
            if decision.fault is not None:
                continue
            document, verdict = decode_input(decision.input), decision.verdict
            answer = {
                "outcome": verdict.outcome.value,
                "reasons": list(verdict.reasons),
                "obligations": dict(verdict.obligations),
                "required_auth_level": verdict.required_auth_level,
            }
            again = scenario_of(as_text(retold(document, answer, now, f"{story.id}-{number}")))
            (result,) = await run_scenario(again, way, way.reference)
            assert result.faults == (), story.id
            (only,) = again.steps
            second = await way.decide(
                world_at([again.directory], only.request, way.reference, now),
                request_of(only.request, way.reference, now),
                now,
            )
            assert unlike(document, second) == [], story.id
            told += 1
    assert told >= 40


async def test_scenarios_are_cases_for_whoever_runs_a_policy_bare(way):
    text = (
        "id: s\nnow: 2026-11-24T10:00:00+09:00\n"
        "directory: {users: [{id: u, kind: staff, posts: [{department: soumu}]}],"
        " devices: [{id: d, class: managed_pc, owner: u, posture: healthy}]}\n"
        "request: {user: u, auth_level: 2, device: d, resource: mail, action: access, zone: office}\n"
        "expect: {outcome: allow, reasons: [OK]}\n"
    )
    (case,) = await cases_of([scenario_of(text)], way)
    assert case.expected == ((("outcome",), "allow"), (("reasons",), ["OK"]))
    assert decode_input(msgspec.json.encode(case.input)).resource.group == "communication"
    assert await cases_of([scenario_of(text.replace("outcome: allow", "outcome: deny"))], way) == []


def test_a_text_of_several_stories_is_not_one():
    with pytest.raises(ScenarioError):
        scenario_of("a: 1\n---\nb: 2\n")
