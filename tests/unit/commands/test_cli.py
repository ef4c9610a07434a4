from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pdp.cli import app
from pdp.commands.group import ErrorsAsExitCodes
from pdp.errors import EngineDiedError, ImportRefusedError, ScenarioError
from tests.unit.commands.conftest import process, told

COMMANDS = [
    ["audit", "verify"],
    ["eval"],
    ["decide"],
    ["replay"],
    ["doctor"],
    ["scenario", "run"],
    ["bundle", "check"],
    ["bundle", "inspect"],
    ["bundle", "test"],
    ["directory", "import"],
    ["directory", "status"],
    ["directory", "demo"],
    ["caller", "add"],
    ["caller", "rotate"],
    ["caller", "revoke"],
    ["caller", "list"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_has_json_and_a_language(pdp, command):
    result = pdp(*command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--lang" in result.stdout


def every_command(group: TyperGroup, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, TyperGroup):
            yield from every_command(command, *above, name)


def test_every_command_there_is_has_a_help_page(pdp):
    silent = [words for words in every_command(get_command(app)) if pdp(*words, "--help").exit_code]
    assert silent == []


def test_the_service_has_its_help_too(pdp):
    result = pdp("serve", "--help")
    assert result.exit_code == 0
    assert "--unsafe-no-caller-auth" in result.stdout


def test_a_help_page_loads_neither_rich_nor_a_server_nor_an_engine():
    program = (
        "import sys, contextlib, io\n"
        "from pdp.cli import app\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    app(['--help'], standalone_mode=False)\n"
        "heavy = {'rich', 'fastapi', 'sqlalchemy', 'regorus', 'asyncio', 'msgspec', 'yaml', 'structlog', 'pdp.main'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout == "[]\n"


def test_a_misspelt_option_is_a_usage_error(pdp):
    result = pdp("eval", "--bundel", "x")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_setting_that_does_not_exist_is_named_and_not_ignored(pdp, monkeypatch):
    monkeypatch.setenv("PDP_BUNDEL", "x")
    result = pdp("bundle", "inspect")
    assert result.exit_code == 2
    assert told(result)[0] == "`PDP_BUNDEL` is not a setting"


def failing(fault: BaseException) -> typer.Typer:
    app = typer.Typer(cls=ErrorsAsExitCodes, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback()
    def root(debug: bool = False) -> None: ...

    @app.command()
    def fail() -> None:
        raise fault

    return app


def test_an_error_is_two_lines_and_an_exit_code():
    result = CliRunner().invoke(failing(EngineDiedError("it is gone")), ["fail"])
    assert result.exit_code == 3
    assert told(result) == ("it is gone", "look up the decision id in the decision log; the deny stands")
    assert result.stdout == ""


def test_a_fault_of_ours_is_told_without_its_traceback():
    result = CliRunner().invoke(failing(ValueError("oops")), ["fail"])
    assert result.exit_code == 70
    assert told(result)[0] == "internal error: ValueError: oops"


def test_an_interrupt_is_no_answer():
    result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == 130
    assert result.stderr == ""


def test_the_version_is_told(pdp):
    from pdp import __version__

    assert pdp("--version").stdout == f"sekisho {__version__}\n"


@pytest.mark.parametrize("fault", [ValueError("oops"), ScenarioError("no")])
def test_debug_lets_the_exception_through(fault):
    result = CliRunner().invoke(failing(fault), ["--debug", "fail"])
    assert result.exception is fault


def test_every_row_of_a_refused_import_is_named_up_to_a_bound():
    fault = ImportRefusedError("3 rows are wrong", tuple(f"users.csv:{n}: no" for n in range(60)))
    result = CliRunner().invoke(failing(fault), ["fail"])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[:2] == ["error: 3 rows are wrong", "  users.csv:0: no"]
    assert lines[51] == "  … and 10 more"
    assert len(lines) == 53


def test_the_console_script_runs_as_a_process():
    result = process("scenario", "run", "nowhere")
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.startswith(b"error: nowhere: there is no such file")
