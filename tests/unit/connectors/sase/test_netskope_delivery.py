"""Netskope, delivered to a simulated tenant: planned, applied, cut off, gone on, watched; others' rules stay."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from connectors.sase.couriers import courier_of, tenant_of
from connectors.sase.joined_models import joined_model
from connectors.sase.netskope import target
from connectors.sase.netskope_reading import RULES
from connectors.sase.netskope_schema import RULE
from connectors.sase.netskope_tenant import NetskopePace, NetskopeTenant, tenant
from connectors.sase.netskope_things import NetskopeCourier, courier
from pdp.delivery.drift import drift
from pdp.errors import ConflictError, ConnectorError, ExportError, SettingsError
from pdp.export.checking import MODEL
from pdp.export.sieves import SpaceRegion, SpaceSieve
from tests.delivery_suite import World, arrives_and_stays, carry_out, deliver, goes_on_after_a_cut, plan_of
from tests.http_server import serving
from tests.simulators.netskope_account import PER_HOUR, PER_SECOND, TOKEN, NetskopeAccount
from tests.simulators.tenants import Trouble
from tests.simulators.worlds import NOW, Hands
from tests.spaces import shipped_space
from tests.unit.connectors.sase.netskope_tenant import mapping, part
from tests.unit.connectors.sase.zpa_tenant import FEW

pytestmark = pytest.mark.anyio


class Accounts:
    """A simulated tenant, and hands to it."""

    def __init__(self, folder: Path, port: int, account: NetskopeAccount) -> None:
        self.account = account
        self.hands = Hands()
        self.hands.secrets["token"] = TOKEN
        self.courier: NetskopeCourier = courier(mapping())
        account.base_url = f"http://127.0.0.1:{port}"
        account.clock = self.now
        self.settings: dict[str, Any] = {"url": account.base_url, "token_file": "token"}
        self.world = World(
            courier=self.courier,
            tenant=self.tenant,
            folder=folder,
            snapshot=lambda: account.rules,
        )

    def tenant(self) -> NetskopeTenant:
        return tenant(self.hands.setup("test", self.settings), self.courier)

    def now(self) -> float:
        return self.hands.now.timestamp()

    def names(self) -> list[str]:
        return sorted(one["rule_name"] for one in self.account.rules)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    account = NetskopeAccount()
    with serving(account) as port:
        yield Accounts(tmp_path, port, account)


def foreign(name: str, *apps: str, **data: Any) -> dict[str, Any]:
    asked = {"policy_type": "private-app", "privateApps": list(apps), "match_criteria_action": {"action_name": "allow"}}
    return {"rule_name": name, "enabled": "1", "group_name": "Default", "rule_data": {**asked, **data}}


async def test_an_export_arrives_counts_once_it_is_applied_and_leaves_nothing_to_do(accounts: Accounts) -> None:
    other = copy.deepcopy(accounts.account.put(foreign("lunch-menu", "[lunch]")))
    await arrives_and_stays(accounts.world, part(0, 1, 2), part(2, 3))
    assert other in accounts.account.rules
    assert accounts.account.running == accounts.account.rules
    assert all(one["enabled"] == "1" for one in accounts.account.rules)
    wanted = {one["rule_name"] for one in json.loads(part(2, 3)[RULES])}
    assert set(accounts.names()) == wanted | {"lunch-menu"}


async def test_a_rule_is_added_switched_off_and_counts_only_at_the_end(accounts: Accounts) -> None:
    accounts.account.begin()
    await deliver(accounts.world, part(0, 1))
    first = [one.body["enabled"] for one in accounts.account.asked if one.method == "POST"]
    assert set(first) == {"0"}
    assert [one.body["enabled"] for one in accounts.account.asked if one.method == "PATCH"] == ["1"] * len(first)


async def test_no_moment_of_the_tenant_is_wider_than_before_and_after(accounts: Accounts) -> None:
    """Whatever is staged may be applied by anybody at any moment."""
    first, second = part(0, 1, 2, 3), part(2, 4, 5)
    await deliver(accounts.world, first)
    accounts.account.begin()
    await deliver(accounts.world, second)
    model, sieve = joined_model([second[MODEL], first[MODEL]]), SpaceSieve(shipped_space())

    def let_through(rules: list[dict[str, Any]]) -> dict[str, SpaceRegion]:
        live = [{name: one[name] for name in RULE if name in one} for one in rules if one["enabled"] == "1"]
        reading = target(mapping()).interpreter({RULES: json.dumps(live).encode(), MODEL: model})
        return {name: cast("SpaceRegion", reading.permitted(name, sieve)) for name in FEW}

    moments = [let_through(msgspec.json.decode(one)) for one in accounts.account.history]
    assert len(moments) > 5
    for moment in moments:
        for name, region in moment.items():
            wider = region & ~(moments[0][name] | moments[-1][name])
            assert wider.root == shipped_space().diagram.false


async def test_a_tenant_that_drops_the_device_classification_gets_no_allow_that_counts(accounts: Accounts) -> None:
    accounts.account.forgets = frozenset({"device_classification_id"})
    with pytest.raises(ConnectorError, match="has not kept `device_classification_id`"):
        await deliver(accounts.world, part(0, 1))
    assert all(one["enabled"] == "0" for one in accounts.account.rules)


async def test_a_tenant_that_drops_a_group_and_says_nothing_is_looked_at_before_the_rule_counts(
    accounts: Accounts,
) -> None:
    accounts.account.forgets = frozenset({"userGroups"})
    accounts.account.silent = True
    with pytest.raises((ConnectorError, ConflictError)):
        await deliver(accounts.world, part(0, 1))
    assert all(one["enabled"] == "0" for one in accounts.account.rules)


async def test_rules_of_others_that_open_what_is_ours_are_told_and_never_touched(accounts: Accounts) -> None:
    apps = mapping()["resources"]["mail"]["private_apps"]
    accounts.account.put(foreign("open-mail", f"[{apps[0]}]".upper()))
    accounts.account.put(foreign("by-tag", "[lunch]", privateAppTags=["all"]))
    accounts.account.put(foreign("everything"))
    accounts.account.put(foreign("lunch-menu", "[lunch]"))
    accounts.account.put({**foreign("off", f"[{apps[0]}]"), "enabled": "0"})
    accounts.account.put(foreign("closed", f"[{apps[0]}]", match_criteria_action={"action_name": "block"}))
    before = copy.deepcopy(accounts.account.rules)
    plan = await deliver(accounts.world, part(0))
    assert {key.name for key in plan.ahead} == {"open-mail", "by-tag", "everything"}
    assert accounts.account.rules[: len(before)] == before


async def test_it_goes_on_after_a_cut_behind_any_step(accounts: Accounts) -> None:
    await deliver(accounts.world, part(0, 1))
    kept, folder = copy.deepcopy(accounts.account.rules), accounts.world.folder / "kept"
    shutil.copytree(accounts.world.folder / "delivery", folder)
    at = 1
    while await goes_on_after_a_cut(accounts.world, part(1, 2), at):
        accounts.account.rules = copy.deepcopy(kept)
        shutil.copytree(folder, accounts.world.folder / "delivery", dirs_exist_ok=True)
        at += 1
    assert at >= 4


async def test_a_write_that_was_done_and_answered_with_an_error_is_not_done_twice(accounts: Accounts) -> None:
    statuses = (500, 502, 503, 504, 408)
    accounts.account.troubles = [
        Trouble(at=number, status=status, done=True) for number, status in enumerate(statuses, 1)
    ]
    await deliver(accounts.world, part(0, 1, 2))
    names = accounts.names()
    assert len(set(names)) == len(names)
    posted = [one.body["rule_name"] for one in accounts.account.asked if one.method == "POST"]
    assert len(set(posted)) == len(posted)


async def test_a_connection_that_breaks_after_the_write_is_looked_at_first(accounts: Accounts) -> None:
    accounts.account.troubles = [Trouble(at=1, status=None, done=True), Trouble(at=3, status=None, done=True)]
    await deliver(accounts.world, part(0, 1))
    posted = [one.body["rule_name"] for one in accounts.account.asked if one.method == "POST"]
    assert len(set(posted)) == len(posted)


async def test_both_limits_of_the_vendor_are_kept(accounts: Accounts) -> None:
    hands = Hands()
    pace = NetskopePace(lambda: hands.now, hands.sleep)
    at = []
    for _ in range(1200):
        await pace.turn()
        at.append((hands.now - NOW).total_seconds())
    for limit, seconds in ((PER_SECOND, 1.0), (PER_HOUR, 3600.0)):
        assert all(at[number + limit] - at[number] >= seconds for number in range(len(at) - limit))
    accounts.account.limited = True
    await deliver(accounts.world, part(0, 1, 2))
    assert accounts.account.running == accounts.account.rules


async def test_throttling_is_waited_for(accounts: Accounts) -> None:
    accounts.account.troubles = [Trouble(at=3, of="any", status=429, headers=(("retry-after", "7"),))]
    await deliver(accounts.world, part(0))
    assert 7.0 in accounts.hands.pauses


async def test_changes_that_nobody_applies_end_the_wait_and_a_second_apply_goes_on(accounts: Accounts) -> None:
    accounts.account.apply_after = 10**6
    accounts.settings["polls"] = 3
    with pytest.raises(ConnectorError, match="wait for Apply Changes") as stopped:
        await deliver(accounts.world, part(0))
    assert "nothing of it counts before the push" in stopped.value.message
    assert accounts.account.running == []
    found = accounts.world.journal.in_hand()
    assert found is not None
    accounts.account.apply()
    await carry_out(accounts.world, found)
    assert accounts.account.running == accounts.account.rules


async def test_changes_that_the_tenant_could_not_apply_stop_it(accounts: Accounts) -> None:
    accounts.account.broken = True
    with pytest.raises(ConnectorError, match="could not apply"):
        await deliver(accounts.world, part(0))


async def test_a_refusal_is_told_in_the_vendors_words_and_without_the_token(accounts: Accounts) -> None:
    accounts.account.put(foreign("lunch-menu", "[lunch]"))
    accounts.account.troubles = [Trouble(at=1, status=400)]
    with pytest.raises(ConnectorError, match="refused 400") as stopped:
        await deliver(accounts.world, part(0))
    assert TOKEN not in str(stopped.value)


async def test_a_rule_that_went_meanwhile_is_gone_and_not_an_answer(accounts: Accounts) -> None:
    """A rule that is gone is answered 200 with an error inside."""
    await deliver(accounts.world, part(0))
    key = courier(mapping()).things(part(0))[0].key
    async with accounts.world.tenant() as hand:
        assert await hand.look(key) is not None
        accounts.account.rules.clear()
        with pytest.raises(ConnectorError, match="No rule with id"):
            await hand.remove(key)
        assert await hand.look(key) is None
        with pytest.raises(ConnectorError, match="is not among the rules"):
            await hand.remove(key)


async def test_somebody_elses_change_in_the_middle_stops_it(accounts: Accounts) -> None:
    in_hand = await plan_of(accounts.world, part(0, 1))
    accounts.world.journal.take(in_hand)

    def meddle(_: Any) -> None:
        for rule in accounts.account.rules:
            rule["rule_data"]["userGroups"] = ["everybody"]

    with pytest.raises(ConflictError, match="somebody has changed"):
        await carry_out(accounts.world, in_hand, meddle)


async def test_things_of_our_names_that_were_not_delivered_are_not_taken_over_unasked(accounts: Accounts) -> None:
    accounts.account.put(foreign("zt-by-hand", "[lunch]"))
    with pytest.raises(ExportError, match="were not delivered from here"):
        await plan_of(accounts.world, part(0))


async def test_drift_names_what_was_changed_removed_added_and_switched_off(accounts: Accounts) -> None:
    await deliver(accounts.world, part(0, 1, 2, 3, 4, 5, 6, 7))
    applied = accounts.world.journal.applied()
    assert applied is not None
    altered, reworded, silenced, gone, widened, *_ = accounts.account.rules
    widened["rule_data"]["users"] = ["hanako@pref.example.jp"]
    altered["rule_data"]["device_classification_id"] = []
    altered["rule_data"]["classification"] = ["managed"]
    reworded["description"] = "別の説明"
    silenced["enabled"] = "0"
    accounts.account.rules.remove(gone)
    accounts.account.put(foreign("zt-by-hand", "[lunch]"))
    async with accounts.world.tenant() as hand:
        found = drift(applied.held, await hand.read())
    told = {(one.what, one.key.name) for one in found}
    assert ("altered", altered["rule_name"]) in told
    assert ("altered", widened["rule_name"]) in told
    assert ("reworded", reworded["rule_name"]) in told
    assert ("silenced", silenced["rule_name"]) in told
    assert ("missing", gone["rule_name"]) in told
    assert ("unknown", "zt-by-hand") in told


def test_settings_that_cannot_be_meant_are_refused() -> None:
    hands = Hands()
    hands.secrets |= {"token": TOKEN, "odd": "two words"}
    made = courier_of("netskope", mapping())
    for wrong in (
        {"url": "http://example.jp", "token_file": "token"},
        {"url": "https://example.jp", "token_file": "odd"},
        {"url": "https://example.jp", "token_file": "token", "polls": 0},
        {"url": "https://example.jp", "token": TOKEN},
    ):
        with pytest.raises(SettingsError):
            tenant_of("netskope", hands.setup("test", wrong), made)
