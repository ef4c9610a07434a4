"""`python -m bench --quick`: the benchmark runs, agrees and judges. No speed is asserted: the machine is busy with tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import OWN_TOOLS

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
RUN_S = 240.0
STOP_S = 50.0
ENTERED = ("warm", "redis-only", "cold", "echo", "opa")  # Cerbos is built for `make bench` only


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    for tool in ("wrk", "vegeta", "opa", "valkey-server"):
        if not (shutil.which(tool, path=str(OWN_TOOLS)) or shutil.which(tool)):
            pytest.skip(f"no `{tool}` in .tools/bin or on the PATH: install it with `make tools`")
    place = tmp_path_factory.mktemp("bench")
    results = place / "results.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", ",".join(ENTERED), "--results", str(results)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PDP_")}
    done = _finished([*command, "--place", str(place / "work")], environment)
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    return done, json.loads(results.read_text(encoding="utf-8"))


def _finished(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A run that takes too long is asked to end, so that it ends its servers."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        try:
            said, complained = running.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired:
            running.terminate()
            said, complained = running.communicate(timeout=STOP_S)
    return subprocess.CompletedProcess(command, running.returncode, said, complained)


def test_everybody_that_was_entered_is_measured_without_an_error(run: Any) -> None:
    contestants = run[1]["contestants"]
    assert set(contestants) == set(ENTERED)
    for name, measured in contestants.items():
        loads = [cell for rounds in measured["closed"].values() for cell in rounds] + measured["open"]
        assert loads, name
        assert all(load["requests"] > 0 and load["errors"] == 0 for load in loads), name


def test_the_services_and_the_opa_server_decide_alike_before_they_are_measured(run: Any) -> None:
    agreement = run[1]["agreement"]
    assert set(agreement["compared"]) == {"redis-only", "cold", "opa"}
    assert agreement["same"] == agreement["asked"] > 0
    assert 0 < agreement["permitted"] < agreement["asked"], "a stream of one answer would prove little"


def test_the_measured_hit_rate_is_the_one_that_the_footprint_gives(run: Any) -> None:
    rates = run[1]["hit_rate"]
    asked = sum(rates["measured"].values())
    assert asked == rates["at_once"]["requests"]
    # Facts age between the pass and the computation, so that a few keys differ.
    assert rates["measured"]["hit"] / asked == pytest.approx(rates["at_once"]["footprint"], abs=0.02)
    assert rates["at_once"]["footprint"] >= rates["at_once"]["whole_input"]


def test_every_limit_is_judged_and_told_and_decides_the_exit_code(run: Any) -> None:
    done, results = run
    assert results["limits"]
    for limit in results["limits"]:
        assert limit["name"] in done.stdout
    broken = any(limit["holds"] is False for limit in results["limits"])
    assert done.returncode == (1 if broken else 0)
    assert ("DOES NOT HOLD" in done.stdout) is broken
