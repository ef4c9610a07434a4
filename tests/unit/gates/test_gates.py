"""What the gates find, on real engines."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.engine.regorus import RegorusEngine
from pdp.gates.gates import own_gates
from pdp.revisions.files import bundle_of, from_directory
from pdp.revisions.gate import Candidate, run_gates
from pdp.revisions.revision import GateResult
from tests.revision_files import policy
from tests.unit.gates.small import small_files

pytestmark = pytest.mark.anyio

TEST_DEADLINE = timedelta(seconds=30)  # a test may judge thousands of documents in one rule
SHIPPED = Path(__file__).parents[3] / "policies"
STORY = """
id: mail-in-the-office
title: {ja: 庁内のメール, en: mail in the office}
"""


async def judged(files: dict[str, str]) -> dict[str, GateResult]:
    candidate = Candidate(1, files, bundle_of(files))
    return {one.name: one for one in await run_gates(own_gates(lambda: RegorusEngine(TEST_DEADLINE)), candidate)}


async def test_the_shipped_policy_passes_and_a_story_that_cannot_be_read_is_named() -> None:
    files = from_directory(SHIPPED)
    found = await judged({**files, "scenarios/broken.yaml": STORY})
    assert (found["bundle"].result, found["tests"].result) == ("passed", "passed")
    assert found["tests"].details["passed"] > 100
    assert found["scenarios"].result == "failed"
    assert found["scenarios"].details["failed"] == 1


async def test_what_a_bundle_permits_itself_is_not_permitted_to_the_workers() -> None:
    """A worker gets what decides without the list that came with it: such a revision could never be followed."""
    capabilities = json.dumps({"builtins": ["http.send", "startswith"]})
    found = await judged({**policy("x", more="x := http.send({})"), "capabilities.json": capabilities})
    assert found["bundle"].result == "failed"
    assert any("http.send" in fault["en"] for fault in found["bundle"].details["faults"])
    narrow = await judged({**policy("x", more='x := startswith("a", "b")'), "capabilities.json": '{"builtins": []}'})
    assert narrow["bundle"].result == "failed"


async def test_a_misspelt_fact_and_a_rule_that_nothing_reaches_do_not_pass_the_gate_of_the_bundle() -> None:
    fine = small_files("x", 'input.resource.group == "business"')
    assert (await judged(fine))["bundle"].result == "passed"
    misspelt = await judged(small_files("x", 'input.devise.class == "managed_pc"'))
    assert any("devise" in fault["en"] for fault in misspelt["bundle"].details["faults"])
    lonely = await judged({**fine, "pdp.rego": fine["pdp.rego"] + "\nlonely if input.subject.auth_level == 3\n"})
    assert [fault["code"] for fault in lonely["bundle"].details["faults"]] == ["unreachable_rule"]
    assert (misspelt["tests"].result, lonely["tests"].result) == ("not_run", "not_run")


async def test_a_gate_that_cannot_be_run_has_let_nothing_through() -> None:
    class Broken:
        name = "broken"

        async def judge(self, _: Candidate) -> GateResult:
            raise RuntimeError("a secret detail")

    class Fine:
        name = "bundle"

        async def judge(self, _: Candidate) -> GateResult:
            return GateResult("bundle", "passed")

    files = policy("x")
    gates: Any = (Fine(), Broken())
    _, broken = await run_gates(gates, Candidate(1, files, bundle_of(files)))
    assert (broken.result, "secret" in broken.summary) == ("failed", False)
