"""`pdp audit verify` over a log that workers write, a notary signs and a compactor stores at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from pdp.archive.keeper import Keeper
from pdp.archive.store import LocalStore
from pdp.commands.wholeness import examine
from pdp.declog.layout import Layout
from pdp.declog.lock import try_lock
from tests.unit.archive.logs import Worker, some_records
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START
from tests.unit.transparency.notaries import notary_at

LOOKS = 4

pytestmark = pytest.mark.timeout(600)  # four threads beside the looks: on a busy machine more than two minutes


def test_it_raises_no_false_alarm(tmp_path: Path):
    log, disk = tmp_path / "decisions", HastyDisk()
    Worker(log, "w9", START - timedelta(hours=1), disk=disk).segment(1)
    ending, faults = threading.Event(), []
    records = some_records(START, 20)
    for number in range(2):
        (log / "locks" / f"local.w{number}.lock").touch()
    for name in ("local.w9.lock", "start.lock"):
        (log / "locks" / name).touch()
    held = [try_lock(log / "locks" / f"local.w{number}.lock") for number in range(2)]

    def kept(work, every_s: float = 0.1) -> threading.Thread:
        def run() -> None:
            try:
                while not ending.is_set():
                    work()
                    ending.wait(every_s)
            except BaseException as fault:  # noqa: BLE001  # the test tells it
                faults.append(fault)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def writing(name: str):
        worker = Worker(log, name, disk=disk)

        def work() -> None:
            worker.write(records)
            worker.clock.forward(seconds=1)
            if len(worker.written) % 100 == 0:
                worker.seal()

        return work

    (log / "locks" / "local.proof").touch()
    notary = notary_at(log, disk=disk)
    keeper = Keeper(LocalStore(log, disk=disk, rows_per_file=200), keep_segments_days=1)
    threads = [kept(writing("w0")), kept(writing("w1")), kept(notary.turn)]
    threads.append(kept(lambda: keeper.once(START + timedelta(days=30))))
    proven: set[object] = set()
    looks = stored = 0
    try:
        while looks < LOOKS or not stored:
            seen = examine(log, proven=proven)
            assert seen.breaks == ()
            assert faults == []
            looks, stored = looks + 1, seen.stored
    finally:
        ending.set()
        for thread in threads:
            thread.join()
        notary.close()
        for lock in held:
            assert lock is not None
            lock.release()
    assert faults == []
    last = examine(log)
    assert last.breaks == ()
    assert last.stored and len(Layout(log).names()) >= 2
