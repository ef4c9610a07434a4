from __future__ import annotations

from pathlib import Path

from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.test_replay import decided

__all__ = ["decided"]


def test_a_whole_log_is_proven(pdp, decided):
    result = pdp("audit", "verify", "--json")
    assert result.exit_code == 0
    assert only_json(result)["records"] == len(decided)


def test_a_changed_letter_is_found_and_named(pdp, decided, place: Path):
    (segment,) = (place / "var" / "decisions" / "segments").glob("*.ndjson")
    text = segment.read_bytes()
    at = text.index(b'"outcome":"deny"')
    segment.write_bytes(text[:at] + b'"outcome":"deni"' + text[at + len(b'"outcome":"deny"') :])
    result = pdp("audit", "verify")
    assert result.exit_code == 1
    assert "damaged_line" in result.stdout
    assert segment.name.removesuffix(".ndjson") in result.stdout


def test_the_first_altered_record_is_named_by_number_and_id(pdp, decided, place: Path):
    (segment,) = (place / "var" / "decisions" / "segments").glob("*.ndjson")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"wire"', b'"wirf"')
    segment.write_bytes(b"".join(lines))
    said = only_json(pdp("audit", "verify", "--json"))
    (finding,) = [one for one in said["findings"] if one["kind"] == "damaged_line"]
    assert (finding["what"], finding["seq"]) == ("altered", 2)
    assert finding["id"].encode() in lines[2]


def test_no_log_is_not_ready(pdp, place):
    result = pdp("audit", "verify")
    assert result.exit_code == 3
    assert "no decision log" in told(result)[0]
