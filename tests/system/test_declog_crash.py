"""The decision log against real processes, real signals and real limits of the kernel."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import pytest

from pdp.declog.layout import Layout
from pdp.declog.record import read_record
from pdp.declog.segments import SegmentLog
from pdp.declog.verify import BREAKS, verify_segments
from tests.unit.declog.samples import wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534


@contextmanager
def writer(directory: Path, *options: str, cwd: Path = ROOT) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    command = [sys.executable, "-m", "tests.system.declog_writer", str(directory), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=cwd, env=environment, **pipes) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


def found(directory: Path, ids: list[str]) -> int:
    """How many of them the next life of the worker finds, each as a whole record."""

    async def look() -> int:
        log = SegmentLog(directory, "w0", clock=wall_clock)
        lines = [log.find(decision_id) for decision_id in ids]
        await log.close()
        return sum(read_record(line).id == decision_id for decision_id, line in zip(ids, lines, strict=True) if line)

    return anyio.run(look)


def breaks(directory: Path) -> list[object]:
    return [finding for finding in verify_segments(Layout(directory))[1] if finding.kind in BREAKS]


@pytest.mark.parametrize(("durability", "kills"), [("power", 20), ("process", 10)])
def test_nothing_answered_is_lost_when_the_process_is_killed_under_load(tmp_path: Path, durability: str, kills: int):
    dice = random.Random()
    answered: list[str] = []
    for _ in range(kills):
        with writer(tmp_path, "--durability", durability) as (process, said):
            for _ in range(dice.randint(1, 400)):
                line = said.readline()
                assert line, "the writer ended by itself"
            process.send_signal(signal.SIGKILL)
            rest = line + said.read()  # what it had said before it died
            answered += [text[1:].decode() for text in rest.splitlines() if text.startswith(b"+") and len(text) == 37]
    assert len(answered) >= kills
    assert found(tmp_path, answered) == len(answered)
    assert breaks(tmp_path) == []


def test_a_file_that_may_grow_no_further_is_left_and_the_next_takes_the_records(tmp_path: Path):
    """EFBIG by RLIMIT_FSIZE, in the midst of a line: the write is cut short, as on a full disk."""
    with writer(tmp_path, "--file-limit", "60000", "--waiters", "8", "--records", "300") as (_, said):
        lines = said.read().decode().splitlines()
    answered = [line[1:] for line in lines if line.startswith("+")]
    refused = [line[1:] for line in lines if line.startswith("-")]
    status = json.loads(lines[-1][1:])
    assert len(answered) + len(refused) == 300
    assert len(answered) > 150
    assert refused
    assert status["unrecorded"] == len(refused)
    assert status["fault"] == "EFBIG"
    assert found(tmp_path, answered) == len(answered)
    assert breaks(tmp_path) == []


def test_no_file_at_all_means_not_writable_and_no_answer(tmp_path: Path):
    with writer(tmp_path, "--file-limit", "0", "--records", "5") as (_, said):
        lines = said.read().decode().splitlines()
    assert lines[0] == "!False"
    assert [line[0] for line in lines[1:-1]] == ["-"] * 5
    assert json.loads(lines[-1][1:])["unrecorded"] == 5


def test_a_directory_made_read_only_denies_and_writable_again_recovers(tmp_path: Path):
    log = tmp_path / "log"
    options = ["--on-request", "--segment-bytes", "3000"]
    if os.getuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
        options += ["--user", str(NOBODY)]
    # A relative path from the directory itself: the other user may not walk the way to it.
    with writer(Path("log"), *options, cwd=tmp_path) as (process, said):
        assert process.stdin is not None

        def ask() -> str:
            process.stdin.write(b".")
            process.stdin.flush()
            return said.readline().decode().strip()

        assert said.readline() == b"!True\n"
        answered = [ask() for _ in range(10)]
        assert all(line.startswith("+") for line in answered)
        (log / "segments").chmod(0o500)
        shut = [ask() for _ in range(10)]  # the open file takes one or two more, then a new one is needed
        assert all(line.startswith("-") for line in shut[-5:])
        (log / "segments").chmod(0o700)
        with ten_seconds():
            while not (line := ask()).startswith("+"):
                shut.append(line)
        process.stdin.close()
        status = json.loads(said.read().decode().splitlines()[-1][1:])
    assert status["fault"] == "EACCES"
    assert status["unrecorded"] == sum(line.startswith("-") for line in shut)
    kept = [line[1:] for line in [*answered, *shut, line] if line.startswith("+")]
    assert found(log, kept) == len(kept)
    assert breaks(log) == []


@contextmanager
def ten_seconds() -> Iterator[None]:
    """The log tries again each 10 ms; ten seconds without success is a failure."""

    def late(*_: object) -> None:
        raise TimeoutError("the log did not become writable again")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
