"""The pace of writes: a burst at once, then as many as the vendor takes, and never more after a pause."""

from __future__ import annotations

import pytest

from connectors.writing import Pace
from tests.simulators.worlds import Hands

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_burst_passes_at_once_and_the_rest_at_the_vendors_pace() -> None:
    hands = Hands()
    pace = Pace(2.0, 3, lambda: hands.now, hands.sleep)
    for _ in range(3):
        await pace.turn()
    assert hands.pauses == []
    begun = hands.now
    for _ in range(10):
        await pace.turn()
    assert (hands.now - begun).total_seconds() == pytest.approx(5.0)


async def test_a_long_pause_earns_no_more_than_a_burst() -> None:
    hands = Hands()
    pace = Pace(1.0, 2, lambda: hands.now, hands.sleep)
    await hands.sleep(3600)
    hands.pauses.clear()
    for _ in range(3):
        await pace.turn()
    assert hands.pauses == [pytest.approx(1.0)]


async def test_a_clock_that_is_set_back_takes_no_turn_away() -> None:
    hands = Hands()
    pace = Pace(1.0, 1, lambda: hands.now, hands.sleep)
    await pace.turn()
    await hands.sleep(-30)
    hands.pauses.clear()
    await pace.turn()
    assert hands.pauses == [pytest.approx(1.0)]
