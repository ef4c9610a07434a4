from __future__ import annotations

import json
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from pdp.declog.line import GENESIS, Line, frame, link, parse

BODY = b'{"id":"a"}'


def test_a_line_is_one_json_object_that_holds_the_body_as_it_was_given():
    body = '{"id":"a","課":"総務部"}'.encode()
    raw, chain = frame(GENESIS, "record", 7, body)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert json.loads(raw) == {"seq": 7, "chain": chain.hex(), "record": json.loads(body)}
    assert parse(raw) == Line(7, chain, "record", body)


def test_the_chain_is_the_digest_that_the_documentation_states():
    for body in (BODY, b'{"id":"' + b"a" * 5_000 + b'"}'):
        assert link(GENESIS, "record", 7, body) == sha256(GENESIS + b"record:7:" + body).digest()


@given(body=st.binary().map(lambda raw: b"{" + raw.replace(b"\n", b"") + b"}"), seq=st.integers(0, 10**17))
def test_what_was_framed_is_read_back_and_follows(body: bytes, seq: int):
    raw, _ = frame(b"\x01" * 32, "record", seq, body)
    line = parse(raw)
    assert line is not None
    assert (line.seq, line.kind, line.body) == (seq, "record", body)
    assert line.follows(b"\x01" * 32)
    assert not line.follows(b"\x02" * 32)
    assert not line.follows(None)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), seq=st.integers(0, 10**6))
def test_a_flipped_bit_anywhere_in_a_line_is_noticed(at: int, bit: int, seq: int):
    raw = bytearray(frame(GENESIS, "record", seq, BODY)[0])
    raw[at % len(raw)] ^= 1 << bit
    line = parse(bytes(raw))
    assert line is None or not line.follows(GENESIS)


def test_a_record_cannot_be_passed_off_as_a_footer_or_under_another_number():
    chain = link(GENESIS, "record", 7, BODY)
    assert not Line(7, chain, "footer", BODY).follows(GENESIS)
    assert not Line(8, chain, "record", BODY).follows(GENESIS)


def test_lines_of_another_shape_are_none():
    raw = frame(GENESIS, "record", 7, BODY)[0]
    for other in (b"", b"\n", b"{}\n", raw[:-1], raw[1:], b" " + raw, raw.replace(b'"seq":7', b'"seq":07'), bytes(512)):
        assert parse(other) is None
