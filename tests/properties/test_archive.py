"""Whatever is written, published, stored, merged and removed in whatever order: each record is seen exactly once."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.archive.arrow_tables import table_of
from pdp.archive.bodies import bodies_of
from pdp.archive.intake import Intake
from pdp.archive.rows import body_of, row_of
from pdp.archive.schema import INDEX
from pdp.archive.tail import publish_tails
from pdp.declog.record import encode_record, read_record
from tests.unit.archive.logs import Worker, record, some_records
from tests.unit.archive.test_store import all_bodies, fresh_names, store_at
from tests.unit.declog.samples import START

DOINGS = st.lists(st.sampled_from(["write", "seal", "tails", "store", "merge", "remove", "restart"]), max_size=14)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOINGS)
def test_every_record_is_seen_exactly_once_after_every_step(doings: list[str]):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        worker = Worker(root)
        worker.write([])
        written: list[bytes] = []
        for number, doing in enumerate(doings):
            now = START + timedelta(days=1, hours=number)
            store = store_at(root, rows_per_file=7)
            with store.held():
                match doing:
                    case "write":
                        records = some_records(worker.clock.now + timedelta(minutes=number), 3)
                        worker.write(records)
                        written += records
                    case "seal":
                        worker.seal()
                        worker.write([])
                    case "tails":
                        publish_tails(store.layout, store.place, fresh_names(store), store.disk)
                    case "store":
                        store.publish(store.waiting(), now)
                    case "merge" if len(store.manifest.files()) > 1:
                        store.merge(store.manifest.files(), now)
                    case "remove":
                        store.remove_segments(now, now)
                    case "restart":
                        worker = Worker(root, start=worker.clock.now + timedelta(minutes=20 + number))
                        worker.write([])
            assert sorted(all_bodies(root)) == sorted(written)


TEXTS = st.one_of(st.none(), st.text(max_size=20))
NUMBERS = st.one_of(st.none(), st.integers(min_value=0), st.just(1 << 63), st.just((1 << 63) - 1))
TIMES = st.one_of(
    st.none(),
    st.datetimes().map(lambda at: f"{at.isoformat(timespec='microseconds')}Z"),
    st.sampled_from(["2026-13-01T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "0000-01-01T00:00:00.000000Z"]),
)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.fixed_dictionaries(
        dict.fromkeys(["trace_id", "request_id", "subject_id", "path", "fault", "error_code", "session_id"], TEXTS)
    ),
    now=TIMES,
    epoch=NUMBERS,
    reasons=st.lists(st.text(max_size=8), max_size=4),
    obligations=st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers()), max_size=4),
    steps=st.dictionaries(st.sampled_from(["facts", "engine", "cache", "odd"]), st.integers(min_value=0), max_size=4),
)
def test_a_record_of_any_values_comes_back_byte_for_byte(texts, now, epoch, reasons, obligations, steps):
    other = {"now": now, "directory_epoch": epoch, "reasons": reasons, "obligations": obligations, "steps_us": steps}
    body = encode_record(msgspec.structs.replace(read_record(record(START)), **texts, **other))
    assert body_of(row_of("s", 1, body)) == body
    usual = record(START, 1)
    intake = Intake("s")
    for seq, one in enumerate((usual, body, usual)):
        intake.add(seq, one)
    assert intake.table().to_pylist()[1] == table_of([row_of("s", 1, body)]).to_pylist()[0]
    assert list(bodies_of(intake.table())) == [usual, body, usual]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).filter(lambda data: b"\n" not in data))
def test_bytes_that_are_no_record_are_kept_as_they_are(data: bytes):
    body = b"{" + data + b"}"
    row = row_of("s", 1, body)
    assert body_of(row) == body
    assert row[INDEX["raw"]] == body
