"""Filters: RFC 4515's own examples, values that try to break out, and texts that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.ldap.ber import Reader, element, octets, tlv
from connectors.identity.ldap.filters import FilterError, all_of, compile_filter, equal, present


def escaped(value: str) -> str:
    """A value for a filter's text (RFC 4515 section 3)."""
    return "".join(f"\\{ord(c):02x}" if c in "\\*()\0" else c for c in value)


def test_an_equality_is_a_name_and_a_value():
    assert compile_filter("(cn=Babs Jensen)") == tlv(0xA3, octets("cn"), octets("Babs Jensen"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"(o=Parens R Us \28for all your parenthetical needs\29)", b"Parens R Us (for all your parenthetical needs)"),
        (r"(filename=C:\5cMyFile)", rb"C:\MyFile"),
        (r"(bin=\00\00\00\04)", b"\x00\x00\x00\x04"),
        (r"(sn=Lu\c4\8di\c4\87)", "Lučić".encode()),
        ("(cn=三重県)", "三重県".encode()),
        ("(cn=)", b""),
    ],
)
def test_the_examples_of_rfc_4515_have_the_values_that_it_says(text, value):
    reader = Reader(compile_filter(text)).inside(0xA3)
    reader.octets()
    assert reader.octets() == value


def test_a_value_with_stars_is_cut_into_substrings():
    expected = tlv(0xA4, octets("cn"), tlv(0x30, octets("a", 0x80), octets("*", 0x81), octets("z", 0x82)))
    assert compile_filter(r"(cn=a*\2a*z)") == expected


def test_filters_nest():
    built = all_of(present("objectClass"), tlv(0xA2, equal("uid", "x")))
    assert compile_filter("(&(objectClass=*)(!(uid=x)))") == built


def test_the_rule_of_active_directory_for_flags_is_an_extensible_match():
    found = compile_filter("(userAccountControl:1.2.840.113556.1.4.803:=2)")
    assert element(found, 0, len(found))[0] == 0xA9
    assert b"1.2.840.113556.1.4.803" in found


@pytest.mark.parametrize(
    "text",
    [
        "", "cn=a", "(cn=a", "(cn=a))", "(&)", "(cn)", "(=a)", "(cn=a)(cn=b)", "(!(a=b)(c=d))", r"(cn=\zz)", r"(cn=a\)",
        "(cn=a(b)", "(cn=a**b)", "(:=a)", "(cn:rule=a)", "(" * 100 + ")" * 100, "(&" * 30 + "(a=b)" + ")" * 30, "(c n=a)",
        "(cn=\0)", "(cn=" + "a" * 9_000 + ")",
    ],
)  # fmt: skip
def test_a_text_that_is_no_filter_is_refused(text):
    with pytest.raises(FilterError):
        compile_filter(text)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_an_escaped_value_is_one_equality_with_that_very_value(value):
    assert compile_filter(f"(uid={escaped(value)})") == equal("uid", value)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=80))
def test_any_text_is_a_filter_or_refused(text):
    try:
        found = compile_filter(text)
    except FilterError:
        return
    assert element(found, 0, len(found))[2] == len(found)
