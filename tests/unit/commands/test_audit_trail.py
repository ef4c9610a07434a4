from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from pdp.cli import app
from pdp.settings import Settings
from pdp.trail.keeping import record_query

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path))


def test_the_trail_is_listed_newest_first_and_the_look_is_written_down(settings: Settings) -> None:
    record_query(settings, "audit.query", {"person": "u-1"}, rows=2)
    record_query(settings, "audit.reveal", {}, object="p:1:abc", reason="苦情対応", outcome="refused", error="x")
    shown = runner.invoke(app, ["audit", "trail", "--state-dir", settings.state_dir])
    assert shown.exit_code == 0
    first, second = [line for line in shown.stdout.splitlines() if "os_user" in line]
    assert "audit.reveal p:1:abc  refused  (苦情対応)" in first
    assert "audit.query  done  2 rows  person=u-1" in second
    again = runner.invoke(
        app, ["audit", "trail", "--state-dir", settings.state_dir, "--json", "--action", "audit.trail"]
    )
    (look,) = json.loads(again.stdout)["events"]
    assert (look["action"], look["rows"]) == ("audit.trail", 2)


def test_what_somebody_wrote_into_a_parameter_does_not_reach_the_terminal_as_it_is(settings: Settings) -> None:
    record_query(settings, "audit.query", {"person": "u-1\x1b[2J\nforged line"})
    shown = runner.invoke(app, ["audit", "trail", "--state-dir", settings.state_dir])
    assert "\x1b" not in shown.stdout
    assert len([line for line in shown.stdout.splitlines() if line.startswith("20")]) == 1


def test_a_look_that_cannot_be_written_down_shows_nothing(settings: Settings) -> None:
    record_query(settings, "audit.query", {"person": "u-1"})
    locks = settings.state_path / "trail" / "locks"
    for path in locks.iterdir():
        path.unlink()
    locks.rmdir()
    locks.write_text("in the way")
    shown = runner.invoke(app, ["audit", "trail", "--state-dir", settings.state_dir])
    assert shown.exit_code == 3
    assert "u-1" not in shown.stdout
