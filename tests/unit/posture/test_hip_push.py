from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from pdp.directory.aliases import alias_key
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from tests.simulators.pan_os import drives, enabled, hip_report
from tests.unit.posture.conftest import NOW, House

pytestmark = pytest.mark.anyio


async def push(house: House, text: str | bytes, *, media: str = "application/xml", **more: Any) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    headers = {"content-type": media, **more.pop("headers", {})}
    return await house.send("POST", "/posture/v1/hip", content=content, headers=headers, **more)


def report(serial: str = "SN-0001", **more: Any) -> str:
    return hip_report("PC-0001", serial=serial, generated="07/01/2026 09:00:00", **more)  # NOW, in Japan


@pytest.mark.parametrize("media", ["application/xml", "text/xml; charset=utf-8"])
async def test_a_report_finds_its_device_and_is_what_decisions_see(house: House, media: str) -> None:
    answer = await push(house, report(encryption=drives(("C:", "unencrypted"))), media=media)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["device"], answer.json()["source"]) == ("d-1", "push:edr")
    posture = house.posture("d-1")
    assert (posture.disk_encrypted, posture.firewall, posture.edr_risk) == (False, True, "unknown")
    assert posture.observed_at == NOW


async def test_a_serial_number_and_a_host_name_of_two_devices_are_409(house: House) -> None:
    answer = await push(house, report("SN-0002"))
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "ambiguous_device"
    assert house.posture("d-2").observed_at is None


async def test_a_device_that_takes_the_host_name_of_another_does_not_report_for_it(house: House) -> None:
    answer = await push(house, report("PRIVATE-1"))
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "contradicted_device"
    assert house.posture("d-1").observed_at is None


async def test_the_host_id_of_a_device_is_an_alias_of_that_source(house: House) -> None:
    with change(house.store, NOW) as inside:
        inside.add("aliases", {alias_key("vendor_id", "push:edr:guid-PC-0009"): Alias("d-2")})
    text = hip_report("PC-0009", serial="none", generated="07/01/2026 09:00:00")
    assert (await push(house, text)).json()["device"] == "d-2"


async def test_facts_beyond_the_callers_bounds_are_left_out(house: House) -> None:
    house.facts["edr"] = ["firewall"]
    assert (await push(house, report())).status_code == 200
    posture = house.posture("d-1")
    assert (posture.firewall, posture.disk_encrypted, posture.av_current) == (True, "unknown", "unknown")


async def test_a_report_of_the_future_is_refused_and_one_of_yesterday_hides_nothing(house: House) -> None:
    assert (await push(house, report().replace("09:00:00", "09:02:00"))).status_code == 400
    await push(house, report(firewall=enabled("no")))
    old = await push(house, report().replace("07/01/2026", "06/30/2026"))
    assert old.json()["kept"] == "newer"
    assert house.posture("d-1").firewall is False


@pytest.mark.parametrize(
    ("text", "media", "status"),
    [
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><hip-report>&a;</hip-report>', "application/xml", 400),
        ("<hip-report/>", "application/xml", 400),
        ("{}", "application/xml", 400),
        ("", "application/xml", 400),
        (report(), "application/json", 415),
        ("<hip-report>" + " " * (1024 * 1024), "application/xml", 413),
        ("<hip-report>" + " " * (3 * 1024 * 1024), "application/xml", 413),
        (hip_report("PC-X", serial="SN-9", generated="07/01/2026 09:00:00"), "application/xml", 404),
    ],
)
async def test_what_is_no_report_of_a_known_device_is_refused(house: House, text: str, media: str, status: int) -> None:
    answer = await push(house, text, media=media)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "passwd" not in answer.text
    assert house.told == []


async def test_without_the_permission_no_report_is_parsed(house: House) -> None:
    assert (await push(house, "<<<", caller="gateway")).status_code == 403
    assert (await push(house, "<<<", caller=None)).status_code == 401


async def test_the_same_report_again_is_the_same(house: House) -> None:
    first = await push(house, report())
    again = await push(house, report())
    tagged = await push(house, report(), headers={"if-none-match": first.headers["etag"]})
    assert (again.json()["kept"], tagged.status_code) == ("same", 412)
    assert timedelta(0) == house.posture("d-1").observed_at - NOW
