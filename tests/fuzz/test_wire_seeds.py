"""What the fuzzer found once stays found; and a short run of it, always the same."""

from __future__ import annotations

import pytest

from tests.fuzz.wire import Shot, fire, fuzz, make_lane, seeds

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", [pytest.param(path.read_text(encoding="utf-8"), id=path.stem) for path in seeds()])
async def test_a_past_finding_is_answered_as_it_should_be(seed: str) -> None:
    bugs: list[BaseException] = []
    await fire(make_lane(bugs), Shot.from_json(seed), bugs)


async def test_a_short_run_finds_nothing_and_reaches_decisions_and_errors() -> None:
    statuses, findings = await fuzz(20261122, seconds=60.0, most=1_500)
    assert not findings
    assert {200, 400, 401, 405, 413} <= set(statuses)
    assert statuses[200] > 100
