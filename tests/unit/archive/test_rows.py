from __future__ import annotations

from datetime import timedelta

import msgspec
import pyarrow.parquet as pq
import pytest

from pdp.archive.arrow_tables import rows_of, table_of
from pdp.archive.datafile import write_table
from pdp.archive.rows import body_of, row_of
from pdp.archive.schema import ACTION, COLUMNS, CONTEXT, DEVICE, INDEX, PEP, POSTURE, RECORD, RESOURCE, STEPS, SUBJECT
from pdp.declog.record import Record, encode_record, read_record, refusal_of
from pdp.model import input as v1
from pdp.model.request import Refusal
from tests.unit.archive.logs import DENY, facts, record
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, full_record, new_id


def changed(**values: object) -> bytes:
    return encode_record(msgspec.structs.replace(read_record(record(START)), **values))


def refused() -> bytes:
    from pdp.errors import BadRequestError

    refusal = Refusal(wire="authzen", fault=BadRequestError("no `subject`"), body_sha256="ab" * 32, body_bytes=12)
    return refusal_of(refusal, decision_id=new_id(), time=START, caller_id="gateway-1")


BODIES = {
    "permit": record(START),
    "deny": record(START, 1, DENY),
    "whole second": record(START.replace(microsecond=0)),
    "refusal": refused(),
    "input of another form": full_record(new_id()),
    "nothing but an id": changed(input=msgspec.Raw(b"null"), reasons=[], obligations={}, steps_us={}),
    "spaces in the input": changed(input=msgspec.Raw(b'{ "a": 1.5 }')),
    "obligations": changed(obligations={"b": 1, "a": "x", "n": 10**30}),
    "context": changed(policy_context=msgspec.Raw(b'{"a":1.25}')),
    "redacted": changed(redacted=["/subject/properties/token"]),
    "a step of its own": changed(steps_us={"facts": 1, "weighing": 2}),
    "a number beyond 64 bits": changed(directory_epoch=1 << 80),
    "zeros and quotes": changed(path='/a\x00"\\\u3042\U0001f600\u2028'),
    "a day that is none": changed(now="2026-02-31T00:00:00.000000Z"),
    "an hour that is the next": changed(now="2026-02-01T24:00:00.000000Z"),
    "the year 1": changed(now="0001-01-01T00:00:00.000000Z"),
    "a key twice": b'{"schema":"sekisho.decision/v1","id":"x","id":"y"}',
    "another schema": b'{"schema":"sekisho.decision/v9","id":"018f0000-0000-7000-8000-000000000000","time":"2026-04-01T00:00:00.000001Z","reasons":["A"],"outcome":"deny","subject_id":"u-1","directory_epoch":3}',
    "no UTF-8": b'{"schema":"\xff\xfe"}',
    "deep": b"{" + b'"a":{' * 3000 + b"}" * 3000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_record_comes_back_byte_for_byte_from_its_row(body: bytes):
    assert body_of(row_of("s", 7, body)) == body


def test_records_come_back_byte_for_byte_from_a_file(tmp_path):
    rows = [row_of("s", seq, body) for seq, body in enumerate(BODIES.values())]
    write_table(HastyDisk(), tmp_path / "a.parquet", table_of(rows))
    again = list(rows_of(pq.read_table(tmp_path / "a.parquet")))
    assert [body_of(row) for row in again] == list(BODIES.values())


@pytest.mark.parametrize("name", ["permit", "deny", "refusal", "input of another form", "obligations", "redacted"])
def test_an_ordinary_record_needs_no_copy_of_its_bytes(name: str):
    assert row_of("s", 1, BODIES[name])[INDEX["raw"]] is None


@pytest.mark.parametrize("name", ["a step of its own", "a number beyond 64 bits", "another schema", "a key twice"])
def test_a_record_that_columns_do_not_give_back_is_kept_as_its_bytes(name: str):
    assert row_of("s", 1, BODIES[name])[INDEX["raw"]] == BODIES[name]


def test_a_record_of_another_schema_is_found_by_what_could_be_read():
    row = row_of("s", 1, BODIES["another schema"])
    found = {name: row[INDEX[name]] for name in ("outcome", "person", "reasons", "directory_epoch")}
    assert found == {"outcome": "deny", "person": "u-1", "reasons": ["A"], "directory_epoch": 3}
    assert row[INDEX["time"]] == (START - timedelta(microseconds=123_455)).replace(tzinfo=None)


def test_the_person_is_whom_the_directory_knew_and_else_whom_the_request_named():
    known = row_of("s", 1, record(START, person="u-0042"))
    assert known[INDEX["person"]] == "u-0042"
    unknown = read_record(record(START, person="unknown"))
    asked = encode_record(msgspec.structs.replace(unknown, subject_id="guest"))
    assert row_of("s", 1, asked)[INDEX["person"]] == "guest"


def test_every_key_of_a_record_has_a_column():
    names = {column.name for column in RECORD}
    kept_otherwise = {"schema", "steps_us", "input"}
    columns = {f"step_{step}_us" for step in STEPS} | {"input_form", "input_text"}
    assert names == (set(Record.__struct_fields__) - kept_otherwise) | columns
    assert len(COLUMNS) == len({column.name for column in COLUMNS})


@pytest.mark.parametrize(
    ("struct", "columns", "nested"),
    [
        (v1.Subject, SUBJECT, []),
        (v1.Device, DEVICE, ["posture"]),
        (v1.Posture, POSTURE, []),
        (v1.Resource, RESOURCE, []),
        (v1.Action, ACTION, []),
        (v1.Context, (*CONTEXT, *PEP), ["sources"]),
    ],
)
def test_every_fact_of_the_input_has_a_column_in_its_order(struct, columns, nested):
    fields = [name.strip("_") for name in struct.__struct_fields__ if name not in nested]
    ends = [column.name.partition("_")[2] for column in columns]
    assert [end.removeprefix(f"{struct.__name__.lower()}_") for end in ends] == fields


def test_a_fact_that_is_not_known_is_no_number():
    row = row_of("s", 1, record(START))
    assert row[INDEX["posture_age_hours"]] is None
    assert row[INDEX["posture_certificate"]] == "unknown"
    assert facts().device.posture.age_hours == "unknown"
