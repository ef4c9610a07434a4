"""The locks: what `make check` finds without a network."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tools import lock

ROOT = Path(__file__).resolve().parents[3]
PINS = "msgspec==0.22.0 \\\n    --hash=sha256:00\n"


def tables(**changes):
    project = {"requires-python": ">=3.11", "dependencies": ["msgspec>=0.19"], **changes}
    return lock.tables_digest({"build-system": {"requires": ["hatchling"]}, "project": project})


def test_a_lock_in_step_has_no_fault():
    assert lock.fault_of(lock.with_header(tables(), PINS), tables()) is None


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": ["msgspec>=0.20"]},
        {"dependencies": []},
        {"requires-python": ">=3.12"},
        {"optional-dependencies": {"postgres": ["psycopg"]}},
    ],
)
def test_a_changed_dependency_makes_the_lock_stale(change):
    written = lock.with_header(tables(), PINS)
    assert lock.fault_of(written, tables(**change)) == "is older than the dependencies in pyproject.toml"


def test_what_is_not_a_dependency_does_not_make_the_lock_stale():
    assert tables(version="2") == tables(version="1")


def test_a_pin_changed_by_hand_is_found():
    written = lock.with_header(tables(), PINS)
    assert lock.fault_of(written.replace("0.22.0", "0.22.1"), tables()) == "was changed by hand"


def test_a_lock_of_another_tool_is_refused():
    assert lock.fault_of(PINS, tables()) == "was not written by `make lock`"


def test_a_lock_names_no_host():
    written = lock.with_header(tables(), f"--index-url https://mirror.example/simple\n{PINS}")
    assert lock.fault_of(written, tables()) == "names a host"


def test_a_missing_lock_is_a_fault(tmp_path):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    names = ("run", "server", "dev")
    assert lock.check(tmp_path) == [f"`requirements/{name}.txt` is missing" for name in names]


def test_every_pin_of_run_stands_in_dev_too():
    run, dev = (pins(ROOT / "requirements" / name) for name in ("run.txt", "dev.txt"))
    assert run
    assert run <= dev


def test_every_pin_carries_a_hash():
    for name in ("run.txt", "server.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text()
        blocks = [block for block in text.split("\n") if "==" in block and not block.startswith(" ")]
        assert blocks
        assert all(block.endswith("\\") for block in blocks)


def pins(path):
    return {line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and line[0].isalnum()}


def test_the_digest_covers_the_tables_that_the_project_has():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    before = lock.tables_digest(pyproject)
    pyproject["dependency-groups"]["dev"].append("something-new")
    assert lock.tables_digest(pyproject) != before
