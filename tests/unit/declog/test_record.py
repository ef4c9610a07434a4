from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.declog.marks import rfc3339
from pdp.declog.record import MAX_TEXT, Record, read_record, record_of, refusal_of
from pdp.errors import BadRequestError, RecordDamagedError, RecordFailedError
from pdp.model.decision import Outcome, Verdict
from pdp.model.request import Refusal
from tests.unit.declog.samples import INPUT, START, TOKEN, decision, full_record, new_id, request, uuid7_at

ID = uuid7_at(START)


def plain_record(document: bytes, **others: object) -> bytes:
    return record_of(
        decision(ID, document=document, **others),
        request(),
        time=START,
        caller_id="gateway-1",
        profile="plain",
        steps_us={},
    )


def test_a_record_says_what_was_asked_what_was_answered_and_on_what_ground():
    record = read_record(full_record(ID))
    assert record.id == ID
    assert record.kind == "decision"
    assert record.now == "2026-04-01T00:00:00.123456Z"
    assert record.time == "2026-04-01T00:00:00.124306Z"
    assert record.expires_at == "2026-04-01T00:05:00.123456Z"
    assert (record.subject_id, record.device_id, record.resource_id) == ("u-0001", "d-00001", "groupware")
    assert (record.action, record.session_id, record.source_ip) == ("access", "s-1", "192.0.2.7")
    assert (record.wire, record.caller_id, record.profile) == ("authzen", "gateway-1", "zta")
    assert (record.trace_id, record.request_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "r-1")
    assert (record.outcome, record.reasons) == ("limit", ["OK_BYOD_COMMUNICATION"])
    assert record.obligations == {"clipboard": "off", "save": "off"}
    assert record.required_auth_level is None
    assert (record.policy_revision, record.bundle_digest, record.directory_epoch) == ("2026-04-01.1", "ab" * 32, 4711)
    assert (record.cache, record.fault) == ("miss", None)
    assert record.steps_us == {"caller": 12, "engine": 640, "facts": 41}
    assert bytes(record.input) == INPUT


def test_the_keys_stand_in_one_order_and_none_is_left_out():
    keys = list(json.loads(full_record(ID)))
    assert keys[:4] == ["schema", "id", "kind", "time"]
    assert keys[-1] == "input"
    assert keys == [field.name for field in msgspec.structs.fields(Record)]
    refusal = Refusal(BadRequestError("no"), "authzen")
    assert list(json.loads(refusal_of(refusal, decision_id=ID, time=START, caller_id="g"))) == keys


def test_equal_decisions_give_equal_bytes_whatever_the_order_of_their_parts():
    one = msgspec.structs.replace(
        decision(ID), verdict=Verdict(Outcome.LIMIT, ("OK",), {"print": "off", "clipboard": "off"})
    )
    two = msgspec.structs.replace(
        decision(ID), verdict=Verdict(Outcome.LIMIT, ("OK",), {"clipboard": "off", "print": "off"})
    )
    records = [
        record_of(one, request(), time=START, caller_id="g", profile="zta", steps_us={"a": 1, "b": 2}),
        record_of(two, request(), time=START, caller_id="g", profile="zta", steps_us={"b": 2, "a": 1}),
    ]
    assert records[0] == records[1]


def test_times_are_utc_of_one_width_wherever_the_clock_stands():
    tokyo = datetime(2026, 4, 1, 9, 0, tzinfo=timezone(timedelta(hours=9)))
    record = read_record(full_record(ID, at=tokyo))
    assert record.now == "2026-04-01T00:00:00.000000Z"
    with pytest.raises(RecordFailedError):
        full_record(ID, at=tokyo.replace(tzinfo=None))


def test_the_token_stands_nowhere_but_its_digest_does():
    document = msgspec.json.encode({"subject": {"id": "u", "properties": {"token": TOKEN, "colour": "red"}}})
    for line in (full_record(ID), plain_record(document)):
        assert TOKEN.encode() not in line
        assert read_record(line).token_sha256 == sha256(TOKEN.encode()).hexdigest()


def test_a_token_in_a_plain_document_is_replaced_and_the_place_is_named():
    escaped = b'{ "subject": {"properties": {"\\u0074oken": "' + TOKEN.encode() + b'", "a": 1.5}}}'
    record = read_record(plain_record(escaped))
    assert record.redacted == ["/subject/properties/token"]
    kept = json.loads(bytes(record.input))
    assert kept == {"subject": {"properties": {"token": f"sha256:{sha256(TOKEN.encode()).hexdigest()}", "a": 1.5}}}
    assert json.loads(bytes(read_record(plain_record(b'{"subject":{"properties":{"token":["x"]}}}')).input)) == {
        "subject": {"properties": {"token": "redacted"}}
    }


@pytest.mark.parametrize("document", [b"{}", b'{"subject":null}', b'{"subject":{"properties":[]}}', b"[1.0]", b"null"])
def test_a_plain_document_without_a_token_is_kept_as_it_is(document: bytes):
    record = read_record(plain_record(document))
    assert bytes(record.input) == document
    assert record.redacted == []


def test_the_query_of_a_path_is_not_kept():
    assert read_record(full_record(ID)).path == "/schedule/day"
    assert b"hidden" not in full_record(ID)


def test_what_a_plain_policy_added_to_its_answer_is_kept():
    verdict = Verdict(Outcome.ALLOW, (), context={"b": [1, 2], "a": "x"})
    assert bytes(read_record(plain_record(b"{}", verdict=verdict)).policy_context) == b'{"a":"x","b":[1,2]}'
    assert bytes(read_record(full_record(ID)).policy_context) == b"null"


def test_a_document_over_several_lines_becomes_one_line_with_the_same_meaning():
    line = plain_record(b'{\n  "subject":\r\n {"id": "a\\nb"}\n}\n')
    assert b"\n" not in line
    assert json.loads(bytes(read_record(line).input)) == {"subject": {"id": "a\nb"}}


@pytest.mark.parametrize(
    "document",
    [
        b'{},"outcome":"allow"',
        b'{"a":',
        b"",
        b"nul",
        b'{"a":1}}',
        b'{"a":"\xff"}',
        b'"\n"',
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
@pytest.mark.parametrize("profile", ["zta", "plain"])
def test_a_document_that_is_not_json_cannot_add_to_the_record(document: bytes, profile: str):
    with pytest.raises(RecordFailedError):
        record_of(decision(ID, document=document), request(), time=START, caller_id="g", profile=profile, steps_us={})


def test_a_text_that_is_no_unicode_fails_the_record_and_not_the_house():
    with pytest.raises(RecordFailedError):
        record_of(decision(ID), request(session_id="\ud800"), time=START, caller_id="g", profile="zta", steps_us={})


def test_a_refusal_is_a_bad_input_deny_without_the_body():
    body = b'{"subject":"secret"'
    refusal = Refusal(BadRequestError("the body is not JSON"), "authzen", "r-9", sha256(body).hexdigest(), len(body))
    line = refusal_of(refusal, decision_id=ID, time=START, caller_id="gateway-1", trace_id="t")
    record = read_record(line)
    assert (record.kind, record.outcome, record.reasons) == ("refusal", "deny", ["BAD_INPUT"])
    assert (record.error_code, record.error_message) == ("bad_request", "the body is not JSON")
    assert (record.body_sha256, record.body_bytes) == (sha256(body).hexdigest(), 19)
    assert (record.now, record.subject_id, record.policy_revision) == (None, None, None)
    assert bytes(record.input) == b"null"
    assert b"secret" not in line


def test_long_faults_are_cut():
    assert len(read_record(full_record(ID, fault="x" * 10_000)).fault or "") == MAX_TEXT
    refusal = Refusal(BadRequestError("é" * 10_000), "authzen")
    line = refusal_of(refusal, decision_id=ID, time=START, caller_id="g")
    assert len(read_record(line).error_message or "") == MAX_TEXT


@given(text=st.text(st.characters(codec="utf-8")))
def test_any_text_of_a_caller_stays_inside_its_string(text: str):
    line = record_of(
        decision(ID), request(subject_id=text, session_id=text), time=START, caller_id="g", profile="zta", steps_us={}
    )
    assert b"\n" not in line
    record = read_record(line)
    assert (record.subject_id, record.session_id, record.outcome) == (text, text, "limit")


BROKEN = {
    "another version": lambda line: line.replace(b"decision/v2", b"decision/v3"),
    "a missing key": lambda line: line.replace(b'"fault":null,', b""),
    "a further key": lambda line: line[:-1] + b',"more":1}',
    "a key twice": lambda line: line.replace(b'"outcome":"limit"', b'"outcome":"allow","outcome":"limit"'),
    "another order": lambda line: line.replace(b'"fault":null,"error_code":null', b'"error_code":null,"fault":null'),
    "a float": lambda line: line.replace(b'"engine":640', b'"engine":640.0'),
    "a float as a count": lambda line: line.replace(b'"directory_epoch":4711', b'"directory_epoch":4711.5'),
    "white space": lambda line: line.replace(b'"fault":null', b'"fault": null'),
    "white space before the input": lambda line: line.replace(b'"input":{', b'"input": {'),
    "no UTF-8": lambda line: line.replace(b'"u-0001"', b'"u-\xff001"'),
    "an unknown outcome": lambda line: line.replace(b'"outcome":"limit"', b'"outcome":"maybe"'),
    "another form of time": lambda line: line.replace(b'Z","now"', b'+00:00","now"'),
    "a newline": lambda line: line + b"\n",
    "an id that is none": lambda line: line.replace(ID.encode(), b"x" * 36),
    "an id in capitals": lambda line: line.replace(ID.encode(), ID.upper().encode()),
    "half a line": lambda line: line[: len(line) // 2],
    "nothing": lambda line: line[:0],
    "a list": lambda line: b"[" + line + b"]",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_reader_takes_nothing_that_was_not_written_so(fault: str):
    line = full_record(ID)
    broken = BROKEN[fault](line)
    assert broken != line
    with pytest.raises(RecordDamagedError):
        read_record(broken)


def test_every_record_that_is_written_can_be_read():
    for verdict in (
        Verdict(Outcome.ALLOW, ("OK", "PATCH_OVERDUE_WARN"), {"warn": "PATCH_OVERDUE_WARN"}),
        Verdict(Outcome.STEP_UP, ("STEPUP_AUTH_STRENGTH",), required_auth_level=3),
        Verdict(Outcome.DENY, ("EVALUATION_ERROR",)),
        Verdict(Outcome.LIMIT, ("OK_SHARED_TERMINAL",), {"session_max_minutes": 60}),
    ):
        record = read_record(full_record(new_id(), verdict=verdict))
        assert record.outcome == verdict.outcome
        assert tuple(record.reasons) == verdict.reasons
        assert record.obligations == verdict.obligations
        assert record.required_auth_level == verdict.required_auth_level


def test_a_document_that_was_written_once_is_still_looked_at_for_another_profile() -> None:
    """What is remembered of a `zta` document must not let a `plain` one keep its token."""
    document = json.dumps({"subject": {"properties": {"token": TOKEN}}}).encode()
    facts = decision(ID, document=document)
    written = [
        record_of(facts, request(), time=START, caller_id="c", profile=profile, steps_us={})
        for profile in ("zta", "plain", "zta")
    ]
    assert TOKEN.encode() not in written[1]
    assert read_record(written[1]).redacted == ["/subject/properties/token"]
    assert written[0] == written[2]


def test_a_document_that_is_no_json_is_refused_each_time() -> None:
    facts = decision(ID, document=b'{}, "outcome": "allow"')
    for _ in range(2):
        with pytest.raises(RecordFailedError):
            record_of(facts, request(), time=START, caller_id="c", profile="zta", steps_us={})


@pytest.mark.parametrize("microsecond", [0, 1, 100_000, 123_450, 999_999])
def test_a_time_has_six_decimals_and_stands_in_utc(microsecond: int) -> None:
    tokyo = timezone(timedelta(hours=9))
    instant = datetime(2026, 4, 1, 8, 0, 0, microsecond, tzinfo=tokyo)
    assert rfc3339(instant) == f"2026-03-31T23:00:00.{microsecond:06d}Z"
    assert rfc3339(instant.astimezone(UTC)) == rfc3339(instant)
