"""What only a Cloudflare account has: bound applications and posture rules, a guard, pages, names that stand twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.sase import couriers
from connectors.sase.cloudflare_things import APPLICATION, POLICY
from pdp.delivery.port import Key
from pdp.errors import ConnectorError, ExportError, SettingsError
from tests.simulators.cloudflare_account import CloudflareAccount
from tests.unit.connectors.sase.delivered import CLOUDFLARE
from tests.unit.connectors.sase.delivering import Scene, scene_in_process

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _delivered(folder: Path) -> tuple[Scene, CloudflareAccount]:
    scene = scene_in_process(CLOUDFLARE, folder)
    await scene.deliver("first")
    return scene, scene.there


def _application(account: CloudflareAccount, name: str) -> dict[str, Any]:
    return next(one for one in account.applications.values() if one["name"] == name)


async def test_an_application_keeps_how_it_looks_and_gets_no_second_address(tmp_path: Path) -> None:
    scene, account = await _delivered(tmp_path)
    mail = _application(account, "mail")
    assert mail["logo_url"] == "https://pref.example.jp/logo.png"
    mail["self_hosted_domains"] = [mail["domain"], "open.pref.example.jp"]
    (found,) = await scene.drift("first")
    assert (found.what, found.key, found.members) == ("altered", Key(APPLICATION, "", "mail"), ("destinations",))


@pytest.mark.parametrize("name", ["service_auth_401_redirect", "cors_headers", "anything_new"])
async def test_whatever_else_an_application_has_is_drift(tmp_path: Path, name: str) -> None:
    scene, account = await _delivered(tmp_path)
    _application(account, "mail")[name] = {"allow_all_origins": True}
    (found,) = await scene.drift("first")
    assert found.members == (name,)
    await scene.deliver("first")
    assert name not in _application(account, "mail")


async def test_a_policy_of_others_in_an_application_of_ours_is_taken_out(tmp_path: Path) -> None:
    scene, account = await _delivered(tmp_path)
    account.policies["p-bypass"] = {
        "id": "p-bypass", "name": "open day", "decision": "bypass", "include": [{"everyone": {}}],
    }  # fmt: skip
    _application(account, "mail")["policies"].insert(0, {"id": "p-bypass", "precedence": 99})
    (found,) = await scene.drift("first")
    assert found.members == ("policies",)
    await scene.deliver("first")
    assert "p-bypass" not in [link["id"] for link in _application(account, "mail")["policies"]]
    assert "p-bypass" in account.policies


async def test_an_application_that_the_mapping_lost_is_closed_and_stands(tmp_path: Path) -> None:
    scene, account = await _delivered(tmp_path)
    mail = _application(account, "mail")
    moved = {**mail, "id": "0a0b0c0d-0000-4000-8000-000000000001", "domain": "old.pref.example.jp", "name": "old"}
    account.applications[moved["id"]] = moved
    account.begin()
    plan = await scene.plan("first")
    assert [step.words().en for step in plan.steps] == [f"remove application/unmapped:{moved['id']}"]
    await scene.deliver("first", anew=True)
    assert account.applications[moved["id"]]["policies"] == []
    assert mail["policies"]


async def test_a_posture_rule_that_nothing_asks_any_more_is_parked_under_another_name(tmp_path: Path) -> None:
    scene = scene_in_process(CLOUDFLARE, tmp_path)
    await scene.deliver("second")
    before = {one["name"] for one in scene.there.posture.values() if one["name"].startswith("zt-")}
    await scene.deliver("first")
    after = {one["name"] for one in scene.there.posture.values() if one["name"].startswith("zt-")}
    parked = {one["name"] for one in scene.there.posture.values() if one["name"].startswith("unused-")}
    assert after < before
    assert parked == {f"unused-{name.removeprefix('zt-')}" for name in before - after}


async def test_of_two_policies_with_one_name_the_linked_one_counts(tmp_path: Path) -> None:
    scene, account = await _delivered(tmp_path)
    ours = next(one for one in account.policies.values() if one["name"].startswith("zt.managed_pc"))
    twin = {**ours, "id": account.new_id(), "require": []}
    account.policies = {twin["id"]: twin, **account.policies}
    assert await scene.drift("first") == ()
    async with scene.opened("first") as (_, tenant):
        held = await tenant.look(Key(POLICY, "", ours["name"]))
    assert held.thing.body["require"] == ours["require"]


async def test_a_gateway_rule_that_lets_traffic_past_the_guard_is_told(tmp_path: Path) -> None:
    scene, account = await _delivered(tmp_path)
    guard = next(one for one in account.gateway.values() if one["name"] == "zt.private-addresses")
    account.gateway["g-1"] = {
        "id": "g-1", "name": "all of the office", "enabled": True, "action": "allow", "filters": ["l4"],
        "traffic": "net.src.ip in {203.0.113.0/24}", "precedence": 0,
    }  # fmt: skip
    assert [key.name for key in (await scene.plan("first")).ahead] == ["all of the office"]
    account.gateway["g-1"]["traffic"] = "net.dst.ip in {192.0.2.0/24}"  # other addresses for certain
    assert (await scene.plan("first")).ahead == ()
    account.gateway["g-1"] |= {"traffic": guard["traffic"], "precedence": 5}  # behind the guard
    assert (await scene.plan("first")).ahead == ()


async def test_what_cannot_be_added_is_told_with_the_account_s_reason(tmp_path: Path) -> None:
    scene = scene_in_process(CLOUDFLARE, tmp_path)
    scene.there.gateway["g-1"] = {
        "id": "g-1", "name": "dns", "enabled": True, "action": "block", "filters": ["dns"], "traffic": "any",
        "precedence": 1,
    }  # fmt: skip
    with pytest.raises(ConnectorError, match="answered 400: precedence is taken"):
        await scene.deliver("first")


def test_only_things_of_cloudflare_are_written_to_an_account(tmp_path: Path) -> None:
    scene = scene_in_process(CLOUDFLARE, tmp_path)
    other: Any = object()
    with pytest.raises(SettingsError, match="things of `cloudflare`"):
        couriers.tenant_of("cloudflare", scene.setup(), other)


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    courier = couriers.courier_of("cloudflare", CLOUDFLARE.mapping("first"))
    with pytest.raises(ExportError, match="not an exported Cloudflare Access"):
        courier.things({"access-policies.json": b"[]"})


async def test_an_address_that_only_the_account_has_never_leaves_access(tmp_path: Path) -> None:
    """Access protects what an application names: an address that drops out of it is open to everybody."""
    scene, account = await _delivered(tmp_path)
    mail = _application(account, "mail")
    mail["destinations"] = [{"type": "public", "uri": one} for one in (mail["domain"], "old.pref.example.jp")]
    with pytest.raises(ConnectorError, match=r"old\.pref\.example\.jp"):
        await scene.deliver("second")
    assert "old.pref.example.jp" in str(_application(account, "mail"))
    moved = {**_application(account, "mail"), "id": "0a0b0c0d-0000-4000-8000-000000000001", "name": "old"}
    del _application(account, "mail")["destinations"]
    account.applications[moved["id"]] = moved
    await scene.deliver("first", anew=True)
    closed = account.applications[moved["id"]]
    assert closed["policies"] == []
    assert "old.pref.example.jp" in str(closed), "the one that is closed goes on protecting all that it did"
