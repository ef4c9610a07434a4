"""Commands as people call them: in a directory of their own, without settings from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

Pdp = Callable[..., Result]
DEADLINE_S = 60


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Typer's runner makes all hundred commands anew for each that is run, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as runner:
        runner.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for variable in [name for name in os.environ if name.startswith("PDP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture
def pdp() -> Pdp:
    """Runs a command in this process; `stdout` and `stderr` of the result are apart."""
    from pdp.cli import app

    def run(*arguments: str | Path, lang: str | None = None) -> Result:
        said = [str(argument) for argument in arguments]
        return CliRunner(env={"LC_ALL": f"{lang}_JP.UTF-8"} if lang else None).invoke(app, said)

    return run


def process(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in a process of its own."""
    command = [sys.executable, "-m", "pdp.cli", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=DEADLINE_S, check=False)


def only_json(result: Result) -> Any:
    """The one JSON value on stdout, and nothing else there."""
    assert result.stdout.endswith("\n") and result.stdout.count("\n") == 1, result.stdout
    return json.loads(result.stdout)


def told(result: Result) -> tuple[str, str]:
    """(error, next step) as stderr has them: two lines, no traceback."""
    error, step = result.stderr.splitlines()
    assert error.startswith("error: ") and step.startswith("next: ")
    return error.removeprefix("error: "), step.removeprefix("next: ")
