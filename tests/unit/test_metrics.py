"""What becomes a label is bounded: nothing that a caller writes names one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Histogram
from prometheus_client.utils import floatToGoString

from pdp.metrics import _SECONDS, MOST_CALLERS, OTHER_CALLERS, Metrics
from pdp.model.decision import Decision, Outcome, Text, Verdict, denied

ROOT = Path(__file__).resolve().parents[2]

NOW = datetime(2023, 8, 1, tzinfo=UTC)


def decided(group: str = "none", **others: Any) -> Decision:
    facts: dict[str, Any] = {
        "id": "0189ad5c-0000-7000-8000-000000000001",
        "at": NOW,
        "verdict": Verdict(Outcome.ALLOW, ("OK",)),
        "reason_user": Text("", ""),
        "reason_admin": Text("", ""),
        "expires_at": NOW,
        "policy_revision": "r1",
        "bundle_digest": "ab",
        "directory_epoch": 1,
        "cache": "bypass",
        "input": b"null",
        "group": group,
    }
    return Decision(**(facts | others))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """What a scrape shows."""
    metrics.render()
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("told", "group"),
    [("mynumber", "mynumber"), ("unknown", "unknown"), ("invented-by-u-1", "none"), ("none", "none"), ("", "none")],
)
def test_a_group_that_is_not_one_of_ours_never_becomes_a_label(told: str, group: str) -> None:
    metrics = Metrics()
    metrics.decided(decided(told), "authzen", {})
    assert set(re.findall(rb'sekisho_decisions_total\{group="([^"]*)"', metrics.render())) == {group.encode()}


def test_a_decision_is_counted_once_however_often_one_looks() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.decided(decided(), "authzen", {"engine": 70})
    metrics.flush()
    metrics.flush()
    assert value(metrics, "sekisho_decisions_total", outcome="allow", group="none", wire="authzen") == 3
    assert value(metrics, "sekisho_reasons_total", code="OK") == 3
    assert value(metrics, "sekisho_cache_lookups_total", path="bypass") == 3
    metrics.decided(decided(cache="hit"), "ext_authz_http", {"engine": 70})
    assert value(metrics, "sekisho_decisions_total", outcome="allow", group="none", wire="ext_authz_http") == 1
    assert value(metrics, "sekisho_cache_lookups_total", path="hit") == 1
    assert value(metrics, "sekisho_step_seconds_count", step="engine") == 4


def test_an_evaluation_without_a_verdict_is_counted_by_its_code() -> None:
    metrics = Metrics()
    metrics.decided(decided(verdict=denied("EVALUATION_ERROR"), fault="engine_timeout: late"), "authzen", {})
    metrics.decided(decided(verdict=denied("BAD_INPUT"), fault="no such key"), "authzen", {})
    assert value(metrics, "sekisho_engine_errors_total", code="engine_timeout") == 1
    assert b"no such key" not in metrics.render()


def test_times_stand_in_the_buckets_in_which_prometheus_would_have_put_them() -> None:
    metrics = Metrics()
    theirs = Histogram("theirs", "The same times, one by one.", ["step"], buckets=_SECONDS, registry=metrics.registry)
    times_us = [0, 1, 49, 50, 51, 99, 100, 101, 249, 1_000, 1_001, 999_999, 1_000_000, 1_000_001, 60_000_000]
    for taken_us in times_us:
        metrics.decided(decided(), "authzen", {"engine": taken_us})
        theirs.labels("engine").observe(taken_us / 1e6)
    for bound in [*map(floatToGoString, _SECONDS), "+Inf"]:
        assert value(metrics, "sekisho_step_seconds_bucket", step="engine", le=bound) == value(
            metrics, "theirs_bucket", step="engine", le=bound
        )
    assert value(metrics, "sekisho_step_seconds_sum", step="engine") == pytest.approx(sum(times_us) / 1e6)
    assert value(metrics, "sekisho_decision_seconds_count") == len(times_us)


def test_another_worker_sees_what_was_flushed(tmp_path: Path) -> None:
    """prometheus-client chooses its files when it is imported, so the two workers are processes of their own."""
    program = """
import sys
from pdp.metrics import Metrics
from tests.unit.test_metrics import decided
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.decided(decided(), "authzen", {"engine": 70})
if sys.argv[2] == "flush":
    metrics.flush()
else:
    sys.stdout.write(metrics.render().decode())
"""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def worker(*arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, env=environ, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    worker("3", "flush")
    text = worker("2", "render")
    assert 'sekisho_decisions_total{group="none",outcome="allow",wire="authzen"} 5.0' in text
    assert 'sekisho_step_seconds_bucket{le="0.0001",step="engine"} 5.0' in text
    assert 'sekisho_step_seconds_bucket{le="5e-05",step="engine"} 0.0' in text


def test_one_policy_is_the_active_one() -> None:
    metrics = Metrics()
    metrics.policy_is("r1", "aa")
    metrics.policy_is("r2", "bb")
    info = dict(re.findall(r'sekisho_policy_info\{.*revision="(r\d)"\} (\S+)', metrics.render().decode()))
    assert info == {"r1": "0.0", "r2": "1.0"}


def test_refused_callers_are_counted_by_name_and_their_names_have_an_end() -> None:
    metrics = Metrics()
    metrics.caller_refused(None, "credential")
    metrics.caller_refused("gateway-1", "rate")
    metrics.caller_refused("gateway-1", "rate")
    for number in range(MOST_CALLERS * 2):
        metrics.caller_refused(f"further-{number}", "network")
    assert value(metrics, "sekisho_caller_refusals_total", caller="gateway-1", why="rate") == 2
    assert value(metrics, "sekisho_caller_refusals_total", caller="-", why="credential") == 1
    names = {
        sample.labels["caller"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "sekisho_caller_refusals_total"
    }
    assert len(names) == MOST_CALLERS + 1
    others = value(metrics, "sekisho_caller_refusals_total", caller=OTHER_CALLERS, why="network")
    assert others == 2 * MOST_CALLERS - (MOST_CALLERS - 2)
