"""The gate `foresight`: whom a draft may take what from, and directories that show nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from pdp.bundle.bundle import Bundle
from pdp.gates.foresight import Bounds, ForesightGate, Ground
from pdp.gates.gates import ScenariosGate
from pdp.model.directory import Snapshot
from pdp.revisions.files import bundle_of
from pdp.revisions.gate import Candidate
from pdp.revisions.revision import GateResult
from tests.revision_files import policy as plain
from tests.unit.simulate.town import NOW, changed, engine, policy, small, town

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(0.05, 0.1, frozenset({"disaster_response"}), frozenset(), losing_device_share=1.0)


def staffed(**more: Any) -> Snapshot:
    """The town; `u-own` responds to disasters, with the managed PC `d-own` and the private phone `d-phone`."""
    snapshot = replace(town(), **more)
    own = replace(snapshot.users["u-own"], roles=("disaster_response",))
    devices = {
        id_: replace(device, posture=replace(device.posture, observed_at=NOW - timedelta(hours=1)))
        for id_, device in snapshot.devices.items()
    }
    return replace(
        snapshot,
        users=MappingProxyType({**snapshot.users, "u-own": own}),
        devices=MappingProxyType(devices),
    )


async def judged(
    draft: Bundle, snapshot: Snapshot, bounds: Bounds = BOUNDS, active: Bundle | None = None
) -> GateResult:
    ground = Ground(active or policy(), snapshot, NOW)
    return await ForesightGate(lambda: ground, engine, bounds).judge(Candidate(1, {}, draft))


def codes(result: GateResult) -> list[str]:
    assert all(one["ja"] != one["en"] for one in result.details["faults"])
    return [one["code"] for one in result.details["faults"]]


def without_phones(zta: dict[str, Any]) -> None:
    del zta["matrix"]["rows"]["communication"]["byod_phone"]


def without_section_pcs(zta: dict[str, Any]) -> None:
    for row in zta["matrix"]["rows"].values():
        row.pop("section_pc", None)


async def test_a_draft_that_changes_nothing_passes_and_what_was_looked_at_is_kept() -> None:
    found = await judged(policy(), staffed())
    assert (found.result, codes(found)) == ("passed", []), found.summary
    told = found.details["simulation"]
    assert (told["users"], told["checked"]) == (8, 800)
    assert told["contexts"][-2:] == ["disaster-remote", "disaster-mobile"]
    assert found.details["protected"]["role:disaster_response"] == {"users": 1, "losing": 0, "first": []}
    json.dumps(dict(found.details))


async def test_scenarios_and_foresight_are_not_skipped_by_a_draft_that_calls_itself_plain() -> None:
    files = plain("x")
    draft = Candidate(1, files, bundle_of(files))
    ground = Ground(policy(), staffed(), NOW)
    for record, expected in ((policy(), "failed"), (draft.bundle, "not_run"), (None, "not_run")):
        foresight = ForesightGate(lambda: ground, engine, BOUNDS, iter([record]).__next__)
        scenarios = ScenariosGate(engine, iter([record]).__next__)
        assert [(await gate.judge(draft)).result for gate in (foresight, scenarios)] == [expected, expected]


async def test_a_draft_that_takes_anything_from_disaster_staff_is_refused() -> None:
    """Her PC reaches all that her phone does: to be protected is to lose nothing, whatever else there is."""
    found = await judged(changed(without_phones), staffed())
    assert found.result == "failed"
    assert "protected_lose" in codes(found)
    assert found.details["protected"]["role:disaster_response"] == {"users": 1, "losing": 1, "first": ["u-own"]}
    samples = [one["samples"] for one in found.details["simulation"]["kinds"] if one["change"] == "loses"]
    assert {one["device"] for some in samples for one in some} == {"d-phone"}


def stepping(level: int) -> Bundle:
    return small(
        f'decision := {{"outcome": "step_up", "reasons": ["NO"], "obligations": {{}}, "required_auth_level": {level}}}'
    )


async def test_a_step_up_that_nobody_can_meet_is_a_loss_and_any_at_all_is_one_for_the_protected() -> None:
    allowing = small('decision := {"outcome": "allow", "reasons": ["OK"], "obligations": {}}')
    nobody = replace(BOUNDS, roles=frozenset(), losing_share=0.0)
    never = await judged(stepping(1), staffed(), nobody, allowing)  # every context has level 2 at least
    assert codes(never) == ["too_many_lose"]
    assert never.details["simulation"]["people"]["losing"]["users"] == 7  # of 8: one has no terminal
    assert codes(await judged(stepping(1), staffed(), BOUNDS, allowing)) == ["too_many_lose", "protected_lose"]
    everyone = replace(BOUNDS, losing_share=1.0)
    assert codes(await judged(stepping(3), staffed(), everyone, allowing)) == ["protected_lose"]
    assert codes(await judged(stepping(3), staffed(), replace(everyone, roles=frozenset()), allowing)) == []


async def test_a_draft_that_takes_a_system_from_too_many_is_refused_and_from_a_few_is_not() -> None:
    draft = changed(without_section_pcs)
    few = replace(BOUNDS, roles=frozenset(), losing_share=1.0)
    assert codes(await judged(draft, staffed(), few)) == []
    bounds = replace(few, losing_share=0.01, departments=frozenset({"zeimu"}))
    assert codes(await judged(draft, staffed(), bounds)) == ["too_many_lose", "protected_lose"]


async def test_a_draft_that_shuts_out_a_class_of_devices_is_refused_although_everybody_has_another() -> None:
    """Nobody loses a system: her PC reaches all that her phone did. Of the devices one phone does."""
    bounds = replace(BOUNDS, roles=frozenset(), losing_share=0.0)
    draft = changed(without_phones)
    strict = await judged(draft, staffed(), replace(bounds, losing_device_share=0.05))
    told = strict.details["simulation"]
    assert (told["people"]["losing"]["users"], told["terminals"]["losing"]) == (0, {"devices": 1, "first": ["d-phone"]})
    assert codes(strict) == ["too_many_devices_lose"]
    assert f"1 of {told['devices']} devices lose a system" in strict.details["faults"][0]["en"]
    assert strict.details["bounds"]["losing_device_share"] == 0.05


async def test_a_directory_that_is_absent_or_stale_is_a_refusal_although_nothing_would_change() -> None:
    empty: MappingProxyType[str, Any] = MappingProxyType({})
    assert codes(await judged(policy(), replace(staffed(), users=empty))) == ["directory_empty"]
    assert codes(await judged(policy(), replace(staffed(), devices=empty))) == ["directory_empty"]
    for more in ({"posture_source": "unavailable"}, {"posture_missing": True}, {"identity_until": NOW}):
        assert codes(await judged(policy(), staffed(**more))) == ["source_unavailable"]
    old = staffed()
    stale = {id_: replace(one, posture=replace(one.posture, observed_at=NOW - timedelta(days=9)))
             for id_, one in old.devices.items()}  # fmt: skip
    assert codes(await judged(policy(), replace(old, devices=MappingProxyType(stale)))) == ["posture_stale"]
    one = {**old.devices, "d-old": stale["d-old"]}
    assert codes(await judged(policy(), replace(old, devices=MappingProxyType(one)))) == ["posture_stale"]
    assert (
        codes(await judged(policy(), replace(old, devices=MappingProxyType(one)), replace(BOUNDS, stale_share=0.5)))
        == []
    )


async def test_a_protected_role_that_nobody_holds_and_a_policy_that_permits_nothing_are_refusals() -> None:
    misspelt = replace(BOUNDS, roles=frozenset({"disaster_responce"}))
    assert codes(await judged(policy(), staffed(), misspelt)) == ["nobody_protected"]
    nothing = small('default decision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}}')
    assert codes(await judged(policy(), staffed(), active=nothing)) == ["nothing_to_lose"]
