"""What every `SegmentSink` and every `QueryEngine` promises (`pdp.archive.port`). A new adapter is added to the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from pdp.archive.duck import DuckQueries, EngineLimits
from pdp.archive.port import QueryEngine, SegmentSink
from pdp.archive.queries import QUERIES
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.declog.layout import Layout, SegmentName
from pdp.declog.record import read_record
from pdp.errors import BadRequestError, NotReadyError
from pdp.model.decision import Outcome, Verdict
from tests.contract.pages import after
from tests.copies import BucketCopy, ClickHouseCopy, Copy
from tests.unit.archive.logs import DENY, PERMIT, Worker, record, some_records
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, uuid7_at

ENGINES: dict[str, Callable[[Path], QueryEngine]] = {"duckdb": lambda root: DuckQueries([root])}

DAY = {"since": START - timedelta(hours=12), "until": START + timedelta(hours=12)}
HOURS = {"since": START.replace(minute=0, second=0, microsecond=0), "until": datetime(2026, 4, 2, tzinfo=UTC)}
SAMPLE: dict[str, object] = {
    "person": "u-0003",
    "device": "d-00001",
    "department": "tax",
    "source_ip": "192.0.2.7",
    "id": uuid7_at(START, 0),
}


@pytest.fixture(params=["parquet", "clickhouse", "object_store"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SegmentSink]:
    """Its log lies in `tmp_path`. The object store has what the store has, which is therefore full."""
    store = LocalStore(tmp_path, disk=HastyDisk())
    if request.param == "parquet":
        Layout(tmp_path).make(HastyDisk())
        with store.held():
            yield store
        return
    copy: Copy
    if request.param == "clickhouse":
        copy = ClickHouseCopy(request.getfixturevalue("chdb"), tmp_path)
    else:
        copy = BucketCopy(request.getfixturevalue("s3"), tmp_path)
    yield copy.sink(store)
    copy.close()


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> QueryEngine:
    built: QueryEngine = request.param(tmp_path)
    return built


def store_these(root: Path, names: Sequence[SegmentName]) -> None:
    store = LocalStore(root, disk=HastyDisk())
    with store.held():
        store.publish(names, START)


def store_all(root: Path) -> None:
    store = LocalStore(root, disk=HastyDisk())
    with store.held():
        store.publish(store.waiting(), START)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.to_pylist())


def ids(table: pa.Table) -> list[str]:
    return [str(entry) for entry in table["id"].to_pylist()]


def given(name: str) -> dict[str, object]:
    query = QUERIES[name]
    times = HOURS if "hourly" in query.views else DAY
    wanted = {param: SAMPLE[param] for param, kind in query.params.items() if kind in ("text", "id")}
    return wanted | ({} if "since" not in query.params or "id" in query.params else times)


# -- sinks ---------------------------------------------------------------------------------------------


def test_a_sink_has_what_was_published_and_takes_nothing_twice(sink: SegmentSink, tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(5)
    worker.segment(5)
    names = Layout(tmp_path).names()
    assert sink.stored(names) == frozenset()
    for name in names:  # each a file of the store of its own
        if not isinstance(sink, LocalStore):
            store_these(tmp_path, [name])
    assert sink.publish(names[:1], START) == 1
    assert sink.stored(names) == {str(names[0])}
    assert sink.publish(names, START) == 1
    assert sink.publish(names, START) == 0
    assert sink.publish([], START) == 0
    assert sink.stored(names) == {str(name) for name in names}


# -- engines: every question, before and after storing, gives the same ---------------------------------


@pytest.mark.parametrize("name", QUERIES)
def test_a_question_has_one_answer_wherever_its_records_lie(engine: QueryEngine, tmp_path: Path, name: str):
    workers = [Worker(tmp_path, "w0"), Worker(tmp_path, "w1", START + timedelta(milliseconds=3))]
    for worker in workers:
        worker.segment(30)
        worker.segment(20)
    fresh = engine.run(name, given(name))
    store = LocalStore(tmp_path, disk=HastyDisk())
    with store.held():
        publish_tails(store.layout, store.place, store.layout.names(), store.disk)
        tails = engine.run(name, given(name))
        store.publish(store.waiting()[:2], START)
        mixed = engine.run(name, given(name))
        store.publish(store.waiting(), START)
    stored = engine.run(name, given(name))
    if name == "report_10_completeness":
        assert [row["records"] for row in rows(stored)] == [50, 50]
        return
    assert rows(fresh) == rows(tails) == rows(mixed) == rows(stored)
    assert fresh.schema == stored.schema
    unremarkable = {"report_02_exceptions", "report_03_leavers", "report_04_remote_maintenance"}
    unremarkable |= {"report_05_private_devices", "report_09_privileged"}
    assert (fresh.num_rows == 0) == (name in unremarkable)


def test_a_record_is_seen_at_once_also_in_a_segment_that_is_being_written(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    for count in range(1, 4):
        worker.write([record(START + timedelta(seconds=count), count)])
        assert engine.run("newest", DAY).num_rows == count


def test_pages_walk_through_everything_once_newest_first(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    for _ in range(3):
        worker.segment(10)
        store_all(tmp_path)
    worker.write([record(worker.clock.now, n, DENY) for n in range(7)])  # of one instant, or nearly
    seen: list[str] = []
    key: dict[str, object] = {}
    while page := rows(engine.run("newest", DAY | key | {"page": 4})):
        assert len(page) <= 4
        seen += [str(row["id"]) for row in page]
        key = after(page[-1])
    written = [read_record(body) for body in worker.written]
    assert seen == [entry.id for entry in sorted(written, key=lambda r: (r.time, r.id), reverse=True)]


@pytest.mark.parametrize(
    ("name", "more"),
    [("newest", {}), ("denials", {}), ("person_day", {"person": "u-0001"}), ("device_day", {"device": "d-00001"})],
)
def test_rows_of_one_time_and_id_are_on_one_page_each(
    engine: QueryEngine, tmp_path: Path, name: str, more: dict[str, object]
):
    """As two OPAs push one id, and a record whose id cannot be read."""
    twice = record(START, 1, DENY)
    nameless = msgspec.json.encode({k: v for k, v in msgspec.json.decode(twice).items() if k != "id"})
    for number in range(3):
        worker = Worker(tmp_path, f"w{number}")
        worker.write([twice, twice, *([nameless] if name in ("newest", "denials") else [])])
        worker.seal()
    store_these(tmp_path, Layout(tmp_path).names()[:1])
    seen: list[tuple[str, int]] = []
    key: dict[str, object] = {}
    while page := rows(engine.run(name, DAY | key | more | {"page": 1})):
        seen += [(row["segment"], row["seq"]) for row in page]
        key = after(page[-1])
    assert len(seen) == len(set(seen)) == (9 if name in ("newest", "denials") else 6)


@pytest.mark.parametrize("lacking", ["before_time", "before_segment", "before_seq"])
def test_a_place_that_is_named_in_part_is_refused(engine: QueryEngine, tmp_path: Path, lacking: str):
    Worker(tmp_path).segment(2)
    key = after(rows(engine.run("newest", DAY))[0])
    assert engine.run("newest", DAY | key).num_rows == 1
    with pytest.raises(BadRequestError, match="belong together"):
        engine.run("newest", DAY | {name: value for name, value in key.items() if name != lacking})


def test_denials_without_a_reason_are_counted(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write([record(START, 1, DENY), record(START, 2, Verdict(Outcome.DENY, ()))])
    for _ in range(2):
        hours = rows(engine.run("denials_by_reason_hour", HOURS))
        assert sorted((row["reason"], row["decisions"]) for row in hours) == [
            ("(none)", 1), ("DEVICE_LOST", 1), ("PATCH_OVERDUE", 1),
        ]  # fmt: skip
        first = rows(engine.run("report_01_denials", HOURS))
        assert ("tax", "(none)", 1) in [(row["department"], row["reason"], row["denials"]) for row in first]
        if not LocalStore(tmp_path).manifest.exists():
            worker.seal()
            store_all(tmp_path)


def test_one_decision_is_found_by_its_id(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(20)
    wanted = read_record(worker.written[11])
    for _ in range(2):
        (row,) = rows(engine.run("by_id", {"id": wanted.id}))
        assert (str(row["id"]), row["outcome"], row["reasons"]) == (wanted.id, wanted.outcome, wanted.reasons)
        store_all(tmp_path)
    assert engine.run("by_id", {"id": uuid7_at(START, 999_999)}).num_rows == 0


def test_denials_are_counted_by_every_reason_and_local_hour(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write([record(START + timedelta(minutes=20 * n), n, DENY if n % 2 else PERMIT) for n in range(6)])
    found = rows(engine.run("denials_by_reason_hour", HOURS))
    nine, ten = datetime(2026, 4, 1, 9), datetime(2026, 4, 1, 10)
    assert [(row["hour"], row["reason"], row["decisions"]) for row in found] == [
        (nine, "DEVICE_LOST", 1),
        (nine, "PATCH_OVERDUE", 1),
        (ten, "DEVICE_LOST", 2),
        (ten, "PATCH_OVERDUE", 2),
    ]


def test_several_directories_are_asked_as_one(tmp_path: Path):
    first, second = Worker(tmp_path / "a"), Worker(tmp_path / "b")
    first.segment(5)
    second.segment(6)
    store_all(tmp_path / "a")
    both = DuckQueries([tmp_path / "a", tmp_path / "b"])
    assert both.run("newest", DAY).num_rows == 11


# -- the reports find what they are for ----------------------------------------------------------------

REPORTED: dict[str, dict[str, Any]] = {
    "report_02_exceptions": {"context__disaster_mode": True},
    "report_03_leavers": {"subject__employment": "ended"},
    "report_04_remote_maintenance": {"subject__kind": "contractor", "context__work_permit": "out_of_window"},
    "report_05_private_devices": {"device__ownership": "private", "device__permit": "expired"},
    "report_09_privileged": {"resource__group": "server_admin", "context__business_hours": False},
}


@pytest.mark.parametrize("name", REPORTED)
def test_a_report_names_what_it_is_for_and_nothing_else(engine: QueryEngine, tmp_path: Path, name: str):
    worker = Worker(tmp_path)
    worker.write([record(START, n) for n in range(3)])
    worker.write([record(START, 7, person="u-0077", **REPORTED[name])])
    (row,) = rows(engine.run(name, DAY))
    assert row["person"] == "u-0077"
    marks = {"outside_permit", "expired", "beyond_communication", "out_of_hours", "emergency_mode"} & row.keys()
    assert {mark: row[mark] for mark in marks - {"beyond_communication"}} == dict.fromkeys(
        marks - {"beyond_communication"}, True
    )


def test_the_report_of_completeness_counts_what_is_not_stored_yet(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(3)
    store_all(tmp_path)
    worker.segment(2)
    store = LocalStore(tmp_path, disk=HastyDisk())
    with store.held():
        publish_tails(store.layout, store.place, store.layout.names()[1:], store.disk)
    worker.write(some_records(worker.clock.now, 4))
    (row,) = rows(engine.run("report_10_completeness", {}))
    assert (row["segments"], row["fresh"], row["records"]) == (3, 2, 9)


def test_a_missing_segment_shows_in_the_report_of_completeness(engine: QueryEngine, tmp_path: Path):
    worker = Worker(tmp_path)
    for _ in range(3):
        worker.segment(2)
    store = LocalStore(tmp_path, disk=HastyDisk())
    store.layout.sealed_path(store.layout.names()[1]).unlink()
    store_all(tmp_path)
    (row,) = rows(engine.run("report_10_completeness", {}))
    assert (row["segments"], row["missing_segments"], row["damaged_segments"]) == (2, 1, 0)


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("no_such_question", {}),
        ("newest", {}),
        ("newest", DAY | {"colour": "red"}),
        ("newest", DAY | {"page": 0}),
        ("newest", DAY | {"page": 10**9}),
        ("newest", DAY | {"page": "; DROP"}),
        ("newest", DAY | {"before_time": START}),
        ("newest", {"since": START, "until": START}),
        ("newest", {"since": START.replace(tzinfo=None), "until": START}),
        ("person_day", DAY | {"person": ""}),
        ("person_day", DAY | {"person": "x" * 2000}),
        ("by_id", {"id": "'; SELECT 1"}),
        ("counts", {"since": START, "until": START + timedelta(days=1)}),
        ("counts", HOURS | {"utc_offset": 10_000}),
    ],
)
def test_a_question_that_is_none_is_refused(engine: QueryEngine, tmp_path: Path, name: str, params: dict[str, object]):
    Worker(tmp_path).segment(1)
    with pytest.raises(BadRequestError):
        engine.run(name, params)


def test_a_person_named_like_a_statement_is_only_a_person(engine: QueryEngine, tmp_path: Path):
    name = "u' OR 1=1 --"
    worker = Worker(tmp_path)
    worker.write([record(START, 1, person=name), record(START, 2)])
    assert [row["person"] for row in rows(engine.run("person_day", DAY | {"person": name}))] == [name]


def test_where_there_is_no_log_there_is_no_answer(engine: QueryEngine):
    with pytest.raises(NotReadyError):
        engine.run("newest", DAY)


def test_more_rows_than_a_table_may_have_are_refused_and_an_export_has_them(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write(some_records(START, 30))
    small = DuckQueries([tmp_path], EngineLimits(rows=10))
    with pytest.raises(BadRequestError, match="more than 10 rows"):
        small.run("newest", DAY | {"page": 1000})
    assert small.run("department_export", DAY | {"department": "tax"}).num_rows == 30
