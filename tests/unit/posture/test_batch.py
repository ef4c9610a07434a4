from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pdp.callers.caller import Caller
from pdp.posture.desk import Desk
from pdp.wire.exchange import HttpRequest
from tests.unit.posture.conftest import GOOD, NOW, House

pytestmark = pytest.mark.anyio

PATH = "/posture/v1/devices"


def entry(device: str, **facts: Any) -> dict[str, Any]:
    return {"device": device, "observed_at": NOW.isoformat(), "facts": facts or GOOD}


async def test_each_report_of_a_batch_is_kept_or_refused_by_itself(house: House) -> None:
    future = {**entry("d-2"), "observed_at": (NOW + timedelta(hours=1)).isoformat()}
    reports = [
        entry("d-1"),
        entry("d-9"),
        {**entry("d-2"), "compliant": True},
        future,
        "nothing",
        entry("serial:SN-0002", edr_risk="high"),
    ]

    answer = await house.send("POST", PATH, json={"reports": reports})

    assert answer.status_code == 207
    body = answer.json()
    assert [result["status"] for result in body["results"]] == [200, 404, 400, 400, 400, 200]
    assert (body["taken"], body["refused"]) == (2, 4)
    assert [result.get("asked") for result in body["results"]] == ["d-1", "d-9", "d-2", "d-2", None, "serial:SN-0002"]
    assert house.posture("d-2").edr_risk == "high"
    assert house.posture("d-1").edr_risk == "none"


async def test_a_batch_that_is_all_taken_is_200_and_one_transaction(house: House) -> None:
    answer = await house.send("POST", PATH, json={"reports": [entry("d-1"), entry("d-2"), entry("d-3")]})

    assert answer.status_code == 200
    assert answer.json()["refused"] == 0
    assert len(house.told) == 1


async def test_one_device_twice_in_a_batch_is_judged_in_order(house: House) -> None:
    old = {**entry("serial:SN-0001", edr_risk="none"), "observed_at": (NOW - timedelta(hours=2)).isoformat()}
    reports = [entry("d-1", edr_risk="high"), old, entry("d-1", edr_risk="none")]

    results = (await house.send("POST", PATH, json={"reports": reports})).json()["results"]

    assert [result["kept"] for result in results] == ["this", "newer", "same"]
    assert house.posture("d-1").edr_risk == "high"


async def test_a_fact_beyond_the_callers_bounds_refuses_its_report_alone(house: House) -> None:
    house.facts["edr"] = ["edr_risk"]
    reports = [entry("d-1", disk_encrypted=True), entry("d-2", edr_risk="low")]

    results = (await house.send("POST", PATH, json={"reports": reports})).json()["results"]

    assert [result["status"] for result in results] == [403, 200]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reports": []}, 400),
        ({"reports": {}}, 400),
        ({}, 400),
        ([], 400),
        ({"reports": [entry("d-1")], "more": 1}, 400),
        ({"reports": [entry("d-1")] * 1_001}, 413),
    ],
)
async def test_a_batch_that_breaks_its_form_is_refused_whole(house: House, body: Any, status: int) -> None:
    answer = await house.send("POST", PATH, json=body)
    assert answer.status_code == status
    assert house.told == []


async def test_a_thousand_full_reports_fit_into_one_batch(house: House) -> None:
    observed = "2026-07-01T00:00:00.000000+00:00"
    reports = [
        {"device": f"serial:{'X' * 60}{at}", "observed_at": observed, "facts": {**GOOD, "edr_running": "not_managed"}}
        for at in range(1_000)
    ]
    answer = await house.send("POST", PATH, json={"reports": reports})
    assert answer.status_code == 207
    assert answer.json()["refused"] == 1_000


async def test_every_report_of_a_batch_counts_against_the_callers_rate(house: House) -> None:
    spent: list[int] = []

    class Counting(Caller):
        def spend(self, further: int) -> None:
            spent.append(further)

    async def introduce(_: HttpRequest) -> Caller:
        return Counting("edr", frozenset({"push_posture"}))

    desk = Desk(introduce, house.ledger, house.store, house.clock, lambda *_: pytest.fail("no HIP report came"))
    body = json.dumps({"reports": [entry("d-1"), entry("d-2")]}).encode()
    answer = await desk.batch(HttpRequest("POST", PATH, "", (("content-type", "application/json"),), body))

    assert answer.status == 200
    assert spent == [1]
