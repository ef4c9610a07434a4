from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pdp.archive.meanings import RELATIONS
from pdp.trail.reading import newest_events
from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.test_replay import decided

__all__ = ["decided"]

WHEN = ["--since", (datetime.now(UTC) - timedelta(days=1)).isoformat()]
WHEN += ["--until", (datetime.now(UTC) + timedelta(days=1)).isoformat()]


def trail(place: Path) -> list[tuple[str, str, Any]]:
    return [(event.action, event.outcome, event.rows) for event in newest_events(place / "var" / "trail", 10)]


def test_decisions_are_found_by_their_filters_page_by_page(pdp, decided, place: Path):
    denied = only_json(pdp("audit", "search", *WHEN, "--outcome", "deny", "--json"))["decisions"]
    assert {row["id"] for row in denied} == {decided[name] for name in ("deny", "bad input", "refusal")}
    seen: list[str] = []
    before: list[str] = []
    while True:
        page = only_json(pdp("audit", "search", *WHEN, "--limit", "3", *before, "--json"))
        seen += [row["id"] for row in page["decisions"]]
        if page["next"] is None:
            break
        before = ["--before", page["next"]]
    assert sorted(seen) == sorted(decided.values())
    assert only_json(pdp("audit", "search", *WHEN, "--kind", "refusal", "--no-exception", "--count", "--json")) == {
        "count": 1
    }


def test_a_table_is_in_the_readers_words_and_says_how_to_go_on(pdp, decided):
    result = pdp("audit", "search", *WHEN, "--limit", "2", lang="ja")
    assert "判定理由" in result.stdout and "+09:00" in result.stdout
    assert "--before" in result.stderr
    assert "4 records" in pdp("audit", "search", *WHEN, "--count").stdout


def test_decisions_are_counted_by_two_things(pdp, decided):
    told_of = only_json(pdp("audit", "search", *WHEN, "--group", "outcome,reason", "--people", "--json"))
    assert told_of["by"] == ["outcome", "reason"]
    assert all("people" in row for row in told_of["groups"])
    assert sum(row["decisions"] for row in told_of["groups"] if row["reason"] == "BAD_INPUT") >= 1
    assert "cut off" in pdp("audit", "search", *WHEN, "--group", "reason", "--limit", "1").stderr


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_all_of_them_become_a_file_of_its_owner(pdp, decided, place: Path, ending: str):
    assert pdp("audit", "search", *WHEN, "--out", f"out.{ending}", lang="ja").exit_code == 0
    out = place / f"out.{ending}"
    assert out.stat().st_mode & 0o777 == 0o600
    match ending:
        case "csv":
            found = [row["判定番号"] for row in csv.DictReader(out.read_text("utf-8-sig").splitlines())]
        case "jsonl":
            found = [json.loads(line)["id"] for line in out.read_text().splitlines()]
        case _:
            found = [str(entry) for entry in pq.read_table(out)["id"].to_pylist()]
    assert sorted(found) == sorted(decided.values())
    assert trail(place) == [("audit.export", "done", 4), ("audit.export", "begun", None)]


def test_an_export_that_fails_leaves_what_was_there(pdp, decided, place: Path):
    (place / "out.csv").write_text("before")
    (place / "var" / "decisions" / "segments").rename(place / "elsewhere")
    assert pdp("audit", "search", *WHEN, "--out", "out.csv").exit_code == 3
    assert (place / "out.csv").read_text() == "before"
    assert not list(place.glob(".*part"))
    assert trail(place) == [("audit.export", "failed", 0), ("audit.export", "begun", None)]


def test_one_select_is_answered_and_shown(pdp, decided, place: Path):
    text = "SELECT outcome, count(*) AS n FROM decisions GROUP BY ALL ORDER BY n DESC"
    assert only_json(pdp("audit", "sql", text, *WHEN, "--json"))["columns"] == ["outcome", "n"]
    assert "deny" in pdp("audit", "sql", text, *WHEN).stdout
    assert pdp("audit", "sql", text, *WHEN, "--out", "n.csv").exit_code == 0
    assert "deny" in (place / "n.csv").read_text("utf-8-sig")
    assert trail(place) == [("audit.sql", "done", 2)] * 3


def test_every_question_is_in_the_trail_with_what_was_asked(pdp, decided, place: Path):
    pdp("audit", "search", *WHEN, "--person", "u-1", "--reason", "A", "--reason", "B")
    pdp("audit", "search", *WHEN, "--count")
    pdp("audit", "search", *WHEN, "--group", "hour")
    pdp("audit", "query", "newest", "-p", f"since={WHEN[1]}", "-p", f"until={WHEN[3]}")
    events = newest_events(place / "var" / "trail", 10)
    assert [event.action for event in reversed(events)] == ["audit.query", "audit.count", "audit.group", "audit.report"]
    assert events[-1].parameters["person"] == ["u-1"]
    assert events[-1].parameters["reason"] == ["A", "B"]
    assert (events[0].object, events[0].rows) == ("newest", 4)


def test_a_question_that_cannot_be_written_down_is_not_answered(pdp, decided, place: Path):
    (place / "var" / "trail").write_text("no directory")
    for arguments in (["search", *WHEN], ["search", *WHEN, "--count"], ["sql", "SELECT 'shown'", *WHEN]):
        result = pdp("audit", *arguments)
        assert (result.exit_code, result.stdout) == (3, "")
    assert pdp("audit", "search", *WHEN, "--out", "out.csv").exit_code == 3
    assert not (place / "out.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", *WHEN, "--outcome", "permit"],
        ["search", *WHEN, "--before", "x"],
        ["search", *WHEN, "--limit", "0"],
        ["search", *WHEN, "--group", "colour"],
        ["search", *WHEN, "--count", "--group", "hour"],
        ["search", *WHEN, "--out", "x.xlsx"],
        ["search", "--since", "yesterday", "--until", "now"],
        ["sql", "DROP VIEW decisions", *WHEN],
        ["sql", "SELECT * FROM read_text('/etc/passwd')", *WHEN],
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(pdp, decided, place: Path, arguments: list[str]):
    result = pdp("audit", *arguments)
    assert result.exit_code == 2
    if len(arguments) > 1:
        assert told(result)
    assert result.stdout == ""


def test_the_columns_are_listed_in_both_languages(pdp):
    assert only_json(pdp("audit", "columns", "--json")).keys() == RELATIONS.keys()
    assert "接続元アドレス" in pdp("audit", "columns", lang="ja").stdout
    assert "address that the request came from" in pdp("audit", "columns").stdout
