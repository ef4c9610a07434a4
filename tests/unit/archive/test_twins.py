"""A group that failed and was written anew stands twice in the segments, and counts once, in whatever order it is stored."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdp.archive.arrow_tables import complete
from pdp.archive.bodies import bodies_of
from pdp.archive.duck import DuckQueries
from pdp.archive.entries import WHOLE, WITH_TWINS
from pdp.archive.inspection import inspect_store
from pdp.archive.pseudonymising import RuleSet, carry_out, plan
from pdp.archive.restoring import prove_store, restorer
from pdp.archive.snapshot import Scope, take_snapshot
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.archive.twins import passed_over
from pdp.declog.layout import Layout, SegmentName
from pdp.declog.record import read_record
from pdp.declog.recovery import recover_dead
from pdp.declog.verify import BREAKS, verify_segments
from pdp.declog.writer import SegmentWriter
from pdp.errors import RecordDamagedError
from pdp.outgrown.sealed_rows import sealed_rows
from pdp.privacy.masking import Masking
from pdp.privacy.old_records import OLD_RECORDS, text_of
from pdp.transparency.inspection import inspect
from pdp.transparency.proofs import prove
from tests.unit.archive.logs import some_records
from tests.unit.declog.disks import FaultyDisk, HastyDisk
from tests.unit.declog.logs import writer_at
from tests.unit.declog.samples import START, Clock
from tests.unit.privacy.samples import PSEUDONYMS
from tests.unit.transparency.notaries import notary_at

RECORDS = some_records(START, 12)
NOW = START + timedelta(hours=2)


class World:
    """One worker whose disk fails now and then; what it wrote stands in its segments."""

    def __init__(self, root: Path, durability: str = "power") -> None:
        self.clock, self.disk = Clock(), FaultyDisk()
        self.writer: SegmentWriter = writer_at(root, clock=self.clock, disk=self.disk, durability=durability)  # type: ignore[arg-type]
        self.layout = Layout(root)
        self.store = LocalStore(root, disk=HastyDisk())
        self.writer.open()

    def write(self, records: list[bytes]) -> None:
        self.writer.commit(records)
        self.clock.forward(seconds=1)

    def fail(self, records: list[bytes], *, twice: bool = False) -> None:
        """The sync fails, the lines stand there all the same; the group goes to the next segment."""
        for _ in range(1 + twice):
            self.disk.sync_fails = True
            with pytest.raises(OSError, match="simulated"):
                self.writer.commit(records)
            self.disk.sync_fails = False
            self.clock.forward(seconds=1)
            self.writer.open(again=len(records))
        self.write(records)

    def end(self) -> None:
        self.writer.seal("close")
        recover_dead(self.layout, node="local", own_worker="w0", clock=self.clock, disk=HastyDisk())

    def store_these(self, *names: SegmentName) -> None:
        with self.store.held():
            self.store.publish(list(names), NOW)

    def publish(self) -> None:
        names = self.layout.names()
        stored = self.store.stored(names)
        with self.store.held():
            fresh = [name for name in names if str(name) not in stored]
            publish_tails(self.layout, self.store.place, fresh, self.store.disk)

    def seen(self) -> Counter[bytes]:
        snapshot = take_snapshot([self.layout.root], Scope())
        tables = [snapshot.fresh, *(pq.read_table(piece, partitioning=None) for piece in snapshot.pieces)]
        tables += [pq.read_table(file.rows, partitioning=None) for file in snapshot.files]
        return Counter(body for table in tables for body in bodies_of(complete(table)))

    def counted(self) -> int:
        files = [str(self.store.hourly_path(file)) for file in self.store.manifest.files()]
        with closing(duckdb.connect(":memory:")) as connection:
            return int(connection.sql(f"SELECT sum(decisions) FROM read_parquet({files})").fetchall()[0][0])


def once(records: list[bytes]) -> Counter[bytes]:
    return Counter(records)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("twice", [False, True])
def test_it_counts_once_while_it_is_fresh_published_or_not(world: World, twice: bool):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8], twice=twice)
    world.write(RECORDS[8:])
    assert world.seen() == once(RECORDS)
    with_twins = take_snapshot([world.layout.root], Scope())
    assert with_twins.fresh.num_rows == len(RECORDS)
    world.store.place.make(world.store.disk)
    world.store.manifest.create()
    world.publish()
    assert world.seen() == once(RECORDS)
    world.end()
    assert world.seen() == once(RECORDS)
    assert inspect_store(world.layout.root)[1] == ()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1), (0, 2, 1), (1, 2, 0)])
def test_it_counts_once_in_whatever_order_the_segments_are_stored(world: World, order: tuple[int, ...]):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8], twice=True)
    world.write(RECORDS[8:])
    world.end()
    names = world.layout.names()
    assert len(names) == 3
    for at in order:
        world.store_these(names[at])
        assert world.seen() == once(RECORDS)
    assert world.counted() == len(RECORDS)
    assert sum(file.records for file in world.store.manifest.files()) == len(RECORDS)
    assert inspect_store(world.layout.root)[1] == ()
    shipped = [sealed_rows(world.store, name)[1] for name in names]
    assert Counter(body for table in shipped for body in bodies_of(complete(table))) == once(RECORDS)


def test_all_stored_at_once_count_once(world: World):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.write(RECORDS[8:])
    world.end()
    world.store_these(*world.layout.names())
    assert world.seen() == once(RECORDS)
    assert world.counted() == len(RECORDS)


def test_a_segment_that_arrives_after_its_twin_was_stored_adds_nothing_twice(world: World):
    """The failed file was stored while the refuge with the second was away."""
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.write(RECORDS[8:])
    world.end()
    first, second = world.layout.names()
    path = world.layout.sealed_path(second)
    path.rename(path.with_name("elsewhere"))
    world.store_these(first)
    assert world.seen() == once(RECORDS[:8])
    path.with_name("elsewhere").rename(path)
    assert world.seen() == once(RECORDS)
    world.store_these(second)
    assert world.seen() == once(RECORDS)
    assert world.counted() == len(RECORDS)


def test_what_was_answered_before_its_sync_failed_counts_once_too(tmp_path: Path):
    world = World(tmp_path, "process")
    world.write(RECORDS[:8])
    world.disk.sync_fails = True
    with pytest.raises(OSError, match="simulated"):
        world.writer.sync()
    world.disk.sync_fails = False
    world.clock.forward(seconds=1)
    world.writer.open()
    world.write(RECORDS[8:])
    assert world.seen() == once(RECORDS)


def test_a_segment_with_twins_keeps_its_file_and_its_own_data_file(world: World):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.end()
    first, second = world.layout.names()
    world.store_these(first, second)
    stored = {str(row[0]): (row[4], row[5]) for row in world.store.manifest.overview()}
    assert [stored[str(name)][0] for name in (first, second)] == [WITH_TWINS, WHOLE]
    assert stored[str(first)][1] != stored[str(second)][1]
    assert first not in world.store.removable(NOW + timedelta(days=1000))


def test_a_record_that_was_refused_and_not_written_anew_counts_where_it_stands(world: World):
    world.write(RECORDS[:3])
    world.disk.sync_fails = True
    with pytest.raises(OSError, match="simulated"):
        world.writer.commit(RECORDS[3:5])
    world.disk.sync_fails = False
    world.clock.forward(seconds=1)
    world.writer.open()
    world.write(RECORDS[5:])
    assert world.seen() == once(RECORDS)
    assert passed_over(world.store, world.layout.names()) == {}


@pytest.mark.parametrize("twice", [False, True])
def test_verify_says_that_they_were_written_anew_and_finds_no_break(world: World, twice: bool):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8], twice=twice)
    world.write(RECORDS[8:])
    world.end()
    names = world.layout.names()
    found = verify_segments(world.layout)[1]
    assert [(one.segment, one.at) for one in found if one.kind == "written_anew"] == [
        (str(name), 5) for name in names[:-1]
    ]
    assert not BREAKS & {one.kind for one in found}


def test_a_segment_with_twins_is_no_damaged_one(world: World):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.end()
    world.store_these(*world.layout.names())
    (row,) = DuckQueries([world.layout.root]).run("report_10_completeness", {}).to_pylist()
    assert (row["segments"], row["damaged_segments"], row["records"]) == (2, 0, 8)


def test_old_records_of_a_segment_with_twins_lose_their_names_and_keep_their_proof(world: World):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.write(RECORDS[8:])
    world.end()
    root = world.layout.root
    notary = notary_at(root)
    notary.turn()
    notary.close()
    later = writer_at(root, clock=Clock(NOW), previous=None)
    later.open()  # so that none of them is the newest
    first, second = world.layout.names()[:2]
    world.store_these(first, second)
    rules = RuleSet(Masking(OLD_RECORDS, PSEUDONYMS), text_of(OLD_RECORDS), PSEUDONYMS.epoch)
    at = START + timedelta(days=800)
    steps = plan(world.store, 13, at)
    assert [step.what for step in steps] == ["pseudonymise"] * 2
    with world.store.held():
        assert len(carry_out(world.store, steps, rules, at, "auditor")) == 2
    left = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"u-0001" not in left
    assert prove_store(world.store) == (len(RECORDS), [])
    archived, restore = restorer(root)
    seen = inspect(world.layout, archived=archived, restore=restore)
    assert [one for one in seen.findings if one.kind in BREAKS] == []
    assert seen.signed == {str(first): 8, str(second): 9}
    assert seen.held == seen.signed
    for body in RECORDS:
        assert prove(world.layout, read_record(body).id, archived=archived, restore=restore, everywhere=True)


def test_a_segment_with_twins_that_is_not_what_was_stored_keeps_its_names(world: World):
    world.write(RECORDS[:3])
    world.fail(RECORDS[3:8])
    world.end()
    writer_at(world.layout.root, clock=Clock(NOW)).open()
    first, second = world.layout.names()[:2]
    world.store_these(first, second)
    path = world.layout.sealed_path(first)
    path.write_bytes(path.read_bytes().replace(b'"allow"', b'"alloW"', 1))
    rules = RuleSet(Masking(OLD_RECORDS, PSEUDONYMS), text_of(OLD_RECORDS), PSEUDONYMS.epoch)
    at = START + timedelta(days=800)
    with world.store.held(), pytest.raises(RecordDamagedError, match="not what was stored"):
        carry_out(world.store, plan(world.store, 13, at), rules, at, "auditor")
    assert path.exists()


def test_an_ordinary_log_has_none(tmp_path: Path):
    world = World(tmp_path)
    world.write(RECORDS)
    world.end()
    assert passed_over(world.store, world.layout.names()) == {}
    assert isinstance(take_snapshot([tmp_path], Scope()).fresh, pa.Table)
