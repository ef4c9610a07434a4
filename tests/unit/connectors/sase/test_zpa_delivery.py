"""What only ZPA has: one ordered list with rules of others in it, two shapes of a rule, and narrow rate limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.sase import couriers
from connectors.sase.zpa_schema import faults
from connectors.sase.zpa_things import RULE
from pdp.delivery.port import Key
from tests.simulators.zpa_customer import ZpaCustomer
from tests.unit.connectors.sase.delivered import ZPA
from tests.unit.connectors.sase.delivering import Scene, scene_in_process
from tests.unit.connectors.sase.zpa_tenant import MAIL

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _names(there: ZpaCustomer) -> list[str]:
    return [one["name"] for one in there.rules]


def _limited(folder: Path) -> Scene:
    """A customer that counts calls by the clock that a delivery waits by."""
    scene = scene_in_process(ZPA, folder)

    def clock() -> float:
        return scene.hands.now.timestamp()

    scene.there.limited, scene.there.clock = True, clock
    return scene


def _foreign(there: ZpaCustomer, name: str, action: str, *segments: str, at: int | None = None) -> None:
    blocks = [{"operator": "OR", "operands": [{"objectType": "APP", "values": list(segments)}]}] if segments else []
    rule: dict[str, Any] = {"id": there.new_id(), "name": name, "action": action, "operator": "AND", "disabled": "0"}
    there.rules.insert(len(there.rules) if at is None else at, {**rule, "description": "", "conditions": blocks})


async def test_the_rate_limits_of_the_vendor_are_kept_without_being_told(tmp_path: Path) -> None:
    scene = _limited(tmp_path)
    await scene.deliver("first")
    assert scene.there.turned_away == 0
    assert sum(scene.hands.pauses) > 10.0


async def test_a_limit_that_others_have_used_up_is_waited_for(tmp_path: Path) -> None:
    """Another program from the same address."""
    scene = _limited(tmp_path)
    scene.there.calls[True] += [scene.hands.now.timestamp()] * 10
    await scene.deliver("first")
    assert scene.there.turned_away > 0
    assert 13.0 in scene.hands.pauses
    assert (await scene.plan("first")).steps == ()


async def test_ours_stand_together_behind_the_rules_that_stood_there_before(tmp_path: Path) -> None:
    scene = scene_in_process(ZPA, tmp_path)
    _foreign(scene.there, "Zscaler Deception", "DENY")
    _foreign(scene.there, "who has left", "DENY")
    await scene.deliver("first")
    names = _names(scene.there)
    assert names[:2] == ["Zscaler Deception", "who has left"]
    assert names[-1] == "zt.deny-the-rest"
    assert all(name.startswith("zt.") for name in names[2:])


@pytest.mark.parametrize(
    ("action", "segments", "told"),
    [
        ("ALLOW", (MAIL,), True),
        ("ALLOW", (MAIL, "72058304855990000"), True),
        ("ALLOW", (), True),
        ("REQUIRE_APPROVAL", (MAIL,), True),
        ("ALLOW", ("72058304855990000",), False),
        ("DENY", (MAIL,), False),
    ],
)
async def test_a_rule_of_others_before_ours_that_may_let_somebody_through_is_told(
    action: str, segments: tuple[str, ...], told: bool, tmp_path: Path
) -> None:
    scene = scene_in_process(ZPA, tmp_path)
    _foreign(scene.there, "theirs", action, *segments)
    await scene.deliver("first")
    assert [key.name for key in (await scene.plan("first")).ahead] == (["theirs"] if told else [])
    scene.there.rules.append(scene.there.rules.pop(0))  # behind our deny it lets nobody through
    assert (await scene.plan("first")).ahead == ()


async def test_what_is_sent_is_what_the_vendor_s_provider_takes(tmp_path: Path) -> None:
    scene = scene_in_process(ZPA, tmp_path)
    await scene.deliver("second")
    rules = [one.body for one in scene.there.asked if one.method == "POST"]
    assert rules
    assert [fault for one in rules for fault in faults({k: v for k, v in one.items() if k != "disabled"})] == []


async def test_rules_in_another_order_are_drift_and_are_put_right(tmp_path: Path) -> None:
    scene = scene_in_process(ZPA, tmp_path)
    await scene.deliver("second")
    expected = _names(scene.there)
    scene.there.rules.insert(0, scene.there.rules.pop())  # the deny first: nobody is let through
    assert {one.what for one in await scene.drift("second")} == {"moved"}
    scene.there.begin()
    await scene.deliver("second")
    assert _names(scene.there) == expected
    scene.refuse_wider()


@pytest.mark.parametrize(
    ("change", "member"),
    [
        (lambda one: one.update(action="DENY"), "action"),
        (lambda one: one.update(operator="OR"), "operator"),
        (lambda one: one["conditions"].pop(), "conditions"),
        (lambda one: one.update(zscalerManaged=True), "zscalerManaged!"),
    ],
)
async def test_whatever_somebody_changes_in_a_rule_is_drift(change: Any, member: str, tmp_path: Path) -> None:
    scene = scene_in_process(ZPA, tmp_path)
    await scene.deliver("first")
    change(scene.there.rules[0])
    found = await scene.drift("first")
    assert member in found[0].members


def test_a_rule_that_is_shown_comes_back_as_it_was_sent() -> None:
    courier = couriers.courier_of("zpa", ZPA.mapping("second"))
    there = ZpaCustomer()
    things = courier.things(ZPA.files("second"))
    for thing in things:
        there.rules.append({"id": there.new_id(), "disabled": "0", "name": thing.key.name, **thing.body})
    shown = [courier.shown(one) for one in there.listed()]  # type: ignore[attr-defined]  # of this courier alone
    assert shown == list(things)
    assert things[-1].key == Key(RULE, "access", "zt.deny-the-rest")
