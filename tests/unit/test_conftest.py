"""CI runs every test: a skip there is a failure, but for the shared material that a clone may lack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SKIPS = {
    "marked": "@pytest.mark.skip(reason='install opa')\ndef test_it(): pass\n",
    "called": "def test_it(): pytest.skip('install opa')\n",
    "module": "pytest.skip('install opa', allow_module_level=True)\n",
    "import": "pytest.importorskip('a_module_that_is_not_there')\n",
}
TOLERATED = {
    "absent": "def test_it(): pytest.skip('absent: ../shared')\n",
    "expected": "@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n",
    "passes": "def test_it(): pass\n",
}


def failures(tmp_path, suites, ci):
    """The suites that fail when all run in one session, and its exit code."""
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    for name, suite in suites.items():
        (tmp_path / f"test_{name}.py").write_text(f"import pytest\n{suite}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "."],
        env=os.environ | {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the plugins take a second to load
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return set(re.findall(r"^(?:FAILED|ERROR) test_(\w+)\.py", done.stdout, re.MULTILINE)), done.returncode


def test_every_kind_of_skip_fails_a_ci_run(tmp_path):
    assert failures(tmp_path, SKIPS | TOLERATED, ci="true") == (set(SKIPS), 1)


def test_absent_shared_material_and_expected_failures_do_not_fail_a_ci_run(tmp_path):
    assert failures(tmp_path, TOLERATED, ci="true") == (set(), 0)


def test_a_skip_is_no_failure_at_a_desk(tmp_path):
    assert failures(tmp_path, SKIPS | TOLERATED, ci="") == (set(), 0)
