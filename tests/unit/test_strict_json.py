from __future__ import annotations

import json

import pytest

from pdp.errors import BadRequestError, PayloadTooLargeError
from pdp.strict_json import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_SAFE_INTEGER, parse_json


def refused(body: bytes) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        parse_json(body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' \t\r\n[1, 2.5, -0, true, null, ""]\n', [1, 2.5, 0, True, None, ""]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('{"氏名":"三重"}'.encode(), {"氏名": "三重"}),
        (b"9007199254740991", MAX_SAFE_INTEGER),
        (b"-9007199254740991", -MAX_SAFE_INTEGER),
        (b"1e308", 1e308),
        (b"0", 0),
    ],
)
def test_ijson_is_read(body: bytes, value: object) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a":1,"a":1}', None),
        (b'{"a":1,"\\u0061":2}', None),
        (b'{"x":[0,{"subject":{},"subject":{}}]}', "/x/1"),
        (b'{"a/b":{"c~d":{"e":1,"e":2}}}', "/a~1b/c~0d"),
    ],
)
def test_a_name_that_stands_twice_is_refused_at_its_object(body: bytes, pointer: str | None) -> None:
    fault = refused(body)
    assert "stands twice" in fault.message
    assert (fault.pointer or None) == pointer


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9007199254740992", "1" * 5000])
def test_a_number_that_readers_read_differently_is_refused_at_its_place(text: str) -> None:
    fault = refused(f'{{"a":[true,{text}]}}'.encode())
    assert "every reader" in fault.message
    assert fault.pointer == "/a/1"


@pytest.mark.parametrize("escape", [b"\\ud800", b"\\udc00", b"\\ud800\\ud800", b"\\udc00\\ud800"])
def test_half_a_surrogate_pair_is_refused_in_a_value_and_in_a_name(escape: bytes) -> None:
    assert refused(b'{"a":["' + escape + b'"]}').pointer == "/a/0"
    assert refused(b'{"a":{"' + escape + b'":1}}').pointer == "/a"


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b"", None),
        (b"\xef\xbb\xbf{}", 0),
        (b'{"a":"\xff"}', 6),
        (b'{"a":"\xed\xa0\x80"}', 6),  # a surrogate in UTF-8's own clothes
        (b'{"a":"\xc0\xae"}', 6),  # an overlong dot
        ('{"a":1}'.encode("utf-16"), 0),
        (b"{} {}", 3),
        ('{"三":1} x'.encode(), 10),
        (b"{'a':1}", 1),
        (b'{"a":1,}', None),
        (b"[1,]", None),
        (b"01", 1),
        (b"+1", 0),
        (b".5", 0),
        (b"1.", 1),
        (b'"\n"', 1),
        (b'"\\x41"', None),
        (b"// comment", 0),
        (b"\x0b{}", 0),
        (b"nul", 0),
        (b'{"a":1', None),
        (b'"a', 0),
        ("\u00a0{}".encode(), 0),
        ("\u0661".encode(), 0),  # a digit, but not of JSON
    ],
)
def test_what_is_not_json_is_refused_with_the_byte_offset(body: bytes, offset: int | None) -> None:
    fault = refused(body)
    assert fault.status == 400
    if offset is not None:
        assert f"(offset {offset})" in fault.message


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded_however_it_is_built(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    inner = b"1"
    assert parse_json(opening * MAX_DEPTH + inner + closing * MAX_DEPTH)
    deep = opening * (MAX_DEPTH + 1) + inner + closing * (MAX_DEPTH + 1)
    assert "nested deeper" in refused(deep).message
    assert "nested deeper" in refused(b'{"x":[' + deep + b"]}").message
    assert refused(opening * 50_000)


def test_brackets_within_texts_are_no_depth_and_hide_none() -> None:
    text = json.dumps({"a": "[{" * 500, "b": '\\"[[', "c": "]}" * 500}).encode()
    assert parse_json(text)["a"] == "[{" * 500
    hidden = b'["]]]]]]]]",' * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1)
    assert "nested deeper" in refused(hidden).message
    escaped = b'["\\\\",' * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1)
    assert "nested deeper" in refused(escaped).message


def test_the_number_of_values_is_bounded() -> None:
    assert len(parse_json(b"[" + b"1," * (MAX_NODES - 2) + b"1]")) == MAX_NODES - 1
    assert f"more than {MAX_NODES}" in refused(b"[" + b"1," * MAX_NODES + b"1]").message
    many_commas = json.dumps(["," * 3 * MAX_NODES]).encode()
    assert parse_json(many_commas) == ["," * 3 * MAX_NODES]


def test_the_size_is_bounded_and_has_its_own_status() -> None:
    assert parse_json(b'"' + b"a" * (MAX_BYTES - 2) + b'"')
    with pytest.raises(PayloadTooLargeError):
        parse_json(b'"' + b"a" * (MAX_BYTES - 1) + b'"')
    with pytest.raises(PayloadTooLargeError):
        parse_json(b"[1]", max_bytes=2)


def test_a_fault_repeats_no_value_and_no_control_character() -> None:
    fault = refused(b'{"secret-name":"s3cret","k\\u001b[31m\\n":{"a\\u0007":1,"a\\u0007":"s3cret"}}')
    shown = f"{fault.message} {fault.pointer}"
    assert "s3cret" not in shown
    assert shown.isprintable()


def test_a_long_name_is_shortened_in_the_fault() -> None:
    name = b"n" * 10_000
    fault = refused(b'{"' + name + b'":{"' + name + b'":1,"' + name + b'":2}}')
    assert len(fault.message) < 200
    assert len(fault.pointer or "") < 200


def test_two_faults_in_one_text_are_one_refusal() -> None:
    assert "offset" in refused(b'{"a":1,"a":2,').message
