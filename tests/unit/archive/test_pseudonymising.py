from __future__ import annotations

import json
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdp.archive.arrow_tables import rows_of
from pdp.archive.duck import DuckQueries
from pdp.archive.entries import Hold
from pdp.archive.keeper import Keeper
from pdp.archive.pseudonymising import RuleSet, carry_out, finish, plan
from pdp.archive.restoring import leaves_again, prove_store, restorer, segment_again
from pdp.archive.retention import Terms
from pdp.archive.retention import carry_out as retain
from pdp.archive.retention import plan as retention_plan
from pdp.archive.rewrites import LEAF, Rewrites, is_rewritten
from pdp.archive.schema import INDEX
from pdp.archive.store import LocalStore
from pdp.declog.record import read_record
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.merkle import leaf_hash
from pdp.privacy.masking import Masking
from pdp.privacy.old_records import OLD_RECORDS, text_of
from tests.unit.archive.ended import CutDisk, Stopped, StoppingDisk
from tests.unit.archive.logs import Worker, record
from tests.unit.archive.test_store import all_bodies, store_at, stored_files
from tests.unit.declog.samples import START
from tests.unit.privacy.samples import PSEUDONYMS

LATER = START + timedelta(days=800)
RULES = RuleSet(Masking(OLD_RECORDS, PSEUDONYMS), text_of(OLD_RECORDS), PSEUDONYMS.epoch)
NAMES = (b"u-000", b"d-0000", b"192.0.2.7", b"/schedule", b"s-1", b"r-1", b"4bf92f35", b"14fd2890")


def log_at(root: Path, segments: int = 3) -> Worker:
    worker = Worker(root)
    for _ in range(segments):
        worker.segment(10)
    worker.begin()
    store = store_at(root, rows_per_file=10)
    with store.held():
        store.publish(store.waiting(), START)
    return worker


def rewrite(store: LocalStore, months: int = 13, rules: RuleSet = RULES) -> list[str]:
    with store.held():
        return [done.file for done in carry_out(store, plan(store, months, LATER), rules, LATER, "auditor")]


def files_of(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    log_at(tmp_path)
    return store_at(tmp_path, rows_per_file=10)


def test_old_records_lose_their_names_everywhere_and_keep_what_was_decided(tmp_path: Path):
    worker = log_at(tmp_path)
    store = store_at(tmp_path)
    assert b"u-0001" in files_of(tmp_path / "segments")
    assert len(rewrite(store)) == 3
    bodies = [read_record(body) for body in all_bodies(tmp_path)]
    before = {read_record(body).id: read_record(body) for body in worker.written}
    assert {body.id for body in bodies} == before.keys()
    for body in bodies:
        was = before[body.id]
        assert body.subject_id == PSEUDONYMS.of("user", str(was.subject_id))
        assert (body.time, body.outcome, body.reasons) == (was.time, was.outcome, was.reasons)
        assert (body.bundle_digest, body.obligations) == (was.bundle_digest, was.obligations)
        assert (body.source_ip, body.path, body.session_id) == ("192.0.2.0/24", None, None)
    assert list((tmp_path / "segments").glob("*.ndjson")) == []
    left = files_of(tmp_path)
    assert not [name for name in NAMES if name in left]


def test_each_row_keeps_its_place_and_the_hash_of_what_it_was(tmp_path: Path):
    worker = log_at(tmp_path)
    store = store_at(tmp_path)
    rewrite(store)
    originals = {read_record(body).id: leaf_hash(body) for body in worker.written}
    found = 0
    for file in stored_files(store):
        table = pq.read_table(store.rows_path(file))
        for row, leaf in zip(rows_of(table), table[LEAF].to_pylist(), strict=True):
            assert originals[str(read_id(row))] == leaf
            found += 1
        segments = store.manifest.segments_of(file.name)
        assert sorted(table["seq"].to_pylist()) == [
            seq for segment in segments for seq in range(segment.first_seq or 0, (segment.last_seq or 0) + 1)
        ]
    assert found == 30


def read_id(row: tuple) -> object:
    from uuid import UUID

    value = row[INDEX["id"]]
    return value if isinstance(value, UUID) else UUID(bytes=value)


def test_the_store_is_still_proven_and_says_of_which_records_the_hash_alone(store: LocalStore):
    rewrite(store)
    assert prove_store(store) == (30, [])
    told = Rewrites(store.manifest).known()
    assert [(one.records, one.blanked, one.by) for one in told] == [(10, 0, "auditor")] * 3
    assert json.loads(told[0].rules)[0]["pointer"] == "/subject_id"
    assert (told[0].rules_sha256, told[0].key_epoch) == (RULES.sha256, 1)
    names = [str(segment.name) for file in stored_files(store) for segment in store.manifest.segments_of(file.name)]
    for name in names:
        leaves = leaves_again(store, name)
        assert leaves is not None
        assert len(leaves.hashes) == 10
        with pytest.raises(NotReadyError, match="pseudonymised"):
            segment_again(store, name)
    archived, restore = restorer(store.layout.root)
    assert archived == set(names)
    assert [restore(name) for name in names] == [leaves_again(store, name) for name in names]


def test_a_second_run_finds_nothing_to_do(store: LocalStore):
    rewrite(store)
    before = stored_files(store)
    assert [step.what for step in plan(store, 13, LATER)] == ["done"] * 3
    assert rewrite(store) == []
    assert stored_files(store) == before


def test_young_records_are_left_alone_and_a_plan_changes_nothing(store: LocalStore):
    before = files_of(store.layout.root)
    assert plan(store, 36, LATER) == []
    assert [step.what for step in plan(store, 13, LATER)] == ["pseudonymise"] * 3
    assert files_of(store.layout.root) == before


def hold(**others: object) -> Hold:
    facts: dict[str, object] = {"subject_id": None, "since": None, "until": None}
    return Hold("2030-17", reason="the court", placed_by="auditor", placed_at=START, **(facts | others))  # type: ignore[arg-type]


def test_a_legal_hold_keeps_records_as_they_are(store: LocalStore):
    number = store.manifest.place_hold(hold(subject_id="u-0003"))
    steps = plan(store, 13, LATER)
    assert [(step.what, step.holds) for step in steps] == [("held", (number,))] * 3
    assert rewrite(store) == []
    assert len(all_bodies(store.layout.root)) == 30
    assert b"u-0003" in files_of(store.layout.root)


def test_a_hold_that_was_placed_after_the_plan_is_honoured(store: LocalStore):
    steps = plan(store, 13, LATER)
    store.manifest.place_hold(hold())
    before = sorted(path.name for path in store.place.rows.iterdir())
    with store.held():
        assert carry_out(store, steps, RULES, LATER, "auditor") == []
    assert sorted(path.name for path in store.place.rows.iterdir()) == before
    assert len(list(store.layout.segments.glob("*.ndjson"))) == 3
    assert prove_store(store) == (30, [])


def test_what_was_altered_is_not_covered_up(store: LocalStore):
    path = store.rows_path(stored_files(store)[-1])
    table = pq.read_table(path)
    at = table.schema.get_field_index("outcome")
    pq.write_table(table.set_column(at, "outcome", [["allow"] * table.num_rows]), path)
    with pytest.raises(RecordDamagedError):
        rewrite(store)
    assert Rewrites(store.manifest).known() == []
    assert len(list(store.layout.segments.glob("*.ndjson"))) == 3


def test_the_newest_segment_of_a_worker_waits_until_it_has_begun_another(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    store = store_at(tmp_path)
    with store.held():
        store.publish(store.waiting(), START)
    store.layout.torn_path(store.layout.names()[0]).write_bytes(b"u-0001")
    assert [step.what for step in plan(store, 13, LATER)] == ["newest"]
    assert rewrite(store) == []
    worker.begin()
    assert len(rewrite(store)) == 1
    assert [path.suffix for path in store.layout.segments.iterdir()] == [".open"]
    assert list(store.layout.torn.iterdir()) == []


def test_a_damaged_segment_keeps_its_file(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.segment(10)
    path = next((tmp_path / "segments").glob("*.ndjson"))
    path.write_bytes(path.read_bytes().replace(b'"allow"', b'"alloW"', 1))
    store = store_at(tmp_path)
    with store.held():
        store.publish(store.waiting(), START)
    assert [step.what for step in plan(store, 13, LATER)] == ["damaged"]
    assert rewrite(store) == []
    assert path.exists()


def test_a_record_that_cannot_be_read_keeps_its_frame_and_its_hash(tmp_path: Path):
    worker = Worker(tmp_path)
    odd = [
        (
            b'{"schema":"sekisho.decision/v9","id":"018f0000-0000-7000-8000-000000000000","outcome":"deny",'
            b'"who":"tanaka","time":"2026-04-01T00:00:00.000001Z","reasons":["tanaka"]}'
        ),
        b'{"id":"tanaka","time":"tanaka","outcome":"tanaka","kind":["tanaka"]}',
    ]
    worker.write([record(START), *odd])
    worker.seal()
    worker.begin()
    store = store_at(tmp_path)
    with store.held():
        store.publish(store.waiting(), START)
    assert len(rewrite(store)) == 1
    assert Rewrites(store.manifest).known()[0].blanked == 2
    assert b"tanaka" not in files_of(tmp_path)
    (file,) = stored_files(store)
    leaves = set(pq.read_table(store.rows_path(file))[LEAF].to_pylist())
    assert leaves == {leaf_hash(body) for body in worker.written}
    assert prove_store(store) == (3, [])
    rows = list(rows_of(pq.read_table(store.rows_path(file))))
    assert sorted(str(row[INDEX["outcome"]]) for row in rows) == ["None", "allow", "deny"]


@pytest.mark.parametrize("what", ["a leaf", "a number", "a row less", "another root"])
def test_an_altered_leaf_is_found(store: LocalStore, what: str):
    rewrite(store)
    file = stored_files(store)[0]
    path = store.rows_path(file)
    table = pq.read_table(path)
    if what == "a leaf":
        leaves = [b"\0" * 32, *table[LEAF].to_pylist()[1:]]
        field = table.schema.field(LEAF)
        table = table.set_column(table.schema.get_field_index(LEAF), field, pa.array(leaves, field.type))
    if what == "a number":
        table = table.set_column(
            table.schema.get_field_index("seq"), "seq", [[n + 1 for n in table["seq"].to_pylist()]]
        )
    if what == "a row less":
        table = table.slice(1)
    pq.write_table(table, path)
    if what == "another root":
        with store.manifest.changing() as connection:
            connection.execute("UPDATE leaf_roots SET root = ? WHERE segment LIKE '%'", ["0" * 64])
        assert len(prove_store(store)[1]) == 3
    else:
        assert prove_store(store) == (20, [file.name])


def test_questions_find_a_person_by_their_pseudonym_and_counts_stay(store: LocalStore):
    engine = DuckQueries([store.layout.root])
    span = {"since": START - timedelta(days=1), "until": START + timedelta(days=1)}
    before = engine.run("person_day", span | {"person": "u-0003"}).num_rows
    whole = {name: value.replace(minute=0, second=0, microsecond=0) for name, value in span.items()}
    counts = engine.run("counts", whole).to_pylist()
    rewrite(store)
    assert before > 0
    assert engine.run("person_day", span | {"person": "u-0003"}).num_rows == 0
    assert engine.run("person_day", span | {"person": PSEUDONYMS.of("user", "u-0003")}).num_rows == before
    assert engine.run("counts", whole).to_pylist() == counts


def test_questions_over_files_with_and_without_leaves_are_answered(tmp_path: Path):
    log_at(tmp_path)
    store = store_at(tmp_path)
    with store.held():
        carry_out(store, plan(store, 13, LATER)[:2], RULES, LATER, "auditor")
    span = {"since": START - timedelta(days=1), "until": START + timedelta(days=1)}
    assert DuckQueries([tmp_path]).run("newest", span | {"page": 100}).num_rows == 30
    assert [is_rewritten(store.rows_path(file)) for file in stored_files(store)] == [False, True, True]
    found = DuckQueries([tmp_path]).run("department_export", span | {"department": "tax"})
    assert (found.num_rows, LEAF in found.column_names) == (30, False)


def test_rewritten_files_go_to_the_archive_and_away_as_others_do_and_are_never_merged(tmp_path: Path):
    log_at(tmp_path, segments=6)
    store = store_at(tmp_path)
    rewrite(store)
    Keeper(store, keep_segments_days=0).once(LATER)
    assert len(stored_files(store)) == 6
    terms = Terms(12, 36, tmp_path / "old")
    with store.held():
        retain(store, retention_plan(store, terms, LATER), terms, LATER)
    assert {file.tier for file in stored_files(store)} == {"archived"}
    assert prove_store(store) == (60, [])
    with store.held():
        retain(store, retention_plan(store, terms, LATER + timedelta(days=1500)), terms, LATER)
    assert stored_files(store) == []
    assert Rewrites(store.manifest).known() == []


def test_files_in_the_archive_are_rewritten_where_they_lie(tmp_path: Path):
    log_at(tmp_path)
    store = store_at(tmp_path)
    terms = Terms(12, 36, tmp_path / "old")
    with store.held():
        retain(store, retention_plan(store, terms, LATER), terms, LATER)
    assert len(rewrite(store)) == 3
    assert b"u-000" not in files_of(tmp_path)
    assert len(list((tmp_path / "old" / "rows").iterdir())) == 3
    assert len(list((tmp_path / "old" / "hourly").iterdir())) == 3
    assert prove_store(store) == (30, [])


def test_a_crash_before_any_step_leaves_each_record_once_and_the_next_run_ends_it(tmp_path: Path):
    template = tmp_path / "template"
    log_at(template, segments=1)
    for operations in count():
        root = tmp_path / str(operations)
        shutil.copytree(template, root)
        try:
            rewrite(store_at(root, disk=StoppingDisk(operations), rows_per_file=10))
            ended = True
        except Stopped:
            ended = False
        # Every record is there once, as it was or without names, and what is there is proven.
        with store_at(root).held():
            pass
        assert len({read_record(body).id for body in all_bodies(root)}) == len(all_bodies(root)) == 10, operations
        assert prove_store(store_at(root)) == (10, []), operations
        again = store_at(root, rows_per_file=10)
        rewrite(again)
        with again.held():
            finish(again)
        assert prove_store(again) == (10, []), operations
        left = files_of(root)
        assert not [name for name in NAMES if name in left], operations
        assert len(Rewrites(again.manifest).known()) == 1
        if ended:
            assert operations > 20
            return


@pytest.mark.parametrize("seed", range(12))
def test_a_power_failure_leaves_each_record_once(tmp_path: Path, seed: int):
    random = Random(seed)
    log_at(tmp_path, segments=2)
    disk = CutDisk(random.randrange(45))
    try:
        rewrite(store_at(tmp_path, disk=disk, rows_per_file=10))
    except OSError:
        disk.crash(random)
    again = store_at(tmp_path, rows_per_file=10)
    rewrite(again)
    assert len({read_record(body).id for body in all_bodies(tmp_path)}) == len(all_bodies(tmp_path)) == 20
    assert prove_store(again) == (20, [])
    assert b"u-000" not in files_of(tmp_path / "store")
