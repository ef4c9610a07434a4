"""What is counted of questions to the log, and what a caller may have of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from pdp.audit.metrics import MOST_CALLERS, OTHER_CALLERS, AuditMetrics
from tests.unit.audit.world import DAY, OPERATE, READ, World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pdp.store.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def audit(tmp_path: Path, store: Store, ids: list[str], registry: CollectorRegistry) -> AsyncIterator[World]:
    async with world(tmp_path, store, AuditMetrics(registry)) as built:
        yield built


async def test_each_question_is_counted_by_how_it_ended_with_its_time_and_rows(
    audit: World, registry: CollectorRegistry
) -> None:
    auditor = audit.caller("aud", READ, "audit_export", "audit_sql")
    operator = audit.caller("op", OPERATE)
    assert (await audit.get(auditor, "/decisions", **DAY, size=5)).status_code == 200
    assert (await audit.get(auditor, "/decisions/export", **DAY, format="jsonl")).status_code == 200
    assert (await audit.get(auditor, "/decisions", since="x", until="y")).status_code == 400
    assert (await audit.get(operator, "/decisions", **DAY, person="tanaka")).status_code == 403
    assert (await audit.get("nobody", "/decisions", **DAY)).status_code == 401

    def counted(action: str, outcome: str) -> float | None:
        return registry.get_sample_value("sekisho_audit_questions_total", {"action": action, "outcome": outcome})

    assert counted("audit.query", "done") == 1
    assert counted("audit.query", "failed") == 1
    assert counted("audit.query", "refused") == 1
    assert counted("audit.export", "done") == 1  # once, though it is two events
    assert counted("audit.export", "begun") is None
    rows = {
        a: registry.get_sample_value("sekisho_audit_rows_total", {"action": a}) for a in ("audit.query", "audit.export")
    }
    assert rows == {"audit.query": 5, "audit.export": 24}
    assert registry.get_sample_value("sekisho_audit_seconds_count", {"action": "audit.query"}) == 3
    assert registry.get_sample_value("sekisho_audit_refused_total", {"caller": "op"}) == 1


async def test_an_answer_that_could_not_be_written_down_counts_as_failed(
    audit: World, registry: CollectorRegistry
) -> None:
    auditor = audit.caller("aud", READ)
    audit.trail.broken = True
    assert (await audit.get(auditor, "/decisions/count", **DAY)).status_code == 503
    labels = {"action": "audit.count", "outcome": "failed"}
    assert registry.get_sample_value("sekisho_audit_questions_total", labels) == 1


def test_callers_beyond_the_most_are_counted_together(registry: CollectorRegistry) -> None:
    metrics = AuditMetrics(registry)
    for number in range(MOST_CALLERS + 5):
        metrics.ended(f"c{number}", "audit.query", "refused", metrics.begun(), None)
    assert registry.get_sample_value("sekisho_audit_refused_total", {"caller": OTHER_CALLERS}) == 5
    metrics.ended("c0", "audit.query", "refused", metrics.begun(), None)
    assert registry.get_sample_value("sekisho_audit_refused_total", {"caller": "c0"}) == 2


def test_what_is_under_way_is_seen(registry: CollectorRegistry) -> None:
    metrics = AuditMetrics(registry)
    metrics.answering(1)
    metrics.answering(1)
    metrics.answering(-1)
    assert registry.get_sample_value("sekisho_audit_running") == 1
