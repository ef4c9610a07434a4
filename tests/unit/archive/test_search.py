from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.archive.asking import MAX_GROUPS, MAX_PAGE, PARAMETERS, Cursor, Filters, cursor_of, filters_of, groups_of
from pdp.archive.search import BRIEF, DuckSearch
from pdp.archive.store import LocalStore
from pdp.errors import BadRequestError, NotReadyError
from tests.unit.archive.logs import Worker, some_records
from tests.unit.archive.search_world import HOUR, Entry, grouped, lay_down, newest_first
from tests.unit.archive.test_store import publish, store_at
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, uuid7_at

SINCE = HOUR.replace(tzinfo=None)
DAY = Filters(SINCE, SINCE + timedelta(days=1))
TIMES = {"since": ["2026-04-01T00:00:00Z"], "until": ["2026-04-02T00:00:00Z"]}


def pages(search: DuckSearch, filters: Filters, size: int) -> list[list[dict[str, Any]]]:
    found = []
    before: Cursor | None = None
    while True:
        page = search.page(filters, size=size, before=before)
        found.append(page.table.to_pylist())
        if page.next is None:
            return found
        before = cursor_of(page.next.text())


# -- pages ---------------------------------------------------------------------------------------------


def test_pages_hold_everything_once_also_at_one_instant_and_without_an_id(tmp_path: Path):
    shapes = ("decision", "refusal", "foreign", "nameless")
    entries = [Entry(number, HOUR, shape=shapes[number % 4]) for number in range(24)]
    lay_down(tmp_path, entries, stored=10, published=7)
    for size in (1, 5, 24, 25):
        found = pages(DuckSearch([tmp_path]), DAY, size)
        assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
        assert [(row["time"], str(row["id"] or "")) for page in found for row in page] == newest_first(entries)


def test_a_record_that_stands_twice_is_shown_twice_and_hides_no_other(tmp_path: Path):
    twice = Entry(1, HOUR)
    worker = Worker(tmp_path)
    for _ in range(2):  # as after a write that failed: the group goes to a new segment
        worker.write([twice.body(), Entry(2, HOUR).body()])
        worker.seal()
    found = pages(DuckSearch([tmp_path]), DAY, 1)
    assert [str(row["id"]) for page in found for row in page] == [Entry(2, HOUR).id] * 2 + [twice.id] * 2


def test_a_page_says_what_it_is_about_in_known_columns(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR, person="利用者", action="GET")], stored=1, published=0)
    page = DuckSearch([tmp_path]).page(DAY, size=5)
    assert tuple(page.table.column_names) == BRIEF
    (row,) = page.table.to_pylist()
    assert (row["person"], row["departments"], row["action"]) == ("利用者", ["tax", "disaster"], "GET")
    assert page.next is None


def test_an_empty_page_has_the_same_columns(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR)], stored=1, published=0)
    page = DuckSearch([tmp_path]).page(replace(DAY, person="nobody"), size=5)
    assert (page.table.num_rows, tuple(page.table.column_names), page.next) == (0, BRIEF, None)


def test_the_newest_page_opens_the_newest_files_alone(tmp_path: Path):
    worker, store = Worker(tmp_path), store_at(tmp_path)
    for _ in range(4):
        worker.segment(10)
        publish(store)
    oldest = store.manifest.files()[-1]
    store.rows_path(oldest).write_bytes(b"no Parquet")
    newest = DuckSearch([tmp_path]).page(Filters(SINCE, SINCE + timedelta(days=1)), size=12)
    assert newest.table.num_rows == 12


def test_a_page_stays_where_it_is_while_the_store_changes_under_it(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    worker.segment(10)
    search = DuckSearch([tmp_path])
    first = search.page(DAY, size=8)
    publish(store_at(tmp_path))
    worker.write(some_records(worker.clock.now, 5))  # newer: not on the pages that follow
    rest = search.page(DAY, size=100, before=first.next)
    assert first.table.num_rows + rest.table.num_rows == 20
    assert not set(first.table["id"].to_pylist()) & set(rest.table["id"].to_pylist())


@pytest.mark.parametrize("size", [0, -1, MAX_PAGE + 1])
def test_a_page_of_no_size_or_too_large_is_refused(tmp_path: Path, size: int):
    with pytest.raises(BadRequestError):
        DuckSearch([tmp_path]).page(DAY, size=size)


# -- counts --------------------------------------------------------------------------------------------

MIXED = [
    Entry(number, HOUR + timedelta(minutes=25 * number), person=f"u-{number % 3}", outcome=outcome, reasons=reasons)
    for number, (outcome, reasons) in enumerate(
        [("deny", ("DEVICE_LOST", "PATCH_OVERDUE")), ("allow", ("OK_BASE",)), ("deny", ("DEVICE_LOST",)), ("allow", ())]
        * 3
    )
]


@pytest.mark.parametrize("by", [("hour", "reason"), ("reason",), ("day", "outcome"), ("person",), ("department",)])
@pytest.mark.parametrize("people", [True, False])
def test_a_grouping_counts_each_reason_once_and_nobody_twice(tmp_path: Path, by: tuple[str, ...], people: bool):
    lay_down(tmp_path, MIXED, stored=5, published=4)
    rows = DuckSearch([tmp_path]).group(DAY, by, people=people).to_pylist()  # type: ignore[arg-type]
    assert {tuple(row[name] for name in by): row["decisions"] for row in rows} == {
        key: decisions for key, (decisions, _) in grouped(MIXED, by).items()
    }
    assert ("people" in rows[0]) == people


def test_a_grouping_by_time_comes_in_its_order_and_another_by_its_size(tmp_path: Path):
    lay_down(tmp_path, MIXED, stored=12, published=0)
    search = DuckSearch([tmp_path])
    hours = [row["hour"] for row in search.group(DAY, ["outcome", "hour"]).to_pylist()]
    assert hours == sorted(hours)
    sizes = [row["decisions"] for row in search.group(DAY, ["reason"]).to_pylist()]
    assert sizes == sorted(sizes, reverse=True)
    assert search.group(DAY, ["reason"], limit=2).num_rows == 2


def test_an_hour_is_the_local_one_also_where_it_begins_at_half_past(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR + timedelta(minutes=40))], stored=1, published=0)
    search = DuckSearch([tmp_path])
    for people in (True, False):
        (row,) = search.group(DAY, ["hour"], utc_offset_min=330, people=people).to_pylist()
        assert row["hour"] == "2026-04-01T06:00:00+05:30"  # 00:40 UTC is 06:10 there
        (row,) = search.group(DAY, ["day"], utc_offset_min=-60, people=people).to_pylist()
        assert row["day"] == "2026-03-31"


def test_counts_of_whole_hours_do_not_open_the_rows(tmp_path: Path):
    lay_down(tmp_path, MIXED, stored=12, published=0)
    store = store_at(tmp_path)
    store.rows_path(store.manifest.files()[0]).write_bytes(b"no Parquet")
    search = DuckSearch([tmp_path])
    assert search.count(replace(DAY, outcomes=("deny",), reasons=("PATCH_OVERDUE",))) == 3
    assert search.group(DAY, ["hour", "reason"], people=False).num_rows > 0


def test_the_hour_that_begins_with_the_end_is_not_counted(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR), Entry(2, HOUR + timedelta(hours=1))], stored=2, published=0)
    assert DuckSearch([tmp_path]).count(Filters(SINCE, SINCE + timedelta(hours=1))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": []},
        {"by": ["hour", "reason", "person"]},
        {"by": ["hour", "hour"]},
        {"by": ["raw"]},
        {"by": ["hour"], "utc_offset_min": 841},
        {"by": ["hour"], "limit": 0},
        {"by": ["hour"], "limit": MAX_GROUPS + 1},
    ],
)
def test_a_grouping_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    with pytest.raises(BadRequestError):
        DuckSearch([tmp_path]).group(DAY, **wrong)


# -- one -----------------------------------------------------------------------------------------------


def test_one_decision_is_there_at_once_and_after_it_was_stored(tmp_path: Path):
    worker, entry = Worker(tmp_path), Entry(7, HOUR)
    worker.write([entry.body(), Entry(8, HOUR).body()])
    search = DuckSearch([tmp_path])
    for _ in range(2):
        (row,) = search.one(entry.id).to_pylist()
        assert (str(row["id"]), row["person"], row["subject_kind"]) == (entry.id, "u-0001", "staff")
        worker.seal()
        publish(store_at(tmp_path))
        worker.write([])
    assert search.one(uuid7_at(HOUR, 999)).num_rows == 0


def test_one_decision_of_a_wrong_clock_is_found_everywhere(tmp_path: Path):
    late = replace(Entry(7, HOUR), at=HOUR + timedelta(days=3))
    early = Entry(7, HOUR)
    body = late.body().replace(late.id.encode(), early.id.encode())
    Worker(tmp_path).write([body])
    search = DuckSearch([tmp_path])
    assert search.one(early.id).num_rows == 0
    assert search.one(early.id, everywhere=True).num_rows == 1


@pytest.mark.parametrize("text", ["", "1", "'; SELECT 1", "00000000-0000-0000-0000"])
def test_what_is_no_id_is_refused(tmp_path: Path, text: str):
    with pytest.raises(BadRequestError):
        DuckSearch([tmp_path]).one(text)


# -- bounds, several logs, faults ----------------------------------------------------------------------


def test_who_is_bound_to_departments_sees_their_people_in_every_answer(tmp_path: Path):
    ours = [Entry(n, HOUR, departments=("税務課's",), person="ours") for n in range(3)]
    theirs = [Entry(n + 10, HOUR, departments=("it",), person="theirs") for n in range(4)]
    refusals = [Entry(n + 20, HOUR, shape="refusal") for n in range(2)]  # of nobody whom the directory knew
    lay_down(tmp_path, [*ours, *theirs, *refusals], stored=5, published=2)
    search, within = DuckSearch([tmp_path]), ("税務課's", "x")
    bound = replace(DAY, within=within)
    assert {row["person"] for page in pages(search, bound, 2) for row in page} == {"ours"}
    assert search.count(bound) == 3
    assert search.count(replace(bound, department="it")) == 0
    assert search.count(replace(DAY, within=())) == 0
    for people in (True, False):
        assert [row["decisions"] for row in search.group(bound, ["hour"], people=people).to_pylist()] == [3]
    assert sum(len(batch) for batch in search.stream(bound)) == 3
    assert search.one(theirs[0].id, within=within).num_rows == 0
    assert search.one(ours[0].id, within=within).num_rows == 1
    hours = {"since": HOUR, "until": HOUR + timedelta(hours=1)}
    assert search.report("newest", hours, within=within).num_rows == 3
    counted = search.report("counts", hours, within=within).to_pylist()
    assert [(row["department"], row["decisions"]) for row in counted] == [("税務課's", 3)]
    times = {"since": DAY.since, "until": DAY.until}
    (row,) = search.sql("SELECT count(*) AS n FROM decisions", **times, within=within).to_pylist()
    assert row["n"] == 3


def test_several_logs_are_searched_as_one(tmp_path: Path):
    first, second = [Entry(n, HOUR + timedelta(seconds=n)) for n in range(9)], [Entry(n, HOUR) for n in range(20, 26)]
    lay_down(tmp_path / "a", first, stored=4, published=2)
    lay_down(tmp_path / "b", second, stored=0, published=3)
    search = DuckSearch([tmp_path / "a", tmp_path / "b"])
    assert [(r["time"], str(r["id"])) for p in pages(search, DAY, 4) for r in p] == newest_first([*first, *second])
    assert search.count(DAY) == 15


def test_exceptions_are_those_of_the_report(tmp_path: Path):
    kinds = [{}, {"disaster": True}, {"subject_kind": "emergency_account"}, {"resource_group": "disaster"}]
    entries = [
        Entry(4 * n + m, HOUR, outcome=outcome, **kind)  # type: ignore[arg-type]
        for n, outcome in enumerate(["allow", "limit", "deny"])
        for m, kind in enumerate(kinds)
    ]
    lay_down(tmp_path, entries, stored=6, published=3)
    search = DuckSearch([tmp_path])
    report = search.report("report_02_exceptions", {"since": HOUR, "until": HOUR + timedelta(hours=1)})
    found = search.page(replace(DAY, exception=True), size=100).table
    assert set(found["id"].to_pylist()) == set(report["id"].to_pylist())
    assert found.num_rows == 6
    assert search.count(replace(DAY, exception=False)) == len(entries) - 6


def test_a_merged_store_answers_as_before(tmp_path: Path):
    worker = Worker(tmp_path)
    store = LocalStore(tmp_path, rows_per_file=7, disk=HastyDisk())
    for _ in range(3):
        worker.segment(6)
        publish(store)
    before = DuckSearch([tmp_path]).page(DAY, size=100).table.to_pylist()
    with store.held():
        store.merge(store.manifest.files(), START)
    assert DuckSearch([tmp_path]).page(DAY, size=100).table.to_pylist() == before


def test_where_there_is_no_log_nothing_can_be_asked(tmp_path: Path):
    search = DuckSearch([tmp_path])
    for ask in (lambda: search.page(DAY, size=1), lambda: search.count(DAY), lambda: list(search.stream(DAY))):
        with pytest.raises(NotReadyError):
            ask()


# -- parameters ----------------------------------------------------------------------------------------


def test_every_parameter_becomes_its_filter():
    texts = ["person", "department", "device", "resource", "resource_group", "caller", "revision", "source_ip"]
    texts += ["action", "request_id", "trace_id"]
    given = {name: [f"{name} 'x"] for name in texts}
    given |= {"outcome": ["deny", "limit", "deny"], "reason": ["A", "B"], "kind": ["refusal"]}
    given |= {"exception": ["true"], "disaster_mode": ["false"]}
    assert {*given, *TIMES} == set(PARAMETERS)
    filters = filters_of(TIMES | given)
    assert [getattr(filters, name) for name in texts] == [f"{name} 'x" for name in texts]
    assert (filters.outcomes, filters.reasons, filters.kind) == (("deny", "limit"), ("A", "B"), "refusal")
    assert (filters.exception, filters.disaster_mode, filters.within) == (True, False, None)
    assert filters.since == SINCE


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": ["red"]},
        {"within": ["tax"]},
        {"since": []},
        {"since": ["2026-04-01T00:00:00"]},
        {"since": ["2026-04-01T00:00:00 09:00"]},  # a `+` that was not escaped
        {"since": ["0001-01-01T00:00:00+14:00"]},
        {"until": ["2026-04-01T00:00:00Z"]},
        {"until": ["9999-12-31T23:59:59-14:00"]},
        {"person": [""]},
        {"person": ["x" * 1_001]},
        {"person": ["a", "b"]},
        {"person": ["\ud800"]},
        {"outcome": ["permit"]},
        {"reason": [f"R{n}" for n in range(33)]},
        {"kind": ["other"]},
        {"exception": ["1"]},
        {"disaster_mode": [""]},
    ],
)
def test_a_parameter_that_is_none_is_refused_with_a_next_step(wrong: dict[str, list[str]]):
    with pytest.raises(BadRequestError) as refused:
        filters_of(TIMES | wrong)
    assert refused.value.next_step
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("name", ["person", "reason", "action"])
@pytest.mark.parametrize("value", ["' OR 1=1 --", "%", "$since", "x\x00y", "'; DROP VIEW decisions; --", "利用者"])
def test_a_hostile_value_is_only_a_value(hostile_log: DuckSearch, name: str, value: str):
    assert hostile_log.count(filters_of(TIMES | {name: [value]})) == 0


@pytest.fixture(scope="module")
def hostile_log(tmp_path_factory: pytest.TempPathFactory) -> DuckSearch:
    root = tmp_path_factory.mktemp("hostile")
    lay_down(root, [Entry(n, HOUR) for n in range(4)], stored=2, published=1)
    return DuckSearch([root])


@pytest.mark.parametrize("text", ["", "hour,", "hour,hour", "hour,reason,person", "raw", "hour reason"])
def test_dimensions_that_are_none_are_refused(text: str):
    with pytest.raises(BadRequestError):
        groups_of(text)


def test_dimensions_are_one_or_two():
    assert groups_of("hour") == ("hour",)
    assert groups_of("reason,hour") == ("reason", "hour")
