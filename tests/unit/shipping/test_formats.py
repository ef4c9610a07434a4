"""CEF, our JSON, syslog messages: what is escaped, what is bounded."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest

from pdp.declog.record import read_record
from pdp.errors import RecordDamagedError
from pdp.model.decision import Outcome
from pdp.model.log_target import LogTarget
from pdp.shipping.cef import cef_event, escape_header, escape_value
from pdp.shipping.http import retry_after
from pdp.shipping.masking import Mask
from pdp.shipping.own_json import own_event
from pdp.shipping.port import Event
from pdp.shipping.shaping import Shaper
from pdp.shipping.syslog import element, frame, message
from pdp.shipping.view import view_of
from tests.conformance.ocsf.schema import vectors
from tests.unit.shipping.records import a_record, a_refusal, found, seen

NO_MASK = Mask((), b"")


def cef_parts(line: str) -> tuple[list[str], dict[str, str]]:
    """As a receiver reads it: seven fields, then keys and values."""
    header = re.split(r"(?<!\\)\|", line, maxsplit=7)
    keys = list(re.finditer(r"(?:^| )(\w+)=", header[7].replace("\\\\", "\0\0").replace("\\=", "\0\1")))
    text = header[7].replace("\\\\", "\0\0").replace("\\=", "\0\1")
    values = {}
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        raw = text[key.end() : following.start() if following else len(text)]
        values[key[1]] = raw.replace("\\n", "\n").replace("\\r", "\r").replace("\0\1", "=").replace("\0\0", "\\")
    return [field.replace("\\|", "|").replace("\\\\", "\\") for field in header[:7]], values


def test_a_deny_is_a_cef_line_with_the_keys_that_siems_know():
    header, values = cef_parts(cef_event(seen(a_record())).decode())
    assert header[:3] == ["CEF:0", "Sekisho", "Sekisho PDP"]
    assert header[4:] == ["decision-deny", "Access denied", "6"]
    assert values["act"] == "deny"
    assert values["outcome"] == "failure"
    assert values["reason"] == "DENY_DEVICE_PATCH,DENY_ZONE"
    assert values["suser"] == "u-0001"
    assert values["src"] == "192.0.2.7"
    assert values["dhost"] == "groupware"
    assert values["request"] == "/schedule/day"
    assert values["rt"] == "1775001600123"
    assert (values["cs1Label"], values["cs1"]) == ("policy", "2026-04-01.1")
    assert (values["cs4Label"], values["cs4"]) == ("resourceGroup", "business")
    assert values["externalId"] == read_record(found(a_record()).body).id or len(values["externalId"]) == 36


def test_the_escaping_of_the_recorded_example_lines_is_ours():
    line = vectors("example-decisions.json")["cef"][1]
    header, values = cef_parts(line)
    assert escape_header(header[5]) in line
    for key in ("suser", "request", "msg"):
        assert f"{key}={escape_value(values[key])}" in line


@pytest.mark.parametrize(
    "evil",
    [
        "a\nCEF:0|x|y|z|1|forged|10|act=allow",
        "a\r\nb",
        "x act=allow outcome=success",
        "back\\slash=and|pipe",
        "nul\0bell\x07next\x85line\u2028para\u2029",
        "\\",
        "日本語=値",
        "x" * 5_000,
    ],
)
def test_what_somebody_sent_can_neither_end_the_line_nor_add_a_key(evil: str):
    record = a_record(changes={"subject_id": evil, "error_message": evil})
    line = cef_event(seen(record)).decode()
    assert line.splitlines() == [line]
    _, values = cef_parts(line)
    expected = re.sub("[\0\x07\x85\u2028\u2029]", " ", evil)
    assert values["suser"] == (expected if len(expected) <= 1_023 else expected[:1_022] + "…")
    assert values["act"] == "deny"
    assert len([key for key in values if key == "outcome"]) == 1


def test_a_header_field_cannot_hold_a_line_end_or_an_unescaped_pipe():
    assert escape_header("a|b\\c\nd\re") == "a\\|b\\\\c d e"


def test_our_json_holds_the_record_byte_for_byte():
    record = a_record(Outcome.LIMIT, ("OK",))
    event = msgspec.json.decode(own_event(seen(record)), type=dict[str, msgspec.Raw])
    assert bytes(event["record"]) == record
    assert json.loads(bytes(event["seq"])) == 7


def test_a_shortened_record_is_still_a_record_and_says_what_is_gone():
    event = json.loads(own_event(seen(a_record()), short=True))
    assert event["erased"] == ["input", "policy_context"]
    assert event["record"]["input"] is None
    read_record(json.dumps(event["record"], separators=(",", ":"), ensure_ascii=False).encode())


def test_a_record_of_another_form_is_said_to_be_damaged():
    with pytest.raises(RecordDamagedError):
        view_of(b'{"schema":"sekisho.decision/v9"}', node="n", worker="w", epoch="e", seq=1)


def an_event(body: bytes = b"{}", **others: object) -> Event:
    facts: dict[str, object] = {
        "time": "2026-04-01T00:00:00.123456Z", "node": "node-1", "worker": "w0", "seq": 1, "level": "warning", "kind": "decision",
    }  # fmt: skip
    return Event(body=body, **(facts | others))  # type: ignore[arg-type]


RFC5424 = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32})"
    rb' ((?:\[[!-~]+?(?: [A-Za-z]+="(?:[^"\\\]]|\\["\\\]])*")*\])+) (.*)',
    re.DOTALL,
)


@pytest.mark.parametrize(("level", "severity"), [("info", 6), ("notice", 5), ("warning", 4)])
def test_a_message_is_rfc_5424_in_the_facility_of_audits(level: str, severity: int):
    shape = RFC5424.fullmatch(message(an_event(b'{"a":1}', level=level)))
    assert shape is not None
    assert int(shape[1]) == 13 * 8 + severity
    assert shape.group(3, 4, 5, 6) == (b"node-1", b"sekisho", b"w0", b"decision")
    assert shape[8] == b'{"a":1}'
    assert b'sequenceId="1"' in shape[7]


def test_the_sequence_id_begins_again_where_rfc_5424_has_no_larger_one():
    assert b'sequenceId="2147483647"' in message(an_event(seq=2**31 - 1))
    assert b'sequenceId="1"' in message(an_event(seq=2**31))


def test_values_of_structured_data_are_escaped():
    assert element("x", {"a": 'q"uo]te\\'}) == '[x a="q\\"uo\\]te\\\\"]'


def test_a_frame_counts_octets_and_not_characters():
    assert frame("関所".encode()) == b"6 " + "関所".encode()


def test_a_target_gets_only_what_it_asked_for():
    target = LogTarget(name="t", to="file:/x", format="json", outcomes=["deny"], resource_groups=["business"])
    shape = Shaper(target, NO_MASK)
    assert shape(found(a_record())) is not None
    assert shape(found(a_record(Outcome.ALLOW, ("OK",)))) is None
    assert shape(found(a_refusal())) is None  # of no group that is known


def test_an_event_that_is_too_long_for_syslog_goes_without_its_documents():
    record = a_record(given=b'{"subject":{"id":"u","departments":["' + b"x" * 9_000 + b'"]}}')
    to_syslog = Shaper(LogTarget(name="t", to="tls://siem.example", format="json"), NO_MASK)(found(record))
    to_file = Shaper(LogTarget(name="t", to="file:/x", format="json"), NO_MASK)(found(record))
    assert to_syslog is not None
    assert to_file is not None
    assert len(to_syslog.body) < 8_192 < len(to_file.body)


NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 23 Nov 2026 08:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("9" * 40, None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None):
    assert retry_after(text, NOW) == seconds
