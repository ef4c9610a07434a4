"""Who fills the posture rules of an export to Cloudflare Access: this service, set by set, from the exported file."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sase.cloudflare import target
from pdp.errors import NotReadyError
from pdp.posture.sets import ExportedSets
from pdp.wire.cloudflare_posture import SETS_PATH
from tests.spaces import shipped_model
from tests.unit.connectors.sase.cloudflare_tenant import mapping
from tests.unit.posture.conftest import GOOD, House
from tests.unit.posture.test_cloudflare import UUID, asked

pytestmark = pytest.mark.anyio

FRESH = {"name": "posture-1a2b3c4d", "all_of": [{"fact": "device.posture.age_hours", "values": ["0-23"]}]}
CLASS = {"name": "class-managed_pc", "all_of": [{"fact": "device.class", "values": ["managed_pc"]}]}
RISK = {"name": "session-1a2b3c4d", "all_of": [{"fact": "context.risk∋malware_alert", "values": [False]}]}


async def ask(house: House, name: str, *devices: Any, caller: str = "reader") -> httpx.Response:
    return await house.send("POST", f"{SETS_PATH}/{name}", json={"devices": devices}, caller=caller)


async def in_set(house: House, name: str, *devices: Any) -> dict[str, int]:
    answer = await ask(house, name, *devices)
    assert answer.status_code == 200, answer.text
    return {device: said["score"] for device, said in answer.json()["result"].items()}


async def test_a_member_has_a_hundred_and_anybody_else_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "sets.json").write_text(json.dumps([FRESH, CLASS]))
    await house.put("d-1", GOOD)
    devices = (asked(), asked("b", "SN-0002"), asked("c", "SN-9"))
    assert await in_set(house, FRESH["name"], *devices) == {UUID: 100, "b": 0, "c": 0}
    assert await in_set(house, CLASS["name"], *devices) == {UUID: 100, "b": 100, "c": 0}
    house.clock.now += timedelta(hours=25)
    assert (await in_set(house, FRESH["name"], asked()))[UUID] == 0  # it has fallen silent


async def test_a_set_of_what_this_service_does_not_hold_has_nobody_in_it(house: House, tmp_path: Path) -> None:
    (tmp_path / "sets.json").write_text(json.dumps([RISK]))
    await house.put("d-1", GOOD)
    assert await in_set(house, RISK["name"], asked()) == {UUID: 0}


async def test_a_new_export_counts_at_once_and_a_broken_one_answers_nothing(house: House, tmp_path: Path) -> None:
    assert (await ask(house, CLASS["name"], asked())).status_code == 503  # no export is in force
    (tmp_path / "sets.json").write_text(json.dumps([FRESH]))
    assert (await ask(house, CLASS["name"], asked())).status_code == 404
    (tmp_path / "sets.json").write_text(json.dumps([FRESH, CLASS]))
    assert await in_set(house, CLASS["name"], asked()) == {UUID: 100}
    (tmp_path / "sets.json").write_text('[{"name": "class-managed_pc"')
    answer = await ask(house, CLASS["name"], asked())
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("name", ["managed_pc", "class-", "..", "class-managed_pc%00", "class-" + "x" * 65])
async def test_a_name_that_is_none_is_not_there(name: str, house: House, tmp_path: Path) -> None:
    (tmp_path / "sets.json").write_text(json.dumps([CLASS]))
    assert (await ask(house, name, asked())).status_code == 404


async def test_only_who_may_read_posture_is_told(house: House, tmp_path: Path) -> None:
    (tmp_path / "sets.json").write_text(json.dumps([CLASS]))
    assert (await ask(house, CLASS["name"], asked(), caller="gateway")).status_code == 403
    assert (await house.send("POST", f"{SETS_PATH}/x", json={}, caller=None)).status_code == 401


async def test_every_set_of_a_shipped_export_is_answered_for(house: House, tmp_path: Path) -> None:
    text = target(mapping()).export(shipped_model()).files["sets.json"]
    (tmp_path / "sets.json").write_bytes(text)
    names = [one["name"] for one in json.loads(text)]
    assert len(names) > 10
    await house.put("d-1", GOOD)
    answered = {name: (await in_set(house, name, asked()))[UUID] for name in names}
    assert answered["class-managed_pc"] == 100
    assert answered["class-mobile_pc"] == 0
    assert set(answered.values()) == {0, 100}


def test_while_an_export_is_delivered_the_sets_of_both_are_answered_for(tmp_path: Path) -> None:
    paths = [tmp_path / "now.json", tmp_path / "next.json"]
    narrower = {**CLASS, "all_of": [{"fact": "device.shared", "values": [False]}]}
    for path, sets in zip(paths, ([FRESH, CLASS], [RISK, narrower]), strict=True):
        path.write_text(json.dumps(sets))
    both = ExportedSets(paths)
    assert [both.conditions(one["name"])[0].fact for one in (FRESH, RISK)] == [
        "device.posture.age_hours",
        "context.risk∋malware_alert",
    ]
    assert [one.fact for one in both.conditions(CLASS["name"])] == ["device.class", "device.shared"]  # what both say
    paths[1].unlink()
    with pytest.raises(NotReadyError):
        both.conditions(FRESH["name"])
