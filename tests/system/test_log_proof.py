"""The proof of the decision log while real processes write, sign and are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pdp.declog.layout import Layout
from pdp.declog.segments import SegmentLog
from pdp.declog.verify import BREAKS
from pdp.transparency.inspection import inspect
from tests.system.proof_keeper import keeper_of
from tests.unit.declog.samples import wall_clock

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 15


def started(module: str, *arguments: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", f"tests.system.{module}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def test_writers_and_signers_that_are_killed_leave_a_log_that_every_head_agrees_with(tmp_path: Path):
    dice = random.Random()
    log, anchor = tmp_path / "log", tmp_path / "anchor"
    answered = 0
    for _ in range(ROUNDS):
        with started("declog_writer", log) as writer, started("proof_keeper", log, anchor) as keeper:
            try:
                assert keeper.stdout is not None and keeper.stdout.readline() == b"signing\n"
                assert writer.stdout is not None
                for _ in range(dice.randint(50, 600)):
                    answered += writer.stdout.readline().startswith(b"+")
                first, second = dice.sample([writer, keeper], 2)
                first.send_signal(signal.SIGKILL)
                second.send_signal(signal.SIGKILL)
            finally:
                writer.kill()
                keeper.kill()
        left = inspect(Layout(log), anchors=[anchor] if anchor.exists() else []).findings  # before anybody tidies up
        assert [finding for finding in left if finding.kind in BREAKS] == []

    async def next_life() -> None:
        await SegmentLog(log, "w0", clock=wall_clock).close()

    anyio.run(next_life)
    last = keeper_of(log, anchor)
    last.stop()
    report = inspect(Layout(log), anchors=[anchor])
    assert [finding for finding in report.findings if finding.kind in {*BREAKS, "uncovered"}] == []
    assert report.logs[0].covered == report.records >= answered > 0
    print(
        f"{report.records} records, {report.logs[0].size} leaves, {len(anchor.read_text().splitlines())} anchored heads"
    )
