"""Groups and device attributes of a simulated tenant, filled from what belongs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from connectors.sase.entra_filling import EntraFiller, Found, filler, meanings
from pdp.errors import ConnectorError, ExportError, SettingsError
from tests.entra_files import mapping
from tests.simulators.entra_tenant import EntraTenant
from tests.simulators.tenants import Trouble
from tests.unit.connectors.sase.delivered import ENTRA
from tests.unit.connectors.sase.delivering import Scene

pytestmark = pytest.mark.anyio
GROUP, OTHER = (str(UUID(int=2000 + at)) for at in range(2))  # the first two of `mapping()`, which takes seconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def there() -> EntraTenant:
    held = EntraTenant(page=7)
    held.base_url = "http://127.0.0.1:1"
    for number in range(1, 31):
        held.users[f"u{number}"] = {"id": f"u{number}", "userPrincipalName": f"User{number}@pref.example.jp"}
        held.devices[f"o{number}"] = {
            "id": f"o{number}", "deviceId": f"AAAA-{number}", "extensionAttributes": {"extensionAttribute2": "theirs"},
        }  # fmt: skip
    held.members = {GROUP: [], OTHER: ["u30"]}
    held.begin()
    return held


@pytest.fixture
def hands(there: EntraTenant, tmp_path: Path) -> Callable[[], EntraFiller]:
    settings = {**ENTRA.settings, "user_domain": "pref.example.jp"}
    vendor = replace(ENTRA, settings=settings)
    scene = Scene(vendor, there, tmp_path)
    scene.transport = httpx.ASGITransport(app=there)
    return lambda: filler(scene.setup(), mapping())


async def fill(hands: Callable[[], EntraFiller], people: Any, devices: Any) -> Found:
    async with hands() as one:
        found = await one.look(people, devices)
        for change in found.changes:
            await one.do(change)
    return found


async def test_whoever_belongs_in_a_group_is_put_there_and_nobody_else_stays(
    there: EntraTenant, hands: Callable[[], EntraFiller]
) -> None:
    wanted = {GROUP: {f"user{number}" for number in range(1, 26)}, OTHER: {"user1", "gone"}}
    found = await fill(hands, wanted, {})
    assert sorted(there.members[GROUP]) == sorted(f"u{number}" for number in range(1, 26))
    assert there.members[OTHER] == ["u1"]
    assert found.absent == ("gone@pref.example.jp",)
    assert [one.what for one in found.changes] == ["leave", "join", "join", "join"]  # 25 are two calls
    there.begin()
    assert (await fill(hands, wanted, {})).changes == ()
    assert there.writes == []


async def test_the_attribute_has_the_words_of_each_device_and_of_no_other(
    there: EntraTenant, hands: Callable[[], EntraFiller]
) -> None:
    there.devices["o9"]["extensionAttributes"]["extensionAttribute1"] = "managed_pc.00000000"
    found = await fill(hands, {}, {"aaaa-1": ("b.2", "a.1"), "aaaa-2": (), "none": ("a.1",)})
    shown = {name: one["extensionAttributes"] for name, one in there.devices.items()}
    assert shown["o1"] == {"extensionAttribute1": "a.1 b.2", "extensionAttribute2": "theirs"}
    assert shown["o9"] == {"extensionAttribute1": None, "extensionAttribute2": "theirs"}
    assert shown["o2"] == {"extensionAttribute2": "theirs"}
    assert (found.held, found.taken_away, found.absent) == (1, 1, ("none",))


async def test_a_group_with_a_rule_and_one_that_the_mapping_does_not_have_are_not_filled(
    there: EntraTenant, hands: Callable[[], EntraFiller]
) -> None:
    there.dynamic.add(GROUP)
    with pytest.raises(ConnectorError, match="no security group with assigned members"):
        await fill(hands, {GROUP: {"user1"}}, {})
    break_glass = mapping()["break_glass"]
    there.members[break_glass] = []
    with pytest.raises(ConnectorError, match="the mapping has no group"):
        await fill(hands, {break_glass: {"user1"}}, {})
    assert there.writes == []


async def test_a_write_that_nobody_heard_the_end_of_is_found_done_the_next_time(
    there: EntraTenant, hands: Callable[[], EntraFiller]
) -> None:
    there.troubles.append(Trouble(at=1, status=500, done=True))
    with pytest.raises(ConnectorError, match="answered 500"):
        await fill(hands, {GROUP: {"user1"}, OTHER: {"user30"}}, {"aaaa-1": ("a.1",)})
    there.troubles.clear()
    await fill(hands, {GROUP: {"user1"}, OTHER: {"user30"}}, {"aaaa-1": ("a.1",)})
    assert (there.members[GROUP], there.members[OTHER]) == (["u1"], ["u30"])
    assert len(there.writes) == 2


def test_what_is_no_export_and_what_has_no_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not the sets of exported policies"):
        meanings({"sets.json": b"[]"})
    with pytest.raises(SettingsError, match="`user_domain` is needed"):
        filler(Scene(ENTRA, EntraTenant(), tmp_path, "http://127.0.0.1:1").setup(), mapping())
