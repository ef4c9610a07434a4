"""The gate `invariants`: the shipped policy, a planted hole, and drafts that cannot be proven."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pdp.bundle.bundle import Bundle
from pdp.errors import SpaceError
from pdp.gates.invariants import InvariantsGate
from pdp.gates.proving import MAX_FINDING, Order, find
from pdp.revisions.files import bundle_of as plain_bundle
from pdp.revisions.gate import Candidate
from pdp.revisions.revision import GateResult
from tests.processes import no_further_files, own_child
from tests.revision_files import policy as plain
from tests.unit.simulate.town import changed, policy
from tests.unit.space.policy import bundle_of

pytestmark = pytest.mark.anyio


async def judged(bundle: Bundle, own: str = "", record: Bundle | None = None) -> GateResult:
    return await InvariantsGate(own, lambda: record).judge(Candidate(1, {}, bundle))


async def test_the_shipped_policy_is_proven() -> None:
    found = await judged(policy())
    assert found.result == "passed", found.summary
    assert all(one["proven"] for one in found.details["invariants"])
    assert int(found.details["vectors"]) > 10**20


async def test_a_planted_cell_of_the_matrix_is_refused_with_its_counterexample() -> None:
    def plant(zta: dict[str, Any]) -> None:
        zta["matrix"]["rows"]["business"]["byod_phone"] = {"office": {"level": 2}}

    found = await judged(changed(plant))
    assert found.result == "failed"
    assert "private_phone_communication_only" in found.summary
    by_id = {one["id"]: one for one in found.details["invariants"]}
    hole = by_id["private_phone_communication_only"]
    assert hole["confirmed"] is True
    assert (hole["counterexample"]["device.class"], hole["counterexample"]["resource.group"]) == (
        "byod_phone",
        "business",
    )
    (told,) = [one for one in found.details["faults"] if one["code"] == "private_phone_communication_only"]
    assert "反例: " in told["ja"]
    assert "個人所有" in told["ja"]
    assert "counterexample: " in told["en"]
    assert json.dumps(found.details)


async def test_what_opens_where_a_fact_is_unknown_is_told_with_the_value_that_refuses() -> None:
    found = await judged(bundle_of("fine if input.device.posture.tampered != true"))
    (told,) = [one for one in found.details["faults"] if one["code"] == "unknown_never_allows"]
    assert "; refused with " in told["en"]
    assert "拒否されるのは " in told["ja"]


async def test_a_draft_that_cannot_be_counted_out_is_not_passed_and_its_place_is_told() -> None:
    found = await judged(bundle_of('fine if startswith(input.subject.id, "u-")'))
    assert found.result == "failed"
    (told,) = found.details["faults"]
    assert told["where"].startswith("pdp.rego:")
    assert told["ja"].startswith("証明できない")


async def test_an_invariant_of_this_house_is_held_too_and_a_file_that_is_gone_is_no_pass(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("- {id: never-mail, ja: 使わない, en: no mail, never: {resource.group: [communication]}}\n", "utf-8")
    nothing, mail = bundle_of("fine if false"), bundle_of('fine if input.resource.group == "communication"')
    assert (await judged(nothing, own=str(own))).result == "passed"
    assert "never-mail" in [one["code"] for one in (await judged(mail, own=str(own))).details["faults"]]
    assert (await judged(nothing, own=str(tmp_path / "gone.yaml"))).result == "failed"


async def test_a_draft_does_not_get_past_by_calling_itself_plain_where_the_policy_of_record_is_not() -> None:
    draft = plain_bundle(plain("x"))
    found = await judged(draft, record=policy())
    assert (found.result, [one["code"] for one in found.details["faults"]]) == ("failed", ["profile_changed"])
    assert (await judged(draft, record=draft)).result == "not_run"
    assert (await judged(draft)).result == "not_run"


async def test_a_draft_that_ignores_the_class_of_the_device_is_refused_with_the_document_that_it_permits() -> None:
    found = await judged(bundle_of('fine if input.resource.group in {"business", "mynumber"}'))
    by_id = {one["id"]: one for one in found.details["invariants"]}
    for name in ("private_phone_communication_only", "mynumber_separated"):
        assert (by_id[name]["proven"], by_id[name]["confirmed"]) == (False, True)
    phone = by_id["private_phone_communication_only"]
    assert phone["counterexample"]["device.class"] == phone["document"]["device"]["class"] == "byod_phone"


async def test_a_process_that_gets_no_further_is_ended_and_lets_nothing_through() -> None:
    order = Order(policy().canonical.decode())
    with pytest.raises(SpaceError, match=r"nothing was proven within 0\.05 seconds"):
        await find(order, prove_s=0.05)
    try:
        fault = (await find(order, memory_bytes=8 * 1024 * 1024)).fault
    except SpaceError as ended:  # the kernel may refuse memory to Python or to the engine: the one can still say so
        fault = ended.message
    assert fault


async def test_a_process_that_is_killed_or_cannot_be_started_proves_nothing_and_says_so() -> None:
    order = Order(policy().canonical.decode())
    proving = asyncio.create_task(find(order))
    os.kill(await own_child("pdp.gates.proving_child"), signal.SIGKILL)
    with pytest.raises(SpaceError, match="the process that proves ended without an answer"):
        await proving
    with (
        no_further_files(),
        pytest.raises(SpaceError, match="the process that proves cannot be started: Too many open files"),
    ):
        await find(order)


async def test_more_than_a_worker_may_hold_is_no_proof(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    text = "x" * MAX_FINDING
    own.write_text(f"- {{id: a, ja: a, en: {text}, never: {{resource.group: [communication]}}}}\n", "utf-8")
    draft = bundle_of('fine if input.resource.group == "communication"')
    with pytest.raises(SpaceError, match="larger than 4194304 bytes"):
        await find(Order(draft.canonical.decode(), str(own)))
