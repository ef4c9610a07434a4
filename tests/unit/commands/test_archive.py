from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.archive.logs import Worker
from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.test_replay import decided

__all__ = ["decided"]

WHEN = ["-p", f"since={(datetime.now(UTC) - timedelta(days=1)).isoformat()}"]
WHEN += ["-p", f"until={(datetime.now(UTC) + timedelta(days=1)).isoformat()}"]


def test_a_decision_is_found_before_and_after_it_is_stored(pdp, decided):
    for _ in range(2):
        rows = only_json(pdp("audit", "query", "newest", *WHEN, "--json"))["rows"]
        assert {row["id"] for row in rows} == set(decided.values())
        (row,) = only_json(pdp("audit", "query", "by_id", "-p", f"id={decided['deny']}", "--json"))["rows"]
        assert row["outcome"] == "deny"
        assert pdp("audit", "compact", "--once").exit_code == 0
    told_of = only_json(pdp("audit", "store", "--verify", "--json"))
    assert (told_of["records"], told_of["proven"], told_of["broken"]) == (len(decided), len(decided), [])


def test_storing_leaves_the_log_itself_as_it_was(pdp, decided, place: Path):
    def segments() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (place / "var" / "decisions" / "segments").iterdir()}

    before = segments()
    assert pdp("audit", "compact", "--once").exit_code == 0
    assert segments() == before
    assert pdp("audit", "verify").exit_code == 0


def test_what_is_stored_is_counted_in_the_language_of_the_reader(pdp, decided):
    assert "1 segments stored" in pdp("audit", "compact", "--once").stdout
    assert "格納" in pdp("audit", "compact", "--once", lang="ja").stdout
    assert "拒否" in pdp("audit", "query", lang="ja").stdout
    assert "Denials" in pdp("audit", "query").stdout


def test_an_answer_becomes_a_file(pdp, decided, place: Path):
    assert pdp("audit", "query", "denials", *WHEN, "--out", "denials.csv").exit_code == 0
    assert decided["deny"] in (place / "denials.csv").read_text("utf-8-sig")
    assert pdp("audit", "query", "denials", *WHEN, "--out", "denials.xlsx").exit_code == 2


@pytest.mark.parametrize("arguments", [["no_such"], ["newest"], ["newest", "-p", "since"]])
def test_a_question_that_cannot_be_asked_is_a_usage_error(pdp, decided, arguments):
    result = pdp("audit", "query", *arguments)
    assert result.exit_code == 2
    assert told(result)


def test_a_stored_file_that_was_changed_is_named(pdp, decided, place: Path):
    pdp("audit", "compact", "--once")
    (path,) = (place / "var" / "decisions" / "store" / "rows").iterdir()
    path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
    result = pdp("audit", "store", "--verify")
    assert result.exit_code == 1
    assert path.name in result.stdout


def test_a_segment_is_restored_byte_for_byte(pdp, decided, place: Path):
    pdp("audit", "compact", "--once")
    (segment,) = (place / "var" / "decisions" / "segments").glob("*.ndjson")
    assert pdp("audit", "restore", segment.stem, "--out", "again.ndjson").exit_code == 0
    assert (place / "again.ndjson").read_bytes() == segment.read_bytes()
    assert pdp("audit", "restore", "no.such", "--out", "again.ndjson").exit_code == 1


def test_retention_says_first_and_does_then(pdp, decided):
    pdp("audit", "compact", "--once")
    result = pdp("audit", "retention")
    assert "nothing was changed" in result.stdout
    said = only_json(pdp("audit", "retention", "--apply", "--json"))
    assert [file["what"] for file in said["files"]] == ["keep"]


def test_holds_are_placed_listed_and_lifted(pdp, decided):
    placed = pdp(
        "audit", "hold", "place", "--case", "R8-12", "--reason", "court", "--by", "ciso", "--person", "u-1", "--json"
    )
    number = only_json(placed)["hold"]
    (row,) = only_json(pdp("audit", "hold", "list", "--json"))
    assert (row["hold"], row["case"], row["person"], row["lifted"]) == (number, "R8-12", "u-1", None)
    lift = ["audit", "hold", "lift", str(number), "--reason", "over", "--by", "ciso"]
    assert pdp(*lift).exit_code == 0
    assert pdp(*lift).exit_code == 1
    assert only_json(pdp("audit", "hold", "list", "--json")) == []
    assert len(only_json(pdp("audit", "hold", "list", "--lifted", "--json"))) == 1


def test_no_log_is_not_ready(pdp, place):
    for arguments in (["compact", "--once"], ["query", "newest", *WHEN]):
        assert pdp("audit", *arguments).exit_code == 3


def test_every_command_on_the_log_leaves_an_entry_in_the_trail(pdp, decided, place: Path):
    """Holds, retention, what hands out records: who looked, who changed, why, and what came of it."""
    from pdp.trail.reading import newest_events

    deny = decided["deny"]
    pdp("audit", "compact", "--once")
    (segment,) = (place / "var" / "decisions" / "segments").glob("*.ndjson")
    ordered = ("--reason", "文書 R8-3", "--by", "CISO")
    for arguments, action, rows in (
        (["retention"], "audit.retention", 1),
        (["retention", "--apply"], "audit.retention", 0),
        (["hold", "place", "--case", "R8-12", "--person", "u-1", *ordered], "audit.hold.place", None),
        (["hold", "list"], "audit.hold.list", 1),
        (["hold", "lift", "1", *ordered], "audit.hold.lift", 1),
        (["hold", "lift", "1", *ordered], "audit.hold.lift", 0),
        (["restore", segment.stem, "--out", "again"], "audit.restore", 1),
        (["masking"], "audit.mask", None),
        (["pseudonymise", "--older-than", "1"], "audit.pseudonymise", 0),
        (["trail"], "audit.trail", None),
    ):
        pdp("audit", *arguments)
        event = newest_events(place / "var" / "trail", 1)[0]
        assert (event.action, event.outcome) == (action, "done"), arguments
        assert rows is None or event.rows == rows, arguments
    events = {event.id: event for event in newest_events(place / "var" / "trail", 100)}
    placed = next(event for event in events.values() if event.action == "audit.hold.place" and event.of)
    assert (placed.object, placed.reason, placed.parameters["case"]) == ("1", "文書 R8-3", "R8-12")
    assert events[placed.of].outcome == "begun"
    pdp("replay", "--id", deny)
    assert newest_events(place / "var" / "trail", 1)[0].object == deny


def test_where_the_trail_cannot_be_written_nothing_is_changed(pdp, decided, place: Path):
    pdp("audit", "compact", "--once")
    (place / "var" / "trail").write_text("in the way")
    assert pdp("audit", "hold", "place", "--case", "1", "--reason", "文書 R8-3", "--by", "CISO").exit_code == 3
    assert pdp("audit", "retention", "--apply").exit_code == 3
    (place / "var" / "trail").unlink()
    assert only_json(pdp("audit", "hold", "list", "--json")) == []


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59:59-09:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+09:00"]
)
def test_a_time_at_the_end_of_the_calendar_is_an_answer_or_a_refusal(pdp, place: Path, until: str):
    Worker(place / "var" / "decisions").segment(3)
    since = "2026-04-01T00:00:00+09:00"
    result = pdp("audit", "query", "newest", "-p", f"since={since}", "-p", f"until={until}", lang="ja")
    if until.endswith("+00:00"):
        assert (result.exit_code, "7981年" in result.stdout) == (0, True)
    else:
        assert result.exit_code == 2
        assert "beyond all times" in told(result)[0]
