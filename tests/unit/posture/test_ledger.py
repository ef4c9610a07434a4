from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.posture import FACTS, merged
from pdp.directory.snapshot import current_epoch, load_snapshot
from pdp.errors import NotReadyError
from pdp.model.directory import PostureReport
from pdp.posture.ledger import MAX_GROUP, Ledger, Push, _judged, keep_reports
from pdp.sources.matching import Match
from pdp.store.store import Store
from tests.unit.posture.conftest import NOW, Clock

pytestmark = pytest.mark.anyio


def push(device: str, source: str = "push:edr", *, minutes: int = 0, **facts: Any) -> Push:
    report = PostureReport(**facts, observed_at=NOW - timedelta(minutes=minutes), source=source)
    return Push({"id": device}, report)


async def test_what_comes_while_a_group_is_written_goes_into_one_transaction(store: Store) -> None:
    told: list[int] = []
    ledger = Ledger(store, Clock(), told.append)
    before = current_epoch(store)

    outcomes = await asyncio.gather(*(ledger.push([push(f"d-{1 + at % 4}", f"push:{at}")]) for at in range(40)))

    assert [outcome.fate for (outcome,) in outcomes] == ["stored"] * 40
    # The first goes alone, or with those that came in the same turn; the rest together.
    assert current_epoch(store) - before <= 2
    assert len(told) <= 2
    await ledger.close()


async def test_a_batch_is_never_split_over_two_transactions_and_a_group_has_its_bound(store: Store) -> None:
    told: list[int] = []
    ledger = Ledger(store, Clock(), told.append)
    batches = [[push("d-1", f"push:{at}-{n}") for n in range(1_000)] for at in range(5)]

    outcomes = await asyncio.gather(*(ledger.push(batch) for batch in batches))

    assert all(len(some) == 1_000 for some in outcomes)
    assert len(told) >= 5 * 1_000 / MAX_GROUP
    await ledger.close()


async def test_whoever_gives_up_waiting_does_not_stop_the_others(store: Store) -> None:
    ledger = Ledger(store, Clock(), lambda _: None)
    gone = asyncio.create_task(ledger.push([push("d-1", edr_risk="high")]))
    stays = asyncio.create_task(ledger.push([push("d-2", edr_risk="high")]))
    await asyncio.sleep(0)
    gone.cancel()

    ((outcome,),) = await asyncio.gather(stays)

    assert outcome.fate == "stored"
    with pytest.raises(asyncio.CancelledError):
        await gone
    await ledger.close()
    assert load_snapshot(store).devices["d-2"].posture.edr_risk == "high"


async def test_a_store_that_fails_refuses_the_group_and_the_next_one_is_tried_again(store: Store) -> None:
    ledger = Ledger(store, Clock(), lambda _: None)
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE posture_reports RENAME TO elsewhere")
    refused = await asyncio.gather(*(ledger.push([push(f"d-{n}")]) for n in (1, 2, 3)), return_exceptions=True)
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO posture_reports")

    assert [type(fault) for fault in refused] == [NotReadyError] * 3
    ((outcome,),) = await asyncio.gather(ledger.push([push("d-1")]))
    assert outcome.fate == "stored"
    await ledger.close()


async def test_a_bug_in_what_is_told_of_time_refuses_and_does_not_hang(store: Store) -> None:
    def broken() -> datetime:
        raise RuntimeError("the clock is broken")

    ledger = Ledger(store, broken, lambda _: None)
    with pytest.raises(NotReadyError):
        await ledger.push([push("d-1")])


async def test_more_reports_than_may_wait_are_refused_at_once(store: Store) -> None:
    ledger = Ledger(store, Clock(), lambda _: None, max_waiting=2)
    with pytest.raises(NotReadyError):
        await ledger.push([push("d-1", f"push:{n}") for n in range(3)])
    assert [o.fate for o in await ledger.push([push("d-1", f"push:{n}") for n in range(2)])] == ["stored"] * 2
    await ledger.close()


async def test_names_that_contradict_one_another_find_no_device(store: Store) -> None:
    report = PostureReport(edr_risk="none", observed_at=NOW, source="push:edr")
    names = [{"serial": "SN-0002", "host_name": "PC-0001"}, {"serial": "SN-9", "host_name": "PC-0001"}]
    outcomes, epoch = keep_reports(store, NOW, [Push(each, report) for each in names])  # type: ignore[arg-type]
    assert [outcome.fate for outcome in outcomes] == ["ambiguous_device", "contradicted_device"]
    assert epoch is None


_BAD: dict[str, Any] = {"edr_risk": "high", "tampered": True, "disk_encrypted": False, "patch_age_days": 400}
_FACTS = st.fixed_dictionaries(
    {
        "edr_risk": st.sampled_from(["none", "high", "unknown"]),
        "tampered": st.sampled_from([True, False, "unknown"]),
        "disk_encrypted": st.sampled_from([True, False, "unknown"]),
        "patch_age_days": st.sampled_from([None, 1, 400]),
    }
)


@given(st.lists(st.tuples(st.integers(0, 2), _FACTS), min_size=1, max_size=4))
def test_in_whatever_order_reports_come_the_same_one_stands_at_the_end(said: list[tuple[int, dict[str, Any]]]) -> None:
    """INVARIANT (nothing older hides anything newer), and of one instant the worse value of each fact."""
    ends = set()
    for order in permutations(said):
        standing: dict[str, PostureReport] = {}
        for minutes, facts in order:
            _judged(push("d-1", minutes=minutes, **facts), Match("matched", "d-1"), standing)
        (end,) = standing.values()
        ends.add(end)
    (end,) = ends
    latest = min(minutes for minutes, _ in said)
    assert end.observed_at == NOW - timedelta(minutes=latest)
    for minutes, facts in said:
        for fact, bad in _BAD.items():
            if minutes == latest and facts[fact] == bad:
                assert getattr(end, fact) == bad
    assert merged([end]) == end
    assert {"edr_risk", "tampered"} <= set(FACTS)
