from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import RecordDamagedError, RecordFailedError
from pdp.trail.event import (
    MAX_PARAMETERS,
    MAX_REASON,
    MAX_TEXT,
    Actor,
    encode_event,
    event_of,
    read_event,
)

NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
ID = "019d4657-007b-7000-8000-000000000000"
WHO = Actor(kind="caller", id="aud", roles=["audit_read"])
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=5)


def line_of(**said: Any) -> bytes:
    return encode_event(event_of(ID, NOW, WHO, "audit.query", "done", **said))


@given(st.dictionaries(st.text(), VALUES, max_size=8), st.text(), st.text())
def test_whatever_is_asked_is_written_on_one_line_and_read_back(
    parameters: dict[str, Any], reason: str, name: str
) -> None:
    line = line_of(parameters=parameters, reason=reason, object=name)
    assert b"\n" not in line
    event = read_event(line)
    assert encode_event(event) == line
    assert len(line) < 1024 * 1024


def test_half_a_character_is_written_as_a_question_mark() -> None:
    assert read_event(line_of(parameters={"person": "a\ud800"})).parameters == {"person": "a?"}


def test_what_is_too_long_is_cut_and_ends_with_its_digest() -> None:
    event = read_event(line_of(parameters={"sql": "x" * (MAX_TEXT + 1)}, reason="y" * 1_000))
    text = event.parameters["sql"]
    assert isinstance(text, str)
    assert len(text) <= MAX_TEXT
    assert event.reason is not None
    assert len(event.reason) <= MAX_REASON
    other = read_event(line_of(parameters={"sql": "x" * (MAX_TEXT + 2)})).parameters["sql"]
    assert text != other  # two questions never look the same


def test_more_parameters_than_may_be_are_counted() -> None:
    event = read_event(line_of(parameters={f"p{n:03d}": n for n in range(MAX_PARAMETERS + 5)}))
    assert event.parameters["…"] == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"done"', b'"fine"'),
        lambda line: line.replace(b'"rows":null,', b""),
        lambda line: line.replace(b'{"schema"', b'{ "schema"'),
        lambda line: line[:-1] + b',"more":1}',
        lambda line: line.replace(ID.encode(), b"x"),
        lambda line: line[:-1],
        lambda line: b"\xff" + line,
        lambda _: b"{}",
    ],
)
def test_what_was_not_written_so_is_damaged(change: Any) -> None:
    with pytest.raises(RecordDamagedError):
        read_event(change(line_of(parameters={"a": 1})))


def test_an_action_that_is_none_is_refused() -> None:
    with pytest.raises(RecordFailedError):
        event_of(ID, NOW, WHO, "audit.everything", "done")  # type: ignore[arg-type]


def test_every_key_is_always_there_and_in_one_order() -> None:
    keys = list(msgspec.json.decode(line_of()))
    assert keys == [
        "schema", "id", "time", "actor", "action", "object", "parameters", "reason", "outcome", "rows",
        "answer_sha256", "error", "of", "peer",
    ]  # fmt: skip
