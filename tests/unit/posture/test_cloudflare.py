from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.aliases import alias_key
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.errors import BadRequestError, NotReadyError
from pdp.model.directory import Device
from pdp.posture.access import AccessCaller
from pdp.posture.score import CAPS
from pdp.wire.cloudflare_posture import PATH, read_devices
from pdp.wire.exchange import HttpRequest
from tests.unit.posture.conftest import GOOD, NOW, House

pytestmark = pytest.mark.anyio

UUID = "9ece5fab-7398-488a-a575-e25a9a3dec07"


def asked(device_id: str = UUID, serial: Any = "SN-0001", **more: Any) -> dict[str, Any]:
    """As the documentation's example has it."""
    return {
        "device_id": device_id,
        "email": "jdoe@example.jp",
        "serial_number": serial,
        "mac_address": "74:1d:3e:23:e0:fe",
        "virtual_ipv4": "100.96.0.10",
        "hostname": "PC-0001",
        **more,
    }


async def scores(house: House, *devices: Any, caller: str = "reader") -> dict[str, Any]:
    answer = await house.send("POST", PATH, json={"devices": devices}, caller=caller)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


async def test_a_known_device_has_the_score_of_what_is_held_of_it(house: House) -> None:
    await house.put("d-1", GOOD)
    assert await scores(house, asked()) == {UUID: {"s2s_id": "d-1", "score": 100}}

    await house.put("d-1", {**GOOD, "edr_risk": "high"}, age=-timedelta(seconds=1))
    assert await scores(house, asked()) == {UUID: {"s2s_id": "d-1", "score": CAPS["edr_risk"]}}


async def test_a_device_that_is_not_known_has_the_lowest_score(house: House) -> None:
    await house.put("d-1", GOOD)
    found = await scores(house, asked("a", "SN-9"), asked("b", ""), asked("c", None), asked("d", "default string"))
    assert found == {id_: {"s2s_id": "", "score": 0} for id_ in "abcd"}


async def test_a_host_name_or_an_address_finds_nothing(house: House) -> None:
    await house.put("d-1", GOOD)
    assert (await scores(house, asked(serial="", hostname="PC-0001")))[UUID]["score"] == 0


async def test_two_devices_that_claim_one_serial_number_both_have_the_lowest_score(house: House) -> None:
    await house.put("d-1", GOOD)
    found = await scores(house, asked("a"), asked("b", "sn-0001"), asked("c", "SN-0002"))
    assert [found[id_]["score"] for id_ in "ab"] == [0, 0]
    assert found["c"]["s2s_id"] == "d-2"


async def test_one_device_id_with_two_serial_numbers_has_neither(house: House) -> None:
    await house.put("d-1", GOOD)
    assert await scores(house, asked(), asked(serial="SN-0002")) == {UUID: {"s2s_id": "", "score": 0}}


async def test_a_serial_number_and_a_device_id_that_mean_two_devices_mean_none(house: House) -> None:
    await house.put("d-1", GOOD)
    await house.put("d-2", GOOD)
    with change(house.store, NOW) as inside:
        inside.add("aliases", {alias_key("vendor_id", f"cloudflare:{UUID}"): Alias("d-2")})

    assert (await scores(house, asked()))[UUID]["score"] == 0
    assert (await scores(house, asked(serial="")))[UUID] == {"s2s_id": "d-2", "score": 100}
    assert (await scores(house, asked(serial="SN-0002")))[UUID]["score"] == 100
    assert (await scores(house, asked(serial="SN-9")))[UUID]["score"] == 0  # not the number that we know of d-2


async def test_a_lost_device_has_the_lowest_score(house: House) -> None:
    await house.put("d-1", GOOD)
    with change(house.store, NOW) as inside:
        inside.put_device(Device("d-1", "managed_pc", state="lost"))
    assert (await scores(house, asked()))[UUID]["score"] == 0


async def test_a_report_that_has_grown_old_caps_the_score(house: House) -> None:
    await house.put("d-1", GOOD)
    house.clock.now = NOW + timedelta(hours=24, seconds=1)
    assert (await scores(house, asked()))[UUID]["score"] == CAPS["stale"]


async def test_a_thousand_devices_are_answered_in_order_and_one_more_is_413(house: House) -> None:
    devices = [asked(f"{at:08d}-7398-488a-a575-e25a9a3dec07", f"5CG{at:08d}") for at in range(1_000)]
    found = await scores(house, *devices)
    assert list(found) == [device["device_id"] for device in devices]

    answer = await house.send("POST", PATH, json={"devices": [*devices, asked()]}, caller="reader")
    assert answer.status_code == 413


async def test_access_client_id_and_secret_are_an_api_key(house: House) -> None:
    _, key_id, secret = house.keys["reader"].split("_")
    good = {"cf-access-client-id": key_id, "cf-access-client-secret": secret}
    body = {"devices": [asked()]}

    async def status(headers: dict[str, str], caller: str | None = None) -> int:
        return (await house.send("POST", PATH, json=body, caller=caller, headers=headers)).status_code

    assert await status(good) == 200
    assert await status({**good, "cf-access-client-secret": "0" * 64}) == 401
    assert await status({**good, "cf-access-client-id": f"{key_id}.access"}) == 401
    assert await status({"cf-access-client-id": key_id}) == 400
    assert await status({"cf-access-client-secret": secret}) == 400
    assert await status(good, caller="gateway") == 400  # two credentials
    assert await status({}) == 401


class Account:
    """Reads what this test calls an assertion: JSON."""

    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        if token == "unreachable":
            raise NotReadyError("the keys of the account cannot be had")
        if not token.startswith("{"):
            raise BadRequestError("the signature is wrong")
        found: Mapping[str, Any] = json.loads(token)
        return found


CLAIMS = {
    "aud": ["tag-1"],
    "type": "app",
    "common_name": "client-1.access",
    "iss": "https://mie.cloudflareaccess.com",
    "sub": "",
    "iat": NOW.timestamp(),
    "exp": NOW.timestamp() + 60,
}


async def behind_access(house: House, assertion: str, *more: tuple[str, str]) -> int:
    access = AccessCaller(Account(), "tag-1", "client-1.access", house.clock)
    headers = (("content-type", "application/json"), ("cf-access-jwt-assertion", assertion), *more)
    request = HttpRequest("POST", PATH, "", headers, json.dumps({"devices": [asked()]}).encode())
    return (await replace(house.scorer, access=access).scores(request)).status


async def test_an_assertion_of_access_for_our_service_token_is_a_caller(house: House) -> None:
    good = json.dumps(CLAIMS)
    assert await behind_access(house, good) == 200
    assert await behind_access(house, good, ("cf-access-client-id", "client-1.access")) == 200
    assert await behind_access(house, json.dumps({**CLAIMS, "aud": "tag-1"})) == 200


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ["tag-2"]},
        {"aud": []},
        {"aud": None},
        {"aud": "tag-1x"},
        {"type": "org"},
        {"type": None},
        {"common_name": "client-2.access"},
        {"common_name": ""},
        {"common_name": None},
        {"exp": NOW.timestamp()},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"iat": NOW.timestamp() + 61},
        {"iat": None},
    ],
)
async def test_an_assertion_for_somebody_else_is_401(house: House, change: dict[str, Any]) -> None:
    assert await behind_access(house, json.dumps({**CLAIMS, **change})) == 401


async def test_an_assertion_that_is_none_is_401_and_without_keys_nobody_is_let_in(house: House) -> None:
    assert await behind_access(house, "forged") == 401
    assert await behind_access(house, "{" * 20_000) == 401
    assert await behind_access(house, "unreachable") == 503


async def test_an_assertion_beside_another_credential_is_400(house: House) -> None:
    key = ("authorization", f"Bearer {house.keys['reader']}")
    assert await behind_access(house, json.dumps(CLAIMS), key) == 400


async def test_where_access_does_not_stand_before_us_its_header_is_nobodys_word(house: House) -> None:
    headers = {"cf-access-jwt-assertion": json.dumps(CLAIMS)}
    answer = await house.send("POST", PATH, json={"devices": [asked()]}, caller=None, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(("audience", "client_id"), [("", "client-1"), ("tag-1", "")])
def test_an_access_without_audience_or_client_lets_nobody_be_made(audience: str, client_id: str) -> None:
    with pytest.raises(ValueError, match="needed"):
        AccessCaller(Account(), audience, client_id, lambda: NOW)


@pytest.mark.parametrize("caller", ["edr", "gateway"])
async def test_scores_need_the_permission(house: House, caller: str) -> None:
    answer = await house.send("POST", PATH, json={"devices": [asked()]}, caller=caller)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"devices": {}},
        {"devices": ["text"]},
        {"devices": [{}]},
        {"devices": [asked("")]},
        {"devices": [asked(serial=1)]},
        {"devices": [asked("x" * 257)]},
        {"devices": [asked("line\nbreak")]},
    ],
)
async def test_a_call_that_breaks_its_form_is_400(house: House, body: Any) -> None:
    assert (await house.send("POST", PATH, json=body, caller="reader")).status_code == 400


async def test_an_empty_call_has_an_empty_answer(house: House) -> None:
    """`Test and save` in Cloudflare's dashboard may send no device at all."""
    assert await scores(house) == {}


async def test_a_directory_that_cannot_be_read_is_503_and_no_score(house: House) -> None:
    with house.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE device_aliases RENAME TO elsewhere")
    answer = await house.send("POST", PATH, json={"devices": [asked()]}, caller="reader")
    assert answer.status_code == 503
    assert "result" not in answer.json()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)
_DEVICES = st.dictionaries(st.sampled_from(["device_id", "serial_number", "hostname", "other"]), _VALUES)


@given(st.dictionaries(st.sampled_from(["devices", "other"]), st.lists(_DEVICES | _VALUES, max_size=4)))
def test_whatever_is_sent_is_read_or_refused_and_a_serial_number_has_one_holder(body: dict[str, Any]) -> None:
    try:
        devices = read_devices(body)
    except BadRequestError:
        return
    serials = [device.serial.casefold() for device in devices if device.serial is not None]
    assert len(serials) == len(set(serials))
    assert len({device.device_id for device in devices}) == len(devices)
