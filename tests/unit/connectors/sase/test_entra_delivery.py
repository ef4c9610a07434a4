"""What only Entra has: report-only first, the break-glass group, lists that come late, places that have to be there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.sase import couriers
from pdp.delivery.port import Key
from pdp.errors import ConnectorError, ExportError
from tests.entra_files import BREAK_GLASS, JAPAN, LEVEL_2, OFFICE
from tests.graph_schema import schema
from tests.simulators.entra_tenant import EntraTenant
from tests.simulators.tenants import Trouble
from tests.unit.connectors.sase.delivered import ENTRA
from tests.unit.connectors.sase.delivering import scene_in_process

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _states(there: EntraTenant) -> set[str]:
    return {one["state"] for one in there.policies.values()}


async def test_everything_is_report_only_first_and_enabled_afterwards(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    await scene.deliver("first", quiet_only=True)
    assert _states(scene.there) == {"enabledForReportingButNotEnforced"}
    reported = len(scene.there.policies)
    scene.there.begin()
    await scene.deliver("first")
    assert _states(scene.there) == {"enabled"}
    assert len(scene.there.policies) == reported
    assert {method for method, _ in scene.there.writes} == {"PATCH"}
    scene.refuse_wider()


async def test_no_policy_ever_forgets_the_break_glass_group(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    for of in ("first", "second"):
        await scene.deliver(of)
        ENTRA.drifted(scene.there)
    await scene.deliver("first")
    sent = [one.body for one in scene.there.asked if one.method in ("POST", "PATCH")]
    assert len(sent) > 10
    assert all(BREAK_GLASS in one["conditions"]["users"]["excludeGroups"] for one in sent)


async def test_a_policy_without_the_break_glass_group_is_not_made_into_a_thing_and_not_sent(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    courier = couriers.courier_of("entra", ENTRA.mapping("first"))
    policies = json.loads(ENTRA.files("first")["policies.json"])
    policies[0]["conditions"]["users"]["excludeGroups"] = []
    with pytest.raises(ExportError, match="does not exclude the break-glass group"):
        courier.things({**ENTRA.files("first"), "policies.json": json.dumps(policies).encode()})
    body = {name: value for name, value in policies[0].items() if name not in ("displayName", "state")}
    async with scene.opened("first") as (made, tenant):
        for write in (tenant.add, tenant.change):
            if write == tenant.change:
                scene.there.policies["p"] = {"id": "p", **policies[1], "displayName": "ZT-block-1"}
                await tenant.read()
            with pytest.raises(ConnectorError, match="does not exclude the break-glass group"):
                await write(made.policy("ZT-block-1", body), live=True)
    assert scene.there.writes == []


async def test_what_is_sent_is_what_microsoft_s_schema_describes(tmp_path: Path) -> None:
    graph = schema()
    scene = scene_in_process(ENTRA, tmp_path)
    await scene.deliver("first")
    sent = [one.body for one in scene.there.asked if one.method in ("POST", "PATCH")]
    assert [fault for one in sent for fault in graph.faults("graph.conditionalAccessPolicy", one)] == []


async def test_a_list_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    scene.there.late = 3
    await scene.deliver("first")
    assert (await scene.plan("first")).steps == ()
    names = [one["displayName"] for one in scene.there.policies.values()]
    assert len(set(names)) == len(names)
    assert scene.hands.pauses


async def test_an_answer_that_is_lost_and_a_list_that_comes_late_do_not_make_two(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    scene.there.late = 3
    scene.there.troubles.append(Trouble(at=1, times=1_000, status=502, done=True))
    await scene.deliver("first")
    names = [one["displayName"] for one in scene.there.policies.values()]
    assert len(set(names)) == len(names)


async def test_of_two_policies_with_one_name_both_are_changed_and_both_go(tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    await scene.deliver("first")
    policies = scene.there.policies
    one = next(iter(policies.values()))
    policies["twin"] = {**one, "id": "twin", "state": "disabled"}
    assert await scene.drift("first") == ()  # the one that counts is there
    async with scene.opened("first") as (_, tenant):
        await tenant.read()
        await tenant.remove(Key("policy", "", one["displayName"]))
    assert one["displayName"] not in [held["displayName"] for held in policies.values()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda there: there.locations.pop(OFFICE), "no named location for `office`", id="no office"),
        pytest.param(
            lambda there: there.locations[JAPAN].update(includeUnknownCountriesAndRegions=True),
            "the location of `JP` takes in unknown countries",
            id="unknown countries",
        ),
        pytest.param(lambda there: there.strengths.pop(LEVEL_2), "no strength for `level_2`", id="no strength"),
    ],
)
async def test_what_policies_name_has_to_be_there_before_anything_is_planned(
    change: Any, words: str, tmp_path: Path
) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    change(scene.there)
    with pytest.raises(ConnectorError, match=words):
        await scene.deliver("first")
    assert scene.there.writes == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one.update(sessionControls={"disableResilienceDefaults": True}), id="session"),
        pytest.param(lambda one: one["conditions"].update(signInRiskLevels=["high"]), id="risk"),
        pytest.param(lambda one: one["conditions"].update(platforms={"includePlatforms": ["iOS"]}), id="platform"),
        pytest.param(lambda one: one["conditions"]["users"]["excludeUsers"].append("somebody"), id="a person"),
        pytest.param(lambda one: one["grantControls"].update(operator="AND"), id="operator"),
        pytest.param(lambda one: one.update(state="disabled"), id="off"),
    ],
)
async def test_whatever_somebody_changes_in_a_policy_is_drift(change: Any, tmp_path: Path) -> None:
    scene = scene_in_process(ENTRA, tmp_path)
    await scene.deliver("first")
    one = next(iter(scene.there.policies.values()))
    one["conditions"]["users"].setdefault("excludeUsers", [])
    assert await scene.drift("first") == ()
    change(one)
    (found,) = await scene.drift("first")
    assert found.key.name == one["displayName"]
    assert found.counts
