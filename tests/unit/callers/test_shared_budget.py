"""Several workers of one host: together they let through what one caller may ask, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.callers.bounds import CallerBounds, set_bounds
from pdp.callers.budget import Budget, CallerLimits
from pdp.callers.credentials import Credentials
from pdp.callers.keys import add_caller
from pdp.callers.shared_budget import SharedBuckets
from pdp.callers.stored import StoredCallers
from pdp.errors import TooManyRequestsError
from tests.empty_store import empty_store
from tests.unit.callers.world import NOW

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
LIMITS = CallerLimits(requests_per_s=10, burst=20)


class Watch:
    def __init__(self) -> None:
        self.ns = 5 * SECOND

    def __call__(self) -> int:
        return self.ns


def taken(*budgets: Budget, tries: int = 100) -> int:
    """How many requests get through, the workers by turns."""
    through = 0
    for number in range(tries):
        try:
            budgets[number % len(budgets)].take()
        except TooManyRequestsError:
            continue
        through += 1
    return through


def test_workers_take_from_one_bucket(tmp_path: Path) -> None:
    watch = Watch()
    workers = [SharedBuckets(tmp_path / "rates", watch, boot="b1").budget("gw-1", LIMITS) for _ in range(4)]
    assert taken(*workers) == 20
    watch.ns += SECOND
    assert taken(*workers) == 10, "the rate that was configured, of all of them together"
    watch.ns += SECOND
    assert taken(workers[2]) == 10, "a gateway with one connection has all of it"


def test_a_debt_is_everybodys_and_other_callers_have_their_own_bucket(tmp_path: Path) -> None:
    watch = Watch()
    one, two = (SharedBuckets(tmp_path, watch, boot="b1") for _ in range(2))
    one.budget("gw-1", LIMITS).spend(39)
    with pytest.raises(TooManyRequestsError) as refused:
        two.budget("gw-1", LIMITS).take()
    assert refused.value.retry_after_s == 2
    assert taken(two.budget("gw-2", LIMITS)) == 20


def test_changed_limits_begin_anew_and_the_same_keep_what_is_left(tmp_path: Path) -> None:
    watch = Watch()
    buckets = SharedBuckets(tmp_path, watch, boot="b1")
    assert taken(buckets.budget("gw-1", LIMITS)) == 20
    assert taken(buckets.budget("gw-1", LIMITS)) == 0
    assert taken(buckets.budget("gw-1", CallerLimits(requests_per_s=10, burst=5))) == 5


def test_what_a_former_start_of_the_host_left_counts_no_more(tmp_path: Path) -> None:
    """Its clock had run for months: until ours has, nobody would be let in."""
    late = Watch()
    late.ns = 10_000_000 * SECOND
    assert taken(SharedBuckets(tmp_path, late, boot="b1").budget("gw-1", LIMITS)) == 20
    assert taken(SharedBuckets(tmp_path, Watch(), boot="b2").budget("gw-1", LIMITS)) == 20
    assert all(file.name.startswith("b2-") for file in tmp_path.iterdir())


def test_where_nothing_can_be_shared_each_worker_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "rates").write_text("in the way")
    for buckets in (
        SharedBuckets(tmp_path / "rates", Watch(), boot="b1"),
        SharedBuckets(tmp_path / "other", Watch(), boot=""),
    ):
        assert [taken(buckets.budget("gw-1", LIMITS)) for _ in range(2)] == [20, 20]


async def test_two_workers_over_one_register_let_through_one_rate(tmp_path: Path) -> None:
    store, watch = empty_store(tmp_path), Watch()
    key = add_caller(store, "gw-1", ["decide"], now=NOW)
    set_bounds(store, "gw-1", CallerBounds(limits=LIMITS))
    try:
        workers = [StoredCallers(store, lambda: NOW, stopwatch=watch, buckets=tmp_path / "rates") for _ in range(2)]
        through = 0
        for number in range(60):
            worker = workers[number % 2]
            if number < 2:
                await worker.refresh()
            try:
                worker.authenticate(Credentials(key=key))
            except TooManyRequestsError:
                continue
            through += 1
        assert through == 20
    finally:
        store.close()
