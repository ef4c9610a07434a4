"""The compactor dies before any of its steps, or loses the power: nothing is lost, nothing is there twice."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from random import Random, randrange

import pytest
from hypothesis import settings

from pdp.archive.store import LocalStore
from tests.unit.archive.ended import CutDisk, Stopped, StoppingDisk, compact_whole
from tests.unit.archive.logs import Worker, some_records
from tests.unit.archive.test_store import all_bodies, store_at, stored_bodies
from tests.unit.declog.disks import HastyDisk

FUZZ = settings().max_examples > 100  # `make fuzz`: every step, and many more power failures
EVERY = 1 if FUZZ else 6  # of the steps; each costs a third of a second


def test_a_crash_before_any_step_loses_nothing_and_doubles_nothing(tmp_path: Path):
    for operations in count(randrange(EVERY), EVERY):
        root = tmp_path / str(operations)
        worker = Worker(root)
        for _ in range(3):
            worker.segment(2)
        worker.write(some_records(worker.clock.now, 1))
        try:
            compact_whole(store_at(root, disk=StoppingDisk(operations), rows_per_file=4))
            ended = True
        except Stopped:
            ended = False
        assert sorted(all_bodies(root)) == sorted(worker.written), operations
        compact_whole(store_at(root, rows_per_file=4))
        assert sorted(all_bodies(root)) == sorted(worker.written), operations
        assert len(stored_bodies(store_at(root))) == 6, operations
        assert not list((root / "store").rglob("*.tmp"))
        if ended:
            assert operations > 30
            return


@pytest.mark.parametrize("seed", range(500 if FUZZ else 8))
def test_a_power_failure_loses_nothing_and_doubles_nothing(tmp_path: Path, seed: int):
    random = Random(seed if FUZZ else randrange(1 << 30))
    worker = Worker(tmp_path)
    for _ in range(4):
        worker.segment(4)
    LocalStore(tmp_path, disk=HastyDisk()).place.make(HastyDisk())
    disk = CutDisk(random.randrange(60))
    try:
        compact_whole(store_at(tmp_path, disk=disk, rows_per_file=8))
    except OSError:
        disk.crash(random)
    compact_whole(store_at(tmp_path, rows_per_file=8))
    assert sorted(all_bodies(tmp_path)) == sorted(worker.written)
