"""Prisma Access, delivered to a simulated tenant: planned, applied, cut off, gone on, watched; others' rules stay."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.prisma import target
from connectors.sase.prisma_tenant import tenant
from connectors.sase.prisma_things import PrismaCourier, courier
from pdp.delivery.drift import drift
from pdp.delivery.journal import InHand
from pdp.delivery.plan import Step, states
from pdp.delivery.planning import make_plan
from pdp.delivery.port import Held, Standing
from pdp.errors import ConflictError, ConnectorError, ExportError, SettingsError
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources
from pdp.model.directory import snapshot_of
from pdp.model.rules import RuleModel
from tests.delivery_suite import (
    World,
    arrives_and_stays,
    carry_out,
    deliver,
    goes_on_after_a_cut,
    never_wider,
    plan_of,
)
from tests.simulators.scm import CLIENT, RULES, SCOPE, SECRET, Scm
from tests.simulators.vendor import Fault
from tests.simulators.worlds import STAGE, Hands
from tests.spaces import DAY, shipped_space
from tests.unit.connectors.sase.prisma_tenant import FEW, exported
from tests.unit.connectors.sase.prisma_tenant import mapping as mapping_for

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@cache
def systems() -> RuleModel:
    """The rules of a few systems, without those of all others: their making takes a part of the time."""
    space = shipped_space()
    listed = [one for one in listed_resources(space.bundle, snapshot_of(epoch=1), DAY) if one[0].id in FEW]
    return build_model(space, listed, DAY.isoformat())


def mapping(**changes: Any) -> dict[str, Any]:
    return mapping_for(systems(), **changes)


def part(*numbers: int) -> dict[str, bytes]:
    """An export of these rules of the finance system alone."""
    whole = systems()
    rules = [rule for rule in whole.rules if rule.resource == "finance"]
    model = msgspec.structs.replace(whole, rules=tuple(rules[number] for number in numbers))
    return exported(target(mapping()), model)


class Tenants:
    """A simulated tenant, and hands to it."""

    def __init__(self, folder: Path, port: int, scm: Scm) -> None:
        self.scm = scm
        self.hands = Hands()
        self.hands.secrets["secret"] = SECRET
        self.courier: PrismaCourier = courier(mapping())
        url = f"http://127.0.0.1:{port}"
        self.settings: dict[str, Any] = {
            "client_id": CLIENT,
            "client_secret_file": "secret",
            "scope": SCOPE,
            "admin": CLIENT,
            "url": url,
            "token_url": f"{url}/oauth2/access_token",
            "per_second": 1000.0,
        }
        self.world = World(
            courier=self.courier,
            tenant=lambda: tenant(self.hands.setup("test", self.settings), self.courier),
            folder=folder,
            snapshot=lambda: scm.candidate,
        )

    def rules(self, folder: str = "Mobile Users") -> list[str]:
        return [one["name"] for one in self.scm.candidate[RULES] if one["folder"] == folder]


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[Tenants]:
    scm = Scm()
    with STAGE.playing(scm) as port:
        yield Tenants(tmp_path, port, scm)


@pytest.fixture(scope="module", autouse=True)
def _stage() -> Iterator[None]:
    with STAGE.open():
        yield


def _foreign(name: str, folder: str = "Mobile Users") -> dict[str, Any]:
    lists = ("from", "to", "source", "source_user", "destination", "application", "service", "category")
    return {"name": name, "folder": folder, "action": "allow", **{field: ["any"] for field in lists}}


async def test_an_export_arrives_counts_after_the_push_and_leaves_nothing_to_do(tenants: Tenants) -> None:
    tenants.scm.put(RULES, _foreign("lunch-menu"))
    tenants.scm.put("tags", {"name": "lunch", "folder": "Prisma Access"})
    foreign = [tenants.scm.candidate[kind][0] for kind in (RULES, "tags")]
    await arrives_and_stays(tenants.world, part(9, 12), part(12, 15))
    names = tenants.rules()
    assert names[:2] == ["zt.mobile.cut-off-users", "zt.mobile.cut-off-addresses"]
    assert names[-1] == "zt.mobile.deny-the-rest"
    assert tenants.scm.running == tenants.scm.candidate
    assert all(one in tenants.scm.candidate[kind] for one, kind in zip(foreign, (RULES, "tags"), strict=True))


async def test_what_others_have_before_our_last_rule_is_told(tenants: Tenants) -> None:
    tenants.scm.put(RULES, _foreign("lunch-menu"))
    await deliver(tenants.world, part(9))
    tenants.scm.put(RULES, _foreign("behind-us"))
    plan = (await plan_of(tenants.world, part(9, 12))).plan
    assert [key.name for key in plan.ahead] == ["lunch-menu"]


async def test_it_goes_on_after_a_cut_behind_any_step(tenants: Tenants) -> None:
    await deliver(tenants.world, part(9))
    kept, folder = copy.deepcopy(tenants.scm.candidate), tenants.world.folder / "kept"
    shutil.copytree(tenants.world.folder / "delivery", folder)
    at = 1
    while await goes_on_after_a_cut(tenants.world, part(12), at):  # at every step: tests/unit/delivery
        tenants.scm.candidate = copy.deepcopy(kept)
        shutil.copytree(folder, tenants.world.folder / "delivery", dirs_exist_ok=True)
        at += 4
    assert at > 5


async def test_a_write_that_was_done_and_answered_with_an_error_is_not_done_twice(tenants: Tenants) -> None:
    statuses = (500, 502, 503, 504, 408)
    tenants.scm.faults = [Fault(at=number, status=statuses[number % 5]) for number in range(20, 60, 7)]
    await deliver(tenants.world, part(9))
    written = [one for one in tenants.scm.requests if one.method == "POST" and b'"name"' in one.body]
    assert len({one.body for one in written}) == len(written)


async def test_throttling_is_waited_for_and_a_token_that_ended_is_renewed(tenants: Tenants) -> None:
    tenants.scm.refusals = {12: 429, 30: 429}
    tenants.scm.faults = [Fault(at=12, headers=(("retry-after", "7"),)), Fault(at=25, expire=True)]
    await deliver(tenants.world, part(9))
    assert 7.0 in tenants.hands.pauses
    assert len(tenants.scm.token_requests) >= 2


async def test_a_connection_that_breaks_after_the_write_is_looked_at_first(tenants: Tenants) -> None:
    tenants.scm.faults = [Fault(at=number, cut_at=1) for number in (20, 33)]
    await deliver(tenants.world, part(9))
    assert len(tenants.rules()) == len(set(tenants.rules()))


@pytest.mark.parametrize("forgotten", [False, True], ids=["the job is known", "the vendor has forgotten the job"])
async def test_a_push_that_fails_stops_and_a_second_apply_pushes_again(tenants: Tenants, forgotten: bool) -> None:
    tenants.scm.job_results = ["FAIL"]
    with pytest.raises(ConnectorError, match="ended with `FAIL`") as stopped:
        await deliver(tenants.world, part(9))
    assert "nothing of it counts before the push" in stopped.value.message
    assert tenants.scm.running == {}
    found = tenants.world.journal.in_hand()
    assert found is not None
    if forgotten:
        tenants.scm.jobs[0]["id"] = "gone"
    await carry_out(tenants.world, found)
    assert tenants.scm.running == tenants.scm.candidate
    assert len(tenants.scm.jobs) == 2


async def test_what_the_vendor_adds_is_no_difference_and_what_somebody_adds_is(tenants: Tenants) -> None:
    await deliver(tenants.world, part(9))
    applied = tenants.world.journal.applied()
    assert applied is not None
    rule = next(one for one in tenants.scm.candidate[RULES] if one["action"] == "allow")
    rule |= {"destination_hip": ["any"], "tag": [], "log_start": False, "profile_setting": None}
    async with tenants.world.tenant() as hand:
        assert drift(applied.held, await hand.read()) == ()
    for change in ({"negate_source": True}, {"destination_hip": ["other"]}, {"log_end": False}, {"source": []}):
        kept = dict(rule)
        rule |= change
        async with tenants.world.tenant() as hand:
            (found,) = drift(applied.held, await hand.read())
        assert (found.what, found.members) == ("altered", tuple(change))
        rule.clear()
        rule |= kept


async def test_the_job_of_a_push_that_was_cut_off_is_waited_for(tenants: Tenants) -> None:
    tenants.scm.refusals = {}
    in_hand = await plan_of(tenants.world, part(9))
    tenants.world.journal.take(in_hand)
    polls = {"settings": {**tenants.settings, "polls": 1}}
    tenants.settings, kept = polls["settings"], tenants.settings
    with pytest.raises(ConnectorError, match="did not end"):
        await carry_out(tenants.world, in_hand)
    tenants.settings = kept
    await carry_out(tenants.world, in_hand)
    assert len(tenants.scm.jobs) == 1


async def test_somebody_elses_change_in_the_middle_stops_it(tenants: Tenants) -> None:
    await deliver(tenants.world, part(9, 12))
    in_hand = await plan_of(tenants.world, part(9))
    tenants.world.journal.take(in_hand)

    def meddle(step: Step) -> None:
        if step.number == 1:
            for group in tenants.scm.candidate["address-groups"]:
                group["dynamic"] = {"filter": "'lunch'"}

    with pytest.raises(ConflictError, match="somebody has changed"):
        await carry_out(tenants.world, in_hand, meddle)


async def test_a_plan_is_not_begun_where_the_tenant_has_become_another(tenants: Tenants) -> None:
    in_hand = await plan_of(tenants.world, part(9))
    tenants.world.journal.take(in_hand)
    tenants.scm.put("tags", {"name": "zt.by-hand", "folder": "Prisma Access"})
    writes = [one for one in tenants.scm.requests if one.method != "GET"]
    with pytest.raises(ConflictError, match="no longer what this was planned against"):
        await carry_out(tenants.world, in_hand)
    assert [one for one in tenants.scm.requests if one.method != "GET"] == writes


async def test_things_of_our_names_that_were_not_delivered_are_not_taken_over_unasked(tenants: Tenants) -> None:
    tenants.scm.put(RULES, _foreign("zt.mobile.by-hand"))
    with pytest.raises(ExportError, match="were not delivered from here"):
        await plan_of(tenants.world, part(9))
    taken = await plan_of(tenants.world, part(0), known=False)
    assert [step.op for step in taken.plan.steps if step.key and step.key.name == "zt.mobile.by-hand"] == ["remove"]


async def test_drift_names_what_was_changed_removed_added_disabled_and_moved(tenants: Tenants) -> None:
    await deliver(tenants.world, part(9, 12))
    applied = tenants.world.journal.applied()
    assert applied is not None
    rules = [one for one in tenants.scm.candidate[RULES] if one["folder"] == "Mobile Users"]
    allows = [one for one in rules if one["action"] == "allow"]
    allows[0]["source"] = ["any"]
    allows[0]["negate_source"] = True
    allows[1]["description"] = "別の説明"
    rules[0]["disabled"] = True
    tenants.scm.candidate[RULES].remove(rules[-1])
    tenants.scm.put(RULES, _foreign("zt.mobile.by-hand"))
    tenants.scm.candidate[RULES].insert(
        0, tenants.scm.candidate[RULES].pop(tenants.scm.candidate[RULES].index(rules[1]))
    )
    async with tenants.world.tenant() as hand:
        found = drift(applied.held, await hand.read())
    told = {(one.what, one.key.name): one.members for one in found}
    assert told["altered", allows[0]["name"]] == ("negate_source", "source")
    assert told["reworded", allows[1]["name"]] == ("description",)
    assert ("silenced", rules[0]["name"]) in told
    assert ("missing", "zt.mobile.deny-the-rest") in told
    assert ("unknown", "zt.mobile.by-hand") in told
    assert any(what == "moved" for what, _ in told)
    assert all(one.words().ja and one.words().en for one in found)


async def test_a_secret_is_read_from_its_file_and_an_unknown_setting_is_refused(tenants: Tenants) -> None:
    tenants.settings["client_secret"] = SECRET
    with pytest.raises(SettingsError, match="client_secret"):
        tenants.world.tenant()


_numbers = st.lists(st.integers(0, 40), min_size=1, max_size=5, unique=True)
_EDR = {"edr": {"vendor": "Another EDR", "product": ["Agent"]}, "certificate_profile": "zt-devices", "disk": True}


@settings(max_examples=5, deadline=None)
@given(_numbers, _numbers, st.booleans(), st.booleans())
def test_no_step_of_a_plan_is_wider_than_before_and_after_by_the_vendors_own_reading(
    before: list[int], after: list[int], other_checks: bool, other_list: bool
) -> None:
    changes: dict[str, Any] = {"checks": {**mapping()["checks"], **_EDR}} if other_checks else {}
    if other_list:
        changes["cut_off"] = {"url": "https://pdp2.pref.example.jp/edl/cut-off"}
    space, whole = shipped_space(), systems()
    rules = whole.rules

    def model(numbers: list[int]) -> RuleModel:
        return msgspec.structs.replace(
            whole, rules=tuple(rules[(number * 7) % len(rules)] for number in sorted(set(numbers)))
        )

    made = target(mapping(**changes))
    exports = (exported(made, model(after)), exported(target(mapping()), model(before)))
    carried = courier(mapping(**changes))
    held = tuple(Held(thing) for thing in carried.things(exports[1]))
    plan = make_plan(
        carried.things(exports[0]), Standing(held), carried.capabilities, carried.stand_in,
        vendor="prisma", tenant="t", export="e",
    )  # fmt: skip
    for reading in (made, target(mapping())):
        never_wider(space, reading, carried, InHand(plan, held), exports, FEW)
    assert tuple(states(held, plan.steps))[-1]


def test_the_way_back_gives_the_files_that_were_exported() -> None:
    files = part(0, 1, 2)
    made = courier(mapping())
    back = made.files([Held(thing) for thing in made.things(files)], [files])
    assert {path: json.loads(text) for path, text in back.items()} == {
        path: json.loads(text) for path, text in files.items()
    }
