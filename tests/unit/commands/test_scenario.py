from __future__ import annotations

import pytest

from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.test_replay import decided

__all__ = ["decided"]

STORY = """
id: {id}
title: {{ja: 庁内からメール, en: mail in the office}}
now: 2023-08-01T10:00:00+09:00
directory:
  users: [{{id: u-1, kind: staff, posts: [{{department: soumu, from: 2023-04-01}}]}}]
  devices: [{{id: d-1, class: managed_pc, owner: u-1, posture: healthy}}]
request: {{user: u-1, auth_level: 2, device: d-1, resource: mail, action: access, zone: office}}
expect: {{outcome: allow, reasons: [{reason}]}}
"""


@pytest.fixture
def stories(place):
    (place / "stories").mkdir()
    (place / "stories" / "good.yaml").write_text(STORY.format(id="good", reason="OK"), encoding="utf-8")
    (place / "stories" / "wrong.yaml").write_text(STORY.format(id="wrong", reason="OK_REMOTE"), encoding="utf-8")
    return place / "stories"


def test_the_last_line_counts_and_a_failure_is_told_with_its_difference(pdp, stories):
    result = pdp("scenario", "run", stories)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "FAILED wrong  mail in the office"
    assert lines[2] == "  step 1: reasons: expected ['OK_REMOTE'], got ['OK']"
    assert lines[-1] == "1 passed, 1 failed"


def test_a_run_without_a_failure_is_fine(pdp, stories):
    result = pdp("scenario", "run", stories / "good.yaml")
    assert (result.exit_code, result.stdout) == (0, "1 passed, 0 failed\n")


def test_titles_are_in_the_language_of_the_reader(pdp, stories):
    assert "庁内からメール" in pdp("scenario", "run", stories, lang="ja").stdout
    assert "庁内からメール" in pdp("scenario", "run", stories, "--lang", "ja").stdout


def test_as_json_every_step_is_there(pdp, stories):
    result = pdp("scenario", "run", stories, "--json")
    assert result.exit_code == 1
    told_ = only_json(result)
    assert (told_["passed"], told_["failed"]) == (1, 1)
    assert {one["id"]: one["passed"] for one in told_["scenarios"]} == {"good": True, "wrong": False}
    assert told_["scenarios"][0]["steps"] == [{"step": 1, "outcome": "allow", "reasons": ["OK"], "faults": []}]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("id: x\nnow: 2023-08-01T10:00:00\n", "needed"),
        (STORY.format(id="x", reason="OK").replace("+09:00", ""), "offset"),
        (STORY.format(id="x", reason="OK") + "more: 1\n", "more"),
        (STORY.format(id="x", reason="OK").replace("2023-04-01", "2023-02-30"), "day is out of range"),
        ("a: [", "expected"),
    ],
)
def test_what_breaks_the_format_is_a_failed_scenario_and_hides_no_other(pdp, place, text, fault):
    (place / "a.yaml").write_text(text, encoding="utf-8")
    (place / "b.yaml").write_text(STORY.format(id="good", reason="OK"), encoding="utf-8")
    result = pdp("scenario", "run", "a.yaml", "b.yaml")
    assert result.exit_code == 1
    assert fault in result.stdout
    assert result.stdout.splitlines()[-1] == "1 passed, 1 failed"


def test_a_file_named_twice_is_run_once_and_an_id_may_stand_in_two_files(pdp, place):
    for name in ("a.yaml", "b.yaml"):
        (place / name).write_text(STORY.format(id="same", reason="OK"), encoding="utf-8")
    result = pdp("scenario", "run", ".", "a.yaml")
    assert result.stdout.splitlines()[-1] == "2 passed, 0 failed"


def test_nothing_to_run_is_bad_input(pdp, place):
    (place / "x.yaml").write_text("", encoding="utf-8")
    result = pdp("scenario", "run", "x.yaml")
    assert result.exit_code == 2
    assert "no scenario" in told(result)[0]
    assert result.stdout == ""


@pytest.mark.parametrize("which", ["allow", "deny"])
def test_a_recorded_decision_becomes_a_scenario_that_runs(pdp, decided, place, which):
    result = pdp("scenario", "from-log", decided[which], "--name", "told")
    assert result.exit_code == 0
    assert result.stderr == ""
    (place / "told.yaml").write_text(result.stdout, encoding="utf-8")
    assert "d-404" not in result.stdout  # names stay in the log
    ran = pdp("scenario", "run", place / "told.yaml")
    assert ran.stdout.splitlines()[-1] == "1 passed, 0 failed"
    assert only_json(pdp("scenario", "from-log", decided[which], "--json"))["unlike"] == []


@pytest.mark.parametrize("which", ["bad input", "refusal"])
def test_a_record_without_facts_is_no_scenario(pdp, decided, which):
    assert pdp("scenario", "from-log", decided[which]).exit_code == 3
