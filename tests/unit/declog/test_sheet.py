"""A sheet that is filled in is the record that would have been made: for whatever was asked and answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.declog.record import decided_record, read_record, record_of
from pdp.declog.sheet import Sheet
from pdp.errors import RecordFailedError
from pdp.model.decision import Outcome, Verdict
from pdp.model.directory import JST
from tests.unit.declog.samples import START, decision, new_id, request, uuid7_at

# What could be taken for a place, for the end of a text, or for a form of Python's.
TEXTS = st.text(max_size=20) | st.sampled_from(["\0", "%b", "%", '"', '","id":"', "\\u0000", '"expires_at":"', "{}"])
KINDS: Any = st.sampled_from(["zta", "plain"])
VERDICTS = st.builds(
    Verdict,
    outcome=st.sampled_from(Outcome),
    reasons=st.lists(TEXTS, max_size=2).map(tuple),
    obligations=st.dictionaries(TEXTS, TEXTS | st.integers(0, 9), max_size=3),
    context=st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2),
)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.sampled_from([UTC, JST]))
NAMES = st.none() | TEXTS
STEPS = st.dictionaries(st.sampled_from(["cache", "facts", "engine"]), st.integers(0, 10**9))


@given(VERDICTS, KINDS, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS), INSTANTS, INSTANTS, NAMES, NAMES, STEPS)
def test_a_sheet_that_is_filled_in_is_the_record_of_that_decision_byte_for_byte(
    verdict: Verdict,
    profile: Any,
    subject: str,
    path: str,
    document: dict[str, str],
    at: datetime,
    expires_at: datetime,
    trace_id: str | None,
    request_id: str | None,
    steps_us: dict[str, int],
) -> None:
    asked = request(subject_id=subject, path=path)
    first = decision(new_id(), verdict=verdict, document=json.dumps(document).encode())
    said: dict[str, Any] = {"caller_id": subject, "profile": profile}
    sheet = Sheet(decided_record(first, asked, time=START, steps_us={}, **said))
    other = msgspec.structs.replace(first, id=new_id(), at=at, expires_at=expires_at)
    as_asked = msgspec.structs.replace(asked, trace_id=trace_id, request_id=request_id)
    filled = sheet.fill(
        decision_id=other.id,
        at=at,
        trace_id=trace_id,
        request_id=request_id,
        expires_at=expires_at,
        steps_us=steps_us,
    )
    assert filled == record_of(other, as_asked, time=at, steps_us=steps_us, **said)
    assert read_record(filled).id == other.id


def test_what_cannot_be_written_fails_and_leaves_the_sheet_as_it_was() -> None:
    said: dict[str, Any] = {"caller_id": "g", "profile": "zta", "steps_us": {}}
    sheet = Sheet(decided_record(decision(uuid7_at(START)), request(), time=START, **said))
    whole: dict[str, Any] = {"decision_id": uuid7_at(START), "at": START, "expires_at": START + timedelta(seconds=1)}
    whole |= {"trace_id": None, "request_id": None, "steps_us": {"cache": 1}}
    before = sheet.fill(**whole)
    for broken in ({"request_id": "\ud800"}, {"trace_id": "\ud800"}, {"at": START.replace(tzinfo=None)}):
        with pytest.raises(RecordFailedError):
            sheet.fill(**(whole | broken))
    assert sheet.fill(**whole) == before
    with pytest.raises(RecordFailedError):
        Sheet(decided_record(decision(uuid7_at(START)), request(session_id="\ud800"), time=START, **said))
