"""A keeper lets a table answer only after its engine has agreed, and never again after one difference."""

from __future__ import annotations

import asyncio
import io
import json
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pdp.errors import BundleError, EngineError, EngineTimeoutError, SpaceError
from pdp.health import Health
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
    await town.turn()
    assert (town.keeper.status().state, town.keeper.status().why) == ("none", "no policy is active")
    assert (town.made, town.keeper.answer(document("office"), "0" * 64)) == ([], None)


async def test_a_table_answers_after_the_engine_has_agreed_on_each_answer_and_not_before(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), WIDE)
    town.held = asyncio.Event()
    looking = asyncio.create_task(town.keeper.look())
    await town.waiting.wait()
    assert (town.says("office"), town.keeper.status().state) == (None, "making")
    town.held.set()
    await looking
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
    await town.turn()
    status = town.keeper.status()
    assert (status.state, status.why) == ("refused", "the engine answers otherwise than the table")
    digest = town.active().digest
    assert (town.called_wrong, town.says("public"), town.says("office")) == ([digest], None, None)
    (line,) = [line for line in lines(operators_log) if line["logger"] == "pdp.table"]
    assert (line["level"], line["digest"]) == ("error", digest)
    for _ in range(3):
        await town.turn()
    assert town.made == ["a"]
    again = town.worker()
    town.spaces[town.active().digest] = OFFICE
    await town.turn(again)
    assert (again.status().state, town.made) == ("refused", ["a"]), "not at the next start either"
    town.doubts.clear()  # as with a version that counts otherwise
    mended = town.worker()
    await town.turn(mended)
    assert mended.status().state == "ready"


async def test_a_number_that_equals_a_bool_in_python_is_another_answer(town: Town) -> None:
    told = {"office": ALLOW | {"obligations": {"x": 1}}}
    town.active_bundle = town.has(bundle("a"), told, counted={"office": ALLOW | {"obligations": {"x": True}}})
    await town.turn()
    assert town.keeper.status().state == "refused"


async def test_each_look_up_is_put_to_the_engine_once_and_one_difference_ends_the_table(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn()
    town.asked.clear()
    for zone in ("public", "office", "sase", "office"):
        town.says(zone)
    await town.turn()
    await town.turn()
    assert [json.loads(one)["context"]["zone"] for one in town.asked] == ["office", "sase", "public"]
    assert (town.keeper.status().checked, town.keeper.status().differed) == (3, 0)
    town.policies[town.active().digest] = {}  # the engine is not what it was
    assert town.says("office") == "allow"
    await town.turn()
    status = town.keeper.status()
    assert (status.state, status.checked, status.differed) == ("refused", 4, 1)
    assert (town.says("office"), town.says("public"), town.called_wrong) == (None, None, [town.active().digest])
    await town.turn()
    assert (town.keeper.status().state, town.made) == ("refused", ["a"])
    assert [line["level"] for line in lines(operators_log) if line["event"] == "no decision table"] == ["error"]


async def test_of_many_look_ups_in_a_second_the_newest_are_put_to_the_engine(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn()
    town.asked.clear()
    for number in range(200):
        asked = fine()
        asked["subject"]["id"] = f"u-{number}"
        assert town.keeper.answer(encoded(asked), town.active().digest) is not None
    await town.turn()
    assert [json.loads(one)["subject"]["id"] for one in town.asked] == [f"u-{number}" for number in range(199, 135, -1)]


async def test_a_table_that_another_worker_calls_wrong_is_given_up_with_all_that_it_said(town: Town) -> None:
    differed: list[str] = []
    keeper = town.worker(lambda: differed.append("forget"))
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn(keeper)
    assert keeper.answer(document("office"), town.active().digest) is not None
    town.doubts.add(town.active().digest)
    await keeper.heed()
    assert (keeper.status().state, differed) == ("refused", ["forget"])
    assert keeper.answer(document("office"), town.active().digest) is None


async def test_a_check_that_gets_no_answer_says_nothing_of_the_table_and_is_counted(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn()
    assert town.says("office") == "allow"
    town.silent = 1
    await town.turn()
    status = town.keeper.status()
    assert (status.state, status.checked, status.differed, status.unchecked) == ("ready", 0, 0, 1)


async def test_a_look_up_of_a_former_policy_is_not_held_against_the_next_one(town: Town) -> None:
    former = town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn()
    assert town.says("office") == "allow"
    town.active_bundle = town.has(bundle("b"), {})
    assert (town.says("office"), town.says("office", former)) == (None, "allow")
    await town.turn()
    assert (town.keeper.status().state, town.keeper.status().checked) == ("ready", 0)
    assert (town.says("office"), town.says("office", former)) == ("deny", "allow"), "who began under it ends under it"


async def test_an_engine_that_says_nothing_is_asked_again_by_itself_after_ever_longer_waits(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    tried = []
    while town.now < 20_000:
        town.silent, made = 1, len(town.made)
        await town.turn()
        if len(town.made) > made:
            tried.append(town.now)
        assert (town.keeper.status().state, town.says("office")) == ("waiting", None)
        town.now += 10
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits[:9] == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert "too slow" in Health._counted_out(town.keeper.status()).detail
    assert town.called_wrong == []
    assert len([line for line in lines(operators_log) if line["event"] == "no decision table"]) == 1, "told once"
    town.now += 3600
    town.silent = 0
    await town.turn()
    assert town.keeper.status().state == "ready", "without a restart"


async def test_what_did_not_work_is_tried_again_and_works(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.faults = [EngineError("killed"), EngineTimeoutError("late"), BundleError("no room"), EngineError("killed")]
    for number in range(1, 5):
        await town.turn()
        await town.turn()
        assert (len(town.made), town.keeper.status().state) == (number, "waiting"), "and not at once"
        town.now += 30
    await town.turn()
    assert town.keeper.status().state == "ready"


async def test_while_another_worker_makes_the_space_this_one_looks_again(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.absent = True
    for _ in range(20):
        await town.turn()
    assert (town.keeper.status().state, town.says("office")) == ("making", None)
    assert "another process" in town.keeper.status().why
    town.absent = False
    await town.turn()
    assert town.says("office") == "allow"


async def test_a_policy_that_takes_over_while_the_former_is_proven_is_no_fault_of_either(town: Town) -> None:
    first, second = town.has(bundle("a"), OFFICE), town.has(bundle("b"), WIDE)
    town.active_bundle = first
    town.held = asyncio.Event()
    looking = asyncio.create_task(town.keeper.look())
    await town.waiting.wait()
    town.active_bundle = second
    town.held.set()
    await looking
    assert (town.keeper.status().state, town.says("office"), town.says("office", first)) == ("making", None, None)
    await town.turn()
    assert (town.keeper.status().state, town.says("public"), town.says("public", first)) == ("ready", "allow", None)
    town.active_bundle = first
    await town.turn()
    assert (town.keeper.status().state, town.says("public")) == ("ready", "deny")
    assert town.called_wrong == []


async def test_a_roll_back_finds_its_own_table_at_the_next_look_and_proves_nothing_anew(town: Town) -> None:
    policies = [
        town.has(bundle(name), {zone: ALLOW})
        for name, zone in zip("abcd", ("office", "sase", "public", "carrier"), strict=True)
    ]
    for one in policies:
        town.active_bundle = one
        await town.turn()
    town.asked.clear()
    for one, zone in zip(reversed(policies), ("carrier", "public", "sase", "office"), strict=True):
        town.active_bundle = one
        await town.turn()
        assert (town.says(zone), town.says("ip_vpn")) == ("allow", "deny")
        assert {town.says(zone, other) for other in policies if other is not one} == {"deny"}
    assert town.made == ["a", "b", "c", "d"]
    assert len(town.asked) <= 3, "the checks alone"


async def test_only_the_last_four_tables_are_kept(town: Town) -> None:
    policies = [town.has(bundle(name), OFFICE) for name in "abcde"]
    for one in (*policies, policies[0], policies[4]):
        town.active_bundle = one
        await town.turn()
    assert town.made == ["a", "b", "c", "d", "e", "a"]


@pytest.mark.parametrize("who", ["the engine", "another worker"])
async def test_a_policy_that_is_rolled_back_to_is_checked_and_doubted_while_the_next_one_is_still_being_made(
    town: Town, who: str
) -> None:
    """A wide policy is made for ten minutes; meanwhile the former one answers out of its table."""
    first, wide = town.has(bundle("a"), OFFICE), town.has(bundle("b"), WIDE)
    town.active_bundle = first
    await town.turn()
    town.sought.clear()
    town.making, town.active_bundle = asyncio.Event(), wide
    looking = asyncio.create_task(town.keeper.look())
    await town.sought.wait()
    town.active_bundle = first
    assert town.says("office") == "allow"
    if who == "the engine":
        town.policies[first.digest] = {}
        await town.keeper.check()
    else:
        town.doubts.add(first.digest)
        await town.keeper.heed()
    assert (town.keeper.status().state, town.says("office"), looking.done()) == ("refused", None, False)
    town.making.set()
    await looking
    assert (town.keeper.status().state, town.says("office")) == ("refused", None)


async def test_a_policy_that_needs_a_table_does_not_wait_for_that_of_a_policy_that_went(town: Town) -> None:
    town.making = asyncio.Event()
    town.active_bundle = town.has(bundle("a"), OFFICE)
    looking = asyncio.create_task(town.keeper.look())
    await town.sought.wait()
    town.active_bundle = town.has(bundle("b"), WIDE)
    await looking
    town.making.set()
    await town.turn()
    assert (town.keeper.status().state, town.says("public")) == ("ready", "allow")


async def test_a_doubt_is_not_forgotten_while_another_policy_decides(town: Town) -> None:
    doubted, other = town.has(bundle("a"), OFFICE), town.has(bundle("b"), WIDE)
    for one in (doubted, other, doubted):
        town.active_bundle = one
        await town.turn()
    town.policies[doubted.digest] = WIDE
    assert town.says("public") == "deny"
    await town.turn()
    town.doubts.clear()  # the folder was removed: this worker knows it all the same
    for one in (other, doubted, other, doubted):
        town.active_bundle = one
        await town.turn()
        town.now += 7200
    assert (town.keeper.status().state, town.says("office"), town.made) == ("refused", None, ["a", "b"])


async def test_a_doubt_that_cannot_be_marked_is_told_and_marked_as_soon_as_it_can_be(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    other = town.worker()
    await town.turn()
    await town.turn(other)
    town.policies[town.active().digest] = WIDE
    town.unwritable = True
    assert town.says("public") == "deny"
    await town.keeper.check()
    assert town.says("public") is None, "here it counts at once"
    assert "cannot be told: the folder cannot be written" in town.keeper.status().why
    for _ in range(3):
        await town.turn()
    assert [line["event"] for line in lines(operators_log)].count("the other workers cannot be told") == 1
    await other.heed()
    assert other.status().state == "ready"
    town.unwritable = False
    await town.keeper.heed()
    assert town.keeper.status().why == "the engine answers otherwise than the table"
    await other.heed()
    assert other.status().state == "refused"


async def test_a_table_that_is_called_wrong_while_it_is_proven_here_is_not_taken(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.held = asyncio.Event()
    looking = asyncio.create_task(town.keeper.look())
    await town.waiting.wait()
    town.doubts.add(town.active().digest)
    town.held.set()
    await looking
    assert (town.keeper.status().state, town.says("office")) == ("refused", None)


async def test_a_document_that_the_engine_does_not_judge_hides_no_difference_beside_it(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    await town.turn()
    town.policies[town.active().digest] = WIDE
    assert [town.says(zone) for zone in ("public", "office")] == ["deny", "allow"]  # the newest is asked first
    town.silent = 1
    await town.keeper.check()
    status = town.keeper.status()
    assert (status.state, status.differed, status.unchecked) == ("refused", 1, 1)


async def test_folders_that_cannot_be_read_bring_no_table_and_take_none(town: Town) -> None:
    class Unreadable(Town):
        broken = True

        async def doubted(self, digest: str) -> bool:
            if self.broken:
                raise EngineError("the folder of decision tables cannot be read")
            return await super().doubted(digest)

    hidden = Unreadable()
    hidden.active_bundle = hidden.has(bundle("a"), OFFICE)
    await hidden.turn()
    assert (hidden.keeper.status().state, hidden.made) == ("waiting", [])
    hidden.broken = False
    hidden.now += 30
    await hidden.turn()
    assert hidden.says("office") == "allow"
    hidden.broken, hidden.policies[hidden.active().digest] = True, {}
    await hidden.keeper.check()
    assert hidden.keeper.status().state == "refused", "its own checks go on"


async def test_a_policy_that_cannot_be_counted_out_is_told_once_with_its_place(
    town: Town, operators_log: io.StringIO
) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.faults = [SpaceError("what is done with `context.risk` cannot be counted out", where="pdp.rego:6:9")]
    for _ in range(3):
        await town.turn()
    status = town.keeper.status()
    assert (status.state, status.where, town.made) == ("refused", "pdp.rego:6:9", ["a"])
    told = [line for line in lines(operators_log) if line["event"] == "no decision table"]
    assert [(line["level"], line["where"], line["revision"]) for line in told] == [("info", "pdp.rego:6:9", "a")]
    probe = Health._counted_out(status)
    assert probe.ok, "without a table everything is as it was"
    assert "pdp.rego:6:9" in probe.detail
    town.active_bundle = town.has(bundle("b"), OFFICE)
    await town.turn()
    assert (town.keeper.status().state, town.says("office")) == ("ready", "allow"), "the next one can"


async def test_a_policy_of_the_profile_plain_has_nothing_to_count_out(town: Town) -> None:
    town.active_bundle = bundle("p", profile="plain")
    await town.turn()
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
                await town.turn()
    assert town.keeper.answer(document("office"), "") is None


async def test_in_the_background_a_fault_of_ours_ends_nothing(town: Town, operators_log: io.StringIO) -> None:
    town.active_bundle = bundle("a")  # of which this town knows nothing: a KeyError
    async with town.keeper.following():
        await town.sought.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (town.keeper.status().state, town.keeper.answer(document("office"), town.active().digest)) == (
            "waiting",
            None,
        )
    assert [line["level"] for line in lines(operators_log)] == ["error", "warning"]


async def test_the_background_ends_with_its_block_also_while_a_proof_runs(town: Town) -> None:
    town.active_bundle = town.has(bundle("a"), OFFICE)
    town.held = asyncio.Event()
    async with town.keeper.following():
        await town.waiting.wait()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("decision-table")] == []
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
    town.faults = [EngineError("no space left")]
    await town.turn()
    assert (value("sekisho_decision_table_ready"), value("sekisho_decision_table_waiting")) == (0, 1)
    town.now += 30
    await town.turn()
    assert value("sekisho_decision_table_waiting") == 0
    assert value("sekisho_decision_table_ready") == 1
    assert [town.says("office"), town.says("public"), town.keeper.answer(b"", town.active().digest)] == [
        "allow",
        "deny",
        None,
    ]
    assert value('sekisho_decision_table_lookups_total{result="answered"}') == 2
    assert value('sekisho_decision_table_lookups_total{result="unread"}') == 1
    town.policies[town.active().digest] = WIDE
    await town.turn()
    assert value('sekisho_decision_table_checks_total{result="differs"}') == 1
    assert value('sekisho_decision_table_checks_total{result="same"}') == 1
    assert value("sekisho_decision_table_ready") == 0
