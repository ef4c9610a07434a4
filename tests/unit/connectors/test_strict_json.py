"""JSON from vendors: one reading or none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.strict_json import MAX_DEPTH, NotStrictJsonError, parse_object

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=6), values, max_size=5), st.booleans())
def test_what_was_written_is_read(document: dict[str, object], ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair is no UTF-8
    assert parse_object(body) == document


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader_otherwise_than_as_documented(body: bytes) -> None:
    try:
        found = parse_object(body)
    except NotStrictJsonError as fault:
        assert str(fault)
    else:
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"b":2,"a":3}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"a":1}{"b":2}',
        b"[]",
        b"null",
        b"",
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
        b'{"a":' * 50 + b"1" + b"}" * 50,
    ],
)
def test_a_text_that_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrictJsonError):
        parse_object(body)


def test_brackets_in_texts_are_no_depth() -> None:
    text = "[{" * 100 + '\\"'
    assert parse_object(json.dumps({"a": text}).encode()) == {"a": text}


def test_as_many_levels_as_allowed_are_read() -> None:
    inner = MAX_DEPTH - 1
    assert parse_object(b'{"a":' + b"[" * inner + b"]" * inner + b"}")


def test_the_name_that_stands_twice_is_shown_without_control_characters_and_without_its_values() -> None:
    with pytest.raises(NotStrictJsonError) as caught:
        parse_object(b'{"to\\nken":"secret-1","to\\nken":"secret-2"}')
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
