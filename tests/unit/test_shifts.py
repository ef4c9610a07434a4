"""Who runs which module when, on several processors: no processor is idle, and nothing is run twice or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.shifts import SLOW, WAITING, by_length, is_for_waiting, next_module, waits

ROOT = Path(__file__).resolve().parents[2]
QUEUE = ["tests/unit/test_a.py", "tests/system/test_b.py", "tests/unit/test_c.py"]


def test_what_is_named_is_there():
    assert [name for name in (*SLOW, *WAITING) if not (ROOT / name).exists()] == []


def test_the_longest_begins_first_by_its_seconds_or_by_its_number_of_tests():
    slow = "tests/unit/gates/test_invariants.py"
    assert by_length({"few": 2, "many": 500, slow: 1}) == [slow, "many", "few"]


def test_each_worker_takes_its_own_shift_and_then_helps_with_the_other():
    assert next_module(QUEUE, for_waiting=True) == "tests/system/test_b.py"
    assert next_module(QUEUE, for_waiting=False) == "tests/unit/test_a.py"
    assert next_module(QUEUE[1:2], for_waiting=False) == "tests/system/test_b.py"
    assert next_module(QUEUE[::2], for_waiting=True) == "tests/unit/test_a.py"
    assert [waits(module) for module in QUEUE] == [False, True, False]


def test_the_last_worker_begins_with_what_waits():
    assert [is_for_waiting(f"gw{number}", 3) for number in range(3)] == [False, False, True]


def test_a_real_run_over_two_workers_runs_every_test_once_and_a_module_on_one_worker(tmp_path):
    for name in "abcd":
        suite = "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_it(n): pass\n"
        (tmp_path / f"test_{name}.py").write_text(suite)
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytest = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "xdist", "-p", "xdist.looponfail"]
    done = subprocess.run(
        [*pytest, "-n", "2", "--dist", "loadfile", "."],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    ran = re.findall(r"^\[(gw\d)\] .*PASSED (test_\w)\.py::test_it\[(\d)\]", done.stdout, re.MULTILINE)
    assert "scheduling tests via Shifts" in done.stdout, done.stdout + done.stderr
    assert sorted(ran, key=lambda line: line[1:]) == sorted(set(ran), key=lambda line: line[1:])
    assert len(ran) == 20
    assert len({(worker, module) for worker, module, _ in ran}) == 4
