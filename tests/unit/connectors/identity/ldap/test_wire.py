"""BER and messages: what a hostile or broken server may send is refused, and never loops, grows or escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.ldap import messages
from connectors.identity.ldap.ber import (
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    SET,
    BerError,
    Reader,
    element,
    header,
    integer,
    octets,
    tlv,
)
from connectors.identity.ldap.messages import Entry, Reference, Result, parse


def entry(dn: bytes = b"cn=a", attributes: bytes = b"") -> bytes:
    return tlv(SEQUENCE, integer(7), tlv(0x64, octets(dn), tlv(SEQUENCE, attributes)))


def attribute(name: bytes, *values: bytes) -> bytes:
    return tlv(SEQUENCE, octets(name), tlv(SET, *(octets(value) for value in values)))


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_eight_bytes_comes_back(value):
    assert Reader(integer(value)).integer() == value


@given(st.binary(max_size=70_000))
def test_every_content_comes_back_whatever_its_length(content):
    data = tlv(OCTETS, content)
    sizes = header(data)
    assert sizes is not None
    assert sum(sizes) == len(data)
    assert Reader(data).octets() == content


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_ber_error(data):
    try:
        number, said = parse(data)
    except BerError:
        return
    assert isinstance(number, int)
    assert isinstance(said, (Entry, Reference, Result))


@given(st.data())
def test_a_message_with_one_byte_changed_is_read_or_refused(data):
    whole = bytearray(entry(attributes=attribute(b"uid", b"u-1") + attribute(b"cn", "職員".encode())))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(whole))
    except BerError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x80\x02\x01\x01\x00\x00",  # an indefinite length
        b"\x30\x85\x01\x00\x00\x00\x00",  # a length of five bytes
        b"\x30\x05\x02\x01\x01\x04\x7f",  # a string longer than its message
        b"\x1f\x81\x00\x00",  # a tag of several bytes
        entry() + b"\x00",  # bytes behind the message
        entry(attributes=attribute(b"uid", b"a") + attribute(b"UID", b"b")),  # one attribute twice
        entry(dn=b"\xff"),
        entry(attributes=tlv(SEQUENCE, octets(b"uid"), tlv(SET, integer(1)))),  # a value that is no string
        tlv(SEQUENCE, integer(1), tlv(0x60, b"")),  # a request, from a server
        tlv(SEQUENCE, octets(b"1"), tlv(0x65, b"")),
        tlv(SEQUENCE, integer(1), tlv(0x65, tlv(ENUMERATED, b"\x00" * 9), octets(""), octets(""))),
        tlv(SEQUENCE, integer(1), tlv(0x65, tlv(ENUMERATED, b""), octets(""), octets(""))),
        b"",
    ],
)
def test_what_is_not_ldaps_ber_is_refused(data):
    with pytest.raises(BerError):
        parse(data)


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x82", b"\x30\x82\x01"])
def test_a_header_that_is_not_whole_yet_is_waited_for(data):
    assert header(data) is None


def test_an_element_may_not_reach_beyond_what_encloses_it():
    with pytest.raises(BerError):
        element(b"\x04\x05abcdefgh", 0, 4)


def test_an_entry_is_read_with_folded_names_and_raw_values():
    _, said = parse(
        entry("cn=職員".encode(), attribute(b"objectGUID", b"\x00\xff") + attribute(b"member;range=0-1", b"x", b"y"))
    )
    assert said == Entry("cn=職員", {"objectguid": (b"\x00\xff",), "member;range=0-1": (b"x", b"y")})


@pytest.mark.parametrize(("dn", "password"), [("", "x"), ("cn=a", ""), ("", "")])
def test_a_bind_without_name_or_password_is_not_built(dn, password):
    """RFC 4513 section 5.1.2: it would succeed as anonymous."""
    with pytest.raises(ValueError, match="needs a name and a password"):
        messages.simple_bind(1, dn, password)
