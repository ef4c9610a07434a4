"""Cloudflare, Entra and ZPA: the same promises of a delivery, held against a simulator of each vendor's API."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sase import couriers
from connectors.sase.registry import make
from pdp.delivery.applying import Bounds, apply
from pdp.delivery.journal import InHand
from pdp.errors import ConflictError, ConnectorError
from tests.delivery_suite import never_wider
from tests.simulators.tenants import Trouble
from tests.spaces import shipped_space
from tests.unit.connectors.sase.delivered import CLOUDFLARE, ENTRA, ZPA
from tests.unit.connectors.sase.delivering import (
    EndedError,
    Ending,
    Scene,
    Vendor,
    copied,
    scene_in_process,
    scene_on_loopback,
)

pytestmark = pytest.mark.anyio
VENDORS = [pytest.param(one, id=one.name) for one in (CLOUDFLARE, ENTRA, ZPA)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def counts(scene: Scene) -> Any:
    """What the tenant lets count, without the ids that it gave: equal where two deliveries came out alike."""
    exports = [scene.vendor.files("second"), scene.vendor.files("first")]
    files = scene.vendor.held(copy.deepcopy(scene.there.state()), exports)
    return {name: _sorted(json.loads(text)) for name, text in files.items()}


def _sorted(held: Any) -> Any:
    return sorted(held, key=json.dumps) if isinstance(held, list) else held


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_empty_tenant_gets_the_export_and_an_equal_one_is_left_alone(vendor: Vendor, tmp_path: Path) -> None:
    with scene_on_loopback(vendor, tmp_path) as scene:
        applied = await scene.deliver("first")
        scene.refuse_wider()
        courier = scene_courier(scene)
        wanted = {one.key: one.body for one in courier.things(vendor.files("first"))}
        assert {one.thing.key: one.thing.body for one in applied.held} == wanted
        assert all(one.live for one in applied.held)
        scene.there.begin()
        assert (await scene.plan("first")).steps == ()
        assert await scene.drift("first") == ()
        assert scene.there.writes == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("way", [("first", "second"), ("second", "first")])
async def test_the_next_export_is_never_wider_than_both_at_any_write(
    vendor: Vendor, way: tuple[str, str], tmp_path: Path
) -> None:
    scene = scene_in_process(vendor, tmp_path)
    await scene.deliver(way[0])
    scene.there.begin()
    await scene.deliver(way[1])
    assert len(scene.there.history) > 1
    scene.refuse_wider()
    assert counts(scene) == await _undisturbed(vendor, way[1], tmp_path)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_plan_is_read_by_the_target_itself_before_anything_is_written(vendor: Vendor, tmp_path: Path) -> None:
    scene = scene_in_process(vendor, tmp_path)
    await scene.deliver("first")
    async with scene.opened("second") as (courier, tenant):
        standing = await tenant.read()
        in_hand = InHand(scene.make_plan(courier, "second", standing), standing.held)
    exports = [vendor.files("second"), vendor.files("first")]
    target = make(vendor.name, vendor.mapping("second"))
    assert never_wider(shipped_space(), target, courier, in_hand, exports, vendor.systems) > 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_another_order_of_the_same_steps_would_be_found_out(vendor: Vendor, tmp_path: Path) -> None:
    """What shows that `refuse_wider` can say no: whatever opens first, whatever closes or narrows last."""
    scene = scene_in_process(vendor, tmp_path)
    await scene.deliver("first")
    vendor.drifted(scene.there)
    scene.there.begin()
    if vendor.name == "entra":
        for one in list(scene.there.policies.values()):
            one["state"] = "disabled"
            scene.there.remember()
        for one in scene.there.policies.values():
            one["state"] = "enabled"
    elif vendor.name == "zpa":
        for rule in scene.there.rules:
            rule["conditions"] = rule["conditions"][:1]  # asks for the segment and nothing else
        scene.there.remember()
        scene.there.rules.clear()
    else:
        for one in scene.there.gateway.values():
            one["enabled"] = True
        scene.there.begin()
        for one in scene.there.policies.values():
            if one["decision"] == "allow":
                one["require"] = []
        scene.there.remember()
        for one in scene.there.applications.values():
            one["policies"] = []
    scene.there.remember()
    with pytest.raises(AssertionError, match="after write"):
        scene.refuse_wider()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_somebody_changed_is_told_and_mended_in_the_safe_order(vendor: Vendor, tmp_path: Path) -> None:
    scene = scene_in_process(vendor, tmp_path)
    await scene.deliver("first")
    expected = counts(scene)
    vendor.drifted(scene.there)
    scene.there.begin()
    found = await scene.drift("first")
    assert {one.what for one in found} & {"altered", "silenced"}
    assert all(one.counts for one in found)
    await scene.deliver("first")
    scene.refuse_wider()
    assert counts(scene) == expected
    assert await scene.drift("first") == ()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_things_of_others_stay_as_they_are(vendor: Vendor, tmp_path: Path) -> None:
    scene = scene_in_process(vendor, tmp_path)
    shown = vendor.foreign(scene.there)
    before = shown()
    assert (await scene.plan("first")).ahead == ()
    for of in ("first", "second", "first"):
        await scene.deliver(of)
        assert shown() == before
    assert await scene.drift("first") == ()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("done", [False, True], ids=["before a write", "after a write that nobody heard of"])
async def test_a_process_that_ends_at_any_write_is_gone_on_from_there(
    vendor: Vendor, tmp_path: Path, *, done: bool
) -> None:
    """From a drifted tenant to the next export: every kind of step is in it. `tests/delivery_suite.py` cuts plans."""
    expected = await _undisturbed(vendor, "second", tmp_path)
    drifted = await _drifted(vendor, tmp_path / "drifted")
    writes = 0
    # Before a write is where the one before it left off, but for a line of the journal; Entra has many steps alike.
    stride = (2 if vendor.name == "entra" else 1) if done else 3
    at = 1 - stride
    while True:
        at += stride
        scene = copied(drifted, tmp_path / str(at))
        way = httpx.ASGITransport(app=scene.there)
        scene.transport = Ending(way, at, done=done)
        try:
            await scene.deliver("second")
        except EndedError:
            scene.transport = way
            await scene.deliver("second")
        else:
            break
        scene.refuse_wider()
        assert counts(scene) == expected
        writes = writes or len(scene.there.writes) - (0 if done else 1)
        assert len(scene.there.writes) - (0 if done else 1) == writes  # nothing was done twice
    assert at > 4


@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_was_done_and_answered_with_an_error_is_not_done_again(vendor: Vendor, tmp_path: Path) -> None:
    plain = await _drifted(vendor, tmp_path / "plain")
    await plain.deliver("second")
    scene = await _drifted(vendor, tmp_path / "lost")
    scene.there.troubles.append(Trouble(at=1, times=1_000, status=500, done=True))
    await scene.deliver("second")
    assert Counter(one for one, _ in scene.there.writes) == Counter(one for one, _ in plain.there.writes)
    assert counts(scene) == counts(plain)
    scene.refuse_wider()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_was_not_done_is_asked_for_again_a_few_times_and_then_told(vendor: Vendor, tmp_path: Path) -> None:
    scene = scene_in_process(vendor, tmp_path)
    scene.there.troubles.append(Trouble(at=3, times=2, status=503))
    await scene.deliver("first")
    assert counts(scene) == await _undisturbed(vendor, "first", tmp_path)
    other = scene_in_process(vendor, tmp_path / "other")
    other.there.troubles.append(Trouble(at=3, times=1_000, status=503))
    with pytest.raises(ConnectorError, match=r"stopped at step 3, .*2 of \d+ steps are done"):
        await other.deliver("first")
    other.refuse_wider()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_connection_that_breaks_at_a_write_leaves_nobody_in_doubt(vendor: Vendor, tmp_path: Path) -> None:
    with scene_on_loopback(vendor, tmp_path) as scene:
        scene.there.troubles += [Trouble(at=2, status=None, done=True), Trouble(at=4, status=None)]
        await scene.deliver("first")
        assert counts(scene) == await _undisturbed(vendor, "first", tmp_path)


@pytest.mark.parametrize(
    ("vendor", "header", "seconds"),
    [
        pytest.param(CLOUDFLARE, "41", 41.0, id="cloudflare"),
        pytest.param(ENTRA, "2.128", 2.128, id="entra"),
        pytest.param(ZPA, "13s", 13.0, id="zpa"),
    ],
)
async def test_the_pause_that_a_vendor_asks_for_is_made(
    vendor: Vendor, header: str, seconds: float, tmp_path: Path
) -> None:
    scene = scene_in_process(vendor, tmp_path)
    scene.there.troubles.append(Trouble(at=2, status=429, headers=(("retry-after", header),)))
    await scene.deliver("first")
    assert scene.hands.pauses.count(seconds) == 1
    assert counts(scene) == await _undisturbed(vendor, "first", tmp_path)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_token_that_ends_is_renewed_or_told(vendor: Vendor, tmp_path: Path) -> None:
    """An API token of Cloudflare cannot be renewed: the apply ends, and goes on with another token."""
    scene = scene_in_process(vendor, tmp_path)
    scene.there.troubles.append(Trouble(at=9, of="any", expire=True))
    if vendor.name == "cloudflare":
        with pytest.raises(ConnectorError, match="answered 401"):
            await scene.deliver("first")
        scene.there.tokens.add(vendor.secret)
    await scene.deliver("first")
    assert counts(scene) == await _undisturbed(vendor, "first", tmp_path)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_somebody_who_changes_things_meanwhile_ends_the_delivery(vendor: Vendor, tmp_path: Path) -> None:
    scene = scene_in_process(vendor, tmp_path)
    await scene.deliver("first")
    async with scene.opened("second") as (courier, tenant):
        standing = await tenant.read()
        plan = scene.make_plan(courier, "second", standing)
        scene.journal.take(InHand(plan, standing.held))
        vendor.drifted(scene.there)
        with pytest.raises(ConflictError, match="no longer what this was planned against"):
            await apply(InHand(plan, standing.held), tenant, scene.journal, scene.given(), Bounds())


@pytest.mark.parametrize("vendor", VENDORS)
async def test_no_secret_is_written_or_told(
    vendor: Vendor, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    scene = scene_in_process(vendor, tmp_path)
    scene.there.troubles.append(Trouble(at=2, times=1_000, status=400))
    with pytest.raises(ConnectorError) as told:
        await scene.deliver("first")
    text = _texts(tmp_path)
    text += f"{told.value!r} {told.value.message} {told.value.next_step} {caplog.text} {''.join(capfd.readouterr())}"
    for secret in (vendor.secret, "t-1", "Bearer", "secret details"):
        assert secret not in text


def _texts(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def _undisturbed(vendor: Vendor, of: str, folder: Path) -> Any:
    scene = scene_in_process(vendor, folder / "undisturbed")
    await scene.deliver(of)
    return counts(scene)


async def _drifted(vendor: Vendor, folder: Path) -> Scene:
    """A tenant that has the first export, changed by hands, with things of others beside it."""
    scene = scene_in_process(vendor, folder)
    vendor.foreign(scene.there)
    await scene.deliver("first")
    vendor.drifted(scene.there)
    scene.there.begin()
    return scene


def scene_courier(scene: Scene) -> Any:
    return couriers.courier_of(scene.vendor.name, scene.vendor.mapping("first"))
