"""The notary as a process: it signs, it ends with its worker, and another takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pdp.commands.wholeness import examine
from pdp.declog.layout import Layout
from pdp.declog.verify import BREAKS
from pdp.notary_process import NotaryProcess
from pdp.settings import Settings
from pdp.transparency.anchored import read_keys
from pdp.transparency.inspection import inspect
from pdp.transparency.place import ProofPlace
from tests.unit.declog.logs import lines, writer_at

WAIT_S = 60.0


def settings_at(root: Path, **others: object) -> Settings:
    return Settings(state_dir=str(root), node="local", log_checkpoint_s=0.1, **others)  # type: ignore[arg-type]


def uncovered(root: Path) -> set[str]:
    return {f.kind for f in inspect(Layout(root / "decisions")).findings if f.kind in {*BREAKS, "uncovered"}}


class Told:
    """Waits until a process has said that it signed, or that something is wrong."""

    def __init__(self, process: NotaryProcess) -> None:
        self._process = process
        self._looked = threading.Event()

    def until(self, fits) -> None:
        for _ in range(int(WAIT_S / 0.02)):
            if fits(self._process.look()):
                return
            self._looked.wait(0.02)
        raise AssertionError(self._process.look())


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_signs_while_records_come_and_for_the_last_ones_when_its_worker_ends(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(3))
    process = NotaryProcess(settings_at(tmp_path), begin_s=0)
    process.start()
    try:
        Told(process).until(lambda status: status.working and status.size >= 2 and status.turned)
        pid = process.pid
        assert pid is not None and not has_ended(pid)
        writer.commit(lines(2, 3))
        writer.seal("close")
    finally:
        process.stop()
    assert has_ended(pid)
    assert uncovered(tmp_path) == set()
    assert process.pid is None


def test_a_worker_that_ends_before_its_process_began_signs_itself(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(3))
    process = NotaryProcess(settings_at(tmp_path))
    process.start()
    process.stop()
    assert uncovered(tmp_path) == set()


def test_a_process_that_is_killed_is_told_and_another_takes_its_place(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(1))
    faults: list[str] = []
    process = NotaryProcess(settings_at(tmp_path), on_fault=faults.append, begin_s=0.01)
    process.start()
    try:
        told = Told(process)
        told.until(lambda status: status.working)
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        told.until(lambda status: status.working and process.pid not in (None, first))
        writer.commit(lines(1, 1))
    finally:
        process.stop()
    assert faults == ["the process that signs ended (-9)"]
    assert uncovered(tmp_path) == set()


def test_of_two_workers_one_signs_and_the_other_takes_over_when_it_ends(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(1))
    first, second = (NotaryProcess(settings_at(tmp_path), begin_s=0) for _ in range(2))
    first.start()
    try:
        Told(first).until(lambda status: status.working)
        second.start()
        assert second.pid is None
        first.stop()
        writer.commit(lines(1, 1))
        Told(second).until(lambda status: status.working)
    finally:
        first.stop()
        second.stop()
    assert uncovered(tmp_path) == set()


def test_a_signal_to_the_whole_service_does_not_end_it_before_the_log_is_closed(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    process = NotaryProcess(settings_at(tmp_path), begin_s=0)
    process.start()
    try:
        Told(process).until(lambda status: status.working)
        pid = process.pid
        assert pid is not None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        writer.commit(lines(4))
        Told(process).until(lambda status: status.size > 0)
        assert process.pid == pid
    finally:
        process.stop()
    assert uncovered(tmp_path) == set()


def test_it_ends_with_a_worker_that_is_killed_and_frees_the_lock(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(1))
    code = (
        "import sys, time\n"
        "from tests.unit.test_notary_process import *\n"
        "process = NotaryProcess(settings_at(Path(sys.argv[1])), begin_s=0)\n"
        "process.start()\n"
        "Told(process).until(lambda status: status.working)\n"
        "print(process.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    try:
        assert worker.stdout is not None
        with worker.stdout:
            assert int(worker.stdout.readline()) > 0
            worker.kill()
            worker.wait()
        other = NotaryProcess(settings_at(tmp_path), begin_s=0)
        other.start()
        try:
            Told(other).until(lambda status: status.working)
        finally:
            other.stop()
    finally:
        worker.kill()
        worker.wait()
    assert uncovered(tmp_path) == set()


def test_a_key_that_cannot_be_used_is_told_and_decisions_go_on(tmp_path: Path):
    (tmp_path / "decisions" / "segments").mkdir(parents=True)
    (tmp_path / "log-signing.pem").write_text("no key")
    faults: list[str] = []
    process = NotaryProcess(settings_at(tmp_path), on_fault=faults.append, begin_s=0)
    process.start()
    try:
        Told(process).until(lambda status: status.fault is not None)
    finally:
        process.stop()
    assert "PEM" in faults[0]
    assert not ProofPlace(tmp_path / "decisions", "local").checkpoint.exists()


def test_it_signs_for_the_trail_as_well_once_there_is_one(tmp_path: Path):
    writer = writer_at(tmp_path / "decisions")
    writer.open()
    writer.commit(lines(1))
    process = NotaryProcess(settings_at(tmp_path), begin_s=0)
    process.start()
    try:
        Told(process).until(lambda status: status.working)
        asked = writer_at(tmp_path / "trail")
        asked.open()
        asked.commit(lines(2))
        asked.seal("close")
    finally:
        process.stop()
    seen = examine(tmp_path / "decisions", trail=tmp_path / "trail")
    assert [(log.origin, log.covered) for log in seen.logs] == [
        ("sekisho.log/local", 1), ("sekisho.log/local/trail", 2),
    ]  # fmt: skip
    keys = read_keys(ProofPlace(tmp_path / "decisions", "local").keys)
    (segment,) = (tmp_path / "trail" / "segments").glob("*.ndjson")
    assert examine(tmp_path / "decisions", trail=tmp_path / "trail", trusted=keys).breaks == seen.breaks
    segment.unlink()
    assert segment.stem in {f.segment for f in examine(tmp_path / "decisions", trail=tmp_path / "trail").breaks}


def test_a_process_without_a_ground_ends():
    done = subprocess.run(
        [sys.executable, "-m", "pdp.notary_child"], input=b"", capture_output=True, check=False, timeout=WAIT_S
    )
    assert done.returncode != 0
