from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from pdp.callers.bounds import CallerBounds, set_bounds
from pdp.callers.budget import CallerLimits
from tests.unit.posture.conftest import GOOD, NOW, House

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
JSON = {"content-type": "application/json"}


async def test_a_report_is_what_decisions_see_next(house: House) -> None:
    answer = await house.put("d-1", {"edr_risk": "high", "tampered": False})

    assert answer.status_code == 200
    assert answer.json()["kept"] == "this"
    assert answer.json()["source"] == "push:edr"
    posture = house.posture("d-1")
    assert (posture.edr_risk, posture.tampered, posture.disk_encrypted) == ("high", False, "unknown")
    assert posture.observed_at == NOW


async def test_a_fact_that_is_left_out_is_forgotten(house: House) -> None:
    await house.put("d-1", GOOD, age=HOUR)
    await house.put("d-1", {"edr_risk": "low"})

    posture = house.posture("d-1")
    assert posture.edr_risk == "low"
    assert posture.disk_encrypted == "unknown"
    assert posture.patch_age_days is None


async def test_an_older_report_hides_nothing_newer(house: House) -> None:
    await house.put("d-1", {"edr_risk": "high"})
    told = list(house.told)
    late = await house.put("d-1", GOOD, age=HOUR)

    assert late.status_code == 200
    assert late.json()["kept"] == "newer"
    assert late.json()["observed_at"].startswith("2026-07-01T00:00:00")
    assert house.posture("d-1").edr_risk == "high"
    assert house.told == told


async def test_the_same_report_again_changes_nothing_and_tells_nobody(house: House) -> None:
    first = await house.put("d-1")
    told = list(house.told)
    again = await house.put("d-1")

    assert (first.json()["kept"], again.json()["kept"]) == ("this", "same")
    assert again.headers["etag"] == first.headers["etag"]
    assert house.told == told


@pytest.mark.parametrize("bad_first", [True, False])
async def test_of_two_reports_of_one_instant_the_worse_stands_whichever_came_last(
    house: House, *, bad_first: bool
) -> None:
    good, bad = {"edr_risk": "none", "tampered": False}, {"edr_risk": "high", "tampered": True}
    for facts in (bad, good) if bad_first else (good, bad):
        await house.put("d-1", facts)

    posture = house.posture("d-1")
    assert (posture.edr_risk, posture.tampered) == ("high", True)


async def test_two_callers_are_two_sources_and_the_worse_of_both_counts(house: House) -> None:
    await house.put("d-1", {"edr_risk": "high"}, age=HOUR)
    await house.put("d-1", {"edr_risk": "none", "disk_encrypted": True}, caller="mdm")

    posture = house.posture("d-1")
    assert posture.edr_risk == "high"
    assert posture.disk_encrypted is True


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("d-2", "d-2"),
        ("id:d-2", "d-2"),
        ("serial:SN-0001", "d-1"),
        ("serial:ｓｎ-0001", "d-1"),
        ("host_name:pc-0001", "d-1"),
        ("vendor_id:ABC", "d-3"),
        ("host_name:a%2Fb%2520c", "d-4"),
        ("certificate_sha256:" + "2" * 64, "d-2"),
    ],
)
async def test_a_device_is_named_by_its_id_or_an_alias(house: House, name: str, device: str) -> None:
    answer = await house.put(name)
    assert (answer.status_code, answer.json().get("device")) == (200, device)


@pytest.mark.parametrize(
    "name", ["d-9", "serial:SN-9", "serial:default%20string", "serial:d-1", "vendor_id:xyz", "id:serial:SN-0001", "D-1"]
)
async def test_a_device_that_is_not_registered_is_404(house: House, name: str) -> None:
    answer = await house.put(name)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"]["code"] == "unknown_device"
    assert answer.json()["type"] == "urn:sekisho:error:unknown_device"


async def test_the_vendor_id_of_another_caller_finds_nothing(house: House) -> None:
    assert (await house.put("vendor_id:ABC", caller="mdm")).status_code == 404


OBSERVED = NOW.isoformat()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"facts": {}}, "observed_at"),
        ({"observed_at": OBSERVED}, "facts"),
        ({"observed_at": OBSERVED, "facts": {}, "compliant": True}, "compliant"),
        ({"observed_at": OBSERVED, "facts": {"compliant": True}}, "compliant"),
        ({"observed_at": OBSERVED, "facts": {"disk_encrypted": "yes"}}, "disk_encrypted"),
        ({"observed_at": OBSERVED, "facts": {"disk_encrypted": "true"}}, "disk_encrypted"),
        ({"observed_at": OBSERVED, "facts": {"disk_encrypted": 1}}, "disk_encrypted"),
        ({"observed_at": OBSERVED, "facts": {"disk_encrypted": None}}, "disk_encrypted"),
        ({"observed_at": OBSERVED, "facts": {"edr_risk": "critical"}}, "edr_risk"),
        ({"observed_at": OBSERVED, "facts": {"edr_running": "stopped"}}, "edr_running"),
        ({"observed_at": OBSERVED, "facts": {"patch_age_days": -1}}, "patch_age_days"),
        ({"observed_at": OBSERVED, "facts": {"patch_age_days": 1.5}}, "patch_age_days"),
        ({"observed_at": OBSERVED, "facts": {"patch_age_days": 99_999}}, "patch_age_days"),
        ({"observed_at": "2026-07-01T00:00:00", "facts": {}}, "observed_at"),
        ({"observed_at": "2026-07-01", "facts": {}}, "observed_at"),
        ({"observed_at": 1_782_000_000, "facts": {}}, "observed_at"),
        ({"observed_at": "0001-01-01T00:00:00+14:00", "facts": {}}, "observed_at"),
        ({"observed_at": (NOW + timedelta(seconds=61)).isoformat(), "facts": {}}, "future"),
        ([], "object"),
        ("text", "object"),
    ],
)
async def test_a_report_that_breaks_its_form_is_refused_whole(house: House, body: Any, says: str) -> None:
    answer = await house.send("PUT", "/posture/v1/devices/d-1", json=body)

    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]
    assert house.told == []


async def test_a_clock_that_is_a_minute_ahead_is_taken(house: House) -> None:
    assert (await house.put("d-1", age=timedelta(seconds=-60))).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b'{"observed_at":"2026-07-01T00:00:00Z","facts":{"tampered":true,"tampered":false}}',
        b'{"observed_at":"2026-07-01T00:00:00Z","facts":{}',
        b'{"observed_at":"2026-07-01T00:00:00Z","facts":{"patch_age_days":NaN}}',
        b"\xff\xfe",
        b"",
        b"[" * 10_000,
    ],
)
async def test_a_body_that_is_not_strict_json_is_400(house: House, raw: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await house.send("PUT", "/posture/v1/devices/d-1", content=raw, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "", "application/x-www-form-urlencoded"])
async def test_another_content_type_is_415(house: House, media: str) -> None:
    answer = await house.send("PUT", "/posture/v1/devices/d-1", content=b"{}", headers={"content-type": media})
    assert answer.status_code == 415


async def test_a_body_that_is_too_large_is_413_and_nothing_of_it_is_parsed(house: House) -> None:
    content = b'{"observed_at":"' + b"x" * 20_000
    answer = await house.send(
        "PUT", "/posture/v1/devices/d-1", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


async def test_who_is_not_known_is_401_before_the_body_is_looked_at(house: House) -> None:
    answer = await house.send("PUT", "/posture/v1/devices/d-1", caller=None, content=b"[[[[")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("caller", ["gateway", "reader"])
async def test_without_the_permission_nothing_is_pushed(house: House, caller: str) -> None:
    answer = await house.put("d-1", caller=caller)
    assert answer.status_code == 403
    assert "push_posture" in answer.json()["detail"]
    assert house.posture("d-1").observed_at is None


async def test_two_credentials_are_none(house: House) -> None:
    headers = {"x-api-key": house.keys["mdm"]}
    assert (await house.put("d-1", headers=headers)).status_code == 400


async def test_a_caller_that_is_bounded_to_facts_reports_no_other(house: House) -> None:
    house.facts["edr"] = ["edr_running", "edr_risk"]

    beyond = await house.put("d-1", {"edr_risk": "none", "disk_encrypted": True})
    within = await house.put("d-1", {"edr_risk": "none", "disk_encrypted": "unknown"})

    assert (beyond.status_code, within.status_code) == (403, 200)
    assert "disk_encrypted" in beyond.json()["detail"]


async def test_a_put_with_the_tag_of_what_is_held_is_412(house: House) -> None:
    tag = (await house.put("d-1", age=HOUR)).headers["etag"]

    same = await house.put("d-1", {"edr_risk": "high"}, headers={"if-none-match": f'"other", W/{tag}'})
    anything = await house.put("d-1", {"edr_risk": "high"}, headers={"if-none-match": "*"})
    other = await house.put("d-1", {"edr_risk": "high"}, headers={"if-none-match": '"other"'})
    broken = await house.put("d-1", headers={"if-none-match": "other"})

    assert [a.status_code for a in (same, anything, other, broken)] == [412, 412, 200, 400]
    assert house.posture("d-1").edr_risk == "high"


async def test_what_is_held_is_shown_by_source_and_together(house: House) -> None:
    await house.put("serial:SN-0001", {"edr_risk": "high"})
    await house.put("d-1", {"edr_risk": "none", "disk_encrypted": True}, caller="mdm")

    everything = (await house.send("GET", "/posture/v1/devices/serial:SN-0001", caller="reader")).json()
    own = (await house.send("GET", "/posture/v1/devices/d-1")).json()

    assert [report["source"] for report in everything["reports"]] == ["push:edr", "push:mdm"]
    assert everything["together"]["facts"]["edr_risk"] == "high"
    assert everything["together"]["facts"]["patch_age_days"] == "unknown"
    assert [report["source"] for report in own["reports"]] == ["push:edr"]
    assert "together" not in own


async def test_a_reader_that_has_the_present_state_is_304(house: House) -> None:
    await house.put("d-1")
    path = "/posture/v1/devices/d-1"
    tag = (await house.send("GET", path, caller="reader")).headers["etag"]

    same = await house.send("GET", path, caller="reader", headers={"if-none-match": tag})
    await house.put("d-1", {"edr_risk": "high"}, age=-timedelta(seconds=5))
    changed = await house.send("GET", path, caller="reader", headers={"if-none-match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200


async def test_a_device_without_any_report_is_shown_empty_and_an_unknown_one_is_404(house: House) -> None:
    nothing = await house.send("GET", "/posture/v1/devices/d-2", caller="reader")
    unknown = await house.send("GET", "/posture/v1/devices/d-9", caller="reader")
    forbidden = await house.send("GET", "/posture/v1/devices/d-2", caller="gateway")

    assert nothing.json() == {"device": "d-2", "reports": []}
    assert (unknown.status_code, forbidden.status_code) == (404, 403)


async def test_a_store_that_does_not_answer_is_503_and_nothing_is_half_kept(house: House) -> None:
    await house.put("d-1", age=HOUR)
    with house.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE posture_reports RENAME TO elsewhere")

    push = await house.put("d-1", {"edr_risk": "high"})
    batch = await house.send(
        "POST", "/posture/v1/devices", json={"reports": [{"device": "d-1", "observed_at": OBSERVED, "facts": {}}]}
    )
    read = await house.send("GET", "/posture/v1/devices/d-1")

    assert [a.status_code for a in (push, batch, read)] == [503, 503, 503]
    assert push.headers["retry-after"]
    for answer in (push, batch, read):
        assert "elsewhere" not in answer.text
        assert "posture_reports" not in answer.text
        assert "Traceback" not in answer.text
    with house.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO posture_reports")
    assert house.posture("d-1").edr_risk == "none"
    assert (await house.put("d-1", {"edr_risk": "high"})).status_code == 200


async def test_every_path_stands_in_the_openapi_document_with_schemas_that_exist(house: House) -> None:
    document = (await house.send("GET", "/openapi.json", caller=None)).json()
    paths = document["paths"]

    assert {"put", "get"} <= paths["/posture/v1/devices/{device}"].keys()
    assert {"/posture/v1/devices", "/posture/v1/hip", "/cloudflare/posture/v1/devices"} <= paths.keys()
    text = json.dumps(document)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in document["components"]["schemas"], name


async def test_a_caller_above_its_rate_is_429_and_another_is_not(house: House) -> None:
    set_bounds(house.store, "edr", CallerBounds(limits=CallerLimits(requests_per_s=1, burst=2)))
    await house.callers.refresh()

    statuses = [(await house.put("d-1")).status_code for _ in range(3)]
    last = await house.put("d-1")

    assert statuses == [200, 200, 429]
    assert last.headers["content-type"] == "application/problem+json"
    assert int(last.headers["retry-after"]) >= 1
    assert (await house.put("d-1", caller="mdm")).status_code == 200


async def test_a_caller_with_a_narrower_body_or_batch_is_held_to_it(house: House) -> None:
    set_bounds(house.store, "edr", CallerBounds(limits=CallerLimits(body_bytes=300, batch=2)))
    await house.callers.refresh()
    entry = {"device": "d-1", "observed_at": NOW.isoformat(), "facts": {}}

    large = await house.put("d-1", headers={"content-type": "application/json"})
    three = await house.send("POST", "/posture/v1/devices", json={"reports": [entry] * 3})
    two = await house.send("POST", "/posture/v1/devices", json={"reports": [entry] * 2})

    assert (large.status_code, three.status_code, two.status_code) == (200, 413, 200)
    assert (await house.put("d-1" + " " * 10, {**GOOD, "patch_age_days": 30_000})).status_code == 404
    huge = await house.send("PUT", "/posture/v1/devices/d-1", content=b"{" + b" " * 300 + b"}", headers=JSON)
    assert huge.status_code == 413
