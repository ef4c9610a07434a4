from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from pdp.errors import EngineError
from pdp.model.decision import Outcome, Verdict
from pdp.simulate.shadow import Shadow, shadow_of
from tests.unit.declog.samples import decision
from tests.unit.simulate.test_hypothetical import HOME
from tests.unit.simulate.town import engine, policy

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def decided(self, decided, wire, steps_us) -> None:
        self.heard.append(decided.id)

    def refused(self, refusal) -> None:
        self.heard.append("refused")


class Broken:
    """An engine that gives no verdict, or is not there at all."""

    name = "broken"

    def __init__(self, *, raises: bool) -> None:
        self._raises = raises

    async def evaluate(self, documents, *, digest=None):
        if self._raises:
            raise EngineError("gone")
        return [EngineError("no verdict") for _ in documents]


def decided(outcome: Outcome, *reasons: str, level: int | None = None, fault: str | None = None):
    verdict = Verdict(outcome=outcome, reasons=reasons, obligations={}, required_auth_level=level)
    return decision("019af2c0-6d2e-7a51-9d0c-1f7c3a2b4d5e", verdict=verdict, document=HOME.read_bytes(), fault=fault)


def counts(registry: CollectorRegistry) -> dict[str, float]:
    found = {}
    for result in ("same", "words", "differs", "failed", "not_shown"):
        value = registry.get_sample_value("sekisho_shadow_decisions_total", {"result": result})
        if value:
            found[result] = value
    return found


async def test_what_a_draft_would_answer_otherwise_is_counted_after_the_answer():
    registry, listener, running = CollectorRegistry(), Listener(), engine()
    draft = policy()
    try:
        await running.activate(draft)
        shadow = Shadow(listener, running, draft, registry, per_s=50)
        shadow.decided(decided(Outcome.STEP_UP, "STEPUP_AUTH_STRENGTH", level=3), "authzen", {})
        shadow.decided(decided(Outcome.STEP_UP, "PATCH_OVERDUE_WARN", level=3), "authzen", {})
        shadow.decided(decided(Outcome.ALLOW, "OK"), "authzen", {})
        shadow.decided(decided(Outcome.DENY, "BAD_INPUT", fault="bad"), "authzen", {})
        assert len(listener.heard) == 4
        assert counts(registry) == {}
        assert await shadow.judge_waiting() == 3
    finally:
        await running.close()
    assert counts(registry) == {"same": 1, "words": 1, "differs": 1}
    pair = {"active": "allow", "draft": "step_up"}
    assert registry.get_sample_value("sekisho_shadow_outcomes_total", pair) == 1
    told = shadow.told()
    assert (told["revision"], told["results"]) == (draft.revision, {"same": 1, "words": 1, "differs": 1})
    assert told["outcomes"] == [{**pair, "decisions": 1}]
    assert told["samples"] == [{"id": "019af2c0-6d2e-7a51-9d0c-1f7c3a2b4d5e", **pair}]


async def test_more_than_its_share_is_counted_and_not_shown():
    registry = CollectorRegistry()
    shadow = Shadow(Listener(), Broken(raises=False), policy(), registry, per_s=10)
    for _ in range(7):
        shadow.decided(decided(Outcome.ALLOW, "OK"), "authzen", {})
    assert await shadow.judge_waiting() == 2
    assert counts(registry) == {"not_shown": 5, "failed": 2}


async def test_a_draft_whose_engine_is_gone_reaches_nobody():
    registry, listener = CollectorRegistry(), Listener()
    shadow = Shadow(listener, Broken(raises=True), policy(), registry, per_s=10)
    shadow.decided(decided(Outcome.ALLOW, "OK"), "authzen", {})
    with pytest.raises(EngineError):
        await shadow.judge_waiting()
    assert len(listener.heard) == 1


async def test_a_draft_that_does_not_load_is_refused_before_anything_is_shown():
    draft = policy()
    broken = replace(draft, modules={**draft.modules, "x.rego": "package x\n\ny if {\n"})
    from pdp.errors import BundleError

    with pytest.raises(BundleError):
        async with shadow_of(Listener(), engine(), broken, CollectorRegistry(), per_s=5):
            raise AssertionError
