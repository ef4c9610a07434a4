from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.sources.bounds import ALWAYS_ALLOWED, digest, passes, removal_plan
from tests.unit.sources.simulated import NOW

REMOVALS = st.dictionaries(st.text(max_size=9), st.sampled_from(["gone", "disabled"]), max_size=60)


@pytest.mark.parametrize(
    ("removed", "of", "percent", "may"),
    [
        (0, 0, 5, True),
        (20, 20, 0, True),
        (21, 21, 5, False),
        (21, 420, 5, True),
        (21, 419, 5, False),
        (22, 420, 5, False),
        (100, 100, 100, True),
        (21, 0, 100, False),
    ],
)
def test_few_rows_may_go_and_of_many_only_their_share(removed: int, of: int, percent: float, may: bool) -> None:
    assert passes([str(n) for n in range(removed)], of, percent) is may


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 100))
def test_what_passes_for_many_passes_for_fewer(removed: int, of: int, percent: float) -> None:
    keys = [str(n) for n in range(removed)]
    if passes(keys, of, percent):
        assert passes(keys[:-1], of, percent)
        assert passes(keys, of + 1, percent)


@given(REMOVALS, REMOVALS)
def test_two_removals_have_one_digest_only_where_they_are_the_same(one: dict, other: dict) -> None:
    assert (digest(one) == digest(other)) is (one == other)
    assert digest(dict(reversed(list(one.items())))) == digest(one)


def test_a_plan_says_how_many_of_how_many_and_names_the_first() -> None:
    plan = removal_plan({f"u-{n:02}": "gone" for n in range(30)} | {"u-99": "disabled"}, 200, NOW)
    assert (plan.gone, plan.disabled, plan.count, plan.of, plan.percent) == (30, 1, 31, 200, 15.5)
    assert plan.samples == [f"u-{n:02}" for n in range(20)]
    assert removal_plan({"x": "gone"}, 0, NOW).percent == 100
    assert ALWAYS_ALLOWED == 20
