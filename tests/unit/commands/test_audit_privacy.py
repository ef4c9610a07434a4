"""What an administrator does about people in the log: each over a state directory with real segments."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pdp.archive.store import LocalStore
from pdp.cli import app
from pdp.trail.keeping import trail_path
from pdp.trail.reading import TrailFilter, newest_events
from tests.unit.archive.logs import Worker, record
from tests.unit.declog.samples import START

SPAN = ("--since", "2026-04-01T00:00:00Z", "--until", "2026-04-02T00:00:00Z")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "var"
    worker = Worker(state / "decisions")
    worker.write([record(START + timedelta(seconds=n), n, person=f"u-{n % 2}") for n in range(6)])
    worker.seal()
    store = LocalStore(state / "decisions")
    with store.held():
        store.publish(store.waiting(), START)
    worker.write([record(START + timedelta(seconds=9), 9, person="u-1")])
    return state


def pdp(*arguments: str):
    return CliRunner().invoke(app, [*arguments, "--state-dir", "var"])


def trail(state: Path) -> list[tuple[str, str]]:
    return [(event.action, event.outcome) for event in newest_events(trail_path(state), 10, TrailFilter())]


def test_one_persons_records_are_handed_over_stored_and_fresh_ones_alike(state: Path):
    result = pdp("audit", "subject-export", "--person", "u-1", *SPAN, "--out", "out", "--reason", "R8-12", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == 4
    lines = [json.loads(line) for line in Path("out/records.jsonl").read_text().splitlines()]
    assert [line["person"] for line in lines] == ["u-1"] * 4
    rows = list(csv.reader(Path("out/records.csv").read_text("utf-8-sig").splitlines()))
    assert len(rows) == 5
    for line in Path("out/SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((Path("out") / name).read_bytes()).hexdigest() == digest
    assert Path("out").stat().st_mode & 0o777 == 0o700
    assert trail(state) == [("audit.subject_export", "done"), ("audit.subject_export", "begun")]


def test_nothing_is_handed_over_without_a_reason(state: Path):
    result = pdp("audit", "subject-export", "--person", "u-1", *SPAN, "--out", "out", "--reason", "")
    assert result.exit_code != 0
    assert not Path("out").exists()


def test_a_persons_pseudonym_is_told_with_a_reason_and_written_down(state: Path):
    result = pdp("audit", "pseudonym", "u-1", "--reason", "R8-12", "--json")
    assert result.exit_code == 0, result.output
    (name,) = json.loads(result.stdout)["pseudonyms"]
    assert name.startswith("p:1:")
    assert trail(state) == [("audit.reveal", "done")]


def test_old_records_are_named_first_and_pseudonymised_on_demand(state: Path):
    (before,) = json.loads(pdp("audit", "pseudonymise", "--older-than", "1", "--json").stdout)["files"]
    assert before["what"] == "pseudonymise"
    result = pdp("audit", "pseudonymise", "--older-than", "1", "--apply", "--json")
    assert result.exit_code == 0, result.output
    (after,) = json.loads(result.stdout)["files"]
    assert (after["what"], after["records"]) == ("done", 6)
    stored = (state / "decisions" / "store" / "rows" / after["file"]).read_bytes()
    assert b"u-0" not in stored
    assert trail(state) == [("audit.pseudonymise", end) for end in ("done", "begun", "done")]  # the look, and the deed
    again = json.loads(pdp("audit", "pseudonymise", "--older-than", "1", "--apply", "--json").stdout)["files"]
    assert [file["what"] for file in again] == ["done"]


def test_rewritten_records_are_handed_over_whoever_made_the_keys_and_verify_names_them(state: Path):
    Path("keys").write_text(f"1 {'ab' * 32}\n", encoding="utf-8")
    Path("pdp.toml").write_text('log_pseudonym_key_file = "keys"\n', encoding="utf-8")
    assert pdp("audit", "pseudonymise", "--older-than", "1", "--apply").exit_code == 0
    result = pdp("audit", "subject-export", "--person", "u-1", *SPAN, "--out", "out", "--reason", "R8-12", "--json")
    assert json.loads(result.stdout)["rows"] == 4
    verified = pdp("audit", "verify", "--lang", "en").output
    assert "6 records proven in the store" in verified
    assert "6 records were pseudonymised on " in verified


def test_a_hold_keeps_old_records_as_they_are(state: Path):
    held = ("--case", "R8-12", "--reason", "r", "--by", "b", "--person", "u-1")
    assert pdp("audit", "hold", "place", *held).exit_code == 0
    (file,) = json.loads(pdp("audit", "pseudonymise", "--older-than", "1", "--apply", "--json").stdout)["files"]
    assert file["what"] == "held"


def test_a_hold_on_a_person_keeps_files_in_which_everybody_has_a_pseudonym(state: Path):
    assert pdp("audit", "pseudonymise", "--older-than", "1", "--apply").exit_code == 0
    assert pdp("audit", "hold", "place", "--case", "c", "--reason", "r", "--by", "b", "--person", "u-1").exit_code == 0
    steps = json.loads(pdp("audit", "retention", "--json").stdout)
    assert "held" in json.dumps(steps) or "keep" in json.dumps(steps)


def test_the_rules_are_shown_and_one_that_cannot_work_is_refused(state: Path):
    assert "subject_id" in pdp("audit", "masking").output
    Path("pdp.toml").write_text('[[log_masking]]\npointer = "/outcome"\nop = "erase"\n', encoding="utf-8")
    result = pdp("audit", "masking")
    assert result.exit_code != 0
    assert "/outcome" in result.output
