from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pdp.archive.arrow_tables import rows_of
from pdp.archive.datafile import prove_file
from pdp.archive.entries import StoredFile
from pdp.archive.rows import body_of
from pdp.archive.schema import INDEX
from pdp.archive.sealed import lines_again
from pdp.archive.snapshot import Scope, take_snapshot
from pdp.archive.store import LocalStore, due
from pdp.declog.layout import SegmentName
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.transparency.seal import digest_of
from tests.unit.archive.logs import Worker, some_records
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, Clock

NOW = START + timedelta(days=1)


def store_at(root: Path, **others: object) -> LocalStore:
    return LocalStore(root, **({"disk": HastyDisk()} | others))  # type: ignore[arg-type]


def stored_files(store: LocalStore) -> list[StoredFile]:
    return store.manifest.files()


def stored_bodies(store: LocalStore) -> list[bytes]:
    tables = [pq.read_table(store.rows_path(file)) for file in stored_files(store)]
    return [body_of(row) for table in tables for row in rows_of(table)]


def all_bodies(root: Path) -> list[bytes]:
    """Everything that a question over the log would see."""
    snapshot = take_snapshot([root], Scope())
    tables = [pq.read_table(file.rows) for file in snapshot.files]
    tables += [pq.read_table(path) for path in snapshot.pieces]
    return [body_of(row) for table in [*tables, snapshot.fresh] for row in rows_of(table)]


def fresh_names(store: LocalStore) -> list[SegmentName]:
    names = store.layout.names()
    stored = store.stored(names)
    return [name for name in names if str(name) not in stored]


def publish(store: LocalStore) -> int:
    with store.held():
        return store.publish(store.waiting(), NOW)


def test_sealed_segments_are_stored_and_open_ones_wait(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(40)
    worker.segment(30)
    sealed = list(worker.written)
    worker.write(some_records(worker.clock.now, 5))
    store = store_at(tmp_path)
    assert publish(store) == 2
    assert sorted(stored_bodies(store)) == sorted(sealed)
    assert sorted(all_bodies(tmp_path)) == sorted(worker.written)


def test_a_file_is_in_the_order_of_person_and_time(tmp_path: Path):
    Worker(tmp_path).segment(60)
    store = store_at(tmp_path)
    publish(store)
    table = pq.read_table(store.rows_path(stored_files(store)[0]))
    keys = list(zip(table["person"].to_pylist(), table["time"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_the_segment_itself_can_be_written_again_from_the_store(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(25)
    store = store_at(tmp_path)
    publish(store)
    file = stored_files(store)[0]
    (segment,) = store.manifest.segments_of(file.name)
    rows = sorted(rows_of(pq.read_table(store.rows_path(file))), key=lambda row: row[INDEX["seq"]])
    assert segment.header is not None
    lines = lines_again(segment.header, [(row[INDEX["seq"]], body_of(row)) for row in rows], segment.footer)
    assert b"".join(lines) == store.layout.sealed_path(segment.name).read_bytes()


def test_publishing_twice_stores_once(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    store = store_at(tmp_path)
    names = store.layout.names()
    with store.held():
        assert store.publish(names, NOW) == 1
        assert store.publish(names, NOW) == 0
    assert len(stored_bodies(store)) == 10


def test_files_are_cut_between_segments(tmp_path: Path):
    worker = Worker(tmp_path)
    for _ in range(5):
        worker.segment(10)
    store = store_at(tmp_path, rows_per_file=20)
    publish(store)
    assert sorted(file.records for file in stored_files(store)) == [10, 20, 20]


def test_an_empty_segment_is_stored_too(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(0)
    store = store_at(tmp_path)
    assert publish(store) == 1
    assert store.waiting() == []
    assert all_bodies(tmp_path) == []


def test_several_small_files_become_one_with_the_same_records(tmp_path: Path):
    worker = Worker(tmp_path)
    store = store_at(tmp_path)
    for _ in range(4):
        worker.segment(10)
        publish(store)
    assert len(stored_files(store)) == 4
    with store.held():
        store.merge(stored_files(store), NOW)
    (file,) = stored_files(store)
    assert sorted(stored_bodies(store)) == sorted(worker.written)
    assert len(store.manifest.segments_of(file.name)) == 4
    assert [path.name for path in store.place.rows.iterdir()] == [file.name]


def test_only_one_process_may_compact(tmp_path: Path):
    Worker(tmp_path).segment(1)
    with store_at(tmp_path).held(), pytest.raises(NotReadyError, match="another process"), store_at(tmp_path).held():
        pass


def test_no_log_is_not_ready(tmp_path: Path):
    with pytest.raises(NotReadyError, match="no decision log"), store_at(tmp_path).held():
        pass


def test_a_damaged_segment_gives_what_is_proven_and_is_never_removed(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    worker.segment(10)
    store = store_at(tmp_path)
    first, _ = store.layout.names()
    path = store.layout.sealed_path(first)
    path.write_bytes(path.read_bytes().replace(b"DEVICE_LOST", b"DEVICE_LOSD", 1))
    with store.held():
        store.publish(store.waiting(), NOW)
        assert store.remove_segments(NOW, NOW) == 0
    assert len(stored_bodies(store)) == 19
    assert path.exists()


def test_segments_are_removed_once_stored_but_never_the_newest_of_a_worker(tmp_path: Path):
    workers = [Worker(tmp_path, "w0"), Worker(tmp_path, "w1")]
    for worker in workers:
        for _ in range(3):
            worker.segment(10)
    store = store_at(tmp_path)
    with store.held():
        assert store.remove_segments(NOW, NOW) == 0
        store.publish(store.waiting(), NOW)
        assert store.remove_segments(NOW, NOW) == 4
    assert [name.number for name in store.layout.names()] == [3, 3]
    assert sorted(all_bodies(tmp_path)) == sorted(workers[0].written + workers[1].written)


def test_a_file_that_does_not_give_its_segments_back_is_refused(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(20)
    store = store_at(tmp_path)
    publish(store)
    file = stored_files(store)[0]
    segments = store.manifest.segments_of(file.name)
    path = store.rows_path(file)
    table = pq.read_table(path)
    for altered in (table.slice(1), table.take([0, *range(19)])):
        pq.write_table(altered, path)
        with pytest.raises(RecordDamagedError):
            prove_file(path, segments)
    outcome = table.schema.get_field_index("outcome")
    pq.write_table(table.set_column(outcome, "outcome", [["allow"] * 20]), path)
    with pytest.raises(RecordDamagedError):
        prove_file(path, segments)


def test_the_manifest_knows_the_digest_of_each_file(tmp_path: Path):
    Worker(tmp_path).segment(20)
    store = store_at(tmp_path)
    publish(store)
    (file,) = stored_files(store)
    assert digest_of(store.rows_path(file)) == file.sha256
    assert digest_of(store.hourly_path(file)) == file.hourly_sha256


def test_segments_wait_until_they_fill_a_file_or_one_has_waited_long(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    store = store_at(tmp_path)
    waiting, clock = store.layout.names(), Clock(worker.clock.now)

    def now_due(batch_bytes: int) -> int:
        return len(due(waiting, store.layout, clock.now, at_latest=timedelta(hours=1), batch_bytes=batch_bytes))

    assert now_due(1 << 30) == 0
    assert now_due(1_000) == 1
    clock.forward(hours=1)
    assert now_due(1 << 30) == 1
    assert due([], store.layout, clock.now, at_latest=timedelta(0), batch_bytes=0) == []
