"""Readers while the compactor works: whatever the moment, an answer has each record once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

from pdp.archive.duck import DuckQueries
from tests.unit.archive.ended import compact_whole
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_store import store_at
from tests.unit.declog.samples import START


def test_no_answer_lacks_or_doubles_a_record_while_segments_are_stored_merged_and_removed(tmp_path: Path):
    worker = Worker(tmp_path)
    for _ in range(6):
        worker.segment(10)
    done = threading.Event()
    faults: list[BaseException] = []

    def keep() -> None:
        try:
            for _ in range(6):
                compact_whole(store_at(tmp_path, rows_per_file=20))
                worker.segment(0)
        except BaseException as fault:  # noqa: BLE001  # told to the test
            faults.append(fault)
        finally:
            done.set()

    engine = DuckQueries([tmp_path])
    asked = {"since": START - timedelta(days=1), "until": START + timedelta(days=1), "page": 1000}
    compactor = threading.Thread(target=keep)
    compactor.start()
    try:
        answers = 0
        while not done.is_set() or answers < 2:
            found = [str(entry) for entry in engine.run("newest", asked)["id"].to_pylist()]
            assert len(found) == len(set(found)) == 60
            answers += 1
    finally:
        compactor.join()
    assert faults == []
