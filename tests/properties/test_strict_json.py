"""Strict JSON against `json.loads`: equal where the text is I-JSON, refused where it is not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.strict_json import (
    _NOT_PLAIN,
    MAX_DEPTH,
    MAX_SAFE_INTEGER,
    _careful_value,
    _plain_value,
    parse_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=40)


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_i_json_means_what_json_loads_says(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parse_json(text.encode()) == json.loads(text) == value


@given(values, st.integers(0, 300), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_means_what_json_loads_says(value: Any, at: int, byte: int) -> None:
    body = bytearray(json.dumps(value).encode())
    body[at % len(body)] = byte
    try:
        ours = parse_json(bytes(body))
    except BadRequestError as fault:
        assert fault.status == 400
        return
    theirs = json.loads(bytes(body).decode())
    assert ours == theirs


@given(values, st.booleans(), st.integers(0, 300), st.integers(0, 255), st.booleans())
def test_what_the_quick_reading_takes_the_careful_one_reads_alike(
    value: Any, ascii_only: bool, at: int, byte: int, changed: bool
) -> None:
    body = bytearray(json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode())
    if changed:
        body[at % len(body)] = byte
    quick = _plain_value(bytes(body))
    if quick is not _NOT_PLAIN:
        assert repr(quick) == repr(_careful_value(bytes(body)))  # as texts, because 1 == 1.0 == True


@given(st.dictionaries(texts, scalars, min_size=1))
def test_the_quick_reading_takes_no_name_twice(members: dict[str, Any]) -> None:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    assert _plain_value((text[:-1] + "," + text[1:]).encode()) is _NOT_PLAIN


def test_the_quick_reading_takes_what_programs_write() -> None:
    body = '{"subject":{"type":"user","id":"u-0001"},"context":{"risk":[],"a":[1,-2,1.5,true,null,"三\\n"]}}'.encode()
    assert _plain_value(body) == json.loads(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    try:
        parse_json(body)
    except BadRequestError:
        return
    json.loads(body.decode())


@given(st.dictionaries(texts, scalars, min_size=1), st.data(), st.integers(0, MAX_DEPTH - 2))
def test_a_name_that_is_added_a_second_time_is_refused_at_any_depth(
    members: dict[str, Any], data: st.DataObject, depth: int
) -> None:
    again = data.draw(st.sampled_from(sorted(members)))
    inner = json.dumps(members)[:-1] + "," + json.dumps(again) + ":1}"
    with pytest.raises(BadRequestError, match="stands twice"):
        parse_json(('[0,{"a":' * (depth // 2) + inner + "}]" * (depth // 2)).encode())


@given(st.integers() | st.floats())
def test_a_number_is_read_only_where_doubles_have_it(number: float) -> None:
    text = json.dumps(number)
    safe = math.isfinite(number) if isinstance(number, float) else abs(number) <= MAX_SAFE_INTEGER
    if safe:
        assert parse_json(text.encode()) == number
    else:
        with pytest.raises(BadRequestError):
            parse_json(text.encode())


@given(st.lists(st.sampled_from("{[]}"), max_size=120).map("".join))
def test_no_arrangement_of_brackets_gets_deeper_than_the_limit(brackets: str) -> None:
    assume(brackets)
    try:
        value = parse_json(brackets.encode())
    except BadRequestError:
        return
    assert depth_of(value) <= MAX_DEPTH


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0
