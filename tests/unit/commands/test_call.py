"""One value for the options that nearly every command has: what Typer sees of it, and what the command gets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from typer import Option, Typer
from typer.testing import CliRunner

from pdp.commands.call import Call, PlainCall, PlainStateCall, StateCall, StoreCall, spread

OF_CALL = {
    PlainCall: ["--lang", "--config"],
    Call: ["--json", "--lang", "--config"],
    PlainStateCall: ["--state-dir", "--lang", "--config"],
    StateCall: ["--state-dir", "--json", "--lang", "--config"],
    StoreCall: ["--state-dir", "--database-url", "--json", "--lang", "--config"],
}


def told(family: type[PlainCall], *words: str) -> str:
    """What a command of this family prints: of its help, the options in their order."""
    app = Typer(add_completion=False, rich_markup_mode=None)

    def command(call: PlainCall, depth: Annotated[int, Option("--depth")] = 0) -> None:
        """Shows its call."""
        print(call, depth, call.terminal.lang, call.terminal.as_json)

    command.__annotations__["call"] = family
    app.command()(spread(command))
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("family", OF_CALL, ids=lambda family: family.__name__)
def test_the_options_of_a_call_stand_after_the_commands_own(family):
    options = [line.split()[0] for line in told(family, "--help").splitlines() if line.startswith("  --")]
    assert options == ["--depth", *OF_CALL[family], "--help"]
    assert "Shows its call." in told(family, "--help")


def test_a_command_gets_its_call_as_one_value():
    words = ("--state-dir", "s", "--database-url", "d", "--json", "--lang", "ja", "--config", "c", "--depth", "3")
    call = StoreCall(state_dir="s", database_url="d", as_json=True, lang="ja", config=Path("c"))
    assert told(StoreCall, *words) == f"{call} 3 ja True\n"
    assert told(StoreCall, "--lang", "en") == f"{StoreCall(lang='en')} 0 en False\n"


def test_what_the_command_line_says_counts_before_the_file(tmp_path):
    config = tmp_path / "pdp.toml"
    config.write_text('state_dir = "of the file"\nbundle = "b"\n')
    assert StateCall(config=config).settings().state_dir == "of the file"
    settings = StoreCall(config=config, state_dir="s", database_url="sqlite:///x").settings(bundle="told")
    assert (settings.state_dir, settings.database_url, settings.bundle) == ("s", "sqlite:///x", "told")
