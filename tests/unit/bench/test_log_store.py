"""The bench of the decision log: a tiny day, its questions, and how a run is held against its limits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.log_asking import questions, subjects_of, timed
from bench.log_day import DAY, TINY, make_day
from bench.log_store import HERE, check
from bench.processes import BenchError
from pdp.archive.datafile import prove_file
from pdp.archive.queries import QUERIES
from pdp.archive.store import LocalStore

LIMITS = HERE / "limits.toml"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_day(tmp_path_factory.mktemp("day"), TINY, lambda _: None, processes=1)


def test_a_day_has_its_records_in_files_as_the_compactor_leaves_them_and_a_fresh_tail(log: Path) -> None:
    store = LocalStore(log)
    files = sorted(store.manifest.files(), key=lambda file: str(file.min_time))
    assert [file.records for file in files] == [5_000, 4_000, 1_000]
    assert all(file.max_time < (DAY + timedelta(days=1)).replace(tzinfo=None) for file in files if file.max_time)
    prove_file(store.rows_path(files[-1]), store.manifest.segments_of(files[-1].name))  # the one made of lines
    assert not store.waiting()
    assert make_day(log.parent, TINY, lambda said: pytest.fail(f"made again: {said}")) == log


def test_every_question_is_asked_and_those_about_somebody_find_him(log: Path) -> None:
    asked = {question.name: question for question in questions(log, subjects_of(log))}
    assert asked.keys() >= QUERIES.keys()
    found = {name: question.ask() for name, question in asked.items()}
    assert found["count: all"] == TINY.rows + TINY.fresh
    assert found["by_id"] == found["one decision"] == 1
    assert found["page: one user"] == min(found["count: one user"], 100) > 0
    assert found["page: newest denials, second"] == 100


def test_a_question_is_timed_and_one_with_too_many_rows_is_told(log: Path) -> None:
    asked = questions(log, subjects_of(log))[:1]
    (figures,) = timed(asked, 2, lambda _: None).values()
    assert figures["kind"] == "common"
    assert 0 < figures["median_ms"] <= figures["max_ms"]


def run(**parts: Any) -> dict[str, Any]:
    return parts


def answers(**medians: float) -> dict[str, Any]:
    return {name: {"kind": name.split("_")[0], "median_ms": ms} for name, ms in medians.items()}


def holds(results: dict[str, Any]) -> dict[str, bool | None]:
    return {limit["figure"]: limit["holds"] for limit in check(LIMITS, results)}


def test_the_worst_question_of_a_kind_counts_and_what_was_not_measured_does_not() -> None:
    found = holds(run(ask=answers(common_a=10, common_b=301, report_a=999, export_a=9_000)))
    assert (found["ask.common"], found["ask.report"]) == (False, True)
    assert found["http.common"] is None
    assert found["append.record_us"] is None


def test_a_rate_has_a_least_and_a_cost_a_most() -> None:
    found = holds(run(append={"record_us": 40.1, "records_per_s": 20_000, "unrecorded": 0}))
    assert (found["append.record_us"], found["append.records_per_s"], found["append.unrecorded"]) == (False, True, True)


def test_every_figure_of_the_acceptance_has_a_limit_with_its_reason() -> None:
    limits = {limit["figure"]: limit for limit in check(LIMITS, {})}
    wanted = {"append.record_us": 40, "store.bytes_a_record": 100, "ask.common": 300, "ask.report": 1_000}
    assert {figure: limits[figure]["at_most"] for figure in wanted} == wanted
    assert limits["append.records_per_s"]["at_least"] == limits["replay.decisions_per_core_s"]["at_least"] == 20_000
    assert all(len(limit["reason"]) > 5 for limit in limits.values())


def test_a_file_without_limits_of_the_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text("[[limit]]\n", encoding="utf-8")
    with pytest.raises(BenchError):
        check(tmp_path / "limits.toml", {})
