from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdp.archive.arrow_tables import rows_of
from pdp.archive.fresh import TailMemory
from pdp.archive.rows import body_of
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from tests.unit.archive.logs import Worker, names, some_records
from tests.unit.archive.test_store import store_at


def bodies(tables: list[pa.Table]) -> list[bytes]:
    return [body_of(row) for table in tables for row in rows_of(table)]


class Reader:
    """Reads the only segment of a log, through its memory and without any; `store` publishes."""

    def __init__(self, root: Path) -> None:
        self.memory = TailMemory()
        self.store: LocalStore = store_at(root)
        self.store.place.make(self.store.disk)
        self._root = root

    def read(self, memory: TailMemory | None = None) -> list[bytes]:
        store = self.store
        (name,) = names(self._root)
        pieces, rows = (memory or self.memory).fresh_rows(store.layout, store.place, name)
        return bodies([*(pq.read_table(piece.path) for piece in pieces), rows])

    def publish(self) -> None:
        publish_tails(self.store.layout, self.store.place, names(self._root), self.store.disk)

    @property
    def path(self) -> Path:
        layout, (name,) = self.store.layout, names(self._root)
        return path if (path := layout.open_path(name)).exists() else layout.sealed_path(name)


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_is_the_same_with_the_memory_and_without(tmp_path: Path, seed: int):
    random, worker, reader = Random(seed), Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 1))
    for step in range(30):
        match random.randrange(4):
            case 0:
                reader.publish()
            case 1 | 2:
                worker.write(some_records(worker.clock.now + timedelta(minutes=step), random.randrange(1, 4)))
            case _:
                pass
        assert reader.read() == worker.written
        assert reader.memory.held <= len(worker.written)
    worker.seal()  # the file has another name now, and is the same
    assert reader.read() == reader.read(TailMemory()) == worker.written


def test_what_is_published_is_not_remembered(tmp_path: Path):
    worker, reader = Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 5))
    reader.read()
    assert reader.memory.held == 5
    reader.publish()
    assert reader.read() == worker.written
    assert reader.memory.held == 0


def test_a_line_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path):
    worker, reader = Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 3))
    whole = reader.path.read_bytes()
    for cut in (whole[:-400], whole[:-1], whole):
        reader.path.write_bytes(cut)
        assert reader.read() == worker.written[: 2 if cut != whole else 3]


def test_a_file_that_became_shorter_or_another_is_read_anew(tmp_path: Path):
    worker, reader = Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 6))
    assert len(reader.read()) == 6
    lines = reader.path.read_bytes().splitlines(keepends=True)
    reader.path.write_bytes(b"".join(lines[:4]))  # the header and three records
    assert reader.read() == worker.written[:3]
    other = Worker(tmp_path / "other")
    other.write(some_records(other.clock.now + timedelta(days=1), 4))
    reader.path.write_bytes(Reader(tmp_path / "other").path.read_bytes())
    assert reader.read() == other.written


def test_a_line_that_was_changed_at_the_end_is_not_told_from_the_memory(tmp_path: Path):
    worker, reader = Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 4))
    assert reader.read() == worker.written
    data = bytearray(reader.path.read_bytes())
    data[-500] ^= 1
    reader.path.write_bytes(data)
    assert reader.read() == worker.written[:3]


def test_the_memory_is_bounded_and_the_least_recently_asked_goes_first(tmp_path: Path):
    memory = TailMemory(most_rows=10)
    readers = []
    for at in range(3):
        worker = Worker(tmp_path / str(at))
        worker.write(some_records(worker.clock.now, 4))
        readers.append(Reader(tmp_path / str(at)))
    for reader in (*readers, readers[1]):
        assert len(reader.read(memory)) == 4
        assert memory.held <= 10
    assert memory.held == 8


def test_readers_at_one_time_disturb_each_other_in_nothing(tmp_path: Path):
    worker, reader = Worker(tmp_path), Reader(tmp_path)
    worker.write(some_records(worker.clock.now, 200))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reader.read(), range(8)))
    assert found == [worker.written] * 8
