from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.callers.budget import DEFAULT_LIMITS, MOST_A_SECOND, Budget, CallerLimits
from pdp.errors import BadRequestError, TooManyRequestsError


class Seconds:
    """A monotonic clock that stands until it is moved; it is read in nanoseconds."""

    def __init__(self) -> None:
        self.now = Fraction(1_000)

    def __call__(self) -> int:
        return int(self.now * 1_000_000_000)


def taken(budget: Budget, times: int) -> int:
    """How many of so many requests get through now."""
    through = 0
    for _ in range(times):
        try:
            budget.take()
        except TooManyRequestsError:
            continue
        through += 1
    return through


def test_a_burst_gets_through_at_once_and_no_more() -> None:
    assert taken(Budget(CallerLimits(requests_per_s=10, burst=25), Seconds()), 100) == 25


def test_after_a_second_so_many_get_through_as_the_rate_says() -> None:
    clock = Seconds()
    budget = Budget(CallerLimits(requests_per_s=10, burst=25), clock)
    taken(budget, 100)
    clock.now += 1
    assert taken(budget, 100) == 10
    clock.now += 3_600  # a pause fills it, and never above the burst
    assert taken(budget, 100) == 25


def test_a_refusal_takes_nothing_and_says_when_the_next_one_gets_through() -> None:
    clock = Seconds()
    budget = Budget(CallerLimits(requests_per_s=1, burst=1), clock)
    budget.take()
    budget.spend(4)
    for _ in range(10):
        with pytest.raises(TooManyRequestsError) as refused:
            budget.take()
        assert refused.value.retry_after_s == 5
    clock.now += Fraction("4.999")
    assert taken(budget, 1) == 0
    clock.now += Fraction("0.001")
    assert taken(budget, 1) == 1


def test_retry_after_is_never_less_than_a_second() -> None:
    budget = Budget(CallerLimits(requests_per_s=1_000, burst=1), Seconds())
    budget.take()
    with pytest.raises(TooManyRequestsError) as refused:
        budget.take()
    assert refused.value.retry_after_s == 1


def test_a_batch_larger_than_the_burst_is_answered_and_leaves_a_debt() -> None:
    clock = Seconds()
    budget = Budget(CallerLimits(requests_per_s=10, burst=5), clock)
    budget.take()
    budget.spend(99)
    assert taken(budget, 1) == 0
    clock.now += Fraction("9.5")
    assert taken(budget, 1) == 0
    clock.now += Fraction("0.1")
    assert taken(budget, 5) == 1


def test_one_callers_flood_leaves_the_other_what_is_its_own() -> None:
    clock = Seconds()
    loud, quiet = (Budget(CallerLimits(requests_per_s=100, burst=100), clock) for _ in range(2))
    got = {"loud": 0, "quiet": 0}
    for _ in range(1_000):  # one second: the loud one asks ten thousand times, the quiet one a hundred
        clock.now += Fraction("0.001")
        got["loud"] += taken(loud, 10)
        got["quiet"] += taken(quiet, 1) if int(clock.now * 1_000) % 10 == 0 else 0
    assert got == {"loud": 199, "quiet": 100}


@given(
    rate=st.integers(1, 1_000),
    burst=st.integers(1, 1_000),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate_together(rate: int, burst: int, steps: list[tuple[float, int]]) -> None:
    clock = Seconds()
    begun = clock.now
    budget = Budget(CallerLimits(requests_per_s=rate, burst=burst), clock)
    through = 0
    for passed, asked in steps:
        clock.now += Fraction(passed)
        through += taken(budget, asked)
        assert through <= burst + (clock.now - begun) * rate


@pytest.mark.parametrize("name", ["requests_per_s", "burst", "body_bytes", "batch"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "10", MOST_A_SECOND + 1])
def test_every_limit_is_a_number_of_something(name: str, value: object) -> None:
    with pytest.raises(BadRequestError, match=f"`{name}`"):
        replace(DEFAULT_LIMITS, **{name: value})
