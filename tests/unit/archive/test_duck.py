from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pdp.archive.duck import DuckQueries, EngineLimits
from pdp.archive.queries import QUERIES, Query, bind
from pdp.archive.snapshot import Scope, take_snapshot
from pdp.errors import NotReadyError
from pdp.model.decision import Text
from tests.unit.archive.logs import Worker, names, some_records
from tests.unit.archive.test_store import publish, store_at
from tests.unit.declog.samples import START

DAY = {"since": START - timedelta(hours=1), "until": START + timedelta(hours=1)}


def ask(root: Path, sql: str, limits: EngineLimits | None = None) -> list[dict[str, object]]:
    """A statement of the test's own, in the engine as it stands for every question."""
    query = Query("test", Text("", ""), {}, sql)
    engine = DuckQueries([root], limits)
    return engine._ask(query, {}, (snapshot := take_snapshot([root], Scope())), snapshot.files).to_pylist()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    Worker(tmp_path).segment(10)
    publish(store_at(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "COPY (SELECT 1) TO '/tmp/sekisho-test-out.csv'",
        "ATTACH '/tmp/sekisho-test-out.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET memory_limit = '100GB'",
    ],
)
def test_the_engine_reaches_nothing_but_the_files_that_are_named(log: Path, sql: str):
    with pytest.raises(duckdb.Error):
        ask(log, sql)
    assert not Path("/tmp/sekisho-test-out.csv").exists()


def test_the_engine_cannot_write_what_it_reads(log: Path):
    path = store_at(log).rows_path(store_at(log).manifest.files()[0])
    before = path.read_bytes()
    with pytest.raises(duckdb.Error):
        ask(log, f"COPY (SELECT 1) TO '{path}' (FORMAT parquet)")
    assert path.read_bytes() == before


def test_a_question_that_takes_too_long_is_ended(log: Path):
    with pytest.raises(NotReadyError, match="took longer"):
        ask(
            log,
            "SELECT count(*) FROM range(10000000000) a, range(1000) b WHERE a.range + b.range > 3",
            EngineLimits(deadline_s=0.2),
        )


def test_a_question_that_needs_too_much_memory_is_ended(log: Path):
    with pytest.raises(NotReadyError, match="more memory"):
        ask(log, "SELECT list(range) FROM range(100000000)", EngineLimits(memory_mb=64))


def test_files_outside_the_time_and_the_person_are_not_opened(tmp_path: Path):
    worker = Worker(tmp_path)
    store = store_at(tmp_path)
    for _ in range(3):
        worker.segment(10)
        publish(store)
        worker.clock.forward(days=1)

    def opened(**scope: object) -> int:
        return len(take_snapshot([tmp_path], Scope(**scope)).files)  # type: ignore[arg-type]

    start = START.replace(tzinfo=None)
    assert opened() == 3
    assert opened(since=start + timedelta(days=1)) == 2
    assert opened(until=start + timedelta(days=1)) == 1
    assert opened(since=start + timedelta(hours=1), until=start + timedelta(hours=2)) == 0
    assert opened(person="u-0003") == 3
    assert opened(person="zz") == 0


def test_a_published_tail_that_a_disk_spoilt_is_read_from_its_segment(tmp_path: Path):
    from pdp.archive.tail import publish_tails

    worker = Worker(tmp_path)
    worker.segment(10)
    store = store_at(tmp_path)
    store.place.make(store.disk)
    publish_tails(store.layout, store.place, names(tmp_path), store.disk)
    (piece,) = store.place.tail.iterdir()
    piece.write_bytes(piece.read_bytes()[:100])
    assert DuckQueries([tmp_path]).run("newest", DAY).num_rows == 10


def test_reading_goes_on_after_a_published_tail_without_a_gap(tmp_path: Path):
    from pdp.archive.tail import publish_tails

    worker = Worker(tmp_path)
    store = store_at(tmp_path)
    for count in range(1, 20):
        worker.write(some_records(worker.clock.now + timedelta(seconds=count), 1))
        assert DuckQueries([tmp_path]).run("newest", DAY).num_rows == count
        store.place.make(store.disk)
        if count % 2:
            publish_tails(store.layout, store.place, names(tmp_path), store.disk)
        assert DuckQueries([tmp_path]).run("newest", DAY).num_rows == count


def test_a_damaged_line_is_left_out_and_those_after_it_are_not(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write([])
    worker.segment(10)
    store = store_at(tmp_path)
    path = store.layout.sealed_path(names(tmp_path)[0])
    path.write_bytes(path.read_bytes().replace(b"DEVICE_LOST", b"DEVICE_LOSD", 1))
    assert DuckQueries([tmp_path]).run("newest", DAY).num_rows == 9


@pytest.mark.parametrize("name", QUERIES)
def test_every_question_has_a_title_in_both_languages_and_known_views(name: str):
    query = QUERIES[name]
    assert query.title.ja and query.title.en
    assert set(query.views) <= {"decisions", "hourly", "segments"}
    assert all(f"${param}" in query.sql for param in query.params)


def test_the_ten_audit_queries_are_all_there():
    assert sorted(name[7:9] for name in QUERIES if name.startswith("report_")) == [f"{n:02}" for n in range(1, 11)]


def test_a_time_is_taken_with_its_offset():
    values = bind(QUERIES["newest"], {"since": "2026-04-01T09:00:00+09:00", "until": "2026-04-01T01:00:00Z"})
    assert (values["since"].hour, values["until"].hour) == (0, 1)


def test_a_file_from_before_a_column_was_added_has_null_for_it(log: Path):
    store = store_at(log)
    path = store.rows_path(store.manifest.files()[0])
    pq.write_table(pq.read_table(path).drop_columns(["masked"]), path)
    assert ask(log, "SELECT masked, count(*) AS n FROM decisions GROUP BY ALL") == [{"masked": None, "n": 10}]
    assert ask(log, "SELECT * FROM decisions LIMIT 1")[0]["masked"] is None
