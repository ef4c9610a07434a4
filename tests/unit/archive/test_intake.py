from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from pdp.archive.arrow_schema import IN_MEMORY
from pdp.archive.arrow_tables import table_of
from pdp.archive.bodies import bodies_of
from pdp.archive.instants import micros_of, texts_of
from pdp.archive.intake import Intake, Parts
from pdp.archive.rows import row_of
from pdp.declog.record import encode_record, read_record
from pdp.errors import RecordDamagedError
from tests.unit.archive.logs import facts, record, some_records
from tests.unit.archive.test_rows import BODIES, changed
from tests.unit.declog.samples import START


def taken(bodies: list[bytes], parts: Parts | None = None) -> pa.Table:
    intake = Intake("s", parts)
    for seq, body in enumerate(bodies):
        intake.add(seq, body)
    return intake.table()


def one_by_one(bodies: list[bytes]) -> pa.Table:
    return table_of(row_of("s", seq, body) for seq, body in enumerate(bodies))


def assert_same(bodies: list[bytes]) -> None:
    table = taken(bodies)
    assert table.schema == IN_MEMORY
    assert table.to_pylist() == one_by_one(bodies).to_pylist()
    assert list(bodies_of(table)) == bodies


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_record_among_others_has_the_row_that_it_has_alone(body: bytes):
    assert_same([record(START, 1), body, record(START, 2)])


def test_all_sorts_together_keep_their_order():
    assert_same([*BODIES.values(), *some_records(START, 20), *BODIES.values()])


def test_more_records_than_are_settled_at_once_are_one_table():
    assert_same(some_records(START, 2_100))


def test_no_records_are_a_table_without_rows():
    assert taken([]).num_rows == 0
    assert list(bodies_of(taken([]))) == []


def test_parts_that_were_seen_in_another_segment_are_the_same_values():
    parts = Parts()
    first, second = some_records(START, 30), some_records(START.replace(hour=5), 30)
    taken(first, parts)
    assert taken(second, parts).to_pylist() == one_by_one(second).to_pylist()


@pytest.mark.parametrize(
    "changes",
    [
        {"resource__segment": "unknown"},  # its group is known: no `pdp.input/v1`
        {"context__work_permit_until": "tomorrow"},
        {"subject__auth_level": 9},
        {"subject__kind": "visitor"},
        {"device__class_": "toaster"},
        {"device__id": 'a "quoted" one\u2028'},
        {"subject__departments": ["a\x1fb", "c"]},
    ],
)
def test_a_part_that_is_no_part_of_a_document_is_not_believed_for_its_neighbours_sake(changes: dict[str, object]):
    strange = encode_record(
        msgspec.structs.replace(read_record(record(START)), input=msgspec.Raw(msgspec.json.encode(facts(**changes))))
    )
    assert_same([record(START, 1), strange, record(START, 2), strange])


def test_lists_that_look_alike_when_joined_are_told_apart():
    lists = [["a\x1fb", "c"], ["a", "b\x1fc"], ["a", "b", "c"], [], [""], ["", ""], ["\x1f"]]
    assert_same([changed(reasons=reasons) for reasons in lists])


def test_a_number_beyond_its_column_sends_its_neighbours_the_long_way_and_nothing_is_lost():
    assert_same([*some_records(START, 5), changed(directory_epoch=1 << 80), *some_records(START, 5)])


def test_a_row_that_gives_no_record_is_damaged():
    table = taken([record(START)])
    index = table.schema.get_field_index("id")
    lost = table.set_column(index, table.schema.field("id"), pa.nulls(1, pa.uuid()))
    assert list(bodies_of(lost)) != [record(START)]
    index = table.schema.get_field_index("time")
    beyond = pa.array([1 << 62], pa.int64()).cast(pa.timestamp("us"))
    with pytest.raises(RecordDamagedError):
        list(bodies_of(table.set_column(index, table.schema.field("time"), beyond)))


INSTANTS = [
    "2026-04-01T00:00:00.000000Z",
    None,
    "1969-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
]


def test_instants_come_back_as_their_texts():
    assert texts_of(micros_of(INSTANTS)) == [None if text is None else text.encode() for text in INSTANTS]


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00.000000Z", "2026-02-01T24:00:00.000000Z", "2026-02-01"])
def test_a_text_that_is_no_instant_is_not_taken_for_another(text: str):
    with pytest.raises(ValueError):  # pyarrow's own and ours
        micros_of([text])
