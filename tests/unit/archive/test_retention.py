from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pdp.archive.duck import DuckQueries
from pdp.archive.entries import Hold
from pdp.archive.retention import Terms, carry_out, finish, left_behind, months_before, plan
from pdp.archive.store import LocalStore
from pdp.declog.layout import SEALED
from pdp.declog.recovery import previous_of
from pdp.errors import NotReadyError
from pdp.privacy.pseudonym import Pseudonyms
from tests.unit.archive.logs import Worker, record
from tests.unit.archive.test_store import store_at, stored_files
from tests.unit.declog.samples import START

TERMS = Terms(12, 36)
OLD = START + timedelta(days=5 * 366)
WARM = START + timedelta(days=500)
ALL = {"since": START - timedelta(days=1), "until": START + timedelta(days=1)}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    worker = Worker(tmp_path)
    for _ in range(3):
        worker.segment(10)
    worker.begin()
    store = store_at(tmp_path, rows_per_file=10)
    with store.held():
        store.publish(store.waiting(), START)
    return store


def apply(store: LocalStore, now: datetime, terms: Terms = TERMS) -> list[str]:
    with store.held():
        return [step.what for step in carry_out(store, plan(store, terms, now), terms, now)]


def hold(**others: object) -> Hold:
    facts: dict[str, object] = {"subject_id": None, "since": None, "until": None}
    return Hold("2030-17", reason="request of the court", placed_by="auditor", placed_at=START, **(facts | others))  # type: ignore[arg-type]


def found(store: LocalStore) -> int:
    return DuckQueries([store.layout.root]).run("newest", ALL | {"page": 1000}).num_rows


def test_a_plan_changes_nothing(store: LocalStore):
    steps = plan(store, TERMS, OLD)
    assert [step.what for step in steps] == ["remove"] * 3
    assert found(store) == 30


def test_young_records_stay_as_they_are(store: LocalStore):
    assert apply(store, START + timedelta(days=200)) == []
    assert {file.tier for file in stored_files(store)} == {"hot"}


def test_after_the_hot_months_files_go_to_the_archive_and_are_still_found(store: LocalStore, tmp_path: Path):
    terms = Terms(12, 36, tmp_path / "elsewhere")
    assert apply(store, WARM, terms) == ["archive"] * 3
    assert {file.tier for file in stored_files(store)} == {"archived"}
    assert len(list((tmp_path / "elsewhere" / "rows").iterdir())) == 3
    assert list(store.place.rows.iterdir()) == []
    assert found(store) == 30
    assert apply(store, WARM, terms) == []


def test_after_all_months_records_are_gone_from_files_and_segments_alike(store: LocalStore):
    assert apply(store, OLD) == ["remove"] * 3
    assert list(store.place.rows.iterdir()) == []
    assert store.layout.names(SEALED) == []
    assert found(store) == 0
    report = DuckQueries([store.layout.root]).run("report_10_completeness", {}).to_pylist()
    assert [(row["removed"], row["missing_segments"]) for row in report] == [(3, 0)]


@pytest.mark.parametrize(
    ("kept", "others"),
    [
        (3, {}),
        (3, {"subject_id": "u-0003"}),
        (0, {"subject_id": "z-0003"}),
        (0, {"since": START.replace(tzinfo=None) + timedelta(days=1)}),
        (0, {"until": START.replace(tzinfo=None)}),
        (1, {"since": START.replace(tzinfo=None) + timedelta(seconds=23)}),
        (1, {"until": START.replace(tzinfo=None) + timedelta(seconds=5)}),
    ],
)
def test_a_legal_hold_is_never_passed(store: LocalStore, kept: int, others: dict[str, object]):
    store.manifest.place_hold(hold(**others))
    assert apply(store, OLD) == ["remove"] * (3 - kept)
    assert found(store) == 10 * kept


@pytest.mark.parametrize("held", ["yamada", "aoki", "tanaka"])
def test_a_hold_keeps_a_file_in_which_a_pseudonym_stands_among_names(tmp_path: Path, held: str):
    """A rule may mask what was allowed and not what was denied: whose the pseudonym is, the file does not say."""
    worker = Worker(tmp_path)
    masked = Pseudonyms({1: b"k" * 32}).of("user", "yamada")
    worker.write([record(START, n, person=person) for n, person in enumerate(["hara", masked, "sato"])])
    worker.seal()
    worker.begin()
    store = store_at(tmp_path)
    with store.held():
        store.publish(store.waiting(), START)
    store.manifest.place_hold(hold(subject_id=held))
    assert [step.what for step in plan(store, TERMS, OLD)] == ["held"]
    assert apply(store, OLD) == []
    for person in ("hara", masked, "sato"):
        assert DuckQueries([store.layout.root]).run("person_day", ALL | {"person": person}).num_rows == 1


def test_of_files_that_are_gone_no_name_is_left(store: LocalStore):
    apply(store, OLD)
    assert b"u-000" not in store.place.manifest.read_bytes()


def test_a_hold_that_came_after_the_plan_is_honoured(store: LocalStore):
    steps = plan(store, TERMS, OLD)
    store.manifest.place_hold(hold())
    with store.held():
        assert carry_out(store, steps, TERMS, OLD) == []
    assert found(store) == 30


def test_a_lifted_hold_keeps_nothing_and_is_still_on_record(store: LocalStore):
    number = store.manifest.place_hold(hold())
    assert [step.what for step in plan(store, TERMS, OLD)] == ["held"] * 3
    assert store.manifest.lift_hold(number, by="auditor", now=START, reason="case closed")
    assert not store.manifest.lift_hold(number, by="auditor", now=START, reason="again")
    assert apply(store, OLD) == ["remove"] * 3
    assert [entry.id for entry in store.manifest.holds(lifted=True)] == [number]


def test_a_file_that_is_not_what_was_stored_is_not_moved(store: LocalStore, tmp_path: Path):
    path = store.rows_path(stored_files(store)[0])
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(NotReadyError, match="not what was stored"):
        apply(store, WARM, Terms(12, 36, tmp_path / "elsewhere"))
    assert path.exists()


def test_a_removal_that_was_cut_short_is_ended_by_the_next_run(store: LocalStore, tmp_path: Path):
    shutil.copytree(store.layout.segments, tmp_path / "copy")
    apply(store, OLD)
    shutil.copytree(tmp_path / "copy", store.layout.segments, dirs_exist_ok=True)
    assert found(store) == 0  # what was removed does not come back
    assert len(left_behind(store)) == 3
    with store.held():
        assert finish(store, OLD) == 3
    assert store.layout.names(SEALED) == []


def test_the_newest_segment_of_a_worker_stays_until_it_has_begun_another(tmp_path: Path):
    """Its next start reads there where the chain goes on."""
    worker = Worker(tmp_path)
    worker.segment(10)
    torn = Worker(tmp_path, "w1")
    torn.segment(10)
    torn.begin()
    store = store_at(tmp_path)
    first, kept = store.layout.names()[:2]
    for name in (first, kept):
        store.layout.torn_path(name).write_bytes(b"u-0001")
    with store.held():
        store.publish(store.waiting(), START)
    assert apply(store, OLD) == ["remove"]
    assert found(store) == 0
    assert store.layout.names(SEALED) == [first]
    assert left_behind(store) == []
    assert previous_of(store.layout, "local", "w0") is not None
    assert list(store.layout.torn.iterdir()) == [store.layout.torn_path(first)]
    worker.begin()
    with store.held():
        assert finish(store, OLD) == 1
    assert store.layout.names(SEALED) == []
    assert list(store.layout.torn.iterdir()) == []
    assert finish(store, OLD) == 0


def test_months_end_on_the_last_day_there_is():
    assert months_before(datetime(2026, 3, 31), 1) == datetime(2026, 2, 28)
    assert months_before(datetime(2026, 1, 15), 1) == datetime(2025, 12, 15)
    assert months_before(datetime(2026, 1, 15), 48) == datetime(2022, 1, 15)
    assert months_before(datetime(2026, 1, 15), 10**9).year == 1


def test_a_file_that_was_merged_after_the_plan_does_not_come_back(store: LocalStore):
    """Else the manifest names a file that is gone, and no question over its time is answered any more."""
    steps = plan(store, TERMS, WARM)
    with store.held():
        store.merge(stored_files(store), WARM)
        assert carry_out(store, steps, TERMS, WARM) == []
    assert [(file.tier, file.records) for file in stored_files(store)] == [("hot", 30)]
    assert found(store) == 30


def test_a_file_that_was_merged_after_the_plan_is_not_entered_as_removed(store: LocalStore):
    steps = plan(store, TERMS, OLD)
    with store.held():
        store.merge(stored_files(store), OLD)
        assert carry_out(store, steps, TERMS, OLD) == []
    assert found(store) == 30
