"""When Redis is asked, when not, and when it is tried again; without a clock and without chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.cache.breaker import FAILURES_IN_A_ROW, FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, Breaker


def closed(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    breaker.probe()
    breaker.close(now)
    return breaker


def opened_and_closed(breaker: Breaker, now: float) -> float:
    """Opens at `now`, is probed and closed again; the pause before that probe."""
    assert breaker.open("timeout", now)
    pause = breaker.pause_s(0.0)
    breaker.probe()
    breaker.close(now)
    return pause


def test_it_begins_open_and_is_probed_at_once() -> None:
    breaker = Breaker()
    assert breaker.state == "down"
    assert breaker.pause_s(0.9) == 0.0
    assert breaker.opened == 0


def test_a_probe_that_is_answered_closes_it() -> None:
    breaker = Breaker()
    breaker.probe()
    assert breaker.state == "probing"
    breaker.close(0.0)
    assert breaker.state == "up"
    assert breaker.fault is None


def test_failures_in_a_row_open_it_and_the_last_one_says_why() -> None:
    breaker = closed()
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert not breaker.failed("timeout", 1.0)
        assert breaker.state == "up"
    assert breaker.failed("ReadOnlyError", 1.0)
    assert (breaker.state, breaker.fault, breaker.opened) == ("down", "ReadOnlyError", 1)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = closed()
    for _ in range(10 * FAILURES_IN_A_ROW):
        for _ in range(FAILURES_IN_A_ROW - 1):
            assert not breaker.failed("timeout", 1.0)
        breaker.succeeded()
    assert breaker.opened == 0


def test_failures_from_before_a_probe_do_not_count_after_it() -> None:
    breaker = closed()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed("timeout", 1.0)
    breaker.open("ConnectionError", 1.0)
    breaker.probe()
    breaker.close(1.0)
    assert not breaker.failed("timeout", 1.0)


def test_a_lost_connection_opens_it_at_once() -> None:
    breaker = closed()
    assert breaker.open("ConnectionError", 1.0)
    assert breaker.state == "down"


def test_it_opens_once_however_many_failures_follow() -> None:
    breaker = closed()
    assert breaker.open("ConnectionError", 1.0)
    assert not breaker.open("timeout", 1.0)
    assert not any(breaker.failed("timeout", 1.0) for _ in range(20))
    assert (breaker.opened, breaker.fault) == (1, "ConnectionError")


def test_after_a_steady_time_the_first_probe_comes_at_once() -> None:
    breaker = closed(now=0.0)
    assert opened_and_closed(breaker, now=STEADY_S) == 0.0


def test_a_redis_that_fails_right_after_its_probe_is_tried_ever_more_seldom() -> None:
    breaker = closed(now=0.0)
    pauses = [opened_and_closed(breaker, now=0.01 * turn) for turn in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] == FIRST_PAUSE_S / 2
    assert pauses[-1] == LONGEST_PAUSE_S / 2


def test_steadiness_ends_the_long_pauses() -> None:
    breaker = closed(now=0.0)
    for turn in range(12):
        opened_and_closed(breaker, now=0.01 * turn)
    assert opened_and_closed(breaker, now=1.0 + STEADY_S) == 0.0


def test_failed_probes_double_the_pause_up_to_its_limit() -> None:
    breaker = Breaker()
    pauses = []
    for _ in range(10):
        breaker.probe()
        breaker.probe_failed("ConnectionError")
        pauses.append(breaker.pause_s(0.0))
    assert pauses[:4] == [pytest.approx(FIRST_PAUSE_S / 2 * factor) for factor in (1, 2, 4, 8)]
    assert pauses[-1] == LONGEST_PAUSE_S / 2
    assert (breaker.state, breaker.fault) == ("down", "ConnectionError")


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_no_pause_is_longer_than_its_limit_or_shorter_than_half_the_first(tries: int, chance: float) -> None:
    breaker = Breaker(_tries=tries)
    assert FIRST_PAUSE_S / 2 <= breaker.pause_s(chance) <= LONGEST_PAUSE_S


def test_chance_spreads_the_probes_of_several_workers() -> None:
    breaker = Breaker(_tries=3)
    assert len({breaker.pause_s(chance / 10) for chance in range(10)}) == 10
