from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from pdp.archive.keeper import Keeper, Kept, to_merge
from pdp.archive.tail import pieces_of
from tests.unit.archive.logs import Worker, names, some_records
from tests.unit.archive.test_store import all_bodies, store_at
from tests.unit.declog.samples import START, Clock

SOON = START + timedelta(hours=2)


class Rounds(threading.Event):
    """Ends the keeper after so many rounds, and tells what happens between them; no time passes."""

    def __init__(self, between: list) -> None:
        super().__init__()
        self._between = between

    def wait(self, timeout: float | None = None) -> bool:
        if self._between:
            self._between.pop(0)()
        else:
            self.set()
        return self.is_set()


def test_one_round_stores_all_that_is_sealed(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(5)
    worker.segment(5)
    keeper = Keeper(store_at(tmp_path), keep_segments_days=0)
    assert keeper.once(START).segments == 2
    assert keeper.once(START).segments == 0
    assert len(names(tmp_path)) == 2


def test_stored_segments_are_removed_after_the_days_that_are_set(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(5)
    worker.segment(5)
    keeper = Keeper(store_at(tmp_path), keep_segments_days=7)
    assert keeper.once(START + timedelta(days=6)).removed == 0
    assert keeper.once(START + timedelta(days=8)).removed == 1
    assert len(all_bodies(tmp_path)) == 10


def test_a_segment_that_somebody_has_not_had_yet_waits_and_goes_in_the_end_all_the_same(tmp_path: Path):
    worker = Worker(tmp_path)
    for _ in range(3):
        worker.segment(5)
    first, second, _ = map(str, names(tmp_path))
    behind = {first, second}
    keeper = Keeper(
        store_at(tmp_path),
        keep_segments_days=7,
        wanted_by=lambda name: ["soc"] if str(name) in behind else [],
        wait_days=10,
    )
    told = keeper.once(START + timedelta(days=8))
    assert (told.removed, told.waiting, told.lost) == (0, 2, 0)
    behind.remove(first)
    told = keeper.once(START + timedelta(days=8))
    assert (told.removed, told.waiting, told.lost) == (1, 1, 0)
    told = keeper.once(START + timedelta(days=18))
    assert (told.removed, told.waiting, told.lost) == (1, 0, 1)
    assert len(all_bodies(tmp_path)) == 15  # the store has them all


def test_it_waits_for_a_log_that_its_service_has_not_begun_yet(tmp_path: Path):
    heard: list[Kept] = []
    keeper = Keeper(store_at(tmp_path / "log"), keep_segments_days=0, tell=lambda kept, _: heard.append(kept))
    keeper.run(clock=Clock(), ending=Rounds([lambda: Worker(tmp_path / "log").segment(1), lambda: None]))
    assert [kept.segments for kept in heard] == [0]


def test_it_publishes_tails_as_they_grow_and_makes_many_pieces_one(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write(some_records(START, 1))
    store = store_at(tmp_path)
    pieces: list[int] = []

    def more() -> None:
        pieces.append(len(pieces_of(store.place, names(tmp_path)[0])))
        worker.write(some_records(worker.clock.now + timedelta(seconds=len(pieces)), 1))

    Keeper(store, keep_segments_days=0).run(clock=Clock(), ending=Rounds([more] * 12))
    assert pieces == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]
    assert sorted(all_bodies(tmp_path)) == sorted(worker.written)


def test_a_sealed_segment_is_stored_at_the_latest_after_an_hour(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(5)
    store, clock = store_at(tmp_path), Clock(worker.clock.now)
    stored: list[int] = []

    def later() -> None:
        stored.append(len(store.manifest.files()))
        clock.forward(minutes=40)

    Keeper(store, keep_segments_days=0).run(clock=clock, ending=Rounds([later] * 3))
    assert stored == [0, 0, 1]


def test_a_round_that_fails_is_not_the_last(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(5)
    store, clock = store_at(tmp_path), Clock(SOON)
    sealed = store.layout.sealed_path(names(tmp_path)[0])
    content = sealed.read_bytes()
    sealed.unlink()
    sealed.mkdir()  # cannot be read

    def mend() -> None:
        sealed.rmdir()
        sealed.write_bytes(content)
        clock.forward(minutes=1)

    Keeper(store, keep_segments_days=0).run(clock=clock, ending=Rounds([mend, lambda: None]))
    assert len(store.manifest.files()) == 1


def test_a_manifest_that_cannot_be_used_for_a_while_does_not_end_the_keeper(tmp_path: Path):
    Worker(tmp_path).segment(5)
    store, clock = store_at(tmp_path), Clock(SOON)
    with store.held():
        pass
    kept = store.place.manifest.read_bytes()
    with closing(sqlite3.connect(store.place.manifest)) as connection:
        connection.execute("PRAGMA user_version = 2")

    def mend() -> None:
        store.place.manifest.write_bytes(kept)
        clock.forward(minutes=1)

    Keeper(store, keep_segments_days=0).run(clock=clock, ending=Rounds([mend, lambda: None]))
    assert len(store.manifest.files()) == 1


def test_small_files_of_an_earlier_day_become_one(tmp_path: Path):
    worker = Worker(tmp_path)
    store = store_at(tmp_path, rows_per_file=100)
    keeper = Keeper(store, keep_segments_days=0)
    for _ in range(4):
        worker.segment(5)
        keeper.once(SOON)
    assert len(store.manifest.files()) == 4
    assert to_merge(store.manifest.files(), SOON, 100) == []
    assert to_merge(store.manifest.files(), START + timedelta(days=3), 12) == []
    assert keeper.once(START + timedelta(days=3)).files == 1
    assert sorted(all_bodies(tmp_path)) == sorted(worker.written)
