"""A keeper lets a table answer only after its engine has agreed, and never again after one difference."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pdp.errors import BundleError, EngineError, EngineTimeoutError, SpaceError
from pdp.health import Health
from pdp.table.keeper import TableKeeper
from pdp.table.metrics import TableMetrics
from tests.unit.table.policies import encoded, fine
from tests.unit.table.town import ALLOW, OFFICE, STEP_UP, Answers, Town, bundle, document

pytestmark = pytest.mark.anyio

WIDE: Answers = {"office": ALLOW, "public": ALLOW, "sase": STEP_UP}


@pytest.fixture
async def town() -> Town:
    return Town()


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_without_a_policy_there_is_nothing_to_count_out(town: Town) -> None:
    assert await town.keeper.look()
    assert (town.keeper.status().state, town.keeper.status().why) == ("none", "no policy is active")
    assert (town.made, town.keeper.answer(document("office"), "0" * 64)) == ([], None)


async def test_a_table_answers_after_the_engine_has_agreed_on_each_answer_and_not_before(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), WIDE)
    town.held = asyncio.Event()
    looking = asyncio.create_task(town.keeper.look())
    await town.waiting.wait()
    assert (town.says("office"), town.keeper.status().state) == (None, "making")
    town.held.set()
    assert await looking
    status = town.keeper.status()
    assert (status.state, status.facts, status.answers, status.looked_up) == ("ready", 1, 3, 0)
    assert len(town.asked) == 6, "two documents for each different answer"
    assert [town.says(zone) for zone in ("office", "carrier", "sase")] == ["allow", "deny", "step_up"]
    assert town.keeper.status().looked_up == 3
    assert town.keeper.answer(b"{}", town.active().digest) is None
    assert (town.keeper.status().looked_up, town.keeper.status().unread) == (3, 1)


@pytest.mark.parametrize(
    "counted", [WIDE, {}, {"office": STEP_UP}, {"office": ALLOW | {"reasons": ["OK", "OK"]}}], ids=str
)
async def test_a_table_that_differs_in_one_answer_is_refused_doubted_and_told_as_an_error(
    town: Town, counted: Answers, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE, counted=counted)
    assert await town.keeper.look()
    status = town.keeper.status()
    assert (status.state, status.why) == ("refused", "the engine answers otherwise than the table")
    assert (town.called_wrong, town.says("public"), town.says("office")) == (["a"], None, None)
    (line,) = [line for line in lines(operators_log) if line["logger"] == "pdp.table"]
    assert (line["level"], line["revision"]) == ("error", "a")
    for _ in range(3):
        assert await town.keeper.look()
    assert town.made == ["a"]
    again = TableKeeper(town, town.active, town)
    town.spaces[town.active().digest] = OFFICE
    await again.look()
    assert (again.status().state, town.made) == ("refused", ["a"]), "not at the next start either"
    town.doubts.clear()  # as with a version that counts otherwise
    mended = TableKeeper(town, town.active, town)
    await mended.look()
    assert mended.status().state == "ready"


async def test_a_number_that_equals_a_bool_in_python_is_another_answer(town: Town) -> None:
    told = {"office": ALLOW | {"obligations": {"x": 1}}}
    town.active_bundle = town.has(bundle("a"), told, counted={"office": ALLOW | {"obligations": {"x": True}}})
    await town.keeper.look()
    assert town.keeper.status().state == "refused"


async def test_each_look_up_is_put_to_the_engine_once_and_one_difference_ends_the_table(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.keeper.look()
    town.asked.clear()
    for zone in ("public", "office", "sase", "office"):
        town.says(zone)
    await town.keeper.look()
    await town.keeper.look()
    assert [json.loads(one)["context"]["zone"] for one in town.asked] == ["office", "sase", "public"]
    assert (town.keeper.status().checked, town.keeper.status().differed) == (3, 0)
    town.policies[town.active().digest] = {}  # the engine is not what it was
    assert town.says("office") == "allow"
    await town.keeper.look()
    status = town.keeper.status()
    assert (status.state, status.checked, status.differed) == ("refused", 4, 1)
    assert (town.says("office"), town.says("public"), town.called_wrong) == (None, None, ["a"])
    await town.keeper.look()
    assert (town.keeper.status().state, town.made) == ("refused", ["a"])
    assert [line["level"] for line in lines(operators_log) if line["event"] == "no decision table"] == ["error"]


async def test_of_many_look_ups_in_a_second_the_newest_are_put_to_the_engine(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.keeper.look()
    town.asked.clear()
    for number in range(200):
        asked = fine()
        asked["subject"]["id"] = f"u-{number}"
        assert town.keeper.answer(encoded(asked), town.active().digest) is not None
    await town.keeper.look()
    assert [json.loads(one)["subject"]["id"] for one in town.asked] == [f"u-{number}" for number in range(199, 135, -1)]


async def test_a_table_that_another_worker_calls_wrong_is_given_up_with_all_that_it_said(town: Town) -> None:
    differed: list[str] = []
    keeper = TableKeeper(town, town.active, town, differed=lambda: differed.append("forget"))
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await keeper.look()
    assert keeper.answer(document("office"), town.active().digest) is not None
    town.doubt(town.active())
    await keeper.look()
    assert (keeper.status().state, differed) == ("refused", ["forget"])
    assert keeper.answer(document("office"), town.active().digest) is None


async def test_a_check_that_gets_no_answer_says_nothing_of_the_table_and_is_counted(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.keeper.look()
    assert town.says("office") == "allow"
    town.silent = 1
    await town.keeper.look()
    status = town.keeper.status()
    assert (status.state, status.checked, status.differed, status.unchecked) == ("ready", 0, 0, 1)


async def test_a_look_up_of_a_former_policy_is_not_held_against_the_next_one(town: Town) -> None:
    former = town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.keeper.look()
    assert town.says("office") == "allow"
    town.active_bundle = town.has(bundle("b"), {})
    assert (town.says("office"), town.says("office", former)) == (None, "allow")
    await town.keeper.look()
    assert (town.keeper.status().state, town.keeper.status().checked) == ("ready", 0)
    assert (town.says("office"), town.says("office", former)) == ("deny", None)


async def test_an_engine_that_says_nothing_is_asked_another_time_and_given_up_after_five(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    for _ in range(4):
        town.silent = 1
        assert not await town.keeper.look()
        assert (town.keeper.status().state, town.says("office")) == ("making", None)
    town.silent = 1
    assert await town.keeper.look()
    assert (town.keeper.status().state, town.keeper.status().why) == ("refused", "too slow")
    await town.keeper.look()
    assert (town.made, town.called_wrong) == (["a"] * 5, [])


async def test_what_did_not_work_four_times_may_work_the_fifth(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.faults = [EngineError("killed"), EngineTimeoutError("late"), BundleError("no room"), EngineError("killed")]
    assert [await town.keeper.look() for _ in range(5)] == [False] * 4 + [True]
    assert town.keeper.status().state == "ready"


async def test_while_another_worker_makes_the_space_this_one_looks_again(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.absent = True
    for _ in range(20):
        assert await town.keeper.look()
    assert (town.keeper.status().state, town.says("office")) == ("making", None)
    town.absent = False
    await town.keeper.look()
    assert town.says("office") == "allow"


async def test_a_policy_that_takes_over_while_the_former_is_proven_is_no_fault_of_either(town: Town) -> None:
    first, second = town.has(bundle("a"), OFFICE), town.has(bundle("b"), WIDE)
    town.active_bundle = first
    town.held = asyncio.Event()
    looking = asyncio.create_task(town.keeper.look())
    await town.waiting.wait()
    town.active_bundle = second
    town.held.set()
    assert await looking, "and it is looked again soon"
    assert (town.keeper.status().state, town.says("office"), town.says("office", first)) == ("making", None, None)
    await town.keeper.look()
    assert (town.keeper.status().state, town.says("public"), town.says("public", first)) == ("ready", "allow", None)
    town.active_bundle = first
    await town.keeper.look()
    assert (town.keeper.status().state, town.says("public")) == ("ready", "deny")
    assert town.called_wrong == []


async def test_a_roll_back_finds_its_own_table_at_the_next_look_and_proves_nothing_anew(town: Town) -> None:
    policies = [
        town.has(bundle(name), {zone: ALLOW})
        for name, zone in zip("abcd", ("office", "sase", "public", "carrier"), strict=True)
    ]
    for one in policies:
        town.active_bundle = one
        await town.keeper.look()
    town.asked.clear()
    for one, zone in zip(reversed(policies), ("carrier", "public", "sase", "office"), strict=True):
        town.active_bundle = one
        await town.keeper.look()
        assert (town.says(zone), town.says("ip_vpn")) == ("allow", "deny")
        assert [town.says(zone, other) for other in policies if other is not one] == [None] * 3
    assert town.made == ["a", "b", "c", "d"]
    assert len(town.asked) <= 3, "the checks alone"


async def test_only_the_last_four_tables_are_kept(town: Town) -> None:
    policies = [town.has(bundle(name), OFFICE) for name in "abcde"]
    for one in (*policies, policies[0], policies[4]):
        town.active_bundle = one
        await town.keeper.look()
    assert town.made == ["a", "b", "c", "d", "e", "a"]


async def test_a_policy_that_cannot_be_counted_out_is_told_once_with_its_place(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.faults = [SpaceError("what is done with `context.risk` cannot be counted out", where="pdp.rego:6:9")]
    for _ in range(3):
        assert await town.keeper.look()
    status = town.keeper.status()
    assert (status.state, status.where, town.made) == ("refused", "pdp.rego:6:9", ["a"])
    told = [line for line in lines(operators_log) if line["event"] == "no decision table"]
    assert [(line["level"], line["where"], line["revision"]) for line in told] == [("info", "pdp.rego:6:9", "a")]
    probe = Health._counted_out(status)
    assert probe.ok, "without a table everything is as it was"
    assert "pdp.rego:6:9" in probe.detail
    town.active_bundle = town.has(bundle("b"), OFFICE)
    await town.keeper.look()
    assert (town.keeper.status().state, town.says("office")) == ("ready", "allow"), "the next one can"


async def test_a_policy_of_the_profile_plain_has_nothing_to_count_out(town: Town) -> None:
    town.active_bundle = bundle("p", profile="plain")
    assert await town.keeper.look()
    assert (town.keeper.status().state, town.made) == ("refused", [])
    assert "plain" in town.keeper.status().why


async def test_the_answer_is_always_that_of_the_policy_that_is_asked(town: Town) -> None:
    """Whatever is active, known, being proven or refused meanwhile."""
    policies = [
        town.has(bundle(name), {zone: ALLOW}) for name, zone in zip("abc", ("office", "sase", "public"), strict=True)
    ]
    town.has(policies[2], {"public": ALLOW}, counted=WIDE)
    zones = dict(zip((one.digest for one in policies), ("office", "sase", "public"), strict=True))
    for order in ((0, 1, 0, 2, 1), (2, 2, 1), (0, 0, 2)):
        for number in order:
            town.active_bundle = policies[number]
            for _ in range(2):
                for one in policies:
                    for zone in ("office", "sase", "public", "carrier"):
                        expected = "allow" if zones[one.digest] == zone else "deny"
                        assert town.says(zone, one) in (None, expected)
                await town.keeper.look()
    assert town.keeper.answer(document("office"), "") is None


async def test_in_the_background_a_fault_of_ours_ends_nothing(town: Town, operators_log: io.StringIO) -> None:
    town.active_bundle = bundle("a")  # of which this town knows nothing: a KeyError
    async with town.keeper.following():
        await town.sought.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (town.keeper.status().state, town.keeper.answer(document("office"), town.active().digest)) == (
            "making",
            None,
        )
    assert [line["level"] for line in lines(operators_log)] == ["error"]


async def test_the_background_ends_with_its_block_also_while_a_proof_runs(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.held = asyncio.Event()
    async with town.keeper.following():
        await town.waiting.wait()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "decision-table"] == []
    assert (town.says("office"), town.called_wrong) == (None, [])


async def test_the_metrics_follow_the_status(town: Town) -> None:
    registry = CollectorRegistry()
    metrics = TableMetrics(registry)

    def value(name: str) -> float:
        metrics.show(town.keeper.status())
        (found,) = [line for line in generate_latest(registry).decode().splitlines() if line.startswith(name + " ")]
        return float(found.rpartition(" ")[2])

    assert value("sekisho_decision_table_ready") == 0
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.keeper.look()
    assert value("sekisho_decision_table_ready") == 1
    assert [town.says("office"), town.says("public"), town.keeper.answer(b"", town.active().digest)] == [
        "allow",
        "deny",
        None,
    ]
    assert value('sekisho_decision_table_lookups_total{result="answered"}') == 2
    assert value('sekisho_decision_table_lookups_total{result="unread"}') == 1
    town.policies[town.active().digest] = WIDE
    await town.keeper.look()
    assert value('sekisho_decision_table_checks_total{result="differs"}') == 1
    assert value('sekisho_decision_table_checks_total{result="same"}') == 0
    assert value("sekisho_decision_table_ready") == 0
