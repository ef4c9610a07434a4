"""Records of the version before are read, kept and given back for as long as they are kept."""

from __future__ import annotations

import json
from hashlib import sha256

import msgspec
import pytest

from pdp.archive.arrow_tables import rows_of, table_of
from pdp.archive.rows import body_of, row_of
from pdp.archive.schema import INDEX
from pdp.declog.answer import answer_digest
from pdp.declog.record import RECORD_SCHEMA, RECORD_SCHEMA_V1, encode_record, read_record
from pdp.errors import RecordDamagedError
from pdp.model.decision import Outcome, Verdict
from pdp.shipping.view import view_of
from tests.unit.archive.logs import record
from tests.unit.declog.samples import START, decision, full_record, new_id


def as_first(body: bytes) -> bytes:
    """The same record as the version before would have written it."""
    unset = msgspec.UNSET
    return encode_record(
        msgspec.structs.replace(read_record(body), schema=RECORD_SCHEMA_V1, erased=unset, masked=unset)
    )


@pytest.mark.parametrize("body", [record(START), full_record(new_id())], ids=["canonical input", "another input"])
def test_a_record_of_version_1_is_read_and_written_again_byte_for_byte(body: bytes):
    first = as_first(body)
    assert b"erased" not in first
    assert b"masked" not in first
    assert first.startswith(b'{"schema":"sekisho.decision/v1"')
    assert encode_record(read_record(first)) == first
    assert read_record(first).hidden == []
    row = row_of("s", 1, first)
    assert row[INDEX["raw"]] is None
    assert body_of(row) == first
    assert view_of(first, node="n", worker="w", epoch="e", seq=1).record.id == read_record(body).id


def test_both_versions_come_back_from_one_table_and_from_one_that_knew_only_the_first():
    bodies = [record(START), as_first(record(START, 1))]
    table = table_of([row_of("s", seq, body) for seq, body in enumerate(bodies)])
    assert [body_of(row) for row in rows_of(table)] == bodies
    old = table.slice(1).drop_columns(["erased", "masked"])
    assert [body_of(row) for row in rows_of(old)] == bodies[1:]


BROKEN = {
    "version 1 with the lists of version 2": lambda body: body.replace(b"decision/v2", b"decision/v1"),
    "version 2 without its lists": lambda body: as_first(body).replace(b"decision/v1", b"decision/v2"),
    "one of the lists only": lambda body: body.replace(b'"masked":[],', b""),
    "a list that is none": lambda body: body.replace(b'"erased":[]', b'"erased":null'),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_record_is_of_one_version_and_no_mixture(fault: str):
    body = full_record(new_id())
    broken = BROKEN[fault](body)
    assert broken != body
    with pytest.raises(RecordDamagedError):
        read_record(broken)
    row = row_of("s", 1, broken)
    assert body_of(row) == row[INDEX["raw"]] == broken


def test_what_is_written_is_of_version_2_and_hides_nothing():
    written = read_record(full_record(new_id()))
    assert (written.schema, written.erased, written.masked) == (RECORD_SCHEMA, [], [])


def test_the_answer_is_digested_without_its_id_and_its_times():
    one, other = decision(new_id()), decision(new_id(), directory_epoch=9, cache="hit", fault="x")
    assert answer_digest(one) == answer_digest(other)
    assert read_record(full_record(one.id)).answer_sha256 == answer_digest(one)


def test_the_digest_of_an_answer_is_over_what_the_documentation_says():
    one = decision(new_id(), verdict=Verdict(Outcome.LIMIT, ("A",), {"save": "off", "clipboard": "off"}))
    said = {
        "outcome": "limit",
        "reasons": ["A"],
        "obligations": {"clipboard": "off", "save": "off"},
        "required_auth_level": None,
        "policy_revision": "2026-04-01.1",
        "fix": "none",
        "reason_user": {"ja": "利用できます", "en": "you may"},
        "reason_admin": {"ja": "利用できます", "en": "the rules are met"},
        "context": None,
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    assert answer_digest(one) == sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "others",
    [
        {"verdict": Verdict(Outcome.ALLOW, ("OK",))},
        {"verdict": Verdict(Outcome.DENY, ("OK",))},
        {"verdict": Verdict(Outcome.ALLOW, ("OK",), context={"rows": 1.5})},
        {"policy_revision": "2"},
        {"fix": "user"},
        {"reason_user": decision(new_id()).reason_admin},
    ],
)
def test_whatever_an_answer_says_otherwise_gives_another_digest(others):
    assert answer_digest(decision(new_id(), **others)) != answer_digest(decision(new_id()))
