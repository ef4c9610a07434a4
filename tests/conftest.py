"""What every test shares. Fixtures of one suite stand in that suite's folder, not here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

SHARED = Path(__file__).resolve().parents[2] / "shared"
ABSENT = "absent: ../shared"  # the one reason for which CI accepts a skip: a clone without the shared material
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# A shared machine is slow now and then, so no example has a deadline; `timeout` in pyproject.toml ends a hang.
# CI derives the examples from the tests themselves: the same commit gives the same result. pytest-randomly
# prints the seed of the order and of `random`. `make fuzz` takes fresh examples each time.
settings.register_profile("default", deadline=None, derandomize=IN_CI, print_blob=True)
settings.register_profile("fuzz", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("default")

# Servers that tests start do not count the policy out beside what is tested; tests of the decision table switch it on.
os.environ["PDP_DECISION_TABLE"] = "off"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """For `--numprocesses=auto`: one more than there are processors, since half of the system tests' time is waiting.

    `PYTEST_XDIST_AUTO_NUM_WORKERS` has the word where somebody has set it.
    """
    return None if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """For `--dist=loadfile`: tests/shifts.py has the order."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.shifts import Shifts

    return Shifts(config, log)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The material beside the project: vectors, scenarios, specifications. Read in place, never written."""
    if not SHARED.is_dir():
        pytest.skip(f"{ABSENT}: the shared vectors and scenarios are not beside this clone")
    return SHARED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a skipped test is a failed one: what is not run there is run nowhere."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if ABSENT not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where everything is to be installed: {reason}"
