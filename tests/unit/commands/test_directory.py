from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.registers import NOW, fill

USERS = "id,kind\nu-1,staff\nu-2,staff\n"


@pytest.fixture
def users(place):
    file = place / "users.csv"
    file.write_text(USERS, encoding="utf-8")
    return file


def test_an_import_says_what_it_changed_and_the_same_again_changes_nothing(pdp, users):
    first = pdp("directory", "import", users)
    assert first.exit_code == 0
    assert first.stdout.splitlines() == ["users: +2 ~0 -0", "  + u-1", "  + u-2", "imported (epoch 1)"]
    again = only_json(pdp("directory", "import", users, "--json"))
    assert (again["outcome"], again["epoch"], again["differences"]) == ("unchanged", 1, {})


def test_a_trial_changes_nothing(pdp, users):
    tried = only_json(pdp("directory", "import", users, "--dry-run", "--json"))
    assert (tried["outcome"], tried["epoch"]) == ("dry_run", 0)
    assert tried["differences"]["users"]["added"] == ["u-1", "u-2"]
    assert only_json(pdp("directory", "status", "--json"))["rows"]["users"] == 0


def test_every_wrong_row_is_named_and_nothing_is_imported(pdp, users):
    users.write_text("id,kind\nu-1,wizard\nu-2,staff\nu-3,witch\n", encoding="utf-8")
    result = pdp("directory", "import", users)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "users.csv:2" in result.stderr and "users.csv:4" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("next: ")
    as_json = pdp("directory", "import", users, "--json")
    assert as_json.exit_code == 2
    assert [fault["line"] for fault in only_json(as_json)["faults"]] == [2, 4]
    assert only_json(pdp("directory", "status", "--json"))["rows"]["users"] == 0


def test_a_replacement_removes_only_as_much_as_is_allowed(pdp, users):
    pdp("directory", "import", users)
    users.write_text("id,kind\nu-1,staff\n", encoding="utf-8")
    half = pdp("directory", "import", users, "--mode", "replace")
    assert half.exit_code == 2
    assert "--allow-removals" in half.stderr
    allowed = pdp("directory", "import", users, "--mode", "replace", "--allow-removals", "50")
    assert allowed.exit_code == 0
    assert "  - u-2" in allowed.stdout
    status = only_json(pdp("directory", "status", "--json"))
    assert (status["rows"]["users"], status["epoch"]) == (1, 2)
    assert [run["mode"] for run in status["imports"]] == ["replace", "merge"]


def test_a_file_that_is_not_there_is_bad_input(pdp):
    result = pdp("directory", "import", "nowhere.csv")
    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr


def test_the_status_counts_what_is_stale_and_what_is_unknown(pdp, place):
    fill(place / "var", seen=NOW - timedelta(hours=30))
    posture = only_json(pdp("directory", "status", "--json"))["posture"]
    assert (posture["devices"], posture["fresh"], posture["stale"], posture["unknown"]) == (1, 0, 1, 0)
    fill(place / "var", seen=None)
    assert only_json(pdp("directory", "status", "--json"))["posture"]["unknown"] == 1
    people = pdp("directory", "status", lang="ja")
    assert "期限超過" in people.stdout


def test_a_demonstration_is_never_written_over_other_data(pdp, users):
    pdp("directory", "import", users)
    result = pdp("directory", "demo")
    assert result.exit_code == 3
    assert told(result)
    assert only_json(pdp("directory", "status", "--json"))["rows"]["users"] == 2


def test_a_database_that_does_not_answer_is_not_ready(pdp, place):
    from tests.servers import free_port

    result = pdp("directory", "status", "--database-url", f"postgresql://u:secret@127.0.0.1:{free_port()}/x")
    assert result.exit_code == 3
    assert "secret" not in result.stderr
    assert told(result)
